"""Who may do what in the database: the two login roles have the rights that are listed here, and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import ProgrammingError

import checkout_service.tables  # noqa: F401 (fills the metadata)
from checkout_service.database.engine import Base
from checkout_service.doctor.rights import (
    CALLABLE,
    HELD,
    TABLES,
    WEB,
    WEB_FUNCTIONS,
    WORKER,
    WORKER_FUNCTIONS,
    Rights,
    differences,
    held_rights,
)
from tests.conftest import Servers, Sql
from tests.migrations.statement_columns import written_columns

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

NEW_FULFILMENT = (
    "INSERT INTO fulfilments (order_id, requested_by, idempotency_key, request_hash{}) "
    "VALUES (uuidv7(), uuidv7(), 'key', ''{})"
)
NEW_CANCELLATION = NEW_FULFILMENT.replace("fulfilments", "order_cancellations")
NEW_REFUND_LINE = "INSERT INTO refund_lines (refund_id, order_line_id, qty{}) VALUES (uuidv7(), uuidv7(), 1{})"

OF_ORDERS = (
    "orders",
    "order_lines",
    "order_reasons",
    "order_numbers",
    "fulfilments",
    "order_cancellations",
    "refund_lines",
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
    *[
        NEW_FULFILMENT.format(f", {column}", f", {value}")
        for column, value in {
            "id": "uuidv7()",
            "order_status": "'fulfilled'",
            "capture_request_id": "uuidv7()",
            "created_at": "now()",
        }.items()
    ],
    *[
        NEW_CANCELLATION.format(f", {column}", f", {value}")
        for column, value in {
            "id": "uuidv7()",
            "payment_id": "uuidv7()",
            "refund_ids": "'{}'",
            "void_id": "uuidv7()",
            "created_at": "now()",
        }.items()
    ],
    *[
        NEW_REFUND_LINE.format(f", {column}", f", {value}")
        for column, value in {"id": "uuidv7()", "created_at": "now()"}.items()
    ],
    "SELECT orders_cancel_short(1, uuidv7())",
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
    *[
        f"INSERT INTO webhook_deliveries (provider, body, {column}) VALUES ('mock', '', {value})"
        for column, value in {
            "id": "uuidv7()",
            "state": "'applied'",
            "received_at": "now() - interval '1 year'",
            "next_attempt_at": "now()",
            "attempts": "1",
            "provider_ref": "'a'",
            "replay_of": "uuidv7()",
            "mismatch": "true",
            "created_at": "now()",
        }.items()
    ],
    *[f"INSERT INTO users ({column}) VALUES (now())" for column in ("created_at", "updated_at")],
    "UPDATE cart_items SET cart_id = uuidv7()",
    "UPDATE cart_items SET listing_id = uuidv7()",
    *[
        f"INSERT INTO checkout_sessions ({column}) VALUES ({value})"
        for column, value in {"id": "uuidv7()", "created_at": "now()", "updated_at": "now()"}.items()
    ],
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
    *[
        f"INSERT INTO webhook_endpoints (url, {column}) VALUES ('https://a.example', {value})"
        for column, value in {
            "id": "uuidv7()",
            "place": "0",
            "state": "'enabled'",
            "version": "1",
            "lease_token": "uuidv7()",
            "created_at": "now()",
        }.items()
    ],
    *[
        f"UPDATE webhook_endpoints SET {column} = {column}"
        for column in (
            *("id", "place", "version", "state_since", "signing", "lease_token", "leased_until", "next_due_at"),
            *("failures", "failing_since", "pace", "probes", "last_success_at", "lagging_since", "created_at"),
        )
    ],
    "DELETE FROM webhook_endpoints",
    "SELECT ciphertext FROM endpoint_secrets",
    "SELECT id FROM endpoint_secrets",
    "INSERT INTO endpoint_secrets (endpoint_id, ciphertext) VALUES (uuidv7(), 'a') RETURNING ciphertext",
    "INSERT INTO endpoint_secrets (endpoint_id, ciphertext, ends_at) VALUES (uuidv7(), 'a', now())",
    "UPDATE endpoint_secrets SET ends_at = now()",
    "DELETE FROM endpoint_secrets",
    *[
        f"{action} {table}{rest}"
        for table in ("pending_deliveries", "event_attempts")
        for action, rest in (("INSERT INTO", " DEFAULT VALUES"), ("UPDATE", " SET type = ''"), ("DELETE FROM", ""))
    ],
    *[
        f"INSERT INTO event_replays (endpoint_id, since, requested_by, {column}) VALUES (uuidv7(), now(), 'a', {value})"
        for column, value in {
            "from_seq": "0",
            "place": "0",
            "until_seq": "0",
            "state": "'done'",
            "events": "1",
        }.items()
    ],
    "UPDATE event_replays SET state = 'done'",
    "DELETE FROM event_replays",
]

REFUSED_TO_WORKER = [
    "INSERT INTO webhook_endpoints (url) VALUES ('https://a.example')",
    *[f"UPDATE webhook_endpoints SET {column} = {column}" for column in ("url", "types", "deleted_at", "version")],
    "DELETE FROM webhook_endpoints",
    "INSERT INTO endpoint_secrets (endpoint_id, ciphertext) VALUES (uuidv7(), 'a')",
    "UPDATE endpoint_secrets SET ends_at = now()",
    "SELECT endpoint_rotate_secret(uuidv7(), 'v1', 'a', interval '0')",
    "SELECT endpoint_send_test(uuidv7())",
    "INSERT INTO event_replays (endpoint_id, since, requested_by) VALUES (uuidv7(), now(), 'a')",
    "UPDATE event_replays SET since = now()",
    NEW_FULFILMENT.format("", ""),
    NEW_CANCELLATION.format("", ""),
    NEW_REFUND_LINE.format("", ""),
    *[f"UPDATE payments SET {column} = {value}" for column, value in COMPUTED.items()],
    *[
        f"UPDATE payments SET {column} = {column}"
        for column in ("amount", "currency", "provider", "provider_ref", "user_id", "updated_at")
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
    "INSERT INTO cancel_requests (payment_id, requested_by, detail) VALUES (uuidv7(), uuidv7(), '')",
    "UPDATE cancel_requests SET payment_id = uuidv7()",
    "DELETE FROM cancel_requests",
    f"INSERT INTO payments {NEW_PAYMENT.format('', '')}",
    "DELETE FROM payments",
    "INSERT INTO webhook_deliveries (provider, body) VALUES ('mock', '')",
    *[
        f"UPDATE webhook_deliveries SET {column} = {column}"
        for column in ("id", "provider", "headers", "body", "received_at", "created_at")
    ],
    "INSERT INTO payment_events (id) VALUES (uuidv7())",
    "INSERT INTO refund_events (created_at) VALUES (now())",
    "UPDATE command_runs SET id = uuidv7()",
    "UPDATE command_results SET command_id = uuidv7()",
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
    *[f"UPDATE {table} SET updated_at = now()" for table in OF_ORDERS],
    *[f"SELECT id FROM {table} FOR UPDATE" for table in OF_ORDERS],
    *[f"DELETE FROM {table}" for table in OF_ORDERS],
    "INSERT INTO orders (session_id, payment_id) VALUES (uuidv7(), uuidv7())",
    "INSERT INTO order_lines (order_id) VALUES (uuidv7())",
    *[
        f"ALTER TABLE {table} DISABLE TRIGGER {table}_admit"
        for table in ("fulfilments", "order_cancellations", "refund_lines")
    ],
    *[f"TRUNCATE {table}" for table in sorted(TABLES)],
    "ALTER TABLE payments DISABLE TRIGGER payments_guard",
    *[
        f"ALTER TABLE {table} DISABLE TRIGGER {table}_guard"
        for table in ("refunds", "payment_attempts", "captures", "disputes", "capture_requests", "voids")
    ],
    *[
        OWN_TRIGGER.format(function)
        for function in (
            *("refunds_fill_from_payment", "refunds_check_cover", "refunds_fold_payment", "capture_requests_admit"),
            *("capture_requests_check_cover", "voids_admit", "fulfilments_admit", "order_cancellations_admit"),
            *("refund_lines_admit", "refund_lines_add_up", "webhook_endpoints_change", "endpoint_secrets_admit"),
            *("event_replays_admit", "event_replays_stop"),
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
    ("role", "rights", "functions"),
    [("web", WEB, WEB_FUNCTIONS), ("worker", WORKER, WORKER_FUNCTIONS)],
    ids=["web", "worker"],
)
def test_roles_hold_exactly_what_the_design_grants(
    engines: dict[str, Engine], role: str, rights: Rights, functions: frozenset[str]
) -> None:
    with engines[role].connect() as connection:
        held = held_rights(connection.execute(text(HELD)))
        may_call = {name for (name,) in connection.execute(text(CALLABLE))}

    assert differences(rights, held) == ([], [])
    assert may_call == functions


@pytest.mark.parametrize(("package", "rights"), [("checkout_service", WEB), ("worker", WORKER)], ids=["web", "worker"])
def test_roles_may_write_the_columns_that_statements_name_and_no_other(package: str, rights: Rights) -> None:
    """A right that no statement needs serves only who has taken the process over."""
    granted = {
        key: columns
        for key, columns in rights.items()
        if key[1] in {"INSERT", "UPDATE"} and key != ("webhook_rejections", "UPDATE")  # locked, and never written
    }

    assert granted == written_columns(package)


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
        ("web", "INSERT INTO users (id) VALUES (uuidv7())"),
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
        ("worker", "UPDATE payments SET look_up_log = '[]', look_ups = 1, next_look_up_at = NULL"),
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
        *[("web", f"SELECT * FROM {table}") for table in sorted(TABLES) if (table, "SELECT") in WEB],
        *[("worker", f"SELECT * FROM {table}") for table in sorted(TABLES) if (table, "SELECT") in WORKER],
    ],
)
def test_roles_may_do_their_work(attempt: Attempt, role: str, statement: str) -> None:
    attempt(role, statement)


LOCK_MODES = ("ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE", "EXCLUSIVE", "ACCESS EXCLUSIVE")

LOCKABLE = {
    "web": {"cart_items"},
    "worker": {key[0] for key in WORKER if key[1] == "DELETE"} | {"webhook_rejections"},
}
"""Tables that a role may delete from, and so may lock altogether: PostgreSQL binds the two together. The last one is
there for nothing else."""


@pytest.mark.parametrize("role", ["web", "worker"])
def test_no_role_may_lock_a_table_but_those_that_it_may_delete_from(engines: dict[str, Engine], role: str) -> None:
    lockable = {
        table
        for table in TABLES
        if any(_allowed(engines[role], f"LOCK TABLE {table} IN {mode} MODE NOWAIT") for mode in LOCK_MODES)
    }

    assert lockable == LOCKABLE[role]


ROWS_LOCKED = {
    "web": {"api_keys", "carts", "cart_items", "guests", "webhook_endpoints", "event_replays"},
    "worker": {key[0] for key in WORKER if key[1] == "UPDATE"},
}
"""Tables of which a role may hold rows, since it may update a column of them."""


@pytest.mark.parametrize("role", ["web", "worker"])
def test_roles_may_hold_rows_of_the_tables_that_they_update_and_no_other(engines: dict[str, Engine], role: str) -> None:
    held = {table for table in TABLES if _allowed(engines[role], f"SELECT FROM {table} FOR KEY SHARE")}

    assert held == ROWS_LOCKED[role]


def _allowed(engine: Engine, statement: str) -> bool:
    with engine.connect() as connection:
        try:
            connection.execute(text(statement))
        except ProgrammingError as error:
            if "permission denied" not in str(error):
                raise
            return False
    return True


def test_the_list_of_rights_knows_every_table() -> None:
    assert {*Base.metadata.tables, "alembic_version"} == TABLES


@pytest.mark.parametrize("role", ["checkout_owner", "checkout_web", "checkout_worker"])
def test_roles_are_nobody_special_in_the_cluster(sql: Sql, role: str) -> None:
    (found,) = sql("SELECT * FROM pg_roles WHERE rolname = :role", role=role)

    powers = (found.rolsuper, found.rolcreaterole, found.rolcreatedb, found.rolreplication, found.rolbypassrls)
    assert powers == (False,) * 5
    assert found.rolcanlogin == (role != "checkout_owner")
    assert sql("SELECT FROM pg_auth_members WHERE member = :oid", oid=found.oid) == []
