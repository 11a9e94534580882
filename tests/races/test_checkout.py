"""Concurrent retries on one idempotency key: one session, one payment, one payment at the provider, the same answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.conftest import Customer, MakeListing, Sql
from tests.crowd import at_once
from tests.provider import MockProvider
from tests.purchases import NOTHING, ask, counts, fill_cart, replayed

RETRIES = 4
"""As many as one customer may have at a provider at once."""
ROUNDS = 5


@pytest.fixture
def retries(shopper: Customer, provider_app: Flask) -> list[Customer]:
    """One customer at several devices: as many as may pay at once, and two more."""
    return [replace(shopper, client=provider_app.test_client()) for _ in range(RETRIES + 2)]


@pytest.mark.parametrize(
    "behaviour",
    [
        {},
        {"seconds": 0.05},
        {"seconds": 0.05, "in_progress": "retry"},
        {"before": "error", "times": 1},
        {"before": "drop", "times": 2},
        {"after": "error", "times": 1},
        {"after": "drop", "times": 2},
        {"garbage": "not_json", "times": 1},
        {"before": "refuse", "times": 1},
        {"seconds": 0.05, "in_progress": "retry", "before": "error", "times": 1},
    ],
    ids=str,
)
def test_retries_on_one_idempotency_key_share_one_session(
    retries: list[Customer], make_listing: MakeListing, mock_provider: MockProvider, sql: Sql, behaviour: dict[str, Any]
) -> None:
    cart_id = fill_cart(retries[0], (make_listing(), 1))
    for number in range(ROUNDS):
        key = f"round-{number}"
        mock_provider.behave(**behaviour)

        answers = _all_ask(retries[:RETRIES], cart_id, key)

        assert all(answer.status_code in {201, 502, 503} for answer in answers), [answer.text for answer in answers]
        given = [answer for answer in answers if answer.status_code == 201]
        if not {"before", "after", "garbage"} & set(behaviour):
            assert len(given) == RETRIES
        assert sum(not replayed(answer) for answer in given) == (1 if given else 0)
        mock_provider.behave()
        later = ask(retries[0], cart_id, key)
        assert later.status_code == 201
        assert {answer.data for answer in given} <= {later.data}
        assert counts(sql) == (number + 1, number + 1)
        assert len(mock_provider.payments) == number + 1


def test_first_retries_amount_is_kept_while_the_cart_changes(
    retries: list[Customer], make_listing: MakeListing, mock_provider: MockProvider, sql: Sql
) -> None:
    listing = make_listing(unit_price="10.00")
    for number in range(ROUNDS):
        key = f"round-{number}"
        cart_id = fill_cart(retries[0], (listing, 1))
        mock_provider.behave(seconds=0.01)

        def change(retry: Customer, qty: int) -> None:
            fill_cart(retry, (listing, qty))

        *answers, _, _ = at_once(
            [*_asking(retries[:4], cart_id, key), lambda: change(retries[4], 2), lambda: change(retries[5], 3)]
        )

        assert all(answer.status_code in {201, 409} for answer in answers), [answer.text for answer in answers]
        given = [answer for answer in answers if answer.status_code == 201]
        assert len({answer.data for answer in given}) <= 1
        held = next(each for each in mock_provider.payments if each["provider_ref"] not in _known(sql, key))
        _assert_frozen_as_held(sql, key, held["amount"], given)
        if not given:
            assert ask(retries[0], cart_id, f"{key}-fresh").status_code == 201


def test_different_requests_on_one_key_open_one_session_and_the_others_are_refused(
    retries: list[Customer], make_listing: MakeListing, mock_provider: MockProvider, sql: Sql
) -> None:
    cart_id = fill_cart(retries[0], (make_listing(unit_price="40.00"), 1))
    variants: list[dict[str, str]] = [{"expected_total": "40.00"}, {"provider": "mock"}]
    for number in range(ROUNDS):
        key = f"round-{number}"
        answers = at_once(
            [
                lambda retry=retry, variant=variants[index % 2], key=key: (variant, ask(retry, cart_id, key, **variant))
                for index, retry in enumerate(retries[:RETRIES])
            ]
        )

        given = [(variant, answer) for variant, answer in answers if answer.status_code == 201]
        refused = [answer for _, answer in answers if answer.status_code != 201]
        assert len(given) == 2
        assert given[0][0] == given[1][0]
        assert given[0][1].data == given[1][1].data
        assert {answer.json["type"] for answer in refused} == {"/problems/idempotency-key-reused"}
        assert counts(sql) == (number + 1, number + 1)
        assert len(mock_provider.payments) == number + 1


def test_different_keys_at_once_are_different_purchases(
    retries: list[Customer], make_listing: MakeListing, mock_provider: MockProvider, sql: Sql
) -> None:
    cart_id = fill_cart(retries[0], (make_listing(), 1))
    assert counts(sql) == NOTHING

    answers = at_once([*_asking(retries[:2], cart_id, "one"), *_asking(retries[2:RETRIES], cart_id, "other")])

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.data for answer in answers}) == 2
    assert counts(sql) == (2, 2)
    assert len(mock_provider.payments) == 2


def _all_ask(retries: Sequence[Customer], cart_id: str, key: str) -> list[TestResponse]:
    return at_once(_asking(retries, cart_id, key))


def _asking(retries: Sequence[Customer], cart_id: str, key: str) -> list[Callable[[], TestResponse]]:
    return [lambda retry=retry: ask(retry, cart_id, key) for retry in retries]


def _known(sql: Sql, key: str) -> set[str]:
    rows = sql("SELECT payment_token FROM checkout_sessions WHERE idempotency_key <> :key", key=key)
    return {row.payment_token for row in rows}


def _assert_frozen_as_held(sql: Sql, key: str, held: str, given: Sequence[TestResponse]) -> None:
    """What was promised, written, frozen and held at the provider is one amount; or nothing was written."""
    rows = sql(
        """SELECT session.amount, payment.amount AS of_payment, lines -> 0 ->> 'line_total' AS of_line
        FROM checkout_sessions AS session JOIN payments AS payment ON payment.id = session.payment_id
        WHERE idempotency_key = :key""",
        key=key,
    )
    assert len(rows) == (1 if given else 0)
    for row in rows:
        assert {str(row.amount), str(row.of_payment), row.of_line, held} == {given[0].json["amount"]}
