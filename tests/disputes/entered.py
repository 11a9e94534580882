"""Disputes of payments, entered as the worker does it."""

from __future__ import annotations

from uuid import UUID

from tests.conftest import Sql
from tests.money import bring_to, fold
from tests.webhook_bodies import insert_payment


def paid_at(sql: Sql, provider: str = "stripe", amount: str = "240.00") -> UUID:
    """A payment at this provider that money came for."""
    reference = insert_payment(sql, provider=provider, amount=amount)
    payment_id: UUID = sql("SELECT id FROM payments WHERE provider_ref = :reference", reference=reference)[0].id
    bring_to(sql, payment_id, "paid")
    return payment_id


def enter_dispute(sql: Sql, payment_id: UUID | str, ref: str, **columns: str) -> UUID:
    """A dispute over 40.00 that needs a response, and the fold; other columns as SQL literals. Its id."""
    values = {"stage": "'chargeback'", "status": "'needs_response'", "amount": "40", "currency": "'USD'"} | columns
    (row,) = sql(
        f"""INSERT INTO disputes (payment_id, provider, dispute_ref, {", ".join(values)})
        SELECT id, provider, :ref, {", ".join(values.values())} FROM payments WHERE id = :id RETURNING id""",
        id=payment_id,
        ref=ref,
    )
    fold(sql, payment_id)
    entered: UUID = row.id
    return entered
