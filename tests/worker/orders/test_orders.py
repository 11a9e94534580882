"""A payment with money has an order, one for each filling of a cart, in the transaction that brings its money."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError

from checkout_service.database.engine import transaction
from checkout_service.payments.status import PaymentStatus
from tests.conftest import Sql
from tests.money import attempt as put_attempt
from tests.money import dispute as put_dispute
from tests.money import fold
from tests.webhook_bodies import insert_webhook, webhook
from tests.worker.orders import buying
from tests.worker.orders.buying import Bought
from tests.worker.scripted import ScriptedProvider, event
from tests.worker.transitions.entered import attempt, capture, dispute, enter, news, see_all_reasons
from worker.payments.look_ups import look_up_now
from worker.payments.settling import accept_amount
from worker.transitions.outcomes import received_now
from worker.transitions.recording import record
from worker.webhooks.task import process

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def listing(sql: Sql) -> UUID:
    return buying.listing(sql)


@pytest.fixture
def bought(sql: Sql, listing: UUID) -> Bought:
    """Two pieces in the cart and in its session, held."""
    return buying.session(sql, buying.cart(sql, {listing: 2}), {listing: 2})


def paid(bought: Bought, amount: str | Decimal | None = None) -> Any:
    """The news that all of the money came, or this amount."""
    return event(bought.reference, "paid", amount=Decimal(amount or bought.amount), currency="USD")


def test_an_order_is_what_the_session_sealed(sql: Sql, bought: Bought, listing: UUID) -> None:
    sql("UPDATE listings SET title = 'Sold out', unit_price = 99")

    enter(paid(bought))

    (made,) = sql("SELECT * FROM orders")
    (of_session,) = sql("SELECT * FROM checkout_sessions")
    assert (made.payment_id, made.session_id, made.cart_id) == (bought.payment, of_session.id, bought.cart)
    assert (made.generation, made.user_id, made.number) == (0, of_session.user_id, None)
    assert (made.amount, made.currency, made.status) == (80, "USD", "placed")
    assert made.buyer == {"email": "ada@example.com"}
    (line,) = sql("SELECT line.*, listings.vendor_id AS seller FROM order_lines AS line, listings")
    assert (line.order_id, line.place, line.listing_id, line.title) == (made.id, 1, listing, "Algebra")
    assert (line.qty, line.unit_price, line.line_total) == (2, 40, 80)
    assert (line.vendor_id, line.vendor, line.qty_fulfilled, line.qty_short) == (line.seller, "Harbour Books", 0, 0)
    assert buying.holds(sql, bought) == [("sold", 2)]
    assert buying.stock(sql, listing) == (10, 2)
    assert buying.reason(sql, bought) is None
    assert buying.review(sql, bought) is None


def test_a_line_that_names_its_vendor_keeps_it(sql: Sql, listing: UUID) -> None:
    vendor = UUID(int=7)
    bought = buying.session(sql, buying.cart(sql, {}), {listing: 1}, vendor_id=str(vendor))

    enter(paid(bought))

    assert sql("SELECT vendor_id FROM order_lines")[0].vendor_id == vendor


def by_webhook(sql: Sql, bought: Bought) -> None:
    process(str(insert_webhook(sql, webhook(bought.reference, amount="80.00", currency="USD"))))


def by_look_up(_: Sql, bought: Bought, provider: ScriptedProvider) -> None:
    provider.truths[bought.reference] = [paid(bought)]
    look_up_now(bought.payment, provider="mock", status=PaymentStatus.PENDING)


def by_replay(sql: Sql, bought: Bought, provider: ScriptedProvider) -> None:
    body = b"once rejected"
    delivery = insert_webhook(sql, body, state="'rejected'", next_attempt_at="NULL", processed_at="now()")
    provider.webhooks[body] = [paid(bought)]
    sql(
        """WITH command AS (
            INSERT INTO audit (key, door, operator, action, subject, why)
            VALUES (uuidv7(), 'cli', 'ada', 'process', :id, 'mended') RETURNING id)
        INSERT INTO command_runs (id) SELECT id FROM command""",
        id=str(delivery),
    )
    process(str(delivery))


def by_acceptance(sql: Sql, bought: Bought, _: ScriptedProvider) -> None:
    enter(paid(bought, "70.00"))
    assert (buying.order(sql, bought), buying.reason(sql, bought)) == (None, ("mismatch", None))
    command = sql(
        """INSERT INTO audit (key, door, operator, action, subject, why)
        VALUES (uuidv7(), 'cli', 'ada', 'accept', :id, 'by telephone') RETURNING id""",
        id=str(bought.payment),
    )[0].id
    accept_amount(bought.payment, amount=Decimal(70), command_id=command)


WAYS: dict[str, Callable[[Sql, Bought, ScriptedProvider], None]] = {
    "look-up": by_look_up,
    "replay": by_replay,
    "acceptance": by_acceptance,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_the_order_is_the_same_whatever_the_news_came_by(
    sql: Sql, bought: Bought, listing: UUID, scripted: ScriptedProvider, way: Callable[..., None]
) -> None:
    way(sql, bought, scripted)
    way_again = paid(bought)
    enter(way_again)

    assert buying.orders(sql) == 1
    assert buying.order(sql, bought) == "placed"
    assert buying.reason(sql, bought) is None
    assert buying.in_cart(sql, bought.cart) == {}
    assert buying.holds(sql, bought) == [("sold", 2)]
    assert buying.stock(sql, listing) == (10, 2)


def test_a_webhook_makes_the_order_once(sql: Sql, bought: Bought) -> None:
    for _ in range(2):
        by_webhook(sql, bought)

    assert (buying.orders(sql), buying.order(sql, bought)) == (1, "placed")


def test_captures_of_an_authorization_leave_the_order_as_it_is(sql: Sql, bought: Bought, listing: UUID) -> None:
    enter(news(bought.reference, attempt("at_1", "authorized", authorized=Decimal(80))))
    assert buying.order(sql, bought) == "placed"
    assert (buying.in_cart(sql, bought.cart), buying.generation(sql, bought.cart)) == ({}, 1)

    for number, amount in enumerate(("30.00", "50.00")):
        enter(news(bought.reference, capture(f"ca_{number}", amount, attempt_ref="at_1")))

    assert sql("SELECT status::text FROM payments")[0].status == "paid"
    assert (buying.orders(sql), buying.order(sql, bought)) == (1, "placed")
    assert buying.generation(sql, bought.cart) == 1
    assert buying.stock(sql, listing) == (10, 2)


ENDS: dict[str, Callable[[Bought], Any]] = {
    "voided": lambda bought: news(bought.reference, attempt("at_1", "canceled")),
    "expired": lambda bought: news(bought.reference, attempt("at_1", "expired")),
    "closed": lambda bought: event(bought.reference, "canceled"),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_an_authorization_that_ends_cancels_the_order_and_money_after_it_brings_it_back(
    sql: Sql, bought: Bought, listing: UUID, end: Callable[[Bought], Any]
) -> None:
    enter(news(bought.reference, attempt("at_1", "authorized", authorized=Decimal(80))))
    before = sql("SELECT id FROM orders")

    enter(end(bought))
    assert buying.order(sql, bought) == "canceled"
    assert (buying.holds(sql, bought), buying.stock(sql, listing)) == ([], (10, 0))
    enter(end(bought))

    enter(news(bought.reference, capture("ca_1", "80.00", attempt_ref="at_1")))
    assert buying.order(sql, bought) == "placed"
    assert sql("SELECT id FROM orders") == before
    assert (buying.holds(sql, bought), buying.stock(sql, listing)) == ([("sold", 2)], (10, 2))


def test_what_is_left_of_a_closed_authorization_covers_nothing(sql: Sql, bought: Bought) -> None:
    enter(
        news(bought.reference, attempt("at_1", "authorized", authorized=Decimal(80))),
        event(bought.reference, "canceled"),
    )
    assert buying.order(sql, bought) is None
    enter(news(bought.reference, capture("ca_1", "30.00", attempt_ref="at_1")))

    assert (buying.order(sql, bought), buying.reason(sql, bought)) == (None, ("mismatch", None))


def test_less_than_is_due_makes_no_order_until_the_rest_comes(sql: Sql, bought: Bought) -> None:
    enter(news(bought.reference, capture("ca_1", "30.00")))
    assert (buying.order(sql, bought), buying.reason(sql, bought)) == (None, ("mismatch", None))
    assert buying.in_cart(sql, bought.cart), "nothing was bought yet"

    enter(news(bought.reference, capture("ca_2", "50.00")))
    assert (buying.order(sql, bought), buying.reason(sql, bought)) == ("placed", None)
    assert buying.in_cart(sql, bought.cart) == {}


def test_more_than_is_due_makes_an_order(sql: Sql, bought: Bought) -> None:
    enter(paid(bought, "81.00"))

    assert (buying.order(sql, bought), buying.review(sql, bought)) == ("placed", "overpaid")


def test_money_in_another_currency_makes_none(sql: Sql, bought: Bought) -> None:
    enter(news(bought.reference, capture("ca_1", "80.00", currency="EUR")))

    assert (buying.orders(sql), buying.review(sql, bought)) == (0, "mismatch")
    assert buying.holds(sql, bought) == [("held", 2)]


def test_a_payment_without_a_session_says_why_it_has_no_order(sql: Sql, bought: Bought) -> None:
    sql("DELETE FROM checkout_sessions")

    enter(paid(bought))

    assert (buying.orders(sql), buying.reason(sql, bought)) == (0, ("no_session", None))


def test_money_that_was_taken_back_from_the_start_is_on_hold(sql: Sql, bought: Bought) -> None:
    enter(event(bought.reference, "reversed"))

    assert buying.order(sql, bought) == "on_hold"


def test_a_chargeback_holds_the_order_back_while_it_is_open(sql: Sql, bought: Bought) -> None:
    enter(paid(bought))
    assert buying.order(sql, bought) == "placed"

    found = []
    for status in ("needs_response", "under_review", "won"):
        enter(news(bought.reference, dispute("dp_1", status, "80.00", at=None, rank=len(found))))
        found.append(buying.order(sql, bought))

    assert found == ["on_hold", "on_hold", "placed"]
    assert buying.stock(sql, sql("SELECT id FROM listings")[0].id) == (10, 2)


def test_an_inquiry_does_not(sql: Sql, bought: Bought) -> None:
    enter(paid(bought))
    put_dispute(sql, bought.payment, "80.00", stage="inquiry")

    assert buying.order(sql, bought) == "placed"


def test_an_order_without_lines_is_not_fulfilled(sql: Sql) -> None:
    bought = buying.session(sql, buying.cart(sql, {}), {}, held=False)
    enter(paid(bought))
    put_dispute(sql, bought.payment, "40.00")
    assert buying.order(sql, bought) == "on_hold"
    sql("UPDATE disputes SET status = 'won'")
    fold(sql, bought.payment)

    assert buying.order(sql, bought) == "placed"


def test_a_payment_that_had_money_before_there_were_orders_gets_none(sql: Sql, bought: Bought, listing: UUID) -> None:
    """The migration that says so of all of them may not have come to it yet."""
    put_attempt(sql, bought.payment, "started", presumed=bought.amount)
    # As the fold of the release before left it.
    sql("ALTER TABLE payments DISABLE TRIGGER USER")
    sql("SELECT FROM payments_compute(ARRAY[CAST(:id AS uuid)])", id=bought.payment)
    sql("ALTER TABLE payments ENABLE TRIGGER USER")

    enter(news(bought.reference, dispute("dp_1", "needs_response", "80.00")))
    assert (buying.orders(sql), buying.reason(sql, bought)) == (0, None)
    enter(news(bought.reference, capture("ca_1", "90.00")))

    assert (buying.orders(sql), buying.reason(sql, bought)) == (0, ("before_orders", None))
    assert buying.in_cart(sql, bought.cart) == {listing: 2}
    enter(news(bought.reference, capture("ca_2", "90.00")))
    assert (buying.orders(sql), buying.reason(sql, bought)) == (0, ("before_orders", None))


@pytest.mark.parametrize("status", ["failed", "processing", "expired", "canceled"])
def test_a_payment_without_money_makes_nothing(sql: Sql, bought: Bought, status: str) -> None:
    enter(event(bought.reference, status))

    assert (buying.orders(sql), buying.reason(sql, bought)) == (0, None)
    closed = status in {"expired", "canceled"}
    assert buying.holds(sql, bought) == ([] if closed else [("held", 2)])


def test_a_cleared_review_leaves_the_reason(sql: Sql, bought: Bought) -> None:
    enter(paid(bought, "70.00"))
    assert buying.review(sql, bought) == "mismatch"

    see_all_reasons(sql)

    assert buying.review(sql, bought) is None
    assert buying.reason(sql, bought) == ("mismatch", None)


def test_at_commit_a_payment_with_money_has_an_order_or_a_reason(sql: Sql, bought: Bought) -> None:
    """Whoever computes the payment without making its order is refused, and all that was entered with it."""
    put_attempt(sql, bought.payment, "started", presumed=bought.amount)

    with pytest.raises(IntegrityError, match="neither an order nor a reason"):
        sql("SELECT FROM payments_compute(ARRAY[CAST(:id AS uuid)])", id=bought.payment)

    assert sql("SELECT status::text FROM payments")[0].status == "pending"
    enter(news(bought.reference, attempt("at_1", "failed")))
    assert buying.order(sql, bought) == "placed"


def test_a_fold_that_made_neither_order_nor_reason_is_refused(sql: Sql, bought: Bought) -> None:
    put_attempt(sql, bought.payment, "started", presumed=bought.amount)

    with pytest.raises(IntegrityError, match="neither an order nor a reason"):
        sql("""
            DO $$ BEGIN
                CREATE FUNCTION pg_temp.makes_none() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
                CREATE TRIGGER makes_none BEFORE INSERT ON orders
                FOR EACH ROW EXECUTE FUNCTION pg_temp.makes_none();
                CREATE TRIGGER makes_none BEFORE INSERT ON order_reasons
                FOR EACH ROW EXECUTE FUNCTION pg_temp.makes_none();
                PERFORM payments_fold(ARRAY(SELECT id FROM payments));
            END $$
        """)

    assert sql("SELECT status::text FROM payments")[0].status == "pending"


def test_a_set_that_is_not_committed_leaves_neither_money_nor_order(sql: Sql, bought: Bought, listing: UUID) -> None:
    def break_off() -> None:
        with transaction() as connection:
            record(connection, received_now([paid(bought)]))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()

    assert (buying.orders(sql), buying.stock(sql, listing)) == (0, (10, 2))
    assert buying.in_cart(sql, bought.cart) == {listing: 2}
    assert buying.holds(sql, bought) == [("held", 2)]


def test_many_orders_of_a_set_take_no_more_statements(sql: Sql, listing: UUID) -> None:
    made = [buying.session(sql, buying.cart(sql, {listing: 1}), {listing: 1}, held=False) for _ in range(3)]

    enter(*map(paid, made))

    assert [buying.order(sql, each) for each in made] == ["placed"] * 3
    assert buying.stock(sql, listing) == (10, 3)
