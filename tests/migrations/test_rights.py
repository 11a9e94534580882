"""Who may do what in the database: the two login roles have the rights that are listed here, and no others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import ProgrammingError

import checkout_service.tables  # noqa: F401 (fills the metadata)
from checkout_service.database.engine import Base
from tests.conftest import Servers, Sql

READ = frozenset({"SELECT"})
ALL_TABLES = {*Base.metadata.tables, "alembic_version"}

WEB = dict.fromkeys(ALL_TABLES, READ) | {
    "users": READ | {"INSERT"},
    "cart_items": READ | {"INSERT", "UPDATE", "DELETE"},
    "checkout_sessions": READ | {"INSERT"},
    "webhook_deliveries": READ | {"INSERT"},
    "webhook_rejections": frozenset(),
    "believed_certificates": frozenset(),
}
WEB_COLUMNS = {
    ("payments", "INSERT"): {"id", "user_id", "provider", "provider_ref", "amount", "currency"},
    ("session_addresses", "INSERT"): {"payment_id", "address", "ends_at"},
    ("carts", "INSERT"): {"user_id"},
    ("carts", "UPDATE"): {"updated_at"},
    ("refunds", "INSERT"): {
        *{"payment_id", "amount", "reason", "requested_by", "idempotency_key", "request_hash"},
        *{"capture_ref", "attempt_ref", "part"},
    },
    ("capture_requests", "INSERT"): {
        *{"payment_id", "attempt_ref", "amount", "final", "requested_by", "idempotency_key", "request_hash"}
    },
    ("voids", "INSERT"): {"payment_id", "requested_by", "idempotency_key", "request_hash"},
    ("cancel_requests", "INSERT"): {"payment_id", "requested_by"},
    ("audit", "INSERT"): {"key", "door", "operator", "action", "subject", "why", "details"},
    ("command_runs", "INSERT"): {"id"},
}

WORKER = dict.fromkeys(ALL_TABLES, READ) | {
    "webhook_deliveries": READ | {"UPDATE", "DELETE"},
    "webhook_rejections": READ | {"UPDATE"},
    "payment_events": READ | {"INSERT", "DELETE"},
    "refund_events": READ | {"INSERT", "DELETE"},
    "command_runs": READ | {"INSERT", "UPDATE"},
    "command_results": READ | {"INSERT", "UPDATE"},
    "session_addresses": READ | {"DELETE"},
    "believed_certificates": READ | {"DELETE"},
}
ATTEMPT = {
    *{"status", "reported_at", "currency", "amount_presumed", "amount_authorized", "rest_released", "expires_at"},
    *{"times_out_at", "given_up_at", "replaces", "decline"},
}
DISPUTE = {
    *{"capture_ref", "attempt_ref", "stage", "status", "reported_at", "rank", "event_id", "reason", "evidence_due_at"},
    *{"blocks_refund", "money_step", "money_out", "money_only", "amount", "currency"},
}
REQUEST = {"status", "decline", "attempts", "sent_at", "next_attempt_at", "detail", "version", "updated_at"}

WORKER_COLUMNS = {
    ("payments", "UPDATE"): {"next_look_up_at", "look_ups", "look_up_log", "updated_at"},
    ("payment_attempts", "INSERT"): ATTEMPT | {"payment_id", "provider", "attempt_ref"},
    ("payment_attempts", "UPDATE"): ATTEMPT | {"version", "updated_at"},
    ("captures", "INSERT"): {*{"payment_id", "provider", "capture_ref", "attempt_ref", "status", "amount", "currency"}},
    ("captures", "UPDATE"): {"attempt_ref", "status", "amount", "currency", "version", "updated_at"},
    ("disputes", "INSERT"): DISPUTE | {"payment_id", "provider", "dispute_ref"},
    ("disputes", "UPDATE"): DISPUTE | {"version", "updated_at"},
    ("payment_notices", "INSERT"): {"payment_id", "reason", "ref", "detail"},
    ("payment_reviews", "INSERT"): {"payment_id", "reason", "amounts", "command_id"},
    ("payment_acceptances", "INSERT"): {"payment_id", "amount", "operator", "why", "command_id"},
    ("capture_requests", "UPDATE"): REQUEST | {"provider_ref", "in_doubt"},
    ("voids", "UPDATE"): REQUEST,
    ("audit", "INSERT"): {"key", "door", "operator", "action", "subject", "why"},
    ("payment_events", "UPDATE"): {"outcome"},
    ("believed_certificates", "INSERT"): {"address", "fingerprint", "chain", "ends_at"},
    ("believed_certificates", "UPDATE"): {"fingerprint", "chain", "ends_at", "updated_at"},
    ("refund_events", "UPDATE"): {"outcome"},
    ("refunds", "INSERT"): {
        *{"payment_id", "provider_ref", "amount", "status", "decline", "next_attempt_at", "capture_ref", "attempt_ref"}
    },
    ("refunds", "UPDATE"): {
        "provider_ref",
        "status",
        "decline",
        "attempts",
        "sent_at",
        "next_attempt_at",
        "detail",
        "in_doubt",
        "updated_at",
        "capture_ref",
        "attempt_ref",
        "version",
    },
    ("cancel_requests", "UPDATE"): {"attempts", "next_attempt_at", "detail", "updated_at"},
}

NEW_COMMAND = (
    "INSERT INTO audit (key, door, operator, action, subject, why{}) "
    "VALUES (uuidv7(), 'cli', 'ops', 'look_up', 'an id', ''{})"
)

NEW_PAYMENT = "(user_id, provider, provider_ref, amount, currency{}) VALUES (uuidv7(), 'mock', 'mock_pi_1', 1, 'USD'{})"

NEW_REFUND = (
    "(payment_id, amount, requested_by, idempotency_key, request_hash{}) VALUES (uuidv7(), 1, uuidv7(), 'key', ''{})"
)

# A trigger function that runs as the owner, hung on a table of one's own and fed with rows of one's own making.
OWN_TRIGGER = """
    DO $$ BEGIN
        CREATE TEMPORARY TABLE mine (id uuid, payment_id uuid, status text, amount numeric, currency text);
        CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION {}();
    END $$
"""

# Values of any entry; whether a row would be a good one is not asked before the right is.
ENTRIES = {
    "payment_attempts": "(payment_id, provider, status, reported_at) VALUES (uuidv7(), 'mock', 'started', now())",
    "captures": (
        "(payment_id, provider, capture_ref, status, amount, currency) "
        "VALUES (uuidv7(), 'mock', 'c', 'succeeded', 1, 'USD')"
    ),
    "disputes": "(payment_id, provider, stage, status) VALUES (uuidv7(), 'mock', 'inquiry', 'won')",
    "payment_notices": "(payment_id, reason, ref) VALUES (uuidv7(), 'recaptured', '')",
    "payment_reviews": "(payment_id, reason, amounts) VALUES (uuidv7(), 'mismatch', '1/2')",
    "payment_acceptances": (
        "(payment_id, amount, operator, why, command_id) VALUES (uuidv7(), 1, 'ops', '', uuidv7())"
    ),
}

NEW_CAPTURE = (
    "INSERT INTO capture_requests (payment_id, attempt_ref, amount, requested_by, idempotency_key, request_hash{}) "
    "VALUES (uuidv7(), 'a', 1, uuidv7(), 'key', ''{})"
)
NEW_VOID = (
    "INSERT INTO voids (payment_id, requested_by, idempotency_key, request_hash{}) "
    "VALUES (uuidv7(), uuidv7(), 'key', ''{})"
)

COMPUTED = {
    "status": "'paid'",
    "review_reason": "NULL",
    "raw_payload": "NULL",
    "capture_ref": "'ch_1'",
    "amount_captured": "1",
    "amount_lost": "0",
    "amount_blocked": "0",
    "amount_authorized": "0",
    "amount_accepted": "1",
    "amount_refunded": "0",
    "amount_refunding": "0",
    "under_way": "false",
    "closed": "'canceled'",
    "looked_up_at": "now()",
    "version": "0",
}
"""Columns of payments that payments_fold alone writes."""

REFUSED_TO_WEB = [
    *[f"INSERT INTO {entry} {values}" for entry, values in ENTRIES.items()],
    *[f"UPDATE {entry} SET updated_at = now()" for entry in (*ENTRIES, "capture_requests", "voids")],
    *[f"SELECT id FROM {entry} FOR UPDATE" for entry in (*ENTRIES, "capture_requests", "voids")],
    *[f"DELETE FROM {entry}" for entry in (*ENTRIES, "capture_requests", "voids")],
    *[
        NEW_CAPTURE.format(f", {column}", f", {value}")
        for column, value in {
            "id": "uuidv7()",
            "provider": "'mock'",
            "currency": "'USD'",
            "status": "'succeeded'",
            "provider_ref": "'c'",
            "releases": "0",
            "sent_at": "now()",
            "attempts": "1",
            "created_at": "now()",
        }.items()
    ],
    *[
        NEW_VOID.format(f", {column}", f", {value}")
        for column, value in {
            "provider": "'mock'",
            "status": "'succeeded'",
            "releases": "0",
            "sent_at": "now()",
        }.items()
    ],
    *[f"UPDATE payments SET {column} = {value}" for column, value in COMPUTED.items()],
    "SELECT payments_fold(ARRAY[uuidv7()])",
    "SELECT carts_lock_for_payments(ARRAY['a'])",
    "UPDATE carts SET generation = 1",
    "INSERT INTO carts (user_id, generation) VALUES (uuidv7(), 1)",
    "UPDATE checkout_sessions SET generation = 1",
    *[
        f"INSERT INTO refunds {NEW_REFUND.format(f', {column}', f', {value}')}"
        for column, value in {
            "id": "uuidv7()",
            "provider": "'mock'",
            "provider_ref": "'mock_re_1'",
            "currency": "'USD'",
            "status": "'succeeded'",
            "decline": "'other'",
            "attempts": "1",
            "sent_at": "now()",
            "next_attempt_at": "now()",
            "detail": "'none'",
            "created_at": "now()",
            "updated_at": "now()",
        }.items()
    ],
    "UPDATE refunds SET status = 'failed'",
    "UPDATE refunds SET updated_at = now()",
    "DELETE FROM refunds",
    "SELECT id FROM refunds FOR UPDATE",
    (
        "INSERT INTO refund_events (provider, event_id, refund_id, status, outcome) "
        "VALUES ('mock', 'e', uuidv7(), 'succeeded', 'applied')"
    ),
    "DELETE FROM refund_events",
    "INSERT INTO cancel_requests (payment_id, requested_by, next_attempt_at) VALUES (uuidv7(), uuidv7(), NULL)",
    "UPDATE cancel_requests SET next_attempt_at = NULL",
    "DELETE FROM cancel_requests",
    *[
        f"INSERT INTO payments {NEW_PAYMENT.format(f', {column}', f', {value}')}"
        for column, value in {
            "status": "'paid'",
            "raw_payload": "'{}'",
            "review_reason": "'none'",
            "next_look_up_at": "now()",
            "look_ups": "1",
            "created_at": "now()",
            "updated_at": "now()",
        }.items()
    ],
    "UPDATE payments SET updated_at = now()",
    "DELETE FROM payments",
    "SELECT id FROM payments FOR UPDATE",
    (
        "INSERT INTO payment_events (provider, event_id, payment_id, status, outcome) "
        "VALUES ('mock', 'e', uuidv7(), 'paid', 'applied')"
    ),
    "UPDATE payment_events SET outcome = 'applied'",
    "DELETE FROM payment_events",
    "UPDATE webhook_deliveries SET state = 'applied'",
    "DELETE FROM webhook_deliveries",
    "UPDATE checkout_sessions SET amount = 1",
    "DELETE FROM checkout_sessions",
    "INSERT INTO vendors (name) VALUES ('a')",
    "UPDATE listings SET unit_price = 1",
    "DELETE FROM listings",
    "UPDATE users SET updated_at = now()",
    "DELETE FROM users",
    "DELETE FROM carts",
    "UPDATE alembic_version SET version_num = '0001'",
    NEW_COMMAND.format(", created_at", ", now() - interval '1 year'"),
    NEW_COMMAND.format(", id", ", uuidv7()"),
    "UPDATE audit SET why = 'for another reason'",
    "DELETE FROM audit",
    "INSERT INTO command_runs (id, state) SELECT id, 'done' FROM audit",
    "INSERT INTO command_runs (replayed) VALUES (1)",
    "UPDATE command_runs SET state = 'done'",
    "DELETE FROM command_runs",
    "INSERT INTO command_results (command_id, state, count) VALUES (uuidv7(), 'applied', 1)",
    "UPDATE command_results SET count = 1",
    "DELETE FROM command_results",
    "LOCK TABLE webhook_rejections IN ACCESS SHARE MODE",
    "SELECT FROM webhook_rejections",
]

REFUSED_TO_WORKER = [
    *[f"UPDATE payments SET {column} = {value}" for column, value in COMPUTED.items()],
    *[
        f"UPDATE payments SET {column} = {column}"
        for column in ("amount", "currency", "provider", "provider_ref", "user_id")
    ],
    *[f"UPDATE {entry} SET payment_id = uuidv7()" for entry in (*ENTRIES, "capture_requests", "voids")],
    *[f"UPDATE {entry} SET created_at = now()" for entry in (*ENTRIES, "capture_requests", "voids")],
    *[f"DELETE FROM {entry}" for entry in (*ENTRIES, "capture_requests", "voids")],
    *[
        f"UPDATE {entry} SET updated_at = now()"
        for entry in ("payment_notices", "payment_reviews", "payment_acceptances")
    ],
    "UPDATE payment_attempts SET attempt_ref = 'another'",
    "UPDATE captures SET capture_ref = 'another'",
    "UPDATE captures SET payment_id = uuidv7()",
    "UPDATE disputes SET dispute_ref = 'another'",
    (
        "INSERT INTO payment_acceptances (id, payment_id, amount, operator, why, command_id) "
        "VALUES (uuidv7(), uuidv7(), 1, 'ops', '', uuidv7())"
    ),
    NEW_CAPTURE.format("", ""),
    "UPDATE capture_requests SET amount = 1",
    "UPDATE capture_requests SET attempt_ref = 'another'",
    "UPDATE capture_requests SET final = false",
    NEW_VOID.format("", ""),
    "UPDATE refunds SET part = 1",
    "UPDATE carts SET generation = 1",
    "SELECT id FROM carts FOR UPDATE",
    "UPDATE checkout_sessions SET generation = 1",
    f"INSERT INTO refunds {NEW_REFUND.format('', '')}",
    "INSERT INTO refunds (payment_id, provider_ref, amount, currency) VALUES (uuidv7(), 're_1', 1, 'EUR')",
    "UPDATE refunds SET amount = 1",
    "UPDATE refunds SET payment_id = uuidv7()",
    "UPDATE refunds SET idempotency_key = NULL, requested_by = NULL",
    "DELETE FROM refunds",
    "UPDATE refund_events SET status = 'failed'",
    "INSERT INTO cancel_requests (payment_id, requested_by) VALUES (uuidv7(), uuidv7())",
    "UPDATE cancel_requests SET payment_id = uuidv7()",
    "DELETE FROM cancel_requests",
    f"INSERT INTO payments {NEW_PAYMENT.format('', '')}",
    "DELETE FROM payments",
    "INSERT INTO webhook_deliveries (provider, body) VALUES ('mock', '')",
    "UPDATE payment_events SET status = 'paid'",
    "UPDATE payment_events SET payment_id = uuidv7()",
    "UPDATE payment_events SET outcome = 'applied', amount = 1",
    "INSERT INTO users DEFAULT VALUES",
    "INSERT INTO carts (user_id) VALUES (uuidv7())",
    "UPDATE cart_items SET qty = 1",
    "DELETE FROM cart_items",
    "DELETE FROM carts",
    "DELETE FROM users",
    "INSERT INTO checkout_sessions DEFAULT VALUES",
    "UPDATE checkout_sessions SET amount = 1",
    "DELETE FROM checkout_sessions",
    "UPDATE listings SET unit_price = 1",
    "DELETE FROM listings",
    "UPDATE alembic_version SET version_num = '0001'",
    NEW_COMMAND.format(", details", ", '{}'"),
    NEW_COMMAND.format(", created_at", ", now() - interval '1 year'"),
    NEW_COMMAND.format(", id", ", uuidv7()"),
    "UPDATE audit SET why = 'for another reason'",
    "DELETE FROM audit",
    "DELETE FROM command_runs",
    "DELETE FROM command_results",
    "INSERT INTO webhook_rejections DEFAULT VALUES",
]

REFUSED_TO_BOTH = [
    *[f"TRUNCATE {table}" for table in sorted(ALL_TABLES)],
    "ALTER TABLE payments DISABLE TRIGGER payments_guard",
    *[
        f"ALTER TABLE {table} DISABLE TRIGGER {table}_guard"
        for table in ("refunds", "payment_attempts", "captures", "disputes", "capture_requests", "voids")
    ],
    *[
        OWN_TRIGGER.format(function)
        for function in (
            *("refunds_fill_from_payment", "refunds_check_cover", "refunds_fold_payment", "capture_requests_admit"),
            *("capture_requests_check_cover", "voids_admit"),
        )
    ],
    "DROP TRIGGER payments_guard ON payments",
    "DROP TABLE payment_events",
    "CREATE TABLE mine (a int)",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "SET session_replication_role = 'replica'",
    "SET ROLE checkout_owner",
    "SELECT * FROM pg_authid",
    "COPY payments TO PROGRAM 'true'",
]


@pytest.fixture(scope="module")
def engines(servers: Servers) -> Iterator[dict[str, Engine]]:
    engines = {"web": create_engine(servers.web_url), "worker": create_engine(servers.worker_url)}
    yield engines
    for engine in engines.values():
        engine.dispose()


Attempt = Callable[[str, str], None]


@pytest.fixture
def attempt(engines: dict[str, Engine]) -> Attempt:
    """Run a statement as "web" or "worker", and take it back."""

    def run(role: str, statement: str) -> None:
        with engines[role].connect() as connection:
            connection.execute(text(statement))
            connection.rollback()

    return run


@pytest.mark.parametrize(
    ("role", "tables", "columns"),
    [("checkout_web", WEB, WEB_COLUMNS), ("checkout_worker", WORKER, WORKER_COLUMNS)],
    ids=["web", "worker"],
)
def test_roles_hold_exactly_what_the_design_grants(
    sql: Sql, role: str, tables: dict[str, frozenset[str]], columns: dict[tuple[str, str], set[str]]
) -> None:
    held: dict[str, set[str]] = {table: set() for table in ALL_TABLES}
    query = "SELECT * FROM information_schema.role_table_grants WHERE table_schema = 'public'"
    for row in sql(f"{query} AND grantee IN (:role, 'PUBLIC')", role=role):
        held[row.table_name].add(row.privilege_type)
    assert held == tables

    by_column: dict[tuple[str, str], set[str]] = defaultdict(set)
    query = "SELECT * FROM information_schema.column_privileges WHERE table_schema = 'public'"
    for row in sql(f"{query} AND grantee IN (:role, 'PUBLIC')", role=role):
        if row.privilege_type not in held[row.table_name]:
            by_column[row.table_name, row.privilege_type].add(row.column_name)
    assert by_column == columns


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        *[("web", statement) for statement in REFUSED_TO_WEB + REFUSED_TO_BOTH],
        *[("worker", statement) for statement in REFUSED_TO_WORKER + REFUSED_TO_BOTH],
    ],
)
def test_roles_are_refused_by_the_database_itself(attempt: Attempt, role: str, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        attempt(role, statement)


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("web", "INSERT INTO users DEFAULT VALUES"),
        ("web", "DELETE FROM cart_items"),
        ("web", "INSERT INTO webhook_deliveries (provider, body) VALUES ('mock', '')"),
        (
            "web",
            (
                "WITH me AS (INSERT INTO users DEFAULT VALUES RETURNING id) INSERT INTO payments (user_id, provider, "
                "provider_ref, amount, currency) SELECT id, 'mock', 'mock_pi_1', 1, 'USD' FROM me"
            ),
        ),
        (
            "web",
            (
                "WITH me AS (INSERT INTO users DEFAULT VALUES RETURNING id), payment AS (INSERT INTO payments "
                "(user_id, provider, provider_ref, amount, currency) SELECT id, 'mock', 'mock_pi_1', 1, 'USD' FROM me "
                "RETURNING id) INSERT INTO cancel_requests (payment_id, requested_by) SELECT id, id FROM payment"
            ),
        ),
        (
            "worker",
            (
                "UPDATE refunds SET status = 'processing', provider_ref = 'mock_re_1', attempts = attempts + 1, "
                "next_attempt_at = now(), sent_at = now(), decline = NULL, detail = NULL, updated_at = now()"
            ),
        ),
        ("worker", "UPDATE refund_events SET outcome = 'applied'"),
        ("worker", "DELETE FROM refund_events"),
        ("worker", "UPDATE cancel_requests SET next_attempt_at = NULL, detail = 'done', attempts = 1"),
        ("worker", "SELECT id FROM refunds FOR NO KEY UPDATE"),
        ("worker", "UPDATE payments SET look_up_log = '[]', look_ups = 1, next_look_up_at = NULL, updated_at = now()"),
        ("worker", "SELECT payments_fold(ARRAY[uuidv7()], ARRAY['expired']::payment_status[], ARRAY[now()])"),
        ("worker", "SELECT carts_lock_for_payments(ARRAY['a'])"),
        *[
            ("worker", f"UPDATE {entry} SET status = status, version = version + 1, updated_at = now()")
            for entry in ("payment_attempts", "captures", "disputes", "capture_requests", "voids", "refunds")
        ],
        ("web", "UPDATE carts SET updated_at = now()"),
        ("web", "SELECT id FROM carts FOR SHARE"),
        ("web", NEW_COMMAND.format(", details", ", '{}'")),
        (
            "web",
            f"WITH new AS ({NEW_COMMAND.format('', '')} RETURNING id) INSERT INTO command_runs (id) SELECT * FROM new",
        ),
        ("worker", NEW_COMMAND.format("", "")),
        ("worker", "UPDATE command_results SET count = 1"),
        ("worker", "UPDATE command_runs SET state = 'done'"),
        ("worker", "UPDATE webhook_deliveries SET state = 'applied', next_attempt_at = NULL"),
        ("worker", "UPDATE payment_events SET outcome = 'applied'"),
        ("worker", "DELETE FROM webhook_deliveries"),
        ("worker", "DELETE FROM payment_events"),
        ("worker", "SELECT id FROM payments FOR NO KEY UPDATE"),
        ("worker", "SELECT id FROM webhook_deliveries FOR NO KEY UPDATE SKIP LOCKED"),
        *[("web", f"SELECT * FROM {table}") for table in sorted(ALL_TABLES) if WEB[table]],
        *[("worker", f"SELECT * FROM {table}") for table in sorted(ALL_TABLES) if WORKER[table]],
    ],
)
def test_roles_may_do_their_work(attempt: Attempt, role: str, statement: str) -> None:
    attempt(role, statement)


@pytest.mark.parametrize("role", ["checkout_owner", "checkout_web", "checkout_worker"])
def test_roles_are_nobody_special_in_the_cluster(sql: Sql, role: str) -> None:
    (found,) = sql("SELECT * FROM pg_roles WHERE rolname = :role", role=role)

    powers = (found.rolsuper, found.rolcreaterole, found.rolcreatedb, found.rolreplication, found.rolbypassrls)
    assert powers == (False,) * 5
    assert found.rolcanlogin == (role != "checkout_owner")
    assert sql("SELECT FROM pg_auth_members WHERE member = :oid", oid=found.oid) == []
