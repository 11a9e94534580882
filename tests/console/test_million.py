"""A million webhooks: each page goes by index, sorts a bounded number of rows, and prints what it took."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from checkout_service.cache import cache
from checkout_service.console.overview import SAMPLE
from checkout_service.console.webhook_queries import WINDOW
from tests.conftest import Servers, Sql
from tests.console.conftest import Operator

WEBHOOKS = 1_000_000
PAYMENTS = 300_000
LARGE_TABLES = {"webhook_deliveries", "payments", "payment_events"}


@pytest.fixture
def million(sql: Sql) -> None:
    """Ten hours of webhooks, most of them applied, some of every other state, a backlog, and their payments."""
    sql("INSERT INTO users DEFAULT VALUES")
    sql(f"""INSERT INTO payments
            (id, user_id, provider, provider_ref, amount, currency, status, created_at, review_reason)
        SELECT gen_random_uuid(), users.id, 'mock', 'mock_pi_' || md5(number::text), 20, 'USD',
            (ARRAY['paid','paid','paid','paid','failed','pending','processing','expired']
            )[1 + number % 8]::payment_status,
            now() - number * interval '0.12 seconds', CASE WHEN number % 1000 = 0 THEN 'mismatch' END
        FROM users, generate_series(1, {PAYMENTS}) AS number""")
    sql(f"""INSERT INTO webhook_deliveries
            (id, provider, body, received_at, state, attempts, provider_ref, processed_at, next_attempt_at, detail)
        SELECT uuidv7(-age), CASE WHEN number % 50000 = 7 THEN 'stripe' ELSE 'mock' END, convert_to(
                '{{"provider_ref": "mock_pi_' || md5((number * {PAYMENTS}::bigint / {WEBHOOKS})::text)
                || '", "status": "paid", "raw_data": {{"event_id": "evt_' || number
                || '", "note": "' || repeat('x', 200) || '"}}}}', 'UTF8'),
            now() - age, state, 1, 'mock_pi_' || md5((number * {PAYMENTS}::bigint / {WEBHOOKS})::text),
            CASE WHEN state NOT IN ('received', 'parked') THEN now() - age + interval '20 milliseconds' END,
            now() + number * interval '1 millisecond', NULL
        FROM (
            SELECT number, number * interval '0.036 seconds' AS age, CASE
                WHEN number <= 3000 OR number % 2000 = 5 THEN 'received' WHEN number % 12 = 0 THEN 'duplicate'
                WHEN number % 3000 = 1 THEN 'failed' WHEN number % 400 = 2 THEN 'rejected'
                WHEN number % 900 = 3 THEN 'parked' WHEN number % 5000 = 4 THEN 'ignored' ELSE 'applied' END AS state
            FROM generate_series(1, {WEBHOOKS}) AS number
        ) AS numbered""")
    sql("""INSERT INTO payment_events (payment_id, provider, event_id, status, outcome, delivery_id, received_at)
        SELECT payments.id, 'mock', webhook.id::text, 'paid', 'applied', webhook.id, webhook.received_at
        FROM webhook_deliveries AS webhook JOIN payments USING (provider_ref) WHERE webhook.state = 'applied'""")
    sql("ANALYZE")


@contextmanager
def recorded() -> Iterator[list[tuple[str, Any]]]:
    """What is sent to the database within the block, with its values."""
    seen: list[tuple[str, Any]] = []
    send = psycopg.Cursor.execute

    def note(cursor: psycopg.Cursor[Any], query: Any, params: Any = None, **options: Any) -> Any:
        seen.append((str(query), params))
        return send(cursor, query, params, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", note)
        yield seen


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


def plan_of(connection: psycopg.Connection[Any], query: str, params: Any) -> dict[str, Any]:
    """How PostgreSQL answered."""
    # A long statement is sent with numbered parameters.
    cursor = psycopg.RawCursor(connection) if isinstance(params, list) else connection.cursor()
    ((explained,),) = cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", params).fetchall()
    plan: dict[str, Any] = (json.loads(explained) if isinstance(explained, str) else explained)[0]["Plan"]
    return plan


def faults(connection: psycopg.Connection[Any], query: str, params: Any) -> list[str]:
    """What is wrong with the way in which PostgreSQL answered."""
    plan = plan_of(connection, query, params)
    found = []
    for node in nodes(plan):
        rows = node["Actual Rows"] * node["Actual Loops"]
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in LARGE_TABLES:
            found.append(f"reads all of {node['Relation Name']}")
        if "Scan" in node["Node Type"] and rows > 2 * SAMPLE:
            found.append(f"{node['Node Type']} of {rows} rows")
        if node["Node Type"] == "Sort" and rows > SAMPLE:
            found.append(f"sorts {rows} rows")
    return [f"{fault}\n{query}\n{json.dumps(plan, indent=1)[:6000]}" for fault in found]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("million")
def test_each_page_goes_by_index_through_a_million_webhooks(
    operator: Operator, console_app: Any, sql: Sql, servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    def one(query: str) -> Any:
        return sql(query)[0][0]

    oldest = one("SELECT id FROM webhook_deliveries ORDER BY id LIMIT 1")
    middle = one("SELECT id FROM webhook_deliveries ORDER BY id OFFSET 500000 LIMIT 1")
    first_payment = one("SELECT id FROM payments ORDER BY created_at LIMIT 1")
    reference = one("SELECT provider_ref FROM payments ORDER BY created_at DESC OFFSET 150000 LIMIT 1")
    then = one("SELECT to_char(now() - interval '5 hours', 'YYYY-MM-DD HH24:MI')")
    states = ("received", "parked", "applied", "duplicate", "ignored", "rejected", "failed", "pending")
    paths = {
        "overview": "/ops",
        "webhooks": "/ops/webhooks",
        "webhooks, in the middle": f"/ops/webhooks?before={middle}",
        "webhooks, newer than the oldest": f"/ops/webhooks?after={oldest}",
        **{f"webhooks, {state}": f"/ops/webhooks?state={state}" for state in states},
        **{f"webhooks, {state}, in the middle": f"/ops/webhooks?state={state}&before={middle}" for state in states},
        "webhooks of a rare provider": "/ops/webhooks?provider=stripe",
        "webhooks of a rare provider and state": "/ops/webhooks?provider=stripe&state=duplicate",
        "webhooks of an hour": f"/ops/webhooks?since={quote(then)}&until=4h",
        "failed webhooks of an hour": f"/ops/webhooks?since={quote(then)}&until=4h&state=failed",
        "webhooks of a payment": f"/ops/webhooks?find={reference}",
        "one webhook": f"/ops/webhooks/{middle}",
        "the oldest webhook": f"/ops/webhooks/{oldest}",
        "payments": "/ops/payments",
        "payments, pending": "/ops/payments?status=pending",
        "payments, flagged": "/ops/payments?flagged=yes",
        "the oldest payment": f"/ops/payments/{first_payment}",
        "process all, failed": "/ops/webhooks/process-all?state=failed",
        "process all, rejected of an hour": f"/ops/webhooks/process-all?state=rejected&since={quote(then)}&until=4h",
        "audit": "/ops/audit",
        "payments of an amount": "/ops/payments?amount=20",
        "payments of a sum": "/ops/payments?amount=20+USD&status=pending",
        "payments of an amount and a rare status": "/ops/payments?amount=20+USD&status=reversed",
        "payments of an hour": f"/ops/payments?since={quote(then)}&until=4h",
        "payments of a customer": f"/ops/payments?customer={one('SELECT id FROM users LIMIT 1')}&status=failed",
        "search, an amount": "/ops/search?q=20+USD",
        "search, a reference": f"/ops/search?q={reference[:-1]}x",
        "search, an event": "/ops/search?q=nothing",
        "search, an id": "/ops/search?q=019a0000-0000-7000-8000-000000000000",
        "search, a day": f"/ops/search?q={one('SELECT to_char(now(), $$YYYY-MM-DD$$)')}",
    }
    wrong: list[str] = []
    times: dict[str, tuple[float, int]] = {}
    with psycopg.connect(servers.superuser_url.replace("+psycopg", ""), autocommit=True) as connection:
        for name, path in paths.items():
            operator.get(path)
            best = 10.0
            for _ in range(3):
                with console_app.app_context():
                    cache().release("console:figures")
                with recorded() as seen:
                    started = perf_counter()
                    answer = operator.get(path)
                    best = min(best, perf_counter() - started)
                assert answer.status_code == 200, (path, answer.text)
            times[name] = (best * 1000, len(seen))
            assert len(seen) <= 12
            wrong += [f"{name}: {fault}" for query, params in seen for fault in faults(connection, query, params)]
    with capsys.disabled():
        print(f"\n{WEBHOOKS} webhooks, {PAYMENTS} payments, a window of {WINDOW}; best of three, in this process")
        for name, (took, statements) in times.items():
            print(f"{took:8.1f} ms  {statements:2} statements  {name}")
    assert not wrong, "\n\n".join(wrong)
