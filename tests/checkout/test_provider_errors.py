"""A provider that fails: the customer is told, nothing is written, and the same key succeeds later."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import Any

import pytest

from checkout_service.local.mock_state import GARBAGE
from checkout_service.local.servers import free_port
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from tests.apps import MakeApp
from tests.conftest import Customer, MakeListing, Sql
from tests.provider import MockProvider
from tests.purchases import NOTHING, ONE_OF_EACH, ask, counts, fill_cart, opened, replayed


@pytest.fixture
def cart_id(shopper: Customer, make_listing: MakeListing) -> str:
    return fill_cart(shopper, (make_listing(unit_price="120.00"), 2))


def test_payment_is_opened_at_the_provider_by_our_own_id(
    shopper: Customer, cart_id: str, mock_provider: MockProvider
) -> None:
    session = opened(shopper, cart_id)

    (held,) = mock_provider.payments
    assert held["provider_ref"] == session["payment_token"]
    assert (held["amount"], held["currency"]) == ("240.00", "USD")
    assert mock_provider.calls["open"] == 1


def test_replay_does_not_ask_the_provider_again(shopper: Customer, cart_id: str, mock_provider: MockProvider) -> None:
    opened(shopper, cart_id)
    opened(shopper, cart_id)

    assert mock_provider.calls["open"] == 1


def test_what_cannot_be_paid_never_reaches_the_provider(
    shopper: Customer, cart_id: str, mock_provider: MockProvider
) -> None:
    assert ask(shopper, cart_id, expected_total="1.00").status_code == 409
    assert ask(shopper, cart_id, key=None).status_code == 400

    assert mock_provider.calls["open"] == 0


@pytest.mark.parametrize(
    "behaviour",
    [
        {"before": "error"},
        {"before": "drop"},
        {"before": "too_many"},
        {"after": "error"},
        {"after": "drop"},
    ],
    ids=str,
)
def test_provider_that_fails_is_503_and_the_same_key_succeeds_later(
    shopper: Customer, cart_id: str, mock_provider: MockProvider, sql: Sql, behaviour: dict[str, Any]
) -> None:
    mock_provider.behave(**behaviour)
    failed = ask(shopper, cart_id)

    assert failed.status_code == 503
    assert failed.json["type"] == "/problems/provider-unavailable"
    assert int(failed.headers["Retry-After"]) >= 1
    assert counts(sql) == NOTHING

    mock_provider.behave()
    later = ask(shopper, cart_id)
    assert later.status_code == 201
    assert not replayed(later)
    assert counts(sql) == ONE_OF_EACH
    assert len(mock_provider.payments) == 1


@pytest.mark.parametrize("behaviour", [{"before": "refuse"}, *({"garbage": kind} for kind in GARBAGE)], ids=str)
def test_provider_that_refuses_or_raves_is_502_and_the_same_key_succeeds_later(
    shopper: Customer, cart_id: str, mock_provider: MockProvider, sql: Sql, behaviour: dict[str, Any]
) -> None:
    mock_provider.behave(**behaviour)
    failed = ask(shopper, cart_id)

    assert failed.status_code == 502, failed.text
    assert failed.json["type"] == "/problems/provider-failed"
    assert counts(sql) == NOTHING

    mock_provider.behave()
    assert ask(shopper, cart_id).status_code == 201
    assert counts(sql) == ONE_OF_EACH
    assert len(mock_provider.payments) == 1


def test_provider_that_is_not_there_is_503(make_app: MakeApp, shopper: Customer, cart_id: str, sql: Sql) -> None:
    app = make_app(accounts={"mock": Account(options={"api_base": Secret(f"http://127.0.0.1:{free_port()}")})})

    failed = ask(replace(shopper, client=app.test_client()), cart_id)

    assert failed.status_code == 503
    assert failed.headers["Retry-After"]
    assert counts(sql) == NOTHING


def test_retry_that_stays_at_work_is_waited_for_two_seconds_and_then_503(
    shopper: Customer, cart_id: str, mock_provider: MockProvider, sql: Sql
) -> None:
    mock_provider.behave(in_progress="always")
    started = monotonic()
    failed = ask(shopper, cart_id)
    took = monotonic() - started

    assert failed.status_code == 503
    assert failed.json["type"] == "/problems/still-in-progress"
    assert int(failed.headers["Retry-After"]) >= 1
    assert 1.9 < took < 10
    assert counts(sql) == NOTHING

    mock_provider.behave()
    assert ask(shopper, cart_id).status_code == 201


@pytest.mark.parametrize("change", [{"amount": "200.00"}, {"currency": "EUR"}], ids=str)
def test_provider_that_holds_other_money_is_409_and_a_new_key_succeeds(
    shopper: Customer, cart_id: str, mock_provider: MockProvider, sql: Sql, change: dict[str, str]
) -> None:
    mock_provider.behave(after="drop")
    ask(shopper, cart_id, "crashed")
    mock_provider.put(mock_provider.payments[0]["provider_ref"], **change)
    mock_provider.behave()

    started = monotonic()
    differs = ask(shopper, cart_id, "crashed")

    # A concurrent retry would only have to write: whoever asks on purpose holds no place for long.
    assert monotonic() - started < 1.9
    assert differs.status_code == 409
    assert differs.json["type"] == "/problems/amount-differs"
    assert counts(sql) == NOTHING
    assert ask(shopper, cart_id, "fresh").status_code == 201
    assert counts(sql) == ONE_OF_EACH


def test_crashed_attempt_on_a_cart_that_changed_since_needs_a_new_key(
    shopper: Customer, make_listing: MakeListing, mock_provider: MockProvider, sql: Sql
) -> None:
    listing = make_listing(unit_price="120.00")
    cart_id = fill_cart(shopper, (listing, 2))
    mock_provider.behave(after="drop", times=1)
    assert ask(shopper, cart_id).status_code == 503

    fill_cart(shopper, (listing, 3))

    assert ask(shopper, cart_id).json["type"] == "/problems/amount-differs"
    assert counts(sql) == NOTHING
    fill_cart(shopper, (listing, 2))
    assert ask(shopper, cart_id).json["amount"] == "240.00"


def test_reference_of_somebody_elses_payment_is_never_taken_twice(
    shopper: Customer, cart_id: str, make_shopper: Any, make_listing: MakeListing, mock_provider: MockProvider, sql: Sql
) -> None:
    first = opened(shopper, cart_id)
    other = make_shopper()
    theirs = fill_cart(other, (make_listing(unit_price="120.00"), 2))
    mock_provider.behave(after="drop", times=1)
    ask(other, theirs)
    made = next(held for held in mock_provider.payments if held["provider_ref"] != first["payment_token"])
    mock_provider.put(made["provider_ref"], provider_ref=first["payment_token"])

    answer = ask(other, theirs)

    assert answer.status_code == 502
    assert counts(sql) == ONE_OF_EACH
    assert sql("SELECT user_id FROM payments")[0].user_id == shopper.id
