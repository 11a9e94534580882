"""One box finds whatever somebody has in hand, and says so where it can read nothing."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest
from flask import Flask

from tests.conftest import MakeListing, Servers, Sql
from tests.console.conftest import Operator, file_webhooks
from tests.console.test_lists import payments_on
from tests.console.test_million import nodes, plan_of, recorded
from tests.console.test_orders import orders_on
from tests.identity.test_subjects import customer_called
from tests.money import attempt, capture, dispute
from tests.orders.buying import bought, name_buyer, numbered
from tests.refunding import insert_refund, paid_payment
from tests.settlements.entered import books_of


@pytest.fixture
def order(app: Flask, sql: Sql, make_listing: MakeListing) -> Any:
    """An order of 40.00 USD, ORD1, of the customer auth0|ada."""
    made = bought(customer_called(app, "auth0|ada"), sql, (make_listing(), 1))
    numbered(sql, "ORD")
    name_buyer(sql, made.id, email="ada@example.org")
    return made


def _leads_to(operator: Operator, typed: str) -> str:
    answer = operator.get(f"/ops/search?q={quote(typed)}")
    assert answer.status_code == 302, (typed, answer.text)
    return str(answer.location)


def test_an_order_is_found_by_its_number_buyer_and_ids(operator: Operator, sql: Sql, order: Any) -> None:
    (line,) = sql("SELECT id FROM order_lines")
    (session,) = sql("SELECT id, cart_id FROM checkout_sessions")

    for typed in ("ORD1", "ord1", " 1 ", "Ada@example.org", str(order.id), str(line.id)):
        assert _leads_to(operator, typed) == f"/ops/orders/{order.id}", typed
    for typed in (order.payment_id, session.id, session.cart_id, str(order.payment_id).upper()):
        assert _leads_to(operator, str(typed)) == f"/ops/payments/{order.payment_id}", typed


def test_a_customer_is_found_by_name_and_id_with_what_they_bought(operator: Operator, order: Any) -> None:
    for typed in ("auth0|ada", str(order.user_id)):
        page = operator.get(f"/ops/search?q={quote(typed)}")
        assert page.status_code == 200
        assert orders_on(page.text) == [order.id]
        assert payments_on(page.text) == [order.payment_id]
        assert f"/ops/payments?customer={order.user_id}" in page.text


def test_a_payment_is_found_by_every_name_that_its_provider_has_for_something_of_it(
    operator: Operator, sql: Sql
) -> None:
    payment, reference = paid_payment(sql)
    attempt(sql, payment, "authorized", ref="at_1")
    capture(sql, payment, "ch_1", "50")
    dispute(sql, payment, "10.00")
    (disputed,) = sql("SELECT dispute_ref FROM disputes")
    refund = insert_refund(sql, payment, "10.00", status="'succeeded'", provider_ref="'re_1'")
    sql(
        """INSERT INTO payment_events (payment_id, provider, event_id, status, outcome)
        VALUES (:id, 'mock', 'evt_1', 'paid', 'applied')""",
        id=payment,
    )
    sql(
        """INSERT INTO refund_events (refund_id, provider, event_id, status, outcome)
        VALUES (:id, 'mock', 'evt_2', 'succeeded', 'applied')""",
        id=refund,
    )
    (webhook,) = file_webhooks(sql, 1)

    for typed in (reference, "at_1", "ch_1", disputed.dispute_ref, "re_1", "evt_1", "evt_2", str(payment), str(refund)):
        assert _leads_to(operator, typed) == f"/ops/payments/{payment}", typed
    assert _leads_to(operator, str(webhook)) == f"/ops/webhooks/{webhook}"


def test_a_name_that_two_providers_gave_leads_to_both(operator: Operator, sql: Sql) -> None:
    first, _ = paid_payment(sql)
    second, _ = paid_payment(sql)
    insert_refund(sql, first, "10.00", status="'succeeded'", provider_ref="'re_1'")
    capture(sql, second, "re_1", "50")

    page = operator.get("/ops/search?q=re_1")

    assert page.status_code == 200
    assert {f"/ops/payments/{each}" in page.text for each in (first, second)} == {True}
    assert "by the name of its refund" in page.text
    assert "by the name of its capture" in page.text


def test_an_amount_is_found_with_its_currency_or_without(operator: Operator, sql: Sql) -> None:
    dollars, _ = paid_payment(sql, amount="240.00")
    euros, _ = paid_payment(sql, amount="240.00", currency="EUR")
    paid_payment(sql, amount="240.01")

    assert set(payments_on(operator.get("/ops/search?q=240").text)) == {dollars, euros}
    for typed in ("240.00 usd", "USD240", "usd 240.00"):
        assert _leads_to(operator, typed) == f"/ops/payments/{dollars}", typed
    assert "/ops/payments?amount=240.00" in operator.get("/ops/search?q=240.00").text


def test_a_payout_is_found_by_its_names_its_amount_and_what_it_is_made_of(
    operator: Operator, servers: Servers, sql: Sql
) -> None:
    with books_of(servers) as books:
        payout = books.payout("po_made1", amount="49.70", bank_reference="TX900000000041XT batch 41, Tulip")
        books.payout("po_other", amount="49.71")
        for provider in ("stripe", "bank"):
            books.run(
                "INSERT INTO settlement_accounts (provider, account) VALUES (%(name)s, '') RETURNING id", name=provider
            )
        columns = {"payout_id": payout, "subject_ref": "ch_made1", "payment_ref": "pi_made1"}
        entry = books.entry(books.file(), "txn_made1", **columns)
        books.entry(books.file(), "txn_gone", payout_ref="po_lost")
        brought = books.entry(books.file(provider="bank"), "MADEUP11", provider="bank", kind="bank")
        books.match("matched", brought, provider="bank", payout_id=payout)
        alone = books.entry(books.file(), "txn_alone")
        payment, reference = paid_payment(sql)
        books.match("matched", alone, payment_id=payment)
        books.entry(books.file(), "txn_ours", payment_ref=reference, payout_id=payout)

    names = ("po_made1", "TX900000000041XT", "txn_made1", "ch_made1", "pi_made1", "MADEUP11", "49.70", "49.70 usd")
    for typed in (*names, str(payout), str(entry)):
        assert _leads_to(operator, typed) == f"/ops/payouts/{payout}", typed
    assert _leads_to(operator, "txn_alone") == f"/ops/payments/{payment}/settled"
    assert _leads_to(operator, reference) == f"/ops/payments/{payment}", "ours first"
    for typed in ("txn_gone", "po_lost", "49.70 EUR"):
        assert "Nothing is called so" in operator.get(f"/ops/search?q={quote(typed)}").text, typed


def test_days_are_those_of_utc(operator: Operator, sql: Sql) -> None:
    made = {}
    for at in ("2026-11-24 23:59:59.9+00", "2026-11-25 00:00+00", "2026-11-26 00:30+01", "2026-11-26 00:00+00"):
        made[at], _ = paid_payment(sql)
        sql("UPDATE payments SET created_at = CAST(:at AS timestamptz) WHERE id = :id", at=at, id=made[at])
    before, first, last, after = made.values()

    page = operator.get("/ops/search?q=2026-11-25")
    assert payments_on(page.text) == [last, first]
    assert "/ops/payments?since=2026-11-25&amp;until=2026-11-26" in page.text
    assert payments_on(operator.get("/ops/search?q=2026-11-25..2026-11-26").text) == [after, last, first]
    assert payments_on(operator.get("/ops/search?q=2026-11-24+to+2026-11-25").text) == [last, first, before]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "Type something"),
        ("   ", "Type something"),
        ("2026-11-31", "no such day"),
        ("0000-01-01", "no such day"),
        ("2026-1-1", "Write a day in UTC"),
        ("2026-11-25..2026-11-24", "before the first"),
        ("2001-01-01..2026-11-24", "more than ten years"),
        ("x" * 201, "nothing that could be found"),
        ("a\x1bb", "nothing that could be found"),
        ("a\u202eb", "nothing that could be found"),
    ],
)
def test_what_cannot_be_read_says_so(operator: Operator, sql: Sql, typed: str, words: str) -> None:
    paid_payment(sql)
    page = operator.get(f"/ops/search?q={quote(typed)}")

    assert page.status_code == 400
    assert words in page.text
    assert 'aria-describedby="q-fault"' in page.text
    assert payments_on(page.text) == []


def test_what_nobody_has_is_not_found_and_shown_as_it_is(operator: Operator, sql: Sql) -> None:
    paid_payment(sql)
    for typed in ("re_gone", str(uuid4()), "<script>alert(1)</script>", "99999999999999999999", "nobody@example.org"):
        page = operator.get(f"/ops/search?q={quote(typed)}")
        assert page.status_code == 200, typed
        assert "Nothing is called so" in page.text
        assert "<script>alert" not in page.text


def test_every_search_goes_by_an_index(operator: Operator, sql: Sql, servers: Servers, order: Any) -> None:
    """With sequential scans as good as forbidden, a table that is read whole has no index for what is looked for."""
    sql("ANALYZE")
    typed = [
        *("ORD1", "ada@example.org", "auth0|ada", "re_1", "240.00", "240.00 USD", "2026-11-25", str(order.id)),
        str(order.user_id),
    ]
    paths = [f"/ops/search?q={quote(each)}" for each in typed]
    paths += [
        f"/ops/payments?customer={order.user_id}&amount=40.00&status=paid&since=1d",
        "/ops/payments?amount=40.00&status=paid",
        "/ops/payments?amount=40.00+USD&since=1d",
        "/ops/payments?since=1d&until=1h",
    ]
    wrong = []
    with psycopg.connect(servers.superuser_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("SET enable_seqscan = off")
        for path in paths:
            with recorded() as seen:
                assert operator.get(path).status_code in {200, 302}
            assert 1 <= len(seen) <= 8, path
            for query, params in seen:
                wrong += [
                    (path, node["Relation Name"], query)
                    for node in nodes(plan_of(connection, query, params))
                    if node["Node Type"] == "Seq Scan"
                ]
    assert not wrong, wrong


def test_only_operators_search(operator: Operator) -> None:
    assert operator.client.get("/ops/search?q=1").status_code == 401
