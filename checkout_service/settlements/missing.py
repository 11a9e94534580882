"""Finds what of ours no line tells of: money that came, or went back, longer ago than a provider takes to list it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg


def find_missing(connection: psycopg.Connection[Any], *, after_days: int, now: datetime) -> int:
    """Note what of ours is older than ``after_days`` and has no current entry; how many are new. A transaction.

    Only of providers of which something was entered, and only what is younger than the first entry of theirs.
    """
    raise NotImplementedError
