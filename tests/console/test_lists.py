"""The lists of webhooks and payments: each filter, pages in both ways, and what stands in a row."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from uuid import UUID, uuid4

import pytest
from flask import Flask

from checkout_service.console import webhook_queries
from checkout_service.oversight.payment_history import FOUND
from tests.conftest import Sql
from tests.console.conftest import Operator, file_webhooks, link, webhooks_on
from tests.webhook_bodies import insert_payment, insert_webhook, name_in_webhooks, webhook

STATES = ("received", "parked", "applied", "duplicate", "ignored", "rejected", "failed")


@pytest.fixture
def of_each_state(sql: Sql) -> dict[str, list[UUID]]:
    return {state: file_webhooks(sql, 2, state=f"'{state}'", detail=f"'why {state}'") for state in STATES}


@pytest.mark.parametrize("state", STATES)
def test_webhooks_are_listed_by_state(operator: Operator, of_each_state: dict[str, list[UUID]], state: str) -> None:
    page = operator.get(f"/ops/webhooks?state={state}")

    assert webhooks_on(page) == of_each_state[state]
    assert page.text.count(f"why {state}") == 2


def test_webhooks_pending_work_are_received_or_parked(operator: Operator, of_each_state: dict[str, list[UUID]]) -> None:
    found = webhooks_on(operator.get("/ops/webhooks?state=pending"))

    assert set(found) == {*of_each_state["received"], *of_each_state["parked"]}
    assert found == sorted(found, reverse=True)


def test_webhooks_are_listed_by_provider_and_time(operator: Operator, sql: Sql) -> None:
    new = file_webhooks(sql, 3)
    other = file_webhooks(sql, 2, provider="'stripe'")
    (old,) = sql("""INSERT INTO webhook_deliveries (id, provider, body, received_at)
        VALUES (uuidv7(interval '-3 hours'), 'mock', '', now() - interval '3 hours') RETURNING id""")

    assert set(webhooks_on(operator.get("/ops/webhooks"))) == {*new, *other, old.id}
    assert webhooks_on(operator.get("/ops/webhooks?provider=stripe")) == other
    assert webhooks_on(operator.get("/ops/webhooks?provider=mock&since=2h")) == new
    assert webhooks_on(operator.get("/ops/webhooks?until=2h")) == [old.id]
    moment = f"{datetime.now(UTC) - timedelta(hours=2):%Y-%m-%d %H:%M}"
    assert webhooks_on(operator.get(f"/ops/webhooks?since={moment}&provider=mock")) == new
    assert webhooks_on(operator.get(f"/ops/webhooks?until={moment}")) == [old.id]
    assert webhooks_on(operator.get("/ops/webhooks?since=4h&until=2h")) == [old.id]
    assert webhooks_on(operator.get("/ops/webhooks?provider=mollie")) == []


def test_webhooks_are_found_by_payment_id_and_reference(operator: Operator, sql: Sql) -> None:
    reference, another = insert_payment(sql), insert_payment(sql)
    (payment,) = sql("SELECT id FROM payments WHERE provider_ref = :it", it=reference)
    applied = insert_webhook(sql, webhook(reference), state="'applied'", provider_ref=f"'{reference}'")
    sql(
        """INSERT INTO payment_events (payment_id, provider, event_id, status, outcome, delivery_id)
        VALUES (:payment, 'mock', 'evt_1', 'paid', 'applied', :delivery)""",
        payment=payment.id,
        delivery=applied,
    )
    duplicate = insert_webhook(sql, webhook(reference), state="'duplicate'", provider_ref=f"'{reference}'")
    insert_webhook(sql, webhook(another), state="'applied'", provider_ref=f"'{another}'")

    for sought in (payment.id, reference):
        page = operator.get(f"/ops/webhooks?find={sought}")
        assert webhooks_on(page) == [duplicate, applied]
        assert f"/ops/payments/{payment.id}" in page.text
        assert webhooks_on(operator.get(f"/ops/webhooks?find={sought}&state=duplicate")) == [duplicate]
    assert "evt_1" in operator.get(f"/ops/webhooks?find={reference}").text
    page = operator.get(f"/ops/webhooks?find={uuid4()}")
    assert webhooks_on(page) == []
    assert "no payment with this id" in page.text


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("state=lost", "There is no such state."),
        ("reason=lost", "There is no such reason."),
        ("reason=not_ours&state=failed", "Only what is ignored has one"),
        ("since=yesterday", "Write 90s, 30m, 2h or 7d ago"),
        ("until=2026-13-40", "Write 90s, 30m, 2h or 7d ago"),
        ("until=9999999d", "Write 90s"),
        ("since=999999d", "Write 90s"),
        ("until=0001-01-01T00:00%2B14:00", "Write 90s"),
        (f"provider={'a' * 300}", "This is nothing that could be found."),
    ],
)
def test_what_cannot_be_read_is_reported_beside_its_field(operator: Operator, sql: Sql, query: str, words: str) -> None:
    file_webhooks(sql, 1)
    page = operator.get(f"/ops/webhooks?{query}")

    assert page.status_code == 400
    assert words in page.text
    name = query.partition("=")[0]
    assert f'id="{name}-fault"' in page.text
    assert f'aria-describedby="{name}-fault"' in page.text
    assert "/ops/webhooks/" not in page.text.partition("<h1>")[2].replace("/ops/webhooks/process-all", "")
    assert "Nothing is listed" in page.text
    assert operator.get(f"/ops/webhooks/process-all?{query}").status_code == 400


@pytest.mark.parametrize("query", ["", "&state=failed", "&state=received", "&state=pending", "&provider=mock&since=1h"])
def test_pages_go_on_and_back_without_missing_or_repeating_any(operator: Operator, sql: Sql, query: str) -> None:
    state = "received" if "received" in query or "pending" in query else "failed"
    filed = file_webhooks(sql, 2 * webhook_queries.PAGE + 5, state=f"'{state}'")
    path, forth = f"/ops/webhooks?{query[1:]}", []
    while path:
        page = operator.get(path)
        forth.append(webhooks_on(page))
        path = link(page, "next")
    assert [number for found in forth for number in found] == filed
    assert [len(found) for found in forth] == [webhook_queries.PAGE, webhook_queries.PAGE, 5]

    back = [webhooks_on(page)]
    while path := link(page, "prev"):
        page = operator.get(path)
        back.insert(0, webhooks_on(page))
    assert back == forth
    assert webhooks_on(operator.get(link(operator.get(f"/ops/webhooks?{query[1:]}"), "next"))) == forth[1]


def test_a_webhook_that_came_meanwhile_moves_no_page(operator: Operator, sql: Sql) -> None:
    filed = file_webhooks(sql, webhook_queries.PAGE + 5)
    following = link(operator.get("/ops/webhooks"), "next")
    insert_webhook(sql, b"{}")

    assert webhooks_on(operator.get(following)) == filed[webhook_queries.PAGE :]


def test_a_page_that_has_looked_far_enough_says_so_and_goes_on(
    operator: Operator, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_queries, "WINDOW", 20)
    (needle,) = sql("""INSERT INTO webhook_deliveries (id, provider, body, received_at)
        VALUES (uuidv7(interval '-1 hour'), 'paypal', '', now() - interval '1 hour') RETURNING id""")
    file_webhooks(sql, 50)

    page = operator.get("/ops/webhooks?provider=paypal")
    looks = 1
    while not webhooks_on(page):
        assert "Older ones may match" in page.text
        page = operator.get(link(page, "next"))
        looks += 1
    assert webhooks_on(page) == [needle.id]
    assert looks == 3
    assert link(page, "next") is None


def test_a_row_tells_what_a_webhook_says_and_how_it_fares(operator: Operator, sql: Sql) -> None:
    reference = insert_payment(sql, status="paid")
    body = webhook(reference, event_id="evt_77")
    insert_webhook(
        sql,
        body,
        state="'received'",
        attempts="3",
        provider_ref=f"'{reference}'",
        detail="'ConnectError: no route'",
        received_at="now() - interval '90 seconds'",
        next_attempt_at="'2031-02-03 04:05:06.789+00'",
    )
    row = re.search(r"<tbody>(.*?)</tbody>", operator.get("/ops/webhooks").text, re.S)[1]

    for shown in ("mock", "evt_77", ">paid<", "/ops/payments/", ">3<", "04:05:06.789", "so far", "no route"):
        assert shown in row, shown
    assert 90 <= float(re.search(r'<td class="end">(\S+) s ', row)[1]) < 150, "its age"


def test_empty_lists_say_what_to_do(operator: Operator, servers: object) -> None:
    assert "No webhooks yet" in operator.get("/ops/webhooks").text
    page = operator.get("/ops/webhooks?state=failed").text
    assert "No webhooks match" in page
    assert "Adjust the filters" in page
    assert "No payments yet" in operator.get("/ops/payments").text
    assert "Nothing waits for a person" in operator.get("/ops/payments?flagged=yes").text
    assert "No command yet" in operator.get("/ops/audit").text
    assert "No webhook came within the last hour" in operator.get("/ops").text


def payments_on(text: str) -> list[UUID]:
    return [UUID(found) for found in re.findall(r'<td><a href="/ops/payments/([0-9a-f-]{36})">', text)]


def test_payments_are_listed_by_status_and_flag(operator: Operator, sql: Sql) -> None:
    references = {status: insert_payment(sql, status=status) for status in ("pending", "paid", "failed")}
    sql("UPDATE payments SET review_reason = 'mismatch' WHERE status = 'paid'")
    ids = {row.provider_ref: row.id for row in sql("SELECT id, provider_ref FROM payments")}

    assert payments_on(operator.get("/ops/payments").text) == [
        ids[references[status]] for status in ("failed", "paid", "pending")
    ]
    assert payments_on(operator.get("/ops/payments?status=paid").text) == [ids[references["paid"]]]
    flagged = operator.get("/ops/payments?flagged=yes").text
    assert payments_on(flagged) == [ids[references["paid"]]]
    assert "mismatch" in flagged
    assert payments_on(operator.get("/ops/payments?flagged=yes&status=failed").text) == []


def test_of_two_providers_that_name_alike_both_payments_are_found_and_each_has_its_own_webhooks(
    operator: Operator, sql: Sql
) -> None:
    for provider in ("stripe", "adyen"):
        insert_payment(sql, provider=provider, provider_ref="alike_1")
    ids = {row.provider: row.id for row in sql("SELECT provider, id FROM payments")}
    webhooks = {
        provider: sql(
            """INSERT INTO webhook_deliveries (provider, body, state, provider_ref)
            VALUES (:provider, '', 'ignored', 'alike_1') RETURNING id""",
            provider=provider,
        )[0].id
        for provider in ids
    }

    answer = operator.get("/ops/payments?find=alike_1")
    assert (answer.status_code, set(payments_on(answer.text))) == (200, set(ids.values()))
    found = operator.get("/ops/search?q=alike_1").text
    assert all(f"/ops/payments/{payment}" in found for payment in ids.values())
    both = operator.get("/ops/webhooks?find=alike_1")
    assert set(webhooks_on(both)) == set(webhooks.values())
    assert all(f"/ops/payments/{payment}" in both.text for payment in ids.values())
    for provider, payment in ids.items():
        assert webhooks_on(operator.get(f"/ops/webhooks?find={payment}")) == [webhooks[provider]]


def test_payments_are_found_by_id_and_reference(operator: Operator, sql: Sql) -> None:
    reference = insert_payment(sql)
    (payment,) = sql("SELECT id FROM payments")

    for sought in (payment.id, reference):
        answer = operator.get(f"/ops/payments?find={sought}")
        assert answer.status_code == 302
        assert answer.location.endswith(f"/ops/payments/{payment.id}")
    answer = operator.get("/ops/payments?find=nonsense")
    assert (answer.status_code, payments_on(answer.text)) == (400, [])
    assert "There is no payment with this id or reference" in answer.text


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("status=lost", "There is no such status."),
        ("status=paid&status=lost", None),
        ("flagged=no", "This box is yes"),
        ("customer=nobody", "Nobody is called so"),
        ("amount=many", "Not an amount"),
        ("amount=1.234 USD", "Not an amount"),
        ("amount=240.00 QQ", "Not an amount"),
        ("since=yesterday", "Write 90s"),
        ("until=0001-01-01", "Write 90s"),
        (f"customer={'a' * 300}", "This is nothing that could be found."),
        ("find=a%1bb", "This is nothing that could be found."),
    ],
)
def test_a_filter_of_payments_that_cannot_be_read_lists_nothing(
    operator: Operator, sql: Sql, query: str, words: str | None
) -> None:
    insert_payment(sql, status="paid")
    page = operator.get(f"/ops/payments?{query}")

    if words is None:
        assert (page.status_code, len(payments_on(page.text))) == (200, 1)
        return
    assert page.status_code == 400
    assert words in page.text
    name = query.partition("=")[0]
    assert f'id="{name}-fault"' in page.text
    assert f'aria-describedby="{name}-fault"' in page.text
    assert payments_on(page.text) == []
    assert "Nothing is listed" in page.text
    assert link(page, "next") is None


@pytest.mark.parametrize("page", ["/ops/disputes?status=lost+for+ever", "/ops/endpoints/{endpoint}?state=gone"])
def test_a_word_that_is_none_lists_nothing_on_the_other_pages(operator: Operator, sql: Sql, page: str) -> None:
    (endpoint,) = sql("INSERT INTO webhook_endpoints (url) VALUES ('https://shop.example/hook') RETURNING id")
    answer = operator.get(page.format(endpoint=endpoint.id))

    assert answer.status_code == 400
    assert "There is no such" in answer.text
    assert "Nothing is listed" in answer.text


def test_payments_are_found_by_customer_amount_and_time(operator: Operator, sql: Sql) -> None:
    users = {"ada": uuid4(), "eve": uuid4()}
    sql("INSERT INTO users (id) VALUES (:ada), (:eve)", **users)
    rows = sql(
        """INSERT INTO payments (user_id, provider, provider_ref, amount, currency, created_at)
        SELECT them.id, 'mock', them.name || one.amount || one.currency, one.amount, one.currency, one.at
        FROM (VALUES (CAST(:ada AS uuid), 'ada'), (CAST(:eve AS uuid), 'eve')) AS them (id, name), (VALUES
            (240.00, 'USD', timestamptz '2026-11-20 10:00+00'),
            (240.00, 'EUR', timestamptz '2026-11-20 23:59:59+00'),
            (33.30, 'USD', timestamptz '2026-11-21 00:00+00')) AS one (amount, currency, at)
        RETURNING id, provider_ref""",
        **users,
    )
    ids = {row.provider_ref: row.id for row in rows}

    def found(query: str) -> set[str]:
        page = operator.get(f"/ops/payments?{query}")
        assert page.status_code == 200, (query, page.text)
        shown = payments_on(page.text)
        assert len(shown) == len(set(shown))
        return {name for name, id_ in ids.items() if id_ in shown}

    everybody = {"ada", "eve"}
    assert found("amount=240") == {f"{who}240.00{of}" for who in everybody for of in ("USD", "EUR")}
    assert found("amount=240.00+eur") == found("amount=EUR+240") == {f"{who}240.00EUR" for who in everybody}
    assert found("amount=1") == set()
    eve = f"customer={users['eve']}"
    assert found(eve) == {"eve240.00USD", "eve240.00EUR", "eve33.30USD"}
    assert found(f"{eve}&amount=240.00") == {"eve240.00USD", "eve240.00EUR"}
    assert found(f"{eve}&amount=240.00+USD&status=pending") == {"eve240.00USD"}
    assert found("amount=240.00+USD&status=paid") == set()
    assert found("since=2026-11-20&until=2026-11-21") == {
        f"{who}240.00{of}" for who in everybody for of in ("USD", "EUR")
    }
    assert found("since=2026-11-21&until=2026-11-22&" + eve) == {"eve33.30USD"}


@pytest.mark.parametrize("query", ["", "&status=pending", "&flagged=yes"])
def test_pages_of_payments_go_on_and_back(operator: Operator, sql: Sql, query: str) -> None:
    sql("""WITH them AS (INSERT INTO users DEFAULT VALUES RETURNING id)
        INSERT INTO payments (user_id, provider, provider_ref, amount, currency, review_reason, created_at)
        SELECT id, 'mock', 'mock_pi_' || number, 1, 'USD', 'mismatch', now() - (number / 3) * interval '1 second'
        FROM them, generate_series(1, 105) AS number""")
    path, forth = f"/ops/payments?{query[1:]}", []
    while path:
        page = operator.get(path)
        forth.append(payments_on(page.text))
        path = link(page, "next")
    expected = [row.id for row in sql("SELECT id FROM payments ORDER BY created_at DESC, id DESC")]
    assert [number for found in forth for number in found] == expected
    back = [payments_on(page.text)]
    while path := link(page, "prev"):
        page = operator.get(path)
        back.insert(0, payments_on(page.text))
    assert back == forth


def test_statements_of_each_page_are_few_and_do_not_grow(
    operator: Operator, console_app: Flask, sql: Sql, statements: object
) -> None:
    assert console_app
    reference = insert_payment(sql)
    (payment,) = sql("SELECT id FROM payments")
    filed = file_webhooks(sql, 120, state="'failed'", provider_ref=f"'{reference}'")
    budgets = {
        "/ops": 6,
        "/ops/webhooks": 2,
        "/ops/webhooks?state=failed": 2,
        "/ops/webhooks?state=pending": 2,
        f"/ops/webhooks?find={reference}": 3,
        f"/ops/webhooks/{filed[0]}": 19,
        "/ops/webhooks/process-all?state=failed": 1,
        "/ops/payments": 1,
        f"/ops/payments/{payment.id}": 17,
        "/ops/audit": 2,
    }
    for path, budget in budgets.items():
        with statements() as seen:  # type: ignore[operator]
            assert operator.get(path).status_code == 200
        assert 1 <= len(seen) <= budget, (path, seen)


def test_a_payment_that_strangers_name_by_the_thousand_is_shown_in_parts(
    operator: Operator, sql: Sql, statements: object
) -> None:
    reference = insert_payment(sql)
    (payment,) = sql("SELECT id FROM payments")
    name_in_webhooks(sql, 1200)
    (about_it,) = file_webhooks(sql, 1, state="'failed'", provider_ref=f"'{reference}'")
    with statements() as seen:  # type: ignore[operator]
        page = operator.get(f"/ops/payments/{payment.id}")
    assert len(seen) <= 17
    assert _entries(page.text) == 50
    assert len(page.data) < 64 * 1024
    assert _entries(operator.get(f"/ops/webhooks/{about_it}").text) == 50

    beyond = re.search(rf'href="/ops/payments/{payment.id}\?beyond=([^"#]+)', page.text)
    assert beyond, "not all webhooks were looked through"
    shown, path = 50, f"/ops/payments/{payment.id}"
    while earlier := re.search(r'href="([^"#]+)[^"]*" rel="prev"', page.text):
        page = operator.get(unescape(earlier[1]))
        shown += _entries(page.text)
    assert shown >= 2 * FOUND
    assert "<strong>created</strong>" in page.text
    rest = operator.get(f"{path}?beyond={beyond[1]}")
    assert _entries(rest.text) == 50
    assert "beyond=" in re.search(r'href="([^"]+)" rel="prev"', rest.text)[1]  # type: ignore[index]  # or it fails


def _entries(page: str) -> int:
    return page.count('<li class="webhook">') + page.count('<li class="other">') + page.count('<li class="session">')


def test_the_overview_counts_each_reason_of_a_payment_by_its_whole_name(operator: Operator, sql: Sql) -> None:
    for reasons in ("mismatch", "mismatch, authorization_adjusted", "authorization_adjusted, cancellation_unpaid"):
        reference = insert_payment(sql)
        sql("UPDATE payments SET review_reason = :reasons WHERE provider_ref = :ref", reasons=reasons, ref=reference)

    text = operator.get("/ops").text

    assert '<desc id="flags-says">authorization_adjusted 2, mismatch 2, cancellation_unpaid 1.</desc>' in text
    for reason in ("authorization_adjusted", "mismatch", "cancellation_unpaid"):
        assert f">{reason}</text>" in text
