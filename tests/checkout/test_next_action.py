"""What to do next to have a payment paid: its owner reads it while it is pending, and nobody else ever does."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import redis
from flask import Flask

from checkout_service.payments.schemas import ReadPaymentSchema
from checkout_service.providers.base import Opened, Opening, ParsedWebhook
from tests.apps import MakeApp
from tests.conftest import Customer, MakeListing, Servers, Sql, Statements
from tests.money import bring_to
from tests.providers.kits import stripe
from tests.purchases import ask, fill_cart, opened, remembered, replayed
from tests.refunding import staff_of

NONE = {"type": "none"}


@pytest.fixture
def shop(make_app: MakeApp) -> Flask:
    """A shop whose payments are all at Stripe."""
    app = make_app()
    app.extensions["providers"] = {"stripe": stripe.KIT.provider(answer=stripe.KIT.bank())}
    return app


@pytest.fixture
def buyer(customer: Customer, shop: Flask) -> Customer:
    return replace(customer, client=shop.test_client())


@pytest.fixture
def session(buyer: Customer, make_listing: MakeListing) -> dict[str, Any]:
    return opened(buyer, fill_cart(buyer, (make_listing(), 1)))


@pytest.fixture
def secret(session: dict[str, Any]) -> str:
    token: str = session["payment_token"]
    return token


def test_session_and_payment_carry_the_same(buyer: Customer, session: dict[str, Any], secret: str) -> None:
    action = {"type": "client_secret", "value": secret, "publishable_key": None}

    read = buyer.get(f"/api/checkout/session/{session['payment_id']}")
    payment = buyer.get(f"/api/payments/{session['payment_id']}")

    assert session["next_action"] == read.json["next_action"] == payment.json["next_action"] == action
    assert read.headers["Cache-Control"] == payment.headers["Cache-Control"] == "no-store"
    assert not ReadPaymentSchema().validate(payment.json)


@pytest.mark.parametrize("status", ["processing", "failed", "authorized", "canceled", "expired", "paid", "reversed"])
def test_there_is_none_unless_it_is_pending(
    buyer: Customer, session: dict[str, Any], secret: str, sql: Sql, status: str
) -> None:
    bring_to(sql, session["payment_id"], status)

    payment = buyer.get(f"/api/payments/{session['payment_id']}")

    assert payment.json["next_action"] == NONE
    assert secret not in payment.text
    assert payment.headers["Cache-Control"] == "private, no-cache"
    assert buyer.get(f"/api/checkout/session/{session['payment_id']}").json["next_action"] == NONE


def test_a_replay_is_the_same_answer_by_cache_and_by_database(
    buyer: Customer, session: dict[str, Any], secret: str, servers: Servers
) -> None:
    names = remembered(servers.redis_url)
    with redis.Redis.from_url(servers.redis_url) as cache:
        kept = [cache.get(name) for name in names]
        assert all(b"next_action" not in value for value in kept if value)
        by_cache = ask(buyer, buyer.get("/api/cart").json["id"])
        cache.delete(*names)
    by_database = ask(buyer, buyer.get("/api/cart").json["id"])

    assert replayed(by_cache)
    assert replayed(by_database)
    assert by_cache.json == by_database.json == session


def test_lists_staff_and_events_have_none(
    buyer: Customer, other_customer: Customer, shop: Flask, session: dict[str, Any], secret: str, sql: Sql
) -> None:
    staff = replace(staff_of(other_customer, scope="payments:read events:read"), client=shop.test_client())
    path = f"/api/payments/{session['payment_id']}"

    answers = [
        buyer.get("/api/payments"),
        staff.get(path),
        staff.get("/api/admin/payments"),
        staff.get("/api/admin/events"),
        buyer.post(f"{path}/cancel"),
    ]

    for answer in answers:
        assert answer.status_code in {200, 202}, answer.text
        assert "next_action" not in answer.text
        assert secret not in answer.text
    assert replace(other_customer, client=shop.test_client()).get(path).status_code == 404
    written = sql("SELECT body FROM events WHERE body IS NOT NULL")
    assert "next_action" not in json.dumps([row.body for row in written])


def test_an_etag_is_of_the_whole_answer_and_a_change_of_status_is_a_change(
    buyer: Customer, session: dict[str, Any], secret: str, sql: Sql
) -> None:
    path = f"/api/payments/{session['payment_id']}"
    first = buyer.get(path)
    headers = {"If-None-Match": first.headers["ETag"]}

    again = buyer.get(path, headers=headers)
    bring_to(sql, session["payment_id"], "paid")
    changed = buyer.get(path, headers=headers)

    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["Cache-Control"] == "no-store"
    assert (changed.status_code, changed.json["next_action"]) == (200, NONE)


def test_it_costs_no_statement(buyer: Customer, session: dict[str, Any], statements: Statements) -> None:
    with statements() as seen:
        buyer.get(f"/api/payments/{session['payment_id']}")
    assert len(seen) == 1


def test_a_provider_that_is_off_by_now_leaves_nothing_to_do(
    buyer: Customer, session: dict[str, Any], shop: Flask
) -> None:
    shop.extensions["providers"] = {}

    assert buyer.get(f"/api/payments/{session['payment_id']}").json["next_action"] == NONE
    assert buyer.get(f"/api/checkout/session/{session['payment_id']}").json["next_action"] == NONE


class Elsewhere:
    """An adapter of another distribution, which tells of no next action."""

    name = "elsewhere"
    asks = False

    def open(self, opening: Opening) -> Opened:
        return Opened(provider_ref="e_1", payment_token="token", amount=opening.amount, currency=opening.currency)

    def verify_and_parse(self, _: Any) -> ParsedWebhook:
        raise AssertionError


def test_a_provider_that_tells_of_none_has_none(buyer: Customer, shop: Flask, make_listing: MakeListing) -> None:
    shop.extensions["providers"] = {"elsewhere": Elsewhere()}

    session = opened(buyer, fill_cart(buyer, (make_listing(), 1)), "elsewhere")

    assert session["next_action"] == NONE
