"""Reads of disputes: pages of them for staff, by status and by the deadline for evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from checkout_service.api.responses import show_time
from checkout_service.cursors import Cursor, read_cursor
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.money import show
from checkout_service.payments.status import DisputeStage, DisputeStatus
from checkout_service.providers.registry import provider_specs

_COLUMNS: Final = """
    dispute.id, dispute.payment_id, dispute.provider, dispute.dispute_ref, dispute.stage::text AS stage,
    dispute.status::text AS status, dispute.reason,
    coalesce(dispute.amount, CASE WHEN dispute.money_step > 0 THEN payment.amount_captured END) AS amount,
    coalesce(dispute.currency, payment.currency) AS currency,
    CASE WHEN dispute.money_step > 0 AND dispute.money_out THEN coalesce(dispute.amount, payment.amount_captured)
        ELSE 0 END AS amount_lost,
    dispute.money_step = 0 AND dispute.blocks_refund AS blocks_refund, dispute.evidence_due_at, dispute.created_at,
    dispute.updated_at
"""

# Along the primary key, or along (status, id): ids are made in the order of time.
_NEWEST: Final = f"""
    SELECT {_COLUMNS}
    FROM (SELECT * FROM disputes WHERE {{bound}} ORDER BY id DESC LIMIT :limit) AS dispute
    JOIN payments AS payment ON payment.id = dispute.payment_id
    ORDER BY dispute.id DESC
"""  # noqa: S608 (only our own constants)

# Along disputes_evidence_due_at, where it is those that need a response.
_DUE: Final = f"""
    SELECT {_COLUMNS}
    FROM (
        SELECT * FROM disputes
        WHERE status = CAST(:status AS dispute_status) AND evidence_due_at < :due_before AND {{bound}}
        ORDER BY evidence_due_at, id LIMIT :limit
    ) AS dispute
    JOIN payments AS payment ON payment.id = dispute.payment_id
    ORDER BY dispute.evidence_due_at, dispute.id
"""  # noqa: S608 (only our own constants)

_OF_STATUS: Final = "status = CAST(:status AS dispute_status)"
_BEFORE: Final = "id < CAST(:id AS uuid)"

_newest: Final = {
    (False, False): Statement(_NEWEST.format(bound="true")),
    (False, True): Statement(_NEWEST.format(bound=_BEFORE)),
    (True, False): Statement(_NEWEST.format(bound=_OF_STATUS)),
    (True, True): Statement(_NEWEST.format(bound=f"{_OF_STATUS} AND {_BEFORE}")),
}
"""By whether there is a status, and a cursor."""

_due: Final = {
    False: Statement(_DUE.format(bound="true")),
    True: Statement(_DUE.format(bound="(evidence_due_at, id) > (:moment, CAST(:id AS uuid))")),
}
"""By whether there is a cursor."""

_nearest: Final = Statement(f"""
    SELECT {_COLUMNS}
    FROM (
        SELECT * FROM disputes WHERE status = ANY(CAST(:statuses AS dispute_status[]))
            AND (CAST(:due_before AS timestamptz) IS NULL OR evidence_due_at < CAST(:due_before AS timestamptz))
        ORDER BY evidence_due_at NULLS LAST, id DESC LIMIT :limit
    ) AS dispute
    JOIN payments AS payment ON payment.id = dispute.payment_id
    ORDER BY dispute.evidence_due_at NULLS LAST, dispute.id DESC
""")  # noqa: S608 (only our own constants)


class _Row(NamedTuple):
    """The values of ``_COLUMNS``."""

    id: UUID
    payment_id: UUID
    provider: str
    dispute_ref: str
    stage: str
    status: str
    reason: str | None
    amount: Decimal | None
    currency: str
    amount_lost: Decimal
    blocks_refund: bool
    evidence_due_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A dispute as it is now.

    ``amount`` is what is disputed and ``amount_lost`` what it took and did not give back, both in ``currency``.
    ``blocks_refund`` says that it took nothing yet and its amount may not be given back meanwhile. ``name`` is the
    provider's, '' of one that the provider has no name for. ``evidence_at`` is where evidence is sent.
    """

    id: UUID
    payment_id: UUID
    provider: str
    name: str
    stage: DisputeStage
    status: DisputeStatus
    reason: str | None
    amount: Decimal | None
    currency: str
    amount_lost: Decimal
    blocks_refund: bool
    evidence_due_at: datetime | None
    evidence_at: str
    created_at: datetime
    updated_at: datetime

    def shown(self) -> dict[str, Any]:
        """The dispute as the API shows it."""
        return {
            "id": str(self.id),
            "payment_id": str(self.payment_id),
            "provider": self.provider,
            "name": self.name or None,
            "stage": self.stage.value,
            "status": self.status.value,
            "reason": self.reason,
            "amount": None if self.amount is None else show(self.amount, self.currency),
            "currency": self.currency,
            "amount_lost": show(self.amount_lost, self.currency),
            "blocks_refund": self.blocks_refund,
            "evidence_due_at": None if self.evidence_due_at is None else show_time(self.evidence_due_at),
            "evidence_at": self.evidence_at,
            "created_at": show_time(self.created_at),
            "updated_at": show_time(self.updated_at),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputePage:
    """A page of disputes; ``next_cursor`` is None where no page follows."""

    disputes: Sequence[Dispute]
    next_cursor: str | None


def disputes_page(
    *, due_before: datetime | None, status: DisputeStatus | None, limit: int, cursor: str | None
) -> DisputePage:
    """Disputes of a status, the newest first; with ``due_before`` those whose evidence is due before, the next first.

    With ``due_before`` and no status, those that need a response. Raises BadCursorError and DatabaseUnavailableError.
    """
    after = None if cursor is None else read_cursor(cursor)
    values: dict[str, Any] = {"limit": limit + 1, "status": None if status is None else status.value}
    if after is not None:
        values |= {"id": after.id, "moment": after.moment}
    if due_before is None:
        rows = execute(_newest[status is not None, after is not None], values)
    else:
        values |= {"due_before": due_before, "status": (status or DisputeStatus.NEEDS_RESPONSE).value}
        rows = execute(_due[after is not None], values)
    found = _disputes(rows)
    page, more = found[:limit], None
    if len(found) > limit:
        last = page[-1]
        more = str(Cursor((last.evidence_due_at if due_before else None) or last.created_at, last.id))
    return DisputePage(disputes=page, next_cursor=more)


def nearest_disputes(
    *, statuses: Iterable[DisputeStatus], due_before: datetime | None = None, limit: int
) -> list[Dispute]:
    """Disputes of these statuses, the nearest deadline first, then those without one.

    Raises DatabaseUnavailableError.
    """
    chosen = [status.value for status in statuses]
    return _disputes(execute(_nearest, {"statuses": chosen, "due_before": due_before, "limit": limit}))


def evidence_at(provider: str) -> str:
    """Where evidence about a dispute at this provider is sent: a place in its dashboard."""
    spec = provider_specs().get(provider)
    return spec.evidence if spec is not None else f"the dashboard of {provider}"


def _disputes(rows: Iterable[Any]) -> list[Dispute]:
    found = []
    for row in map(_Row._make, rows):
        columns = row._asdict()
        columns["name"] = columns.pop("dispute_ref")
        words = {"stage": DisputeStage(row.stage), "status": DisputeStatus(row.status)}
        found.append(Dispute(**columns | words, evidence_at=evidence_at(row.provider)))
    return found
