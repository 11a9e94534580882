"""The demo catalogue: some hundred listings of vendors that are made up, in the form that ``catalog import`` takes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

CATALOGUE: Final = Path(__file__).parent / "demo_catalog.jsonl"


def listing_ids() -> Sequence[UUID]:
    """The id of each of its listings."""
    return [UUID(json.loads(line)["id"]) for line in CATALOGUE.read_bytes().splitlines()]
