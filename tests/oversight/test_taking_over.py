"""``checkout orders take-over``: the order of a cart that was paid twice goes to the other payment."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from click.testing import Result
from flask import Flask

from checkout_service.oversight import settling
from tests.conftest import Sql
from tests.oversight.conftest import InWorker
from tests.worker.orders import buying
from tests.worker.orders.buying import Bought
from tests.worker.scripted import event
from tests.worker.transitions.entered import enter
from worker.commands import run_commands

Pair = tuple[Bought, Bought]
CameTo = Callable[[], tuple[str, str]]


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are left to the worker at once."""
    monkeypatch.setattr(settling, "PATIENCE", 0.0)


@pytest.fixture
def listing(sql: Sql) -> UUID:
    return buying.listing(sql, 5)


@pytest.fixture
def pair(sql: Sql, in_worker: InWorker, listing: UUID) -> Pair:
    """Two payments for one cart, of two and of three pieces. The first has the order."""
    cart = buying.cart(sql, {listing: 2})
    first = buying.session(sql, cart, {listing: 2})
    in_worker(lambda: enter(event(first.reference, "processing")))
    second = buying.session(sql, cart, {listing: 3})
    in_worker(lambda: enter(event(first.reference, "paid")))
    in_worker(lambda: enter(event(second.reference, "paid")))
    sql("UPDATE orders SET number = 7")
    sql("INSERT INTO order_numbers (id, number) SELECT id, number FROM orders")
    return first, second


def take_over(app: Flask, payment: object) -> Result:
    return app.test_cli_runner().invoke(
        args=["orders", "take-over", "--payment", str(payment), "--why", "the customer chose it", "--operator", "ada"]
    )


@pytest.fixture
def came_to(sql: Sql, in_worker: InWorker) -> CameTo:
    """State and message of the newest command, once it was carried out."""

    def carried_out() -> tuple[str, str]:
        in_worker(run_commands)
        row = sql("SELECT state, message FROM command_runs ORDER BY id DESC LIMIT 1")[0]
        return row.state, row.message

    return carried_out


def test_the_order_goes_to_the_other_payment_as_that_was_sealed(
    app: Flask, sql: Sql, pair: Pair, listing: UUID, came_to: CameTo
) -> None:
    first, second = pair
    (before,) = sql("SELECT id FROM orders")

    done = take_over(app, second.payment)

    assert "is carried out as soon as workers run" in done.output
    assert came_to() == ("done", f"it has the order of payment {first.payment}")
    row = sql("SELECT action, door, operator, subject, why FROM audit")[0]
    assert tuple(row) == ("take_over", "cli", "ada", str(second.payment), "the customer chose it")
    (made,) = sql("SELECT id, number, amount, status::text, (SELECT sum(qty) FROM order_lines) AS qty FROM orders")
    assert tuple(made) == (before.id, 7, 120, "placed", 3)
    assert buying.order(sql, second) == "placed"
    assert (buying.reason(sql, first), buying.reason(sql, second)) == (("duplicate_of", second.payment), None)
    assert (buying.holds(sql, first), buying.holds(sql, second)) == ([], [("sold", 3)])
    assert buying.stock(sql, listing) == (5, 3)
    assert (buying.review(sql, first), buying.review(sql, second)) == ("paid_twice", "paid_twice")


def test_a_second_run_is_the_same(app: Flask, sql: Sql, pair: Pair, came_to: CameTo) -> None:
    for message in (f"it has the order of payment {pair[0].payment}", "it has the order"):
        take_over(app, pair[1].payment)
        assert came_to() == ("done", message)
    assert buying.orders(sql) == 1


def test_it_may_go_back(app: Flask, sql: Sql, pair: Pair, listing: UUID, came_to: CameTo) -> None:
    for payment in (pair[1].payment, pair[0].payment):
        take_over(app, payment)
        assert came_to()[0] == "done"

    assert buying.order(sql, pair[0]) == "placed"
    assert buying.stock(sql, listing) == (5, 2)
    assert buying.reason(sql, pair[1]) == ("duplicate_of", pair[0].payment)


def test_what_is_short_of_it_is_a_reason_of_the_other_now(
    app: Flask, sql: Sql, pair: Pair, listing: UUID, came_to: CameTo
) -> None:
    first, second = pair
    buying.release(sql, second)
    sql("UPDATE listings SET stock = 2")

    take_over(app, second.payment)

    assert came_to()[0] == "done"
    assert (buying.order(sql, second), buying.short(sql, second)) == ("short", [1])
    assert buying.stock(sql, listing) == (2, 2)
    assert buying.review(sql, second) == "paid_twice, paid_without_stock"
    take_over(app, first.payment)
    assert came_to()[0] == "done"
    assert (buying.review(sql, second), buying.order(sql, first)) == ("paid_twice", "placed")


def test_one_that_was_canceled_for_good_stays_and_another_is_made(
    app: Flask, sql: Sql, pair: Pair, came_to: CameTo
) -> None:
    sql("UPDATE orders SET canceled_at = now(), status = 'canceled'")

    take_over(app, pair[1].payment)

    assert came_to()[0] == "done"
    assert [buying.order(sql, each) for each in pair] == ["canceled", "placed"]
    assert {row.number for row in sql("SELECT number FROM orders")} == {7, 8}


REFUSED = {
    "nothing came": (
        "UPDATE payments SET amount_captured = 0, status = 'pending' WHERE id = :second",
        "no money came for it, and none is authorized",
    ),
    "too little came": ("UPDATE payments SET amount_captured = 5 WHERE id = :second", "less came than is due"),
    "fulfilled": ("UPDATE order_lines SET qty_fulfilled = 1", "something of the order was fulfilled"),
    "given back by line": (
        """WITH back AS (
            INSERT INTO refunds (payment_id, amount, requested_by, idempotency_key, request_hash)
            VALUES (:first, 40, uuidv7(), 'key', '') RETURNING id)
        INSERT INTO refund_lines (refund_id, order_line_id, qty, amount)
        SELECT back.id, order_lines.id, 1, 40 FROM back, order_lines""",
        "something of the order was given back by line",
    ),
    "of before": (
        "UPDATE order_reasons SET reason = 'before_orders', other_payment_id = NULL",
        "it was paid before there were orders",
    ),
    "no session": ("DELETE FROM checkout_sessions WHERE payment_id = :second", "it has no session"),
    "no duplicate": (
        "UPDATE checkout_sessions SET generation = 9 WHERE payment_id = :second",
        "no other payment for the same filling of the cart has an order",
    ),
}


@pytest.mark.parametrize(("broken", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_is_refused_in_words(
    app: Flask, sql: Sql, pair: Pair, came_to: CameTo, broken: str, message: str
) -> None:
    sql("ALTER TABLE payments DISABLE TRIGGER USER")
    sql("ALTER TABLE checkout_sessions DISABLE TRIGGER USER")
    names = {"first": pair[0].payment, "second": pair[1].payment}
    sql(broken, **{name: value for name, value in names.items() if f":{name}" in broken})
    sql("ALTER TABLE payments ENABLE TRIGGER USER")
    sql("ALTER TABLE checkout_sessions ENABLE TRIGGER USER")
    before = sql("SELECT * FROM orders"), sql("SELECT * FROM holds ORDER BY id")

    take_over(app, pair[1].payment)

    state, found = came_to()
    assert (state, found[: len(message)]) == ("refused", message)
    assert (sql("SELECT * FROM orders"), sql("SELECT * FROM holds ORDER BY id")) == before


def test_a_payment_that_is_not_there_is_refused_at_once(app: Flask, sql: Sql) -> None:
    done = take_over(app, uuid4())

    assert (done.exit_code, "There is no payment" in done.output) == (1, True)
    assert sql("SELECT FROM audit") == []
