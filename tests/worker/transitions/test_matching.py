"""Events find their payment by every name that the provider signs; a name of another payment moves nothing."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.conftest import Sql, Statements
from tests.refunding import refund_event
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, status_of
from tests.worker.conftest import Messages, webhook_row
from tests.worker.promises import insert_cart, insert_promise
from tests.worker.scripted import ScriptedProvider, event
from tests.worker.transitions.entered import attempt, capture, dispute, enter, folded, news, reasons, recorded
from worker.transitions.outcomes import Outcome
from worker.webhooks.sweeping import sweep
from worker.webhooks.task import process


def name() -> str:
    return uuid4().hex


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("kind", ["payment", "attempt", "capture", "dispute", "refund"])
def test_an_event_without_the_payments_reference_is_found_by_any_name(sql: Sql, kind: str) -> None:
    reference, tried, ref, disputed, refund = (insert_payment(sql), name(), name(), name(), name())
    enter(
        news(reference, attempt(tried), capture(ref, "240.00", attempt_ref=tried)),
        news(reference, dispute(disputed, "needs_response", "40.00")),
        refund_event(reference, "processing", refund_ref=refund),
    )
    known = {"payment": reference, "attempt": tried, "capture": ref, "dispute": disputed, "refund": refund}[kind]

    found = recorded(news("", dispute(name(), "lost", "60.00", step=1, money_out=True), names=[known]))

    assert [effect.outcome for effect in found.effects] == [Outcome.APPLIED]
    assert found.found == {0: reference}
    assert folded(sql, reference).lost == "60"


@pytest.mark.usefixtures("worker")
def test_an_event_that_nothing_leads_to_is_parked_and_leaves_no_trace(sql: Sql) -> None:
    insert_payment(sql)

    assert enter(news("", dispute(name(), "lost", "60.00"), names=[name()])) == [Outcome.PARKED]
    assert enter(refund_event("", "succeeded", capture_ref=name())) == [Outcome.PARKED]

    assert sql("SELECT (SELECT count(*) FROM disputes) + (SELECT count(*) FROM payment_events) AS all")[0].all == 0


@pytest.mark.usefixtures("worker")
def test_money_that_a_name_of_the_same_set_leads_to_is_seen_as_a_duplicate(sql: Sql) -> None:
    """As Adyen tells an authorisation, and its capture from the dashboard under a reference of their own."""
    cart, tried = insert_cart(sql), name()
    one, other = insert_promise(sql, cart=cart), insert_promise(sql, cart=cart)
    enter(news(one, capture(name(), "240.00")))

    enter(
        news(other, attempt(tried, "authorized")),
        news("of their own", capture(name(), "240.00", attempt_ref=tried), names=[tried]),
    )

    assert folded(sql, other).status == "paid"
    assert reasons(sql, [one, other]) == ["paid_twice"] * 2


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("together", [True, False])
def test_a_name_that_is_known_for_another_payment_moves_nothing_and_flags_both(sql: Sql, together: bool) -> None:
    first, second, tried = insert_payment(sql), insert_payment(sql), name()
    right = news(first, capture(name(), "240.00", attempt_ref=tried))
    wrong = news(second, capture(name(), "240.00", attempt_ref=tried))

    if together:
        outcomes = enter(right, wrong)
    else:
        enter(news(first, attempt(tried)), right)
        outcomes = [Outcome.APPLIED, *enter(wrong)]

    assert outcomes == [Outcome.APPLIED, Outcome.MISMATCH]
    assert (status_of(sql, first), status_of(sql, second)) == ("paid", "pending")
    assert [folded(sql, each).reasons for each in (first, second)] == ["name_of_another"] * 2
    assert sql("SELECT count(*) FROM captures")[0].count == 1
    assert enter(wrong) == [Outcome.MISMATCH], "delivered again it is judged again"
    assert sql("SELECT count(*) FROM payment_notices")[0].count == 2, "and an echo is no second notice"


@pytest.mark.usefixtures("worker")
def test_a_refund_under_a_name_of_another_payment_is_not_entered(sql: Sql) -> None:
    first, second, ref = insert_payment(sql), insert_payment(sql), name()
    enter(news(first, capture(ref, "240.00")))

    assert enter(refund_event(second, "succeeded", capture_ref=ref)) == [Outcome.MISMATCH]

    assert sql("SELECT count(*) FROM refunds")[0].count == 0
    assert [folded(sql, each).reasons for each in (first, second)] == ["name_of_another"] * 2


@pytest.mark.usefixtures("worker")
def test_events_without_names_search_for_none(sql: Sql, statements: Statements) -> None:
    reference = insert_payment(sql)

    with statements() as seen:
        enter(event(reference, "failed"))

    assert not [statement for statement in seen if "payment_attempts\n        WHERE" in statement]


def test_a_parked_webhook_is_brought_forward_once_any_of_its_names_is_here(
    sql: Sql, scripted: ScriptedProvider, messages: Messages
) -> None:
    """A dispute that comes before the charge that it is of."""
    reference, ref = insert_payment(sql), name()
    early = insert_webhook(sql, b"dispute")
    scripted.webhooks[b"dispute"] = [
        news("", dispute(name(), "lost", "40.00", step=1, money_out=True, capture_ref=ref), names=[ref, name()])
    ]
    other = insert_webhook(sql, b"other")
    scripted.webhooks[b"other"] = [news("", dispute(name(), "lost", "40.00", capture_ref=name()))]
    process(str(early))
    process(str(other))
    row = webhook_row(sql, early)
    assert (row.state, ref in row.names, row.provider_ref in row.names) == ("parked", True, True)
    sweep()
    assert messages() == []

    enter(news(reference, capture(ref, "240.00")))
    for _ in range(3):  # wherever an earlier walk of this process stands
        sweep()

    assert messages() == [(str(early),)]
    process(str(early))
    row = webhook_row(sql, early)
    assert (row.state, row.provider_ref, row.names) == ("applied", reference, None)
    assert (folded(sql, reference).lost, state_of(sql, other)) == ("40", "parked")


def test_an_event_of_another_shop_is_ignored_at_once(sql: Sql, scripted: ScriptedProvider) -> None:
    delivery = insert_webhook(sql, b"foreign")
    scripted.webhooks[b"foreign"] = [event("pi_of_another_shop", "paid", foreign=True)]

    process(str(delivery))

    row = webhook_row(sql, delivery)
    assert (row.state, row.detail, row.next_attempt_at) == ("ignored", "not_ours: of another shop", None)


def test_an_event_that_is_called_foreign_counts_where_its_payment_is_here(sql: Sql, scripted: ScriptedProvider) -> None:
    reference = insert_payment(sql)
    delivery = insert_webhook(sql, b"ours")
    scripted.webhooks[b"ours"] = [event(reference, "paid", foreign=True)]

    process(str(delivery))

    assert (state_of(sql, delivery), status_of(sql, reference)) == ("applied", "paid")


def test_one_parked_event_among_others_of_another_shop_keeps_its_webhook_parked(
    sql: Sql, scripted: ScriptedProvider
) -> None:
    delivery = insert_webhook(sql, b"batch")
    scripted.webhooks[b"batch"] = [event("pi_foreign", "paid", foreign=True), event("pi_unknown", "paid")]

    process(str(delivery))

    assert (state_of(sql, delivery), webhook_row(sql, delivery).provider_ref) == ("parked", "pi_unknown")
