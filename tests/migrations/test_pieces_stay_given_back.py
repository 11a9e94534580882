"""What migration 0033 makes of what is there: refunds that were made all the same, and webhooks in parts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from checkout_service.database.engine import Base
from checkout_service.refunds import settling
from tests.migrations.conftest import CONFIG, Alembic, run_as

OF_THESE = "0033"
BEFORE = str(ScriptDirectory.from_config(Config(CONFIG)).get_revision(OF_THESE).down_revision)

# By hand, as they are: nothing is judged, and nothing follows.
OF_BEFORE = (
    "SET session_replication_role = replica",
    "INSERT INTO users (id) VALUES (uuidv7())",
    """INSERT INTO payments (user_id, provider, provider_ref, amount, currency)
    SELECT id, 'mock', 'pi_' || number, 100, 'USD' FROM users, generate_series(1, 2) AS number""",
    """INSERT INTO refunds (payment_id, provider, amount, currency, status, requested_by, idempotency_key, request_hash)
    SELECT id, 'mock', 40, 'USD', given.state::refund_status, uuidv7(), given.state, ''
    FROM payments, unnest(ARRAY['failed', 'succeeded']) AS given (state) WHERE provider_ref = 'pi_1'""",
    """INSERT INTO refunds (payment_id, provider, provider_ref, amount, currency, status)
    SELECT id, 'mock', names[1], 40, 'USD', 'succeeded' FROM payments,
        (VALUES (ARRAY['re_refused', 'pi_1']), (ARRAY['re_named', 'pi_1']), (ARRAY['re_other', 'pi_1']),
            (ARRAY['re_elsewhere', 'pi_2']), (ARRAY['re_of_one_that_stays', 'pi_1']), (ARRAY['re_less', 'pi_1']))
            AS given (names)
    WHERE payments.provider_ref = names[2]""",
    "UPDATE refunds SET amount = 5 WHERE provider_ref = 're_less'",
    """INSERT INTO payment_notices (payment_id, reason, ref, detail)
    SELECT made.payment_id, 'refund_mismatch', made.provider_ref, format(known.detail, ours.id)
    FROM (VALUES ('re_refused', 'failed', 'refund %s was refused, and was made all the same'),
            ('re_named', 'failed', 'refund %s is not re_n, as an operator saw'),
            ('re_other', 'failed', 'refund %s: another amount, currency or reference'),
            ('re_elsewhere', 'failed', 'refund %s was refused, and was made all the same'),
            ('re_less', 'failed', 'refund %s was refused, and was made all the same'),
            ('re_of_one_that_stays', 'succeeded', 'refund %s was refused, and was made all the same'))
        AS known (ref, of_status, detail)
    JOIN refunds AS made ON made.provider_ref = known.ref
    JOIN refunds AS ours ON ours.status::text = known.of_status AND ours.requested_by IS NOT NULL""",
)


def rows(url: str, statement: str) -> list[Any]:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(statement))]
    engine.dispose()
    return found


def test_what_was_flagged_before_stands_for_the_refund_that_its_notice_names(
    fresh_database: str, alembic: Alembic
) -> None:
    alembic("upgrade", BEFORE)
    run_as(fresh_database, *OF_BEFORE)

    for _ in range(2):
        alembic("upgrade", "head")
        found = rows(
            fresh_database,
            """SELECT made.provider_ref, ours.idempotency_key FROM refunds AS made
            JOIN refunds AS ours ON ours.id = made.made_for ORDER BY 1""",
        )
        assert found == [("re_named", "failed"), ("re_refused", "failed")]
        alembic("downgrade", BEFORE)
        # As erasing a person does: the way back keeps what no notice says any more.
        run_as(fresh_database, "UPDATE payment_notices SET detail = NULL")


def test_what_the_release_before_flagged_meanwhile_is_entered_by_one_more_call(
    fresh_database: str, alembic: Alembic
) -> None:
    alembic("upgrade", "head")
    run_as(fresh_database, *OF_BEFORE)
    entered = "SELECT provider_ref FROM refunds WHERE made_for IS NOT NULL ORDER BY 1"
    assert rows(fresh_database, entered) == []

    for _ in range(2):
        run_as(fresh_database, "CALL refunds_stand_in()")

    assert rows(fresh_database, entered) == [("re_named",), ("re_refused",)]


def test_on_the_way_back_each_table_is_locked_by_itself(fresh_database: str, alembic: Alembic) -> None:
    """Somebody who has refunds open ends it; what came before is done, and waits for nobody. It is run again."""
    alembic("upgrade", "0033")
    index = "SELECT to_regclass('webhook_deliveries_waits_for_refund') IS NULL"
    engine = create_engine(fresh_database)
    with engine.connect() as customer:
        customer.execute(text("SELECT FROM refunds"))
        with pytest.raises(OperationalError, match="lock timeout"):
            alembic("downgrade", BEFORE)
        assert rows(fresh_database, index) == [(True,)]
        called = "SELECT to_regprocedure('catalog_sync_retire_counted(uuid, interval, text[], boolean)') IS NOT NULL"
        assert rows(fresh_database, called) == [(True,)], "this release goes on"
    engine.dispose()

    alembic("downgrade", BEFORE)


@pytest.mark.parametrize("in_parts", [False, True], ids=["one table", "in parts"])
def test_the_index_of_waiting_webhooks_is_made_beside_traffic_and_again(
    fresh_database: str, alembic: Alembic, in_parts: bool
) -> None:
    alembic("upgrade", BEFORE)
    if in_parts:
        day = (datetime.now(UTC) + timedelta(days=2)).date()
        bound = f"webhook_deliveries_before_{day:%Y%m%d}"
        run_as(
            fresh_database,
            f"""DO $$ BEGIN EXECUTE format('ALTER TABLE webhook_deliveries ADD CONSTRAINT {bound} CHECK (id < %L)',
                uuid_of_day('{day}')); END $$""",
            "SET ROLE checkout_owner",
            "SELECT webhooks_turn_into_parts(7, 14)",
        )

    for _ in range(2):
        alembic("upgrade", OF_THESE)
        # As if it had been broken off at its end.
        run_as(fresh_database, f"UPDATE alembic_version SET version_num = '{BEFORE}'")

    indexes = rows(
        fresh_database,
        """SELECT relkind::text, count(*), bool_and(indisvalid) FROM pg_index JOIN pg_class ON oid = indexrelid
        WHERE relname LIKE 'webhook_deliveries%waits_for_refund' GROUP BY 1 ORDER BY 1""",
    )
    if in_parts:
        parts = len(rows(fresh_database, "SELECT FROM webhooks_parts()")) + 1
        assert parts >= 3
        assert indexes == [("I", 1, True), ("i", parts, True)]
    else:
        assert indexes == [("i", 1, True)]


def test_the_index_of_waiting_webhooks_has_the_words_that_are_searched(fresh_database: str, alembic: Alembic) -> None:
    """Else a worker reads all webhooks of the payment's provider, under the payment's lock."""
    alembic("upgrade", "head")
    words = f"(detail, {len(settling._AWAITS)}) = '{settling._AWAITS}'"
    ((made,),) = rows(fresh_database, "SELECT pg_get_indexdef('webhook_deliveries_waits_for_refund'::regclass)")
    (known,) = (each for each in Base.metadata.tables["webhook_deliveries"].indexes if each.name in made)

    for written in (made, str(known.dialect_options["postgresql"]["where"]), str(settling._waiting)):
        assert words in written
