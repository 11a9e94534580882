"""A webhook as the webhook receiver took it: nothing in it has been read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RawWebhook:
    """The raw bytes, the few headers that the provider's verifier needs (names in lower case), and when it came.

    ``received_at`` is aware. A signature's age is judged by it, so that a webhook that waited in a backlog is not
    refused as too old.
    """

    provider: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
