"""A session holds the pieces of its cart before the provider is asked, all or none, and gives them back if it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from checkout_service.api.problem_documents import CONTENT_TYPE
from checkout_service.checkout import operations
from checkout_service.checkout.payment_id import payment_id_for
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.local.mock_state import GARBAGE
from checkout_service.providers.base import Opened, Opening
from checkout_service.settings.values import DEVELOPMENT_NAMESPACE
from checkout_service.stock.operations import release_holds, take_holds
from tests.apps import MakeApp
from tests.beginning import after_beginning
from tests.conftest import Customer, MakeListing, Sql, Statements
from tests.money import attempt, bring_to, fold
from tests.provider import MockProvider
from tests.purchases import NOTHING, ask, counts, fill_cart, opened, replayed
from tests.stock.holding import assert_stock_adds_up, counter_of, holds_of


def short_lines(answer: TestResponse) -> list[tuple[str, int, int]]:
    """What is short, of an answer that is checked to say so."""
    assert answer.status_code == 409, answer.text
    assert answer.content_type == CONTENT_TYPE
    assert answer.json["type"].endswith("/out-of-stock")
    for line in answer.json["lines"]:
        assert set(line) == {"listing", "wanted", "available"}
    return [tuple(line.values()) for line in answer.json["lines"]]


def writes(seen: list[str]) -> list[str]:
    return [statement for statement in seen if "INSERT" in statement]


def test_pieces_are_held_from_before_the_provider_until_ten_minutes_after_the_session(
    customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    blazer, pen, voucher = make_listing(stock=5), make_listing(stock=9), make_listing(stock=None)

    session = opened(customer, fill_cart(customer, (blazer, 2), (pen, 3), (voucher, 4)))

    assert holds_of(sql, UUID(session["payment_id"])) == {blazer["id"]: (2, 2), pen["id"]: (3, 3)}
    assert (counter_of(sql, blazer), counter_of(sql, pen)) == ((5, 2), (9, 3))
    (row,) = sql("SELECT held_until - expires_at AS longer, held_until FROM checkout_sessions")
    assert row.longer.total_seconds() == 600
    sql("UPDATE holds SET until = now()")
    assert sql("SELECT ended FROM holds_sweep(100, '{}')")[0].ended == 0
    assert {hold.until for hold in sql("SELECT until FROM holds")} == {row.held_until}
    assert_stock_adds_up(sql)


def test_sold_out_is_seen_by_a_read_and_nothing_is_tried(
    shopper: Customer,
    make_shopper: Callable[[], Customer],
    make_listing: MakeListing,
    mock_provider: MockProvider,
    sql: Sql,
    statements: Statements,
) -> None:
    last, few, plenty = make_listing(stock=1), make_listing(stock=3), make_listing(stock=9)
    other = make_shopper()
    opened(other, fill_cart(other, (last, 1), (few, 1)))
    cart_id = fill_cart(shopper, (last, 1), (plenty, 1), (few, 3))
    calls = mock_provider.calls["open"]

    with statements() as seen:
        answer = ask(shopper, cart_id)

    assert short_lines(answer) == [(str(last["id"]), 1, 0), (str(few["id"]), 3, 2)]
    assert not writes(seen)
    assert sql("SELECT count(*) AS all FROM holds")[0].all == 2, "the other's"
    assert len(seen) == 1, "the key and the cart"
    assert mock_provider.calls["open"] == calls
    assert counts(sql) == (1, 1)
    assert counter_of(sql, plenty) == (9, 0)
    assert_stock_adds_up(sql)


def test_a_cart_without_tracked_lines_holds_nothing(
    customer: Customer, make_listing: MakeListing, statements: Statements, sql: Sql
) -> None:
    cart_id = fill_cart(customer, (make_listing(stock=None), 9999))

    with statements() as seen:
        opened(customer, cart_id)

    assert len(seen) == 2
    assert sql("SELECT FROM holds") == []


@pytest.mark.parametrize(
    "behaviour",
    [
        {"before": "refuse"},
        {"before": "error"},
        {"before": "drop"},
        {"before": "too_many"},
        {"after": "error"},
        {"after": "drop"},
        {"in_progress": "always"},
        *({"garbage": kind} for kind in GARBAGE),
    ],
    ids=str,
)
def test_a_provider_that_fails_gives_the_pieces_back_at_once(
    shopper: Customer, make_listing: MakeListing, mock_provider: MockProvider, sql: Sql, behaviour: dict[str, Any]
) -> None:
    listing = make_listing(stock=2)
    cart_id = fill_cart(shopper, (listing, 2))
    mock_provider.behave(**behaviour)

    assert ask(shopper, cart_id).status_code in {502, 503}

    assert counts(sql) == NOTHING
    assert sql("SELECT FROM holds") == []
    assert counter_of(sql, listing) == (2, 0)
    mock_provider.behave()
    assert ask(shopper, cart_id).status_code == 201
    assert counter_of(sql, listing) == (2, 2)
    assert_stock_adds_up(sql)


def test_a_provider_that_raises_anything_gives_the_pieces_back(
    make_app: MakeApp, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    class Broken:
        asks = False

        def open(self, opening: Opening) -> Opened:
            raise RuntimeError(f"a fault of the adapter: {opening}")

    app = make_app()
    app.extensions["providers"] = {"mock": Broken()}
    buyer = replace(customer, client=app.test_client())
    listing = make_listing(stock=1)
    app.config["PROPAGATE_EXCEPTIONS"] = False

    assert ask(buyer, fill_cart(buyer, (listing, 1))).status_code == 500

    assert sql("SELECT FROM holds") == []
    assert counter_of(sql, listing) == (1, 0)


def test_other_money_at_the_provider_gives_the_pieces_back(
    shopper: Customer, make_listing: MakeListing, mock_provider: MockProvider, sql: Sql
) -> None:
    listing = make_listing(stock=5)
    cart_id = fill_cart(shopper, (listing, 1))
    mock_provider.behave(after="drop", times=1)
    ask(shopper, cart_id)
    fill_cart(shopper, (listing, 2))

    assert ask(shopper, cart_id).json["type"] == "/problems/amount-differs"

    assert counter_of(sql, listing) == (5, 0)
    assert_stock_adds_up(sql)


def test_a_failed_attempt_leaves_the_pieces_to_the_retry_that_succeeded(
    app: Flask, customer: Customer, make_listing: MakeListing, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both were past the read of the key; one opens the session, then the other's provider fails."""
    listing = make_listing(stock=1)
    cart_id = fill_cart(customer, (listing, 1))
    session: list[dict[str, Any]] = []

    def be_late() -> None:
        session.append(opened(customer, cart_id))
        # What is read of the key at the end finds nothing, as when the retry commits a moment after that.
        sql("UPDATE checkout_sessions SET idempotency_key = 'hidden'")
        provider.update(mock=Refusing())

    class Refusing:
        asks = False
        open = staticmethod(lambda _: (_ for _ in ()).throw(operations.ProviderRefusedError("no")))

    after_beginning(monkeypatch, be_late)
    provider = dict(app.extensions["providers"])
    monkeypatch.setitem(app.extensions, "providers", provider)

    assert ask(customer, cart_id).status_code == 502

    assert holds_of(sql, UUID(session[0]["payment_id"])) == {listing["id"]: (1, 1)}
    assert_stock_adds_up(sql)


def test_a_retry_that_is_late_shares_the_pieces_and_gets_the_first_ones_answer(
    customer: Customer, make_listing: MakeListing, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = make_listing(stock=1)
    cart_id = fill_cart(customer, (listing, 1))
    first: list[dict[str, Any]] = []

    after_beginning(monkeypatch, lambda: first.append(opened(customer, cart_id)))
    answer = ask(customer, cart_id)

    assert replayed(answer)
    assert answer.json == first[0]
    assert counter_of(sql, listing) == (1, 1)
    assert_stock_adds_up(sql)


def test_a_retry_whose_pieces_a_failed_one_gave_back_takes_them_once_more(
    shopper: Customer, make_listing: MakeListing, mock_provider: MockProvider, sql: Sql, provider_app: Flask
) -> None:
    listing = make_listing(stock=1)
    cart_id = fill_cart(shopper, (listing, 1))

    with _lost_before_the_session(provider_app, lambda payment_id: release_holds(payment_id=payment_id)):
        answer = ask(shopper, cart_id)

    assert answer.status_code == 201
    assert counter_of(sql, listing) == (1, 1)
    assert mock_provider.calls["open"] == 1
    assert_stock_adds_up(sql)


def test_pieces_that_were_lost_to_somebody_else_meanwhile_are_short(
    shopper: Customer,
    make_shopper: Callable[[], Customer],
    make_listing: MakeListing,
    mock_provider: MockProvider,
    sql: Sql,
    provider_app: Flask,
) -> None:
    """The provider took longer than two minutes: the hold ended, and another customer was faster."""
    listing = make_listing(stock=1)
    other = make_shopper()
    theirs = fill_cart(other, (listing, 1))
    cart_id = fill_cart(shopper, (listing, 1))

    def end(payment_id: UUID) -> None:
        sql("UPDATE holds SET until = now() WHERE payment_id = :id", id=payment_id)
        assert sql("SELECT ended FROM holds_sweep(100, '{}')")[0].ended == 1
        opened(other, theirs)

    with _lost_before_the_session(provider_app, end):
        answer = ask(shopper, cart_id)

    assert short_lines(answer) == [(str(listing["id"]), 1, 0)]
    assert counts(sql) == (1, 1)
    assert counter_of(sql, listing) == (1, 1)
    assert_stock_adds_up(sql)


def test_a_listing_that_becomes_tracked_meanwhile_is_held_all_the_same(
    shopper: Customer, make_listing: MakeListing, mock_provider: MockProvider, sql: Sql, provider_app: Flask
) -> None:
    listing = make_listing(stock=None)
    cart_id = fill_cart(shopper, (listing, 2))

    def track(_payment_id: UUID) -> None:
        sql("UPDATE listings SET stock = 2")

    with _lost_before_the_session(provider_app, track):
        session = opened(shopper, cart_id)

    assert holds_of(sql, UUID(session["payment_id"])) == {listing["id"]: (2, 2)}
    assert_stock_adds_up(sql)


def test_a_crash_between_hold_and_session_keeps_the_pieces_from_others_until_the_hold_ends(
    app: Flask, customer: Customer, other_customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=1)
    cart_id = fill_cart(customer, (listing, 1))
    payment_id = payment_id_for(namespace=DEVELOPMENT_NAMESPACE, user_id=customer.id, key="purchase-1")
    with app.app_context():
        held = take_holds(
            payment_id=payment_id,
            user_id=customer.id,
            cart_id=UUID(cart_id),
            generation=0,
            lines=[(listing["id"], 1)],
        )
    assert held.held
    theirs = fill_cart(other_customer, (listing, 1))

    assert short_lines(ask(other_customer, theirs)) == [(str(listing["id"]), 1, 0)]
    assert sql("SELECT until - now() <= '2 minutes' AS soon FROM holds")[0].soon
    sql("UPDATE holds SET until = now()")
    assert sql("SELECT ended FROM holds_sweep(100, '{}')")[0].ended == 1
    assert ask(other_customer, theirs).status_code == 201
    assert_stock_adds_up(sql)


def test_the_same_key_after_a_crash_goes_on_with_its_hold(
    app: Flask, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=1)
    cart_id = fill_cart(customer, (listing, 1))
    payment_id = payment_id_for(namespace=DEVELOPMENT_NAMESPACE, user_id=customer.id, key="purchase-1")
    lines = [(listing["id"], 1)]
    with app.app_context():
        take_holds(payment_id=payment_id, user_id=customer.id, cart_id=UUID(cart_id), generation=0, lines=lines)

    assert opened(customer, cart_id, "purchase-1")["payment_id"] == str(payment_id)
    assert counter_of(sql, listing) == (1, 1)


def test_a_release_that_fails_hides_no_answer(
    shopper: Customer, make_listing: MakeListing, mock_provider: MockProvider, monkeypatch: pytest.MonkeyPatch, sql: Sql
) -> None:
    def away(**_: Any) -> int:
        raise DatabaseUnavailableError

    monkeypatch.setattr("checkout_service.checkout.holding.release_holds", away)
    mock_provider.behave(before="refuse")

    assert ask(shopper, fill_cart(shopper, (make_listing(stock=1), 1))).status_code == 502
    assert sql("SELECT until - now() <= '2 minutes' AS soon FROM holds")[0].soon, "it ends by itself"


def test_pieces_of_a_session_that_is_paid_are_sold_and_those_of_one_that_is_canceled_go_back(
    customer: Customer, other_customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=2)
    paid = opened(customer, fill_cart(customer, (listing, 1)))["payment_id"]
    canceled = opened(other_customer, fill_cart(other_customer, (listing, 1)))["payment_id"]

    bring_to(sql, paid, "paid")
    bring_to(sql, canceled, "canceled")

    assert sql("SELECT state::text, qty, reserved FROM holds") == [("sold", 1, 1)]
    assert counter_of(sql, listing) == (2, 1)
    assert_stock_adds_up(sql)


def test_an_open_session_of_the_same_cart_does_not_stand_against_its_customer(
    customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=2)
    cart_id = fill_cart(customer, (listing, 2))
    first = UUID(opened(customer, cart_id, "first")["payment_id"])

    second = UUID(opened(customer, cart_id, "second")["payment_id"])

    assert (holds_of(sql, first), holds_of(sql, second)) == ({}, {listing["id"]: (2, 2)})
    assert counter_of(sql, listing) == (2, 2)
    fill_cart(customer, (listing, 3))
    assert short_lines(ask(customer, cart_id, "third")) == [(str(listing["id"]), 3, 2)]
    assert holds_of(sql, second) == {listing["id"]: (2, 2)}, "the open one keeps what it has"
    assert_stock_adds_up(sql)


def test_a_payment_under_way_keeps_its_pieces(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing(stock=2)
    cart_id = fill_cart(customer, (listing, 2))
    first = opened(customer, cart_id, "first")["payment_id"]
    attempt(sql, first, "under_way", ref="at")
    fold(sql, first)

    assert short_lines(ask(customer, cart_id, "second")) == [(str(listing["id"]), 2, 0)]

    assert holds_of(sql, UUID(first)) == {listing["id"]: (2, 2)}
    assert counts(sql) == (1, 1)
    assert sql("SELECT FROM cancel_requests") == []
    assert_stock_adds_up(sql)


class _lost_before_the_session:  # noqa: N801 (reads as a function)
    """Have something happen once, right after the provider opened a payment and before its session is inserted."""

    def __init__(self, app: Flask, happens: Callable[[UUID], object]) -> None:
        self._app = app
        self._happens = happens
        self._before = app.extensions["providers"]

    def __enter__(self) -> None:
        real, happens = self._before["mock"], self._happens
        done: list[bool] = []

        class Slow:
            asks = False

            def open(self, opening: Opening) -> Opened:
                opened: Opened = real.open(opening)
                if not done:
                    done.append(True)
                    happens(opening.payment_id)
                return opened

        self._app.extensions["providers"] = {"mock": Slow()}

    def __exit__(self, *_: object) -> None:
        self._app.extensions["providers"] = self._before
