"""A webhook that led to no payment names one all the same: its page says which, and that nobody vouches for it."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Sql
from tests.console.conftest import Operator
from tests.money import capture
from tests.refunding import paid_payment
from tests.webhook_bodies import insert_webhook, webhook

FAILED = "'failed'"


@pytest.mark.parametrize("state", ["failed", "rejected", "received"])
def test_the_page_names_the_payment_and_that_it_is_unverified(operator: Operator, sql: Sql, state: str) -> None:
    payment, reference = paid_payment(sql)
    paid_payment(sql)
    filed = insert_webhook(sql, webhook(reference), state=f"'{state}'", detail="'KeyError'", attempts="2")

    page = operator.get(f"/ops/webhooks/{filed}").text

    named = page.partition("Its body names")[2].partition("</dd>")[0]
    assert f'href="/ops/payments/{payment}"' in named
    assert named.count("href=") == 1
    assert "unverified" in named


def test_a_capture_leads_to_its_payment(operator: Operator, sql: Sql) -> None:
    payment, _ = paid_payment(sql)
    capture(sql, payment, "ch_1", "10")
    body = json.dumps({"raw_data": {"capture_ref": "ch_1"}}).encode()

    page = operator.get(f"/ops/webhooks/{insert_webhook(sql, body, state=FAILED)}").text
    assert f"/ops/payments/{payment}" in page.partition("Its body names")[2].partition("</dd>")[0]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"provider_ref": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}",
        b'{"provider_ref": "' + b"x" * 200_000 + b'"}',
        b'{"provider_ref": "a\\u0000b", "raw_data": {"capture_ref": "\\ud800", "attempt": 7}}',
        b'{"provider_ref": ["a"], "raw_data": "x"}',
    ],
    ids=["empty", "bytes", "open", "deep", "long", "unkeepable", "odd"],
)
def test_hostile_bytes_name_nothing_and_break_nothing(operator: Operator, sql: Sql, body: bytes) -> None:
    paid_payment(sql)
    filed = insert_webhook(sql, body, state=FAILED)

    answer = operator.get(f"/ops/webhooks/{filed}")

    assert answer.status_code == 200
    assert "Its body names" not in answer.text


def test_a_body_that_names_many_payments_shows_a_few(operator: Operator, sql: Sql) -> None:
    for number in range(8):
        payment, _ = paid_payment(sql)
        capture(sql, payment, f"ch_{number}", "1")
    (first,) = sql("SELECT provider_ref FROM payments ORDER BY id LIMIT 1")
    body = json.dumps({"provider_ref": first.provider_ref, "raw_data": {"capture_ref": "ch_5"}}).encode()
    page = operator.get(f"/ops/webhooks/{insert_webhook(sql, body, state=FAILED)}").text

    assert page.partition("Its body names")[2].partition("</dd>")[0].count("href=") == 2
