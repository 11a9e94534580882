"""Purchases of one cart at the mock provider, from the session to its webhooks: what was paid twice, and what was not.

Every webhook is delivered twice, and each time to another worker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from tests.conftest import Customer, MakeListing, Sql
from tests.purchases import fill_cart, opened
from tests.webhook_bodies import insert_webhook, post_webhook, state_of, webhook
from tests.worker.conftest import MakeWorker
from worker.webhooks.task import process

Deliver = Callable[..., None]


@pytest.fixture
def deliver(customer: Customer, make_worker: MakeWorker, sql: Sql) -> Deliver:
    """Deliver these webhooks to the receiver, each by itself or ``together`` in one set, and then all once more."""

    def do(bodies: Sequence[bytes], *, together: bool = False) -> None:
        for round_ in (bodies, bodies[::-1]):
            with make_worker().app_context():
                # What is filed without a wake-up is taken by the first one's set.
                ids = [insert_webhook(sql, body) for body in round_] if together else []
                if together:
                    process(str(ids[0]))
                for body in () if together else round_:
                    ids.append(post_webhook(customer.client, body))
                    process(str(ids[-1]))
                assert {state_of(sql, id_) for id_ in ids} <= {"applied", "duplicate"}

    return do


def money(sql: Sql, session: dict[str, str], status: str = "paid", **details: str) -> bytes:
    """A webhook about all the money of a session's payment."""
    (row,) = sql("SELECT provider_ref FROM payments WHERE id = :id", id=session["payment_id"])
    event_id = f"evt_{status}_{row.provider_ref}"
    about = {"event_id": event_id, "amount": session["amount"], "currency": session["currency"]}
    return webhook(row.provider_ref, status, **about | details)


def found(customer: Customer, sql: Sql, session: dict[str, str]) -> tuple[str, str | None, list[str]]:
    """Status, reasons, and the payments that it is a duplicate of, as its customer reads them."""
    (row,) = sql("SELECT review_reason FROM payments WHERE id = :id", id=session["payment_id"])
    shown = customer.get(f"/api/payments/{session['payment_id']}").json
    return shown["status"], row.review_reason, shown["duplicate_of"]


@pytest.mark.parametrize("together", [False, True], ids=["apart", "together"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["A first", "A + B first"])
def test_two_tabs_of_one_cart_are_duplicates_of_each_other(
    customer: Customer, make_listing: MakeListing, sql: Sql, deliver: Deliver, order: tuple[int, int], together: bool
) -> None:
    cart_id = fill_cart(customer, (make_listing(unit_price="100.00"), 1))
    tabs = [opened(customer, cart_id, "tab-1")]
    fill_cart(customer, (make_listing(unit_price="50.00"), 1))
    tabs.append(opened(customer, cart_id, "tab-2"))
    assert [tab["amount"] for tab in tabs] == ["100.00", "150.00"]

    deliver([money(sql, tabs[place]) for place in order], together=together)

    first, second = tabs
    assert found(customer, sql, first) == ("paid", "paid_twice", [second["payment_id"]])
    assert found(customer, sql, second) == ("paid", "paid_twice", [first["payment_id"]])


@pytest.mark.parametrize("refunded", [False, True], ids=["kept", "refunded"])
def test_the_same_cart_in_march_and_in_june_is_no_duplicate(
    customer: Customer, make_listing: MakeListing, sql: Sql, deliver: Deliver, refunded: bool
) -> None:
    listing = make_listing(unit_price="100.00")
    cart_id = fill_cart(customer, (listing, 1))
    march = opened(customer, cart_id, "march")
    deliver([money(sql, march)])
    if refunded:
        deliver([money(sql, march, "succeeded", refund_ref="re_1")])
        (row,) = sql("SELECT amount_refunded FROM payments")
        assert row.amount_refunded == 100
    fill_cart(customer, (listing, 1))
    june = opened(customer, cart_id, "june")
    deliver([money(sql, june)])

    assert found(customer, sql, march) == ("paid", None, [])
    assert found(customer, sql, june) == ("paid", None, [])


def test_a_tab_that_was_open_since_march_and_is_paid_in_june_is_a_duplicate_of_march_alone(
    customer: Customer, make_listing: MakeListing, sql: Sql, deliver: Deliver
) -> None:
    listing = make_listing(unit_price="100.00")
    cart_id = fill_cart(customer, (listing, 1))
    march, forgotten = opened(customer, cart_id, "march"), opened(customer, cart_id, "forgotten")
    deliver([money(sql, march)])
    fill_cart(customer, (listing, 1))
    june = opened(customer, cart_id, "june")
    deliver([money(sql, june), money(sql, forgotten)])

    assert found(customer, sql, march) == ("paid", "paid_twice", [forgotten["payment_id"]])
    assert found(customer, sql, forgotten) == ("paid", "paid_twice", [march["payment_id"]])
    assert found(customer, sql, june) == ("paid", None, [])
