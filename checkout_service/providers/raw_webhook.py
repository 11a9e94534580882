"""A letter as the letterbox took it: nothing in it has been read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The raw bytes, the few headers that the provider's verifier needs (names in lower case), and when it came.

    ``received_at`` is aware; a signature's age is judged by it, so that a backlog does not turn genuine letters
    into forgeries.
    """

    provider: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
