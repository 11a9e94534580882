"""Reads refunds and captures that are in doubt: nobody knows whether they were made, and a person has to look."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from checkout_service.database.engine import execute

SHOWN: Final = 20
"""Of one payment; the page of what is to be settled has the others."""


MOST: Final = 200
"""Of each kind, on the page of what is to be settled."""


class Doubted(StrEnum):
    """What may be in doubt."""

    REFUND = "refund"
    CAPTURE = "capture"


_COLUMNS: Final = (
    "payment_id, id, provider, provider_ref, amount, currency, status::text AS status, in_doubt, sent_at, detail"
)

_OPEN: Final = {Doubted.REFUND: "status = 'requested'", Doubted.CAPTURE: "status <= 'processing'"}
"""What a person settles; one that its provider has named is looked up by the worker."""

_TABLES: Final = {Doubted.REFUND: "refunds", Doubted.CAPTURE: "capture_requests"}

_one = {
    kind: text(f"SELECT '{kind}' AS kind, {_COLUMNS} FROM {table} WHERE id = :id AND payment_id = :payment_id")  # noqa: S608 (only our own constants)
    for kind, table in _TABLES.items()
}


def _all(where: str, limit: int) -> str:
    # The status stands twice: the partial indexes of what is outstanding are those of status <= 'processing'.
    return " UNION ALL ".join(
        f"""(SELECT '{kind}' AS kind, {_COLUMNS} FROM {table}
        WHERE status <= 'processing' AND {_OPEN[kind]} AND in_doubt AND {where} ORDER BY id LIMIT {limit})"""  # noqa: S608 (only our own constants)
        for kind, table in _TABLES.items()
    )


_of_payment = text(_all("payment_id = :payment_id", SHOWN))

_of_all = text(_all("true", MOST))


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A refund or a capture. ``amount`` is in the major unit of ``currency``; ``sent_at`` is when its provider was
    asked for it first."""

    kind: Doubted
    payment_id: UUID
    id: UUID
    provider: str
    provider_ref: str | None
    amount: Decimal
    currency: str
    status: str
    in_doubt: bool
    sent_at: datetime | None
    detail: str | None

    @property
    def settleable(self) -> bool:
        """Whether a person is to say what became of it."""
        if self.kind is Doubted.REFUND:
            return self.in_doubt and self.status == "requested"
        return self.in_doubt and self.status in {"requested", "processing"}


def doubts_of(payment_id: UUID) -> list[Doubt]:
    """What of this payment a person has to settle, oldest first. Raises DatabaseUnavailableError, as all here do."""
    return [_doubt(row) for row in execute(_of_payment, {"payment_id": payment_id})]


def all_doubts() -> list[Doubt]:
    """What a person has to settle, the oldest first: up to MOST of each kind."""
    return [_doubt(row) for row in execute(_of_all)]


def find_doubt(kind: Doubted, *, payment_id: UUID, row_id: UUID) -> Doubt | None:
    """A refund or a capture of this payment, in doubt or not; None where there is none."""
    rows = execute(_one[kind], {"id": row_id, "payment_id": payment_id})
    return _doubt(rows[0]) if rows else None


def _doubt(row: Any) -> Doubt:
    columns = row._asdict()
    return Doubt(**columns | {"kind": Doubted(columns["kind"])})
