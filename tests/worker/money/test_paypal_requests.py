"""Captures, voids and refunds that we ask PayPal for, from the approval on: it answers at once, webhooks echo it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from tests.capturing import insert_capture_request, insert_void, request_row
from tests.conftest import Sql
from tests.providers.kits import paypal
from tests.providers.kits.kit import NOW
from tests.refunding import insert_refund, refund_row
from tests.webhook_bodies import state_of, status_of
from tests.worker.other_providers import Wallets
from worker.captures.capturing import capture
from worker.captures.voiding import void
from worker.refunds.task import refund
from worker.webhooks.task import process


def approved(wallets: Wallets, days: int = 0) -> tuple[UUID, str]:
    """A payment that its customer approved, authorized so many days ago: its id and its reference."""
    wallets.app.extensions["providers"]["paypal"] = paypal.KIT.provider(
        answer=wallets.paypal, capture="manual", clock=lambda: NOW + timedelta(days=days)
    )
    reference = wallets.open("paypal").provider_ref
    wallets.paypal.approve(reference)
    process(str(wallets.file("paypal", paypal.approved(reference, paypal.KIT.secrets[0]))))
    return wallets.sql("SELECT id FROM payments WHERE provider_ref = :ref", ref=reference)[0].id, reference


def sums(sql: Sql, payment_id: UUID) -> tuple[Any, ...]:
    row = sql(
        """SELECT status::text, review_reason, amount_captured, amount_authorized, amount_refunded + amount_refunding
        FROM payments WHERE id = :id""",
        id=payment_id,
    )[0]
    return tuple(row)


def test_an_approval_is_authorized_once_and_its_webhook_is_an_echo(wallets: Wallets, sql: Sql) -> None:
    payment_id, reference = approved(wallets)
    assert sums(sql, payment_id) == ("authorized", None, 0, 240, 0)

    (held,) = wallets.paypal.movements(reference, "authorizations")
    echo = wallets.file("paypal", paypal.event("PAYMENT.AUTHORIZATION.CREATED", held, number=2))
    process(str(echo))
    again = wallets.file("paypal", paypal.approved(reference, paypal.KIT.secrets[0], number=3))
    process(str(again))

    assert (state_of(sql, echo), state_of(sql, again)) == ("applied", "duplicate")
    assert sums(sql, payment_id) == ("authorized", None, 0, 240, 0)
    assert len(wallets.paypal.authorized) == 1
    (attempt,) = sql("SELECT attempt_ref, expires_at FROM payment_attempts")
    assert (attempt.attempt_ref, attempt.expires_at) == (held["id"], NOW + timedelta(days=29))


def test_a_capture_is_made_once_and_a_refund_is_of_it(wallets: Wallets, sql: Sql) -> None:
    payment_id, reference = approved(wallets)
    request_id = insert_capture_request(sql, payment_id, amount="200.00")

    assert capture(str(request_id)) == "succeeded"
    (made,) = wallets.paypal.movements(reference, "captures")
    process(str(wallets.file("paypal", paypal.event("PAYMENT.CAPTURE.COMPLETED", made, number=2))))

    row = request_row(sql, "capture_requests", request_id)
    assert (row.now, row.provider_ref) == ("succeeded", made["id"])
    assert sums(sql, payment_id) == ("partially_paid", "mismatch", 200, 0, 0)
    refund_id = insert_refund(sql, payment_id, capture_ref=f"'{made['id']}'")
    refund(str(refund_id))
    assert refund_row(sql, refund_id).now == "processing"
    assert wallets.paypal.requests[-1].url.path == f"/v2/payments/captures/{made['id']}/refund"


@pytest.mark.parametrize("days", [2, 4])
def test_the_webhook_of_a_capture_may_come_before_its_answer_is_written_down(
    wallets: Wallets, sql: Sql, days: int
) -> None:
    """The capture's invoice names our request, whichever authorization it is of."""
    payment_id, reference = approved(wallets)
    request_id = insert_capture_request(sql, payment_id, amount="240.00")
    (held,) = wallets.paypal.movements(reference, "authorizations")
    order = {"amount": {"currency_code": "USD", "value": "240.00"}, "final_capture": True}
    made = wallets.paypal.capture(held["id"], order | {"invoice_id": f"{reference}_{request_id.hex}"})
    assert isinstance(made, dict)

    process(str(wallets.file("paypal", paypal.event("PAYMENT.CAPTURE.COMPLETED", made, number=days))))

    assert request_row(sql, "capture_requests", request_id).now == "succeeded"
    assert sums(sql, payment_id) == ("paid", None, 240, 0, 0)
    assert capture(str(request_id)) == "nothing is outstanding now"
    assert len(wallets.paypal.captured) == 1


def test_after_the_honor_period_the_new_authorization_counts_in_place_of_the_first(wallets: Wallets, sql: Sql) -> None:
    payment_id, reference = approved(wallets, days=4)
    request_id = insert_capture_request(sql, payment_id, amount="240.00")
    assert capture(str(request_id)) == "succeeded"
    old, new = wallets.paypal.movements(reference, "authorizations")
    for number, held in enumerate((old, new), 2):
        process(str(wallets.file("paypal", paypal.event("PAYMENT.AUTHORIZATION.CREATED", held, number=number))))

    assert sums(sql, payment_id) == ("paid", None, 240, 0, 0)
    (row,) = sql("SELECT attempt_ref FROM captures")
    assert row.attempt_ref == new["id"]


def test_a_void_ends_what_was_promised(wallets: Wallets, sql: Sql) -> None:
    payment_id, reference = approved(wallets)
    void_id = insert_void(sql, payment_id)

    assert void(str(void_id)) == "succeeded"

    assert status_of(sql, reference) == "canceled"
    assert sums(sql, payment_id)[2:] == (0, 0, 0)
    (held,) = wallets.paypal.movements(reference, "authorizations")
    process(str(wallets.file("paypal", paypal.event("PAYMENT.AUTHORIZATION.VOIDED", held, number=2))))
    assert sums(sql, payment_id) == ("canceled", None, Decimal(0), Decimal(0), Decimal(0))
