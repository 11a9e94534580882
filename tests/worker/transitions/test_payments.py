"""Events about payments: the only road to a payment's status, in a fixed number of statements."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.base import ProviderEvent
from tests.conftest import Sql, Statements
from tests.webhook_bodies import insert_payment, status_of
from tests.worker.promises import LINES, insert_cart, insert_promise
from tests.worker.scripted import event
from tests.worker.transitions.entered import enter, see_all_reasons
from worker.transitions.outcomes import Outcome

pytestmark = pytest.mark.usefixtures("worker")


def reason(sql: Sql, reference: str) -> str | None:
    return sql("SELECT review_reason FROM payments WHERE provider_ref = :reference", reference=reference)[0][0]


@pytest.mark.parametrize("many", [1, 150])
def test_many_events_take_as_many_statements_as_one(sql: Sql, statements: Statements, many: int) -> None:
    """Carts locked where money may come, payments locked, events known, attempts joined, payments folded, events in."""
    cart = insert_cart(sql)
    references = [insert_promise(sql, cart=cart) for _ in range(many)]
    enter(event("unknown", "paid"))  # connects

    with statements() as seen:
        outcomes = enter(*[event(reference, "paid") for reference in references])

    assert outcomes == [Outcome.APPLIED] * many
    assert [statement.split()[0] for statement in seen] == ["SELECT", "WITH", "SELECT", "INSERT", "SELECT", "INSERT"]


def test_of_several_events_in_one_set_the_furthest_stands(sql: Sql) -> None:
    reference = insert_payment(sql)

    outcomes = enter(*[event(reference, status) for status in ("failed", "paid", "processing", "failed")])

    assert outcomes == [Outcome.APPLIED, Outcome.APPLIED, Outcome.STALE, Outcome.STALE]
    assert status_of(sql, reference) == "paid"


def test_events_about_a_payment_that_is_not_here_leave_no_trace(sql: Sql) -> None:
    reference = insert_payment(sql)

    outcomes = enter(event("unknown", "paid"), event(reference, "paid"), event("unknown", "failed"))

    assert outcomes == [Outcome.PARKED, Outcome.APPLIED, Outcome.PARKED]
    assert sql("SELECT count(*) FROM payment_events")[0].count == 1


def test_a_reference_at_another_provider_is_another_payment(sql: Sql) -> None:
    reference = insert_payment(sql)
    elsewhere = ProviderEvent(provider="stripe", provider_ref=reference, event_id="evt_1", status=PaymentStatus.PAID)

    assert enter(elsewhere) == [Outcome.PARKED]
    assert status_of(sql, reference) == "pending"


def test_nothing_at_all_is_recorded_in_no_statement_at_all(statements: Statements) -> None:
    with statements() as seen:
        assert enter() == []
    assert seen == []


@pytest.mark.parametrize("closed", ["expired", "canceled"])
@pytest.mark.parametrize("money", ["paid", "reversed"])
@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize("together", [True, False])
def test_money_and_closing_in_either_order_is_flagged(
    sql: Sql, closed: str, money: str, turn: int, together: bool
) -> None:
    reference = insert_payment(sql)
    events = [event(reference, closed), event(reference, money)][::turn]

    if together:
        enter(*events)
    else:
        for each in events:
            enter(each)

    # What was taken back whole is no question any more.
    expected = "paid_after_close" if money == "paid" else None
    assert (status_of(sql, reference), reason(sql, reference)) == (money, expected)


@pytest.mark.parametrize("first", ["processing", "failed"])
def test_money_after_anything_else_is_not_flagged(sql: Sql, first: str) -> None:
    reference = insert_payment(sql)

    enter(event(reference, first))
    enter(event(reference, "paid"))
    enter(event(reference, "reversed"))

    assert reason(sql, reference) is None


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("turn", [1, -1])
def test_two_paid_payments_of_one_filling_of_the_cart_are_flagged(sql: Sql, turn: int, together: bool) -> None:
    cart = insert_cart(sql)
    duplicates = [
        insert_promise(sql, cart=cart),
        insert_promise(sql, cart=cart, lines=LINES.replace('"qty": 2', '"qty": 3')),
    ]
    bystanders = [
        insert_promise(sql, cart=cart),
        insert_promise(sql, status="paid"),
        insert_payment(sql, status="paid"),
    ]
    events = [event(reference, "paid") for reference in duplicates][::turn]

    for entry in [events] if together else [[each] for each in events]:
        enter(*entry)

    assert [reason(sql, reference) for reference in duplicates] == ["paid_twice"] * 2
    assert [reason(sql, reference) for reference in bystanders] == [None] * 3


def test_the_same_bought_again_in_another_filling_of_the_cart_is_no_duplicate(sql: Sql) -> None:
    cart = insert_cart(sql)
    first = insert_promise(sql, cart=cart)
    enter(event(first, "paid"))
    assert sql("SELECT generation FROM carts WHERE id = :cart", cart=cart)[0].generation == 1, "its money ended it"
    again = insert_promise(sql, cart=cart)

    enter(event(again, "paid"))

    assert [reason(sql, first), reason(sql, again)] == [None, None]


def test_a_duplicate_that_a_set_speaks_of_without_news_is_flagged_too(sql: Sql) -> None:
    cart = insert_cart(sql)
    first, second = [insert_promise(sql, cart=cart) for _ in range(2)]
    paid = event(first, "paid")
    enter(paid)

    enter(event(second, "paid"), paid)

    assert [reason(sql, first), reason(sql, second)] == ["paid_twice"] * 2


def test_unpaid_duplicates_that_another_worker_has_are_not_waited_for(sql: Sql, superuser: Engine) -> None:
    cart = insert_cart(sql)
    paid, unpaid = [insert_promise(sql, cart=cart) for _ in range(2)]
    with superuser.execution_options(isolation_level="READ COMMITTED").connect() as other:
        other.execute(text("SELECT FROM payments WHERE provider_ref = :unpaid FOR NO KEY UPDATE"), {"unpaid": unpaid})

        assert enter(event(paid, "paid")) == [Outcome.APPLIED]


def test_money_that_went_again_still_came_twice(sql: Sql) -> None:
    cart = insert_cart(sql)
    first, second = [insert_promise(sql, cart=cart) for _ in range(2)]
    enter(event(first, "paid"))
    enter(event(first, "reversed"))

    enter(event(second, "paid"))

    assert [reason(sql, first), reason(sql, second)] == ["paid_twice"] * 2


def test_several_reasons_stand_side_by_side(sql: Sql) -> None:
    cart = insert_cart(sql)
    first, second = [insert_promise(sql, cart=cart) for _ in range(2)]
    enter(event(first, "paid"))

    enter(event(second, "expired"))
    enter(event(second, "paid", amount=Decimal("250.00"), currency="USD"))

    assert reason(sql, second) == "overpaid, paid_after_close, paid_twice"
    assert reason(sql, first) == "paid_twice"


def test_what_a_person_has_seen_is_not_flagged_again_by_an_echo_and_is_by_new_money(sql: Sql) -> None:
    cart = insert_cart(sql)
    first, second = [insert_promise(sql, cart=cart) for _ in range(2)]
    events = [event(first, "paid"), event(second, "expired"), event(second, "paid")]
    enter(*events)
    see_all_reasons(sql)
    assert [reason(sql, first), reason(sql, second)] == [None, None]

    assert set(enter(*events)) == {Outcome.DUPLICATE}
    enter(event(first, "processing"))
    assert [reason(sql, first), reason(sql, second)] == [None, None]

    enter(event(second, "paid", amount=Decimal("250.00"), currency="USD"))
    assert reason(sql, second) == "overpaid, paid_after_close, paid_twice"


@pytest.mark.parametrize(
    "change",
    ["amount = 1.00", "currency = 'EUR'", "provider = 'stripe'", "provider_ref = 'x'",
     "user_id = uuidv7()", "id = uuidv7()"],
)  # fmt: skip
def test_the_database_itself_refuses_what_no_transitions_would_do(sql: Sql, change: str) -> None:
    insert_payment(sql, status="paid")
    before = sql("SELECT * FROM payments")

    with pytest.raises(IntegrityError, match="keeps its"):
        sql(f"UPDATE payments SET {change}")

    assert sql("SELECT * FROM payments") == before


def test_the_statuses_have_one_order_in_python_and_in_the_database(sql: Sql) -> None:
    (row,) = sql("SELECT enum_range(NULL::payment_status)::text[] AS statuses")

    assert row.statuses == [status.value for status in sorted(PaymentStatus)]
