"""Captures, voids and refunds that we ask Adyen for: it only receives them, and webhooks tell how they ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError

from tests.capturing import insert_capture_request, insert_void, make_requests_due, request_row
from tests.conftest import Sql
from tests.money import fold
from tests.providers.kits import adyen
from tests.providers.kits.kit import SignedWebhook
from tests.refunding import insert_refund, refund_row
from tests.webhook_bodies import state_of, status_of
from tests.worker.other_providers import Wallets
from worker.captures.capturing import capture
from worker.captures.voiding import void
from worker.payments.look_ups import look_up
from worker.refunds.task import refund
from worker.webhooks.task import process


def paying(wallets: Wallets, **options: str) -> tuple[UUID, str]:
    """A payment at an account with these options: its id and its reference."""
    wallets.app.extensions["providers"]["adyen"] = adyen.KIT.provider(answer=wallets.adyen, **options)
    reference = wallets.open("adyen").provider_ref
    return wallets.sql("SELECT id FROM payments WHERE provider_ref = :ref", ref=reference)[0].id, reference


def report(
    wallets: Wallets,
    code: str,
    psp: str,
    reference: str,
    *,
    original: str | None = None,
    success: bool = True,
    value: int = 24000,
    **fields: Any,
) -> UUID:
    """Adyen's webhook about that, processed."""
    given = {"pspReference": psp, "merchantReference": reference, "amount": {"currency": "USD", "value": value}}
    given |= {"originalReference": original} if original else {}
    signed = adyen.sign(adyen.item(code, "true" if success else "false", **given, **fields), adyen.KIT.secrets[0])
    delivery = wallets.file("adyen", SignedWebhook(body=adyen.batch(signed)), received_at="now()")
    process(str(delivery))
    return delivery


def named(reference: str, request_id: UUID) -> str:
    return f"{reference}_{request_id.hex}"


def left_to_capture(sql: Sql, payment_id: UUID) -> Decimal:
    return sql("SELECT amount_authorized FROM payments WHERE id = :id", id=payment_id)[0].amount_authorized


@pytest.mark.parametrize(("success", "ended", "status"), [(True, "succeeded", "paid"), (False, "failed", "authorized")])
def test_a_capture_is_on_its_way_until_a_webhook_tells_how_it_ended(
    wallets: Wallets, sql: Sql, success: bool, ended: str, status: str
) -> None:
    payment_id, reference = paying(wallets, capture="manual")
    report(wallets, "AUTHORISATION", "A", reference)
    request_id = insert_capture_request(sql, payment_id)

    assert capture(str(request_id)) == "pending"
    (psp,) = wallets.adyen.captures
    row = request_row(sql, "capture_requests", request_id)
    assert (row.now, row.provider_ref, status_of(sql, reference)) == ("processing", psp, "authorized")
    make_requests_due(sql)
    capture(str(request_id))

    report(wallets, "CAPTURE", psp, named(reference, request_id), original="A", success=success)
    assert request_row(sql, "capture_requests", request_id).now == ended
    assert (status_of(sql, reference), len(wallets.adyen.captures)) == (status, 1)


def test_the_webhook_of_a_capture_may_come_before_its_answer_is_written_down(wallets: Wallets, sql: Sql) -> None:
    payment_id, reference = paying(wallets, capture="manual")
    report(wallets, "AUTHORISATION", "A", reference)
    request_id = insert_capture_request(sql, payment_id)

    report(wallets, "CAPTURE", "C000000000000000", named(reference, request_id), original="A")
    assert request_row(sql, "capture_requests", request_id).now == "succeeded"
    assert capture(str(request_id)) == "nothing is outstanding now"
    assert wallets.adyen.captures == {}


def test_several_captures_of_one_authorisation(wallets: Wallets, sql: Sql) -> None:
    payment_id, reference = paying(wallets, capture="manual", multicapture="on")
    report(wallets, "AUTHORISATION", "A", reference)

    for amount, left in (("100.00", "140.00"), ("140.00", "0")):
        request_id = insert_capture_request(sql, payment_id, amount, final="false")
        capture(str(request_id))
        psp = list(wallets.adyen.captures)[-1]
        value = int(Decimal(amount) * 100)
        report(wallets, "CAPTURE", psp, named(reference, request_id), original="A", value=value)
        assert left_to_capture(sql, payment_id) == Decimal(left)

    assert status_of(sql, reference) == "paid"
    assert sql("SELECT review_reason FROM payments")[0].review_reason is None


@pytest.mark.parametrize(("link", "code"), [("paymentPending", "AUTHORISATION"), ("completed", "OFFER_CLOSED")])
def test_what_a_link_calls_under_way_ends_with_an_attempt_that_fails_later(
    wallets: Wallets, sql: Sql, link: str, code: str
) -> None:
    """A look-up names no attempt, so no event names it either."""
    _, reference = paying(wallets)
    earlier, later = (datetime.now(UTC) + timedelta(hours=hours) for hours in (-1, 1))
    wallets.adyen.payments[reference]["status"] = link
    sql("UPDATE payments SET next_look_up_at = now()")
    success = code == "OFFER_CLOSED"

    report(wallets, code, "A", reference, success=success, eventDate=earlier.isoformat())
    look_up()
    assert status_of(sql, reference) == "processing", "the one that failed before is another"
    report(wallets, code, "B", reference, success=success, eventDate=later.isoformat())

    assert status_of(sql, reference) == "failed"
    assert not sql("SELECT under_way FROM payments")[0].under_way


def test_what_a_link_calls_completed_is_the_authorisation_once_that_is_known(wallets: Wallets, sql: Sql) -> None:
    payment_id, reference = paying(wallets, capture="manual")
    wallets.adyen.pay(reference)
    sql("UPDATE payments SET next_look_up_at = now()")

    report(wallets, "AUTHORISATION", "A", reference)
    look_up()
    assert status_of(sql, reference) == "authorized"
    void_id = insert_void(sql, payment_id)
    void(str(void_id))
    report(wallets, "CANCELLATION", "V", named(reference, void_id), original="A")

    assert status_of(sql, reference) == "canceled"
    assert not sql("SELECT under_way FROM payments")[0].under_way


def test_a_void_is_on_its_way_until_what_was_authorized_is_canceled(wallets: Wallets, sql: Sql) -> None:
    payment_id, reference = paying(wallets, capture="manual")
    report(wallets, "AUTHORISATION", "A", reference)
    void_id = insert_void(sql, payment_id)

    void(str(void_id))
    assert (request_row(sql, "voids", void_id).now, status_of(sql, reference)) == ("processing", "authorized")
    (psp,) = wallets.adyen.cancels
    report(wallets, "CANCELLATION", psp, named(reference, void_id), original="A")
    make_requests_due(sql)
    void(str(void_id))

    assert (request_row(sql, "voids", void_id).now, status_of(sql, reference)) == ("succeeded", "canceled")
    assert len(wallets.adyen.cancels) == 1


def test_a_void_that_is_refused_later_has_failed_and_a_capture_may_be_requested(wallets: Wallets, sql: Sql) -> None:
    payment_id, reference = paying(wallets, capture="manual")
    report(wallets, "AUTHORISATION", "A", reference)
    void_id = insert_void(sql, payment_id)
    void(str(void_id))
    with pytest.raises(IntegrityError):
        insert_capture_request(sql, payment_id)

    first, again = (
        report(wallets, "CANCELLATION", "V", named(reference, void_id), original="A", success=False) for _ in range(2)
    )

    row = request_row(sql, "voids", void_id)
    assert (row.now, row.decline, row.next_attempt_at) == ("failed", "not_in_this_state", None)
    assert (state_of(sql, first), state_of(sql, again)) == ("applied", "duplicate")
    assert status_of(sql, reference) == "authorized"
    insert_capture_request(sql, payment_id)


def test_a_refusal_of_somebody_elses_cancellation_moves_no_void_of_ours(wallets: Wallets, sql: Sql) -> None:
    payment_id, reference = paying(wallets, capture="manual")
    _, other = paying(wallets, capture="manual")
    report(wallets, "AUTHORISATION", "A", reference)
    void_id = insert_void(sql, payment_id)
    void(str(void_id))

    for name in (reference, named(other, void_id), "a word of somebody's own"):
        report(wallets, "CANCELLATION", f"V{len(name)}", name, original="A", success=False)

    assert request_row(sql, "voids", void_id).now == "processing"


@pytest.mark.parametrize("order", list(permutations(["A", "B"])))
def test_each_of_two_authorisations_is_refunded_by_itself(wallets: Wallets, sql: Sql, order: tuple[str, str]) -> None:
    payment_id, reference = paying(wallets)
    for psp in order:
        report(wallets, "AUTHORISATION", psp, reference)
    report(wallets, "REFUND", "R", "a word of somebody's own", original="B")

    with pytest.raises(IntegrityError, match="0"):
        insert_refund(sql, payment_id, "0.01", attempt_ref="'B'")
    refund_id = insert_refund(sql, payment_id, "240.00", attempt_ref="'A'")

    assert refund(str(refund_id)) == "processing"
    assert wallets.adyen.requests[-1].url.path == "/v72/payments/A/refunds"
    assert refund_row(sql, refund_id).now == "processing"
    (row,) = sql("SELECT status::text, review_reason, amount_refunded, amount_refunding FROM payments")
    assert tuple(row) == ("paid", "overpaid", Decimal(240), Decimal(240))


def test_a_refund_of_a_named_capture_is_requested_of_its_authorisation(wallets: Wallets, sql: Sql) -> None:
    payment_id, reference = paying(wallets)
    report(wallets, "AUTHORISATION", "A", reference)
    report(wallets, "CAPTURE", "C", reference, original="A")
    refund_id = insert_refund(sql, payment_id, "40.00", capture_ref="'C'")

    assert refund(str(refund_id)) == "processing"

    assert wallets.adyen.requests[-1].url.path == "/v72/payments/A/refunds"


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_capture_that_came_again_counts_once_somebody_accepted_it(
    wallets: Wallets, sql: Sql, order: tuple[int, ...]
) -> None:
    payment_id, reference = paying(wallets)
    again = {"original": "A", "reason": "Transaction Recaptured"}
    news: list[tuple[str, str, dict[str, str]]] = [
        ("AUTHORISATION", "A", {}),
        ("CAPTURE_FAILED", "C", {"original": "A"}),
        ("CAPTURE", "C", again),
    ]
    for place in order:
        code, psp, fields = news[place]
        report(wallets, code, psp, reference, **fields)
    assert status_of(sql, reference) == "reversed"
    with pytest.raises(IntegrityError):
        insert_refund(sql, payment_id, "40.00", capture_ref="'C'")

    sql(
        """INSERT INTO payment_acceptances (payment_id, amount, operator, why, command_id)
        VALUES (:id, 240, 'ada', 'seen in the Customer Area', uuidv7())""",
        id=payment_id,
    )
    fold(sql, payment_id)

    (row,) = sql("SELECT status::text, review_reason, amount_captured, amount_lost FROM payments")
    assert tuple(row) == ("paid", None, Decimal(240), 0)
    sources = sql("SELECT capture_ref, room FROM payment_sources(:id)", id=payment_id)
    assert [tuple(source) for source in sources] == [("C", Decimal(240))]
    insert_refund(sql, payment_id, "40.00", capture_ref="'C'")


def test_what_was_accepted_before_a_capture_came_again_says_nothing_of_it(wallets: Wallets, sql: Sql) -> None:
    payment_id, reference = paying(wallets)
    report(wallets, "AUTHORISATION", "A", reference)
    sql(
        """INSERT INTO payment_acceptances (payment_id, amount, operator, why, command_id)
        VALUES (:id, 240, 'ada', 'agreed by telephone', uuidv7())""",
        id=payment_id,
    )
    report(wallets, "CAPTURE_FAILED", "C", reference, original="A")
    report(wallets, "CAPTURE", "C", reference, original="A", reason="Transaction Recaptured")

    (row,) = sql("SELECT status::text, review_reason, amount_lost FROM payments")
    assert tuple(row) == ("reversed", "recaptured", Decimal(240))
    with pytest.raises(IntegrityError):
        insert_refund(sql, payment_id, "40.00", capture_ref="'C'")


def test_a_name_under_two_references_moves_nothing_of_the_second_and_flags_both(wallets: Wallets, sql: Sql) -> None:
    _, first = paying(wallets)
    _, second = paying(wallets)
    report(wallets, "AUTHORISATION", "A", first)

    for _ in range(2):
        report(wallets, "CAPTURE", "C", second, original="A")

    rows = sql("SELECT status::text, review_reason, amount_captured FROM payments ORDER BY created_at")
    assert [tuple(row) for row in rows] == [("paid", "name_of_another", 240), ("pending", "name_of_another", 0)]


def test_what_a_chargeback_took_cannot_be_given_back_as_well(wallets: Wallets, sql: Sql) -> None:
    payment_id, reference = paying(wallets)
    report(wallets, "AUTHORISATION", "A", reference)
    report(wallets, "CHARGEBACK", "D", reference, original="A", value=4000)

    with pytest.raises(IntegrityError, match="200"):
        insert_refund(sql, payment_id, "200.01", attempt_ref="'A'")
    insert_refund(sql, payment_id, "200.00", attempt_ref="'A'")


def test_a_refund_that_names_nothing_is_of_what_brought_money(wallets: Wallets, sql: Sql) -> None:
    """One of a release that knew no sources: neither a failed attempt nor a newer one is asked for it."""
    payment_id, reference = paying(wallets)
    report(wallets, "AUTHORISATION", "A", reference)
    report(wallets, "CAPTURE", "C", reference, original="A")
    report(wallets, "AUTHORISATION", "B", reference, success=False)
    refund_id = insert_refund(sql, payment_id)

    assert refund(str(refund_id)) == "processing"
    assert wallets.adyen.requests[-1].url.path == "/v72/payments/A/refunds"
