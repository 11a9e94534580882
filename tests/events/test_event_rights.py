"""Neither login role writes an event, or its number, by any statement: what happened decides what the log says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import ProgrammingError

from checkout_service.doctor.rights import WORKER_FUNCTIONS
from tests.conftest import MakeListing, Servers, Sql
from tests.events.written import types
from tests.ordering import open_session, paid_order

TODAY = f"{datetime.now(UTC):%Y%m%d}"
LOG = (
    *("events", "events_of_no_day", f"events_{TODAY}", "event_numbers", f"event_numbers_{TODAY}"),
    *("unsequenced_events", "event_series", "event_days", "event_types", "event_dues"),
)
ONE_EVENT = "ARRAY['payment.paid'], ARRAY['payment'], ARRAY[uuidv7()], ARRAY[1], ARRAY[uuidv7()], ARRAY['{}'::"
WRITES = (
    """INSERT INTO events (type, object_type, object_id, version, lane, body)
    VALUES ('payment.paid', 'payment', uuidv7(), 1, uuidv7(), '{}')""",
    """INSERT INTO unsequenced_events (events, types, objects, lanes)
    SELECT ARRAY[uuidv7()], ARRAY['payment.paid'], ARRAY[uuidv7()], ARRAY[uuidv7()]""",
    """INSERT INTO event_numbers (seq, day, event_id, type, object_id, lane)
    VALUES (1, now(), uuidv7(), 'payment.paid', uuidv7(), uuidv7())""",
    "UPDATE events SET type = 'payment.paid'",
    "UPDATE events SET body = '{}'",
    "UPDATE event_series SET last_seq = 0",
    "UPDATE payments SET first_paid_at = NULL",
    f"SELECT events_write({ONE_EVENT}text])",
    f"SELECT events_write({ONE_EVENT}json])",
    "SELECT disputes_write_events(ARRAY['payment.paid'], ARRAY[uuidv7()])",
    "SELECT webhook_endpoints_write_events('payment.paid', ARRAY[uuidv7()], ARRAY[1::bigint], 1)",
    "SELECT events_erase(uuidv7(), now(), uuidv7(), 1)",
    "SELECT person_erase_rows(uuidv7(), interval '1 year')",
)
TRIGGERS = (
    *("captures_tell", "capture_requests_tell", "refunds_tell", "disputes_tell", "voids_tell"),
    "checkout_sessions_tell",
)
OWN_TRIGGER = """
    DO $$ BEGIN
        CREATE TEMPORARY TABLE mine (id uuid, payment_id uuid, status text, version integer, requested_by uuid);
        CREATE TRIGGER mine AFTER INSERT ON mine REFERENCING NEW TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION {}();
    END $$
"""
ROLES = ("web", "worker")


@pytest.fixture(scope="module")
def engines(servers: Servers) -> Iterator[dict[str, Engine]]:
    made = {role: create_engine(url) for role, url in zip(ROLES, (servers.web_url, servers.worker_url), strict=True)}
    yield made
    for engine in made.values():
        engine.dispose()


@pytest.mark.parametrize("role", ROLES)
def test_no_role_writes_the_log_by_its_tables_functions_or_triggers(
    sql: Sql, engines: dict[str, Engine], make_listing: MakeListing, role: str
) -> None:
    open_session(sql, (make_listing(), 1))
    before = sql("SELECT count(*) FROM events")[0].count
    statements = [
        *WRITES,
        *[f"{verb} {table}" for table in LOG for verb in ("DELETE FROM", "TRUNCATE", "LOCK TABLE")],
        *[f"INSERT INTO {table} DEFAULT VALUES" for table in LOG],
        *[f"SELECT FROM {table} FOR KEY SHARE" for table in LOG],
        *[f"DROP TABLE {table}" for table in LOG],
        *[OWN_TRIGGER.format(function) for function in TRIGGERS],
    ]
    with engines[role].connect() as connection:
        for statement in statements:
            with pytest.raises(ProgrammingError, match=r"permission denied|must be owner") as refused:
                connection.exec_driver_sql(statement)
            assert refused.value, statement
            connection.rollback()

    assert sql("SELECT count(*) FROM events")[0].count == before


@pytest.mark.parametrize("role", ROLES)
def test_what_writes_events_as_the_owner_may_be_called_by_those_who_do_the_work(sql: Sql, role: str) -> None:
    """And takes no type from them: a text is the prefix of orders' numbers, or why an endpoint moved to its state."""
    callable_ones = {
        row.name: row.arguments
        for row in sql(
            """SELECT proname AS name, pg_get_function_identity_arguments(oid) AS arguments FROM pg_proc
            WHERE pronamespace = 'public'::regnamespace AND prosecdef AND has_function_privilege(:role, oid, 'EXECUTE')
                AND prosrc ~ 'write_events|events_write|INSERT INTO (events|unsequenced_events|event_numbers)'""",
            role=f"checkout_{role}",
        )
    }
    if role == "web":
        assert {*callable_ones} <= {"endpoint_send_test"}
    else:
        assert {*callable_ones} <= WORKER_FUNCTIONS | {"endpoint_move"}
    with_text = {name for name, arguments in callable_ones.items() if "text" in arguments}
    assert with_text <= {"events_sequence", "endpoint_move"}


def test_the_web_tier_tells_of_a_session_and_of_a_request_and_of_nothing_else(
    sql: Sql, engines: dict[str, Engine], make_listing: MakeListing
) -> None:
    """Whatever it writes into the columns that it may write: the type is the row's own."""
    _, payment = paid_order(sql, (make_listing(), 2))
    sql("DELETE FROM events")
    sql("DELETE FROM unsequenced_events")
    with engines["web"].begin() as web:
        web.execute(
            text("""INSERT INTO refunds (payment_id, amount, reason, requested_by, idempotency_key, request_hash)
                VALUES (:payment, 40, 'payment.paid', uuidv7(), 'payment.paid', '')"""),
            {"payment": payment},
        )
        other = uuid4()
        web.execute(text("INSERT INTO users (id) VALUES (:id)"), {"id": other})
        web.execute(
            text("""WITH cart AS (
                INSERT INTO carts (user_id) VALUES (:user) RETURNING id
            ), payment AS (
                INSERT INTO payments (user_id, provider, provider_ref, amount, currency)
                VALUES (:user, 'mock', 'payment.paid', 1, 'USD') RETURNING id
            )
            INSERT INTO checkout_sessions (user_id, cart_id, idempotency_key, request_hash, payment_id, payment_token,
                amount, currency, lines, expires_at)
            SELECT :user, cart.id, 'payment.paid', '', payment.id, 'payment.paid', 1, 'USD', '[]', now()
            FROM cart, payment"""),
            {"user": other},
        )

    assert types(sql, "refund", "checkout_session") == ["refund.requested", "checkout.session.opened"]
    assert types(sql, "payment", "capture", "dispute", "listing", "webhook_endpoint") == []
