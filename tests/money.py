"""Payments brought into a status by entries, as the worker does it: nobody writes a status."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from tests.conftest import Sql

ATTEMPTS = {"processing": "under_way", "failed": "failed", "authorized": "authorized"}
"""The status of an attempt that brings a payment into a status."""


def bring_to(sql: Sql, payment_id: UUID | str, status: str, *, amount: Decimal | str | None = None) -> None:
    """Entries on the attempt without a name that bring the payment to this status, and the fold.

    ``amount`` is what came, or was promised; else all of the payment's amount.
    """
    if status in {"expired", "canceled"}:
        sql(
            "SELECT payments_fold(ARRAY[CAST(:id AS uuid)], ARRAY[:status]::payment_status[])",
            id=payment_id,
            status=status,
        )
        return
    if status == "pending":
        return
    came = status in {"partially_paid", "paid", "reversed"}
    attempt(sql, payment_id, ATTEMPTS.get(status, "started"), presumed=amount if came else None, authorized=amount)
    if came:
        sql(
            """UPDATE payment_attempts SET amount_presumed = coalesce(amount_presumed, payments.amount)
            FROM payments WHERE payments.id = payment_id AND payment_id = :id AND attempt_ref = ''""",
            id=payment_id,
        )
    if status == "reversed":
        sql(
            """INSERT INTO disputes (payment_id, provider, stage, status, money_step, money_out, currency)
            SELECT id, provider, 'chargeback', 'lost', 1, true, currency FROM payments WHERE id = :id""",
            id=payment_id,
        )
    fold(sql, payment_id)
    now = sql("SELECT status::text FROM payments WHERE id = :id", id=payment_id)[0].status
    assert now == status, f"the entries make it {now}"


def attempt(
    sql: Sql,
    payment_id: UUID | str,
    status: str,
    *,
    ref: str = "",
    presumed: Decimal | str | None = None,
    authorized: Decimal | str | None = None,
) -> None:
    """One attempt, in the payment's currency; the fold is the caller's."""
    sql(
        """INSERT INTO payment_attempts
            (payment_id, provider, attempt_ref, status, reported_at, currency, amount_presumed, amount_authorized)
        SELECT id, provider, :ref, CAST(:status AS attempt_status), now(), currency, CAST(:presumed AS numeric),
            CAST(:authorized AS numeric)
        FROM payments WHERE id = :id""",
        id=payment_id,
        ref=ref,
        status=status,
        presumed=presumed,
        authorized=authorized,
    )


def capture(
    sql: Sql,
    payment_id: UUID | str,
    ref: str,
    amount: Decimal | str,
    *,
    attempt_ref: str = "",
    status: str = "succeeded",
) -> None:
    """One capture, in the payment's currency; the fold is the caller's."""
    sql(
        """INSERT INTO captures (payment_id, provider, capture_ref, attempt_ref, status, amount, currency)
        SELECT id, provider, :ref, :attempt_ref, CAST(:status AS capture_status), CAST(:amount AS numeric), currency
        FROM payments WHERE id = :id""",
        id=payment_id,
        ref=ref,
        attempt_ref=attempt_ref,
        status=status,
        amount=amount,
    )


def dispute(sql: Sql, payment_id: UUID | str, amount: str, stage: str = "chargeback", **columns: Any) -> None:
    """An open dispute that blocks refunds, and the fold; other columns as SQL literals."""
    given = {"blocks_refund": "true", "money_step": "0", "money_out": "false", "capture_ref": "''"} | columns
    sql(
        f"""INSERT INTO disputes (payment_id, provider, dispute_ref, stage, status, amount, currency,
            {", ".join(given)})
        SELECT id, provider, :ref, CAST(:stage AS dispute_stage), 'needs_response', CAST(:amount AS numeric), currency,
            {", ".join(given.values())}
        FROM payments WHERE id = :id""",
        id=payment_id,
        ref=f"dp_{uuid4().hex}",
        stage=stage,
        amount=amount,
    )
    fold(sql, payment_id)


def fold(sql: Sql, *payment_ids: UUID | str) -> list[Any]:
    """What payments_fold says that changed."""
    return sql("SELECT * FROM payments_fold(CAST(:ids AS uuid[]))", ids=[str(each) for each in payment_ids])
