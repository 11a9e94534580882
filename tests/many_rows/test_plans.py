"""With many rows: every operator's command and page, and every task over the large tables, goes by index.

Plans are looked at, and no times. ``make many-rows`` measures with ten million.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from flask import Flask
from sqlalchemy import make_url

from checkout_service.database.engine import transaction
from checkout_service.refunds.settling import waiting_reports
from tests.apps import open_app
from tests.conftest import Servers, Sql
from tests.console.conftest import Operator, console_settings
from tests.many_rows.filling import fill
from tests.many_rows.plans import explained, faults, wrong
from worker.webhooks import pruning
from worker.webhooks.claims import claim
from worker.webhooks.marks import Kind
from worker.webhooks.pruning import prune
from worker.webhooks.replays import claim_one
from worker.webhooks.sweeping import sweep

WEBHOOKS = 100_000

STATES = ("received", "parked", "applied", "duplicate", "ignored", "rejected", "failed")


@pytest.fixture(scope="module")
def filled(sql: Sql) -> dict[str, Any]:
    """The large tables, filled once; some rows to look for. Tests here leave nothing that the next one would miss."""
    sql("TRUNCATE webhook_deliveries, payments, users, audit, api_keys, prune_marks CASCADE")
    fill(sql, WEBHOOKS, WEBHOOKS // 5)
    (row,) = sql("""
        SELECT (SELECT id FROM webhook_deliveries ORDER BY id LIMIT 1 OFFSET 9) AS webhook,
            (SELECT id FROM payments ORDER BY id LIMIT 1 OFFSET 9) AS payment, (SELECT id FROM users) AS user""")
    return dict(row._mapping)


@pytest.fixture(autouse=True)
def _clean() -> None:
    """In place of the one that empties all tables before each test."""


@pytest.fixture
def worker(worker_app: Flask) -> Iterator[Flask]:
    with worker_app.app_context():
        yield worker_app


def test_no_command_of_an_operator_reads_or_sorts_a_whole_table(app: Flask, filled: dict[str, Any]) -> None:
    commands = [
        ["webhooks", "list"],
        *(["webhooks", "list", "--state", state] for state in STATES),
        ["webhooks", "list", "--provider", "stripe"],
        ["webhooks", "list", "--provider", "nobody", "--state", "failed"],
        ["webhooks", "list", "--since", "2h", "--limit", "1000"],
        ["webhooks", "show", filled["webhook"]],
        *(["webhooks", "process", "--state", state, "--dry-run"] for state in STATES),
        ["webhooks", "process", filled["webhook"], "--dry-run"],
        ["payments", "show", filled["payment"]],
        ["payments", "refunds"],
        ["payments", "disputes"],
        ["payments", "authorizations"],
        ["payments", "check"],
        ["api-keys", "list"],
        ["webhook-endpoints", "list"],
        ["customer", "--user", filled["user"]],
    ]
    for command in commands:
        with explained() as seen:
            result = app.test_cli_runner().invoke(args=[str(word) for word in command])

        assert result.exit_code in {0, 1}, (command, result.output)
        assert not isinstance(result.exception, Exception) or isinstance(result.exception, SystemExit), result.output
        assert seen, command
        assert not wrong(seen), f"{command}: {wrong(seen)}"


def test_no_page_of_the_console_reads_or_sorts_a_whole_table(settings: Any, filled: dict[str, Any]) -> None:
    pages = [
        "",
        "/webhooks",
        *(f"/webhooks?state={state}" for state in (*STATES, "pending")),
        "/webhooks?provider=stripe",
        f"/webhooks/{filled['webhook']}",
        "/webhooks/process-all?state=failed",
        "/payments",
        f"/payments/{filled['payment']}",
        "/orders",
        "/disputes",
        "/endpoints",
        "/audit",
        f"/audit?before={uuid4()}",
    ]
    with open_app(console_settings(settings)) as app:
        operator = Operator(client=app.test_client())
        for page in pages:
            with explained() as seen:
                assert operator.get(f"/ops{page}").status_code == 200, page
            assert seen, page
            assert not wrong(seen), f"{page}: {wrong(seen)}"


@pytest.mark.usefixtures("worker")
def test_no_task_over_webhooks_reads_or_sorts_a_whole_table(filled: dict[str, Any]) -> None:
    with explained() as seen:
        sweep()
        claim(None)
        assert claim_one(filled["webhook"], key=uuid4(), operator="ops") is None
        assert prune().startswith("pruned ")
    assert len(seen) > 12
    assert not wrong(seen)


@pytest.mark.usefixtures("worker")
def test_webhooks_that_wait_for_a_refund_are_found_by_their_payment_under_its_lock(filled: dict[str, Any]) -> None:
    """However many others are pending."""
    with explained() as seen, transaction() as connection:
        waiting_reports("mock", "mock_pi_1", amount=Decimal("1.00"), currency="USD", connection=connection)
    ((query, _, plan),) = [each for each in seen if "webhook_deliveries" in each[0]]
    assert not wrong(seen)
    assert "webhook_deliveries_waits_for_refund" in json.dumps(plan), query


def test_what_is_looked_for_is_found_where_it_is() -> None:
    """Else the tests above prove nothing."""
    rows = {"Node Type": "Index Scan", "Relation Name": "audit", "Plan Rows": 10**6}
    assert faults({"Node Type": "Limit", "Plans": [rows]}) == []
    assert faults(rows) == ["reads 1000000 rows of audit"]
    whole = {"Node Type": "Sort", "Plan Rows": 10**6, "Plans": [{"Node Type": "Seq Scan", "Relation Name": "audit"}]}
    assert faults({"Node Type": "Limit", "Plans": [whole]}) == ["sorts 1000000 rows", "reads all of audit"]


# While somebody holds an old snapshot

OLD = 20_000
STEPS = 6

OLD_ROWS = {
    Kind.WEBHOOKS: f"""INSERT INTO webhook_deliveries (id, provider, body, state, next_attempt_at, received_at)
        SELECT uuidv7(interval '-90 days' + number * interval '1 second'), 'mock', '', 'applied', NULL,
            now() - interval '90 days' FROM generate_series(1, {OLD}) AS number""",
    Kind.REJECTED: f"""INSERT INTO webhook_deliveries (id, provider, body, state, next_attempt_at, received_at)
        SELECT uuidv7(interval '-90 days' + number * interval '1 second'), 'mock', '', 'rejected', NULL,
            now() - interval '90 days' FROM generate_series(1, {OLD}) AS number""",
    Kind.PAYMENT_EVENTS: f"""INSERT INTO payment_events
            (id, payment_id, provider, event_id, status, outcome, received_at)
        SELECT uuidv7(interval '-800 days' + number * interval '1 second'), (SELECT id FROM payments LIMIT 1), 'mock',
            'old_' || number, 'paid', 'applied', now() - interval '800 days'
        FROM generate_series(1, {OLD}) AS number""",
}

STATEMENTS = {
    Kind.WEBHOOKS: "state IN",
    Kind.REJECTED: "ORDER BY state, id",
    Kind.PAYMENT_EVENTS: "DELETE FROM payment_events",
}


@pytest.mark.usefixtures("worker", "filled")
@pytest.mark.parametrize("kind", OLD_ROWS)
def test_a_step_of_pruning_looks_at_no_more_while_what_was_deleted_cannot_be_removed(
    sql: Sql, servers: Servers, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    """Runs of one step each, of which every one begins where the one before ended."""
    prune()
    sql(OLD_ROWS[kind])
    sql("DELETE FROM prune_marks")
    monkeypatch.setattr(pruning, "_paced", lambda: iter([None]))
    url = make_url(servers.superuser_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as holder, psycopg.connect(url) as beside:
        holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT FROM users")
        looked_at = []
        for _ in range(STEPS):
            with explained() as seen:
                prune()
            (statement,) = [each for each in seen if "DELETE" in each[0] and STATEMENTS[kind] in each[0]]
            after = sql("SELECT after_id FROM prune_marks WHERE kind = :kind", kind=kind.value)[0].after_id
            looked_at.append(buffers(beside, statement[0], statement[1] | {"after": after}))
        from_nothing = buffers(beside, statement[0], statement[1] | {"after": UUID(int=0)})

    assert max(looked_at[1:]) < 1.5 * min(looked_at[1:]) + 20, looked_at
    assert from_nothing > 3 * max(looked_at[1:]), "what was deleted is there, and costs whoever begins from nothing"


def buffers(connection: psycopg.Connection[Any], statement: str, values: dict[str, Any]) -> int:
    """The pages that the statement looks at to find what it deletes."""
    chosen = statement[statement.index("ARRAY(") + len("ARRAY(") : statement.rindex("FOR UPDATE")]
    ((plan,),) = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {chosen}".encode(), values).fetchall()
    connection.rollback()
    top = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
    return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])
