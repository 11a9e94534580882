"""PayPal signs a checksum of the body: who has the headers of one delivery has one body believed, and no other."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from flask import current_app

from checkout_service.providers.base import UnreadableError, UnverifiedError
from tests.conftest import Sql
from tests.webhook_bodies import state_of
from tests.worker.conftest import webhook_row
from tests.worker.scripted import ScriptedProvider
from worker.webhooks import weakly_bound
from worker.webhooks.task import process

HEADERS = {"paypal-transmission-id": "69cd13f0", "paypal-transmission-time": "2026-11-25T12:00:00Z"}
NOT_UNDERSTOOD = UnreadableError("the resource is not an object")


@pytest.fixture
def paypal(scripted: ScriptedProvider) -> ScriptedProvider:
    """At PayPal's path every body is verified, as if it had the checksum that was signed."""
    current_app.extensions["providers"] = {"paypal": scripted}
    return scripted


def file(sql: Sql, body: bytes, **headers: str) -> UUID:
    return sql(
        "INSERT INTO webhook_deliveries (provider, headers, body) VALUES ('paypal', CAST(:headers AS jsonb), :body) "
        "RETURNING id",
        headers=json.dumps(HEADERS | headers),
        body=body,
    )[0].id


def test_a_second_body_with_the_headers_of_the_first_is_rejected(sql: Sql, paypal: ScriptedProvider) -> None:
    others = [f'{{"number": {number}}}'.encode() for number in range(5)]
    paypal.webhooks = dict.fromkeys(others, NOT_UNDERSTOOD)
    first = file(sql, b'{"number": "first"}')
    process(str(first))
    copied = [file(sql, body) for body in others]
    process(str(copied[0]))
    again = file(sql, b'{"number": "first"}')
    process(str(again))

    assert [state_of(sql, first), state_of(sql, again)] == ["ignored", "ignored"]
    assert {state_of(sql, each) for each in copied} == {"rejected"}, "none of them is failed, which nothing bounds"
    assert "another body" in webhook_row(sql, copied[0]).detail


@pytest.mark.usefixtures("paypal")
def test_of_two_bodies_that_come_at_once_the_first_is_believed(sql: Sql) -> None:
    deliveries = [file(sql, f'{{"number": {number}}}'.encode()) for number in range(3)]

    process(str(deliveries[0]))

    assert sorted(state_of(sql, each) for each in deliveries) == ["ignored", "rejected", "rejected"]


@pytest.mark.usefixtures("paypal")
@pytest.mark.parametrize("header", HEADERS)
def test_another_act_of_signing_is_another_matter(sql: Sql, header: str) -> None:
    first = file(sql, b'{"number": 1}')
    process(str(first))
    second = file(sql, b'{"number": 2}', **{header: "another"})
    process(str(second))

    assert [state_of(sql, first), state_of(sql, second)] == ["ignored", "ignored"]


def test_a_body_that_was_not_verified_takes_no_signing(sql: Sql, paypal: ScriptedProvider) -> None:
    paypal.webhooks = {b'{"number": 1}': UnverifiedError("the signature is not PayPal's for our webhook")}
    process(str(file(sql, b'{"number": 1}')))
    real = file(sql, b'{"number": 2}')

    process(str(real))

    assert state_of(sql, real) == "ignored"


@pytest.mark.usefixtures("scripted")
def test_only_formats_that_say_so_cost_a_question_to_the_cache(sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weakly_bound, "cache", None)
    delivery = sql("INSERT INTO webhook_deliveries (provider, body) VALUES ('mock', '{}') RETURNING id")[0].id

    process(str(delivery))

    assert state_of(sql, delivery) == "ignored"
