"""How many rows the disk has room for: no figure fills a disk that others write to."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from typing import Final

SHARE: Final = 0.7
"""Of what is free on the disk of the temporary folder."""

BYTES_A_ROW: Final = 1_500
"""Of a webhook and an event with its number, indexes included; their bodies are short."""

BYTES_A_PAYMENT: Final = 1_500
"""Of a payment with its session and its entry, indexes included."""


@dataclass(frozen=True, kw_only=True)
class Room:
    """So many webhooks and events, and so many payments that they are about."""

    rows: int
    payments: int
    most: int
    """As many are loaded where there is room."""
    free: int
    """Bytes."""

    def __str__(self) -> str:
        free = f"{self.free / 2**30:,.0f} GiB are free"
        if self.rows == self.most:
            return f"{self.rows:,} webhooks and as many events, about {self.payments:,} payments: {free}"
        return (
            f"{self.rows:,} webhooks and as many events in place of {self.most:,}: that is what fits {SHARE:.0%} of "
            f"the disk, of which {free}; they are about {self.payments:,} payments"
        )


def on_disk(*, most: int, payments: int, folder: str | None = None) -> Room:
    """What fits the disk of that folder, or of the temporary one; payments are never more than rows."""
    free = shutil.disk_usage(folder or tempfile.gettempdir()).free
    bytes_ = int(SHARE * free)
    payments = min(payments, most, bytes_ // (BYTES_A_ROW + BYTES_A_PAYMENT))
    rows = min(most, (bytes_ - payments * BYTES_A_PAYMENT) // BYTES_A_ROW)
    return Room(rows=rows, payments=payments, most=most, free=free)
