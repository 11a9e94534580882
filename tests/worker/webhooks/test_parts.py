"""Webhooks in parts by time: turned into them beside traffic, processed in several, dropped one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from checkout_service.database.engine import transaction
from checkout_service.delivery_states import DeliveryState
from checkout_service.doctor.findings import Level
from checkout_service.doctor.parts import check_parts
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import WebSettings, WorkerSettings
from checkout_service.webhooks import partitioning
from tests.apps import close_app, open_app
from tests.conftest import ROOT, Servers, Sql, _migrate, with_psycopg
from tests.webhook_bodies import insert_payment, insert_webhook, post_webhook, state_of, status_of, webhook
from tests.webhook_parts import turn_back, turn_into_parts
from worker.context import make_context
from worker.webhooks.claims import LEASE, claim, settle
from worker.webhooks.claims import Result as Outcome
from worker.webhooks.parts import turn_parts
from worker.webhooks.pruning import prune
from worker.webhooks.replays import claim_one
from worker.webhooks.statements import CLAIM, SET
from worker.webhooks.sweeping import sweep
from worker.webhooks.task import process

TODAY = datetime.now(UTC).date()

INDEXES = """
    SELECT index.relname, pg_relation_filenode(index.oid) AS file FROM pg_index JOIN pg_class AS index
    ON index.oid = indexrelid WHERE indrelid = CAST(:table AS regclass) ORDER BY file"""


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A database of one test, with a web tier and a worker; the test runs inside the worker's context."""

    url: str
    sql: Sql
    client: FlaskClient
    run: Callable[..., Result]


@pytest.fixture(scope="module")
def opened(servers: Servers, settings: WebSettings, worker_settings: WorkerSettings) -> Iterator[tuple[Shop, Flask]]:
    """A database of this file, and a worker of it."""
    name = f"parts_{uuid4().hex[:12]}"
    _alone(servers, f"CREATE DATABASE {name}")
    urls = [
        with_psycopg(make_url(url).set(database=name))
        for url in (servers.superuser_url, servers.web_url, servers.worker_url)
    ]
    _migrate(urls[0])
    engine = create_engine(urls[0], isolation_level="AUTOCOMMIT")

    def sql(query: str, **parameters: Any) -> list[Any]:
        with engine.connect() as connection:
            result = connection.execute(text(query), parameters)
            return list(result.all()) if result.returns_rows else []

    worker = make_context(replace(worker_settings, database_url=Secret(urls[2]), payment_namespace=uuid4()))
    with open_app(replace(settings, database_url=Secret(urls[1]))) as web:
        yield Shop(url=urls[0], sql=sql, client=web.test_client(), run=_runner(web)), worker
    close_app(worker)
    engine.dispose()
    _alone(servers, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def shop(opened: tuple[Shop, Flask], monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """Webhooks are one table, and empty."""
    shop, worker = opened
    turn_back(shop.url)
    for bound in bounds(shop.sql):
        shop.sql(f"ALTER TABLE webhook_deliveries DROP CONSTRAINT {bound}")
    shop.sql("TRUNCATE webhook_deliveries, prune_marks, payments, users CASCADE")
    monkeypatch.setenv("MIGRATION_DATABASE_URL", shop.url)
    with worker.app_context():
        yield shop


def _runner(web: Flask) -> Callable[..., Result]:
    return lambda *arguments: web.test_cli_runner().invoke(args=["webhooks", *map(str, arguments)])


def _alone(servers: Servers, statement: str) -> None:
    engine = create_engine(servers.superuser_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


def parts(sql: Sql) -> list[str]:
    return [row.name.removeprefix("webhook_deliveries_") for row in sql("SELECT name FROM webhooks_parts()")]


def named(*ago: int, days: int = 1) -> list[str]:
    """Names of parts that begin so many days ago."""
    first = [TODAY - timedelta(days=each) for each in ago]
    return [f"{day:%Y%m%d}_{day + timedelta(days=days):%Y%m%d}" for day in first]


def of_days_ago(sql: Sql, days: float, state: str = "applied", **columns: str) -> UUID:
    moment = f"interval '-{days} days'"
    columns = {"id": f"uuidv7({moment})", "received_at": f"now() + {moment}", "state": f"'{state}'"} | columns
    return insert_webhook(sql, b"{}", **columns)


def part_of(sql: Sql, delivery: UUID) -> str:
    (row,) = sql("SELECT tableoid::regclass::text AS part FROM webhook_deliveries WHERE id = :id", id=delivery)
    return str(row.part).removeprefix("webhook_deliveries_")


# The command


def test_the_command_turns_the_table_into_parts_while_webhooks_are_taken_and_applied(shop: Shop) -> None:
    """What was there is the first part with all of its indexes as they were; rights are those of before."""
    rights = shop.sql(RIGHTS)
    before = [of_days_ago(shop.sql, 3, state) for state in ("applied", "failed", "received")]
    indexes = shop.sql(INDEXES, table="webhook_deliveries")
    taken: list[UUID] = []
    over = Event()

    def take() -> None:
        while not over.is_set():
            taken.append(post_webhook(shop.client, webhook(insert_payment(shop.sql))))

    taker = Thread(target=take)
    taker.start()
    try:
        result = shop.run("partition")
    finally:
        over.set()
        taker.join()

    assert result.exit_code == 0, result.output
    first = TODAY + timedelta(days=2)
    assert f"What was there is the part webhook_deliveries_before_{first:%Y%m%d}" in result.output
    assert parts(shop.sql) == [f"before_{first:%Y%m%d}", *named(-2, -9, days=7)]
    kept = shop.sql(INDEXES, table=f"webhook_deliveries_before_{first:%Y%m%d}")
    assert [row.file for row in kept] == [row.file for row in indexes], "no index was built"
    parents = shop.sql(INDEXES, table="webhook_deliveries")
    assert {row.relname for row in parents} == {row.relname for row in indexes}, "under the names of before"
    assert shop.sql(RIGHTS) == rights
    assert {row.id for row in shop.sql("SELECT id FROM webhook_deliveries")} >= {*before, *taken}
    process(str(taken[0]))
    assert {state_of(shop.sql, delivery) for delivery in taken} == {"applied"}

    again = shop.run("partition")
    assert (again.exit_code, again.output) == (0, "The webhooks are in parts already.\n")


RIGHTS = """
    SELECT privilege_type, grantee::regrole::text, '' AS name FROM pg_class, aclexplode(relacl)
    WHERE oid = CAST('webhook_deliveries' AS regclass) AND grantee <> relowner
    UNION ALL
    SELECT privilege_type, grantee::regrole::text, attname FROM pg_attribute, aclexplode(attacl)
    WHERE attrelid = CAST('webhook_deliveries' AS regclass)
    ORDER BY 1, 2, 3"""


def bounds(sql: Sql) -> list[str]:
    rows = sql("""SELECT conname FROM pg_constraint WHERE conrelid = CAST('webhook_deliveries' AS regclass)
        AND conname LIKE '%\\_before\\_%'""")
    return [row.conname for row in rows]


@pytest.mark.parametrize("validated", [True, False])
def test_whoever_is_killed_before_the_last_step_runs_the_command_again(shop: Shop, *, validated: bool) -> None:
    delivery = of_days_ago(shop.sql, 3)
    day = TODAY + timedelta(days=2)
    bind(shop.sql, day, validated=validated)
    indexes = shop.sql(INDEXES, table="webhook_deliveries")
    with psycopg.connect(make_url(shop.url).set(drivername="postgresql").render_as_string(False)) as killed:
        killed.execute("SET ROLE checkout_owner")
        if validated:
            killed.execute("SELECT webhooks_turn_into_parts(7, 14)")
        killed.rollback()
    assert shop.sql(INDEXES, table="webhook_deliveries") == indexes, "the last step is one transaction"

    assert shop.run("partition").exit_code == 0
    assert parts(shop.sql)[0] == f"before_{day:%Y%m%d}" == part_of(shop.sql, delivery)
    assert bounds(shop.sql) == []


def bind(sql: Sql, day: Any, *, validated: bool = True) -> None:
    sql(f"""DO $$ BEGIN
        EXECUTE format('ALTER TABLE webhook_deliveries ADD CONSTRAINT webhook_deliveries_before_{day:%Y%m%d}
            CHECK (id < %L) {"" if validated else "NOT VALID"}', uuid_of_day('{day}'));
    END $$""")


def test_the_bound_of_one_that_nobody_runs_again_goes_before_its_day_comes(shop: Shop) -> None:
    bind(shop.sql, TODAY + timedelta(days=2))
    assert turn_parts() == "webhooks are one table"
    assert len(bounds(shop.sql)) == 1, "somebody may be at it"
    shop.sql(f"ALTER TABLE webhook_deliveries DROP CONSTRAINT {bounds(shop.sql)[0]}")

    bind(shop.sql, TODAY)
    turn_parts()

    assert bounds(shop.sql) == []
    bind(shop.sql, TODAY)
    assert shop.run("partition").exit_code == 0, "and the command makes one of a later day"
    assert part_of(shop.sql, of_days_ago(shop.sql, 0)) == parts(shop.sql)[0]


def test_the_command_gives_up_where_somebody_holds_the_table_and_leaves_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitioning, "PATIENCE", 0.0)
    with held(shop.url, "webhook_deliveries"):
        result = shop.run("partition")

    assert result.exit_code == 1
    assert "Somebody holds webhook_deliveries" in result.output
    assert bounds(shop.sql) == []
    assert parts(shop.sql) == []


@contextmanager
def held(url: str, table: str) -> Iterator[psycopg.Connection[Any]]:
    """Somebody reads there, and does not end."""
    with psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(False)) as reader:
        reader.execute(f"SELECT FROM {table} LIMIT 1".encode())
        yield reader


# A whole life in several parts


OVER, LAST, NEW = named(40, 30, 0, days=10)
"""Parts of ten days: one that is over after WEBHOOKS_RETENTION_DAYS (30), one that is not, and that of today."""


@pytest.fixture
def parted(shop: Shop) -> Shop:
    """What was there before is over, too. At the same place of each part is a settled webhook."""
    turn_into_parts(shop.url, ago=40, days=10)
    for days in (41, 35, 25, 5):
        of_days_ago(shop.sql, days)
    assert [part_of(shop.sql, row.id) for row in shop.sql("SELECT id FROM webhook_deliveries ORDER BY id")] == [
        f"before_{TODAY - timedelta(days=40):%Y%m%d}", OVER, LAST, *named(10, days=10),
    ]  # fmt: skip
    return shop


def others(shop: Shop, *own: UUID) -> list[Any]:
    """Every other row, whole."""
    return shop.sql("SELECT * FROM webhook_deliveries WHERE id <> ALL(:own) ORDER BY id", own=list(own))


def test_a_claim_and_a_result_touch_no_row_at_the_same_place_of_another_part(parted: Shop) -> None:
    delivery = insert_webhook(parted.sql, b"{}")
    (places,) = parted.sql("SELECT count(DISTINCT ctid) AS number, count(*) AS rows FROM webhook_deliveries")
    assert (places.number, places.rows) == (1, 5), "else this proves nothing"
    before = others(parted, delivery)

    (claimed,) = claim(delivery)
    assert others(parted, delivery) == before
    with transaction() as connection:
        assert len(settle(connection, [Outcome(webhook=claimed, state=DeliveryState.FAILED)])) == 1
    assert others(parted, delivery) == before
    assert state_of(parted.sql, delivery) == "failed"

    parted.sql("UPDATE webhook_deliveries SET state = 'failed' WHERE id <> :id", id=delivery)
    parted.sql("VACUUM FULL webhook_deliveries")
    before = others(parted, delivery)
    assert claim_one(delivery, key=uuid4(), operator="ops") is not None
    assert others(parted, delivery) == before


def test_webhooks_of_several_parts_are_claimed_together_and_applied(parted: Shop) -> None:
    references = [insert_payment(parted.sql) for _ in range(4)]
    settled = others(parted)
    deliveries = [
        insert_webhook(parted.sql, webhook(reference), id=f"uuidv7(interval '-{days} days')")
        for days, reference in zip((35, 25, 5, 0), references, strict=True)
    ]
    assert len({part_of(parted.sql, delivery) for delivery in deliveries}) == 4

    process(str(deliveries[-1]))

    assert [state_of(parted.sql, delivery) for delivery in deliveries] == ["applied"] * 4
    assert [status_of(parted.sql, reference) for reference in references] == ["paid"] * 4
    assert others(parted, *deliveries) == settled


def test_a_claim_looks_at_its_set_alone_however_many_wait_in_however_many_parts(parted: Shop) -> None:
    """Nobody has told PostgreSQL yet that there are any."""
    many = """INSERT INTO webhook_deliveries (id, provider, body, state, next_attempt_at)
        SELECT uuidv7(number % 30 * interval '-1 day'), 'mock', '', '{}', now() - number * interval '1 second'
        FROM generate_series(1, {}) AS number"""
    parted.sql(many.format("applied", 30_000))
    parted.sql("ANALYZE webhook_deliveries")
    parted.sql(many.format("received", 4_000))
    oldest = parted.sql("SELECT id FROM webhook_deliveries WHERE state = 'received' ORDER BY next_attempt_at LIMIT 500")

    with transaction() as connection:
        claimed = CLAIM.within(connection, {"id": None, "lease": LEASE})
        looked_at = connection.execute(
            text("""
            SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables
            WHERE relname LIKE 'webhook\\_deliveries%'""")
        ).scalar_one()

    assert {row.id for row in claimed} == {row.id for row in oldest}
    assert looked_at < 3 * SET, "to lock them, and to write them"


def test_taken_doubled_retried_rejected_and_swept_in_parts(parted: Shop) -> None:
    reference = insert_payment(parted.sql)
    first, second = (post_webhook(parted.client, webhook(reference, event_id="evt_1")) for _ in range(2))
    process(str(first))
    assert {state_of(parted.sql, first), state_of(parted.sql, second)} == {"applied", "duplicate"}

    unsigned = post_webhook(parted.client, webhook(reference, secret="another"))
    process(str(unsigned))
    assert state_of(parted.sql, unsigned) == "rejected"
    parked = post_webhook(parted.client, webhook("mock_pi_later"))
    process(str(parked))
    assert state_of(parted.sql, parked) == "parked"

    insert_payment(parted.sql, provider_ref="mock_pi_later")
    assert "woke workers for 1 " in sweep()
    process(str(parked))
    assert state_of(parted.sql, parked) == "applied"
    assert status_of(parted.sql, "mock_pi_later") == "paid"


# Housekeeping


def test_a_part_whose_days_are_over_is_dropped_and_what_is_not_final_moves(parted: Shop) -> None:
    """Nothing that was acknowledged goes with a part."""
    received, parked = (of_days_ago(parted.sql, 35, state) for state in ("received", "parked"))
    kept = {row.id for row in parted.sql("SELECT id FROM webhook_deliveries WHERE id > uuidv7(interval '-30 days')")}

    before = f"webhook_deliveries_before_{TODAY - timedelta(days=40):%Y%m%d}"
    assert turn_parts() == f"made 0 parts, dropped {before}, webhook_deliveries_{OVER}"

    assert {row.id for row in parted.sql("SELECT id FROM webhook_deliveries")} == {received, parked, *kept}
    assert {part_of(parted.sql, delivery) for delivery in (received, parked)} == {"of_no_day"}
    assert {row.id for row in claim(None)} == {received}
    parted.sql("UPDATE webhook_deliveries SET state = 'ignored' WHERE id = :id", id=parked)
    assert prune().startswith("pruned 1 webhooks"), "once it is final, it goes row by row"


def test_a_part_that_somebody_has_or_that_is_full_of_pending_ones_is_left_there(parted: Shop) -> None:
    with held(parted.url, f"webhook_deliveries_{OVER}"):
        assert turn_parts().endswith(f"dropped webhook_deliveries_before_{TODAY - timedelta(days=40):%Y%m%d}")
    parted.sql("""
        INSERT INTO webhook_deliveries (id, provider, body)
        SELECT uuidv7(interval '-35 days'), 'mock', '' FROM generate_series(1, 1001)""")

    assert turn_parts() == "made 0 parts, dropped none"
    assert parts(parted.sql)[0] == OVER
    assert parted.sql("SELECT count(*) AS left FROM webhook_deliveries")[0].left == 1004


@pytest.mark.parametrize(("late", "pruned"), [(1.5, 0), (2.5, 1)])
def test_rows_of_a_part_that_should_have_gone_are_deleted_two_days_later(shop: Shop, late: float, pruned: int) -> None:
    """Until then they go with their part, at once."""
    turn_into_parts(shop.url, ago=40, days=10)
    shop.sql(f"DROP TABLE webhook_deliveries_before_{TODAY - timedelta(days=40):%Y%m%d}")
    of_days_ago(shop.sql, 35)
    since = datetime.now(UTC) - datetime.combine(TODAY, datetime.min.time(), UTC)
    kept_for = timedelta(days=30) + since - timedelta(days=late)
    (found,) = shop.sql(
        "SELECT count(*) AS number FROM webhook_deliveries WHERE id < webhooks_prunable_below(:keep)", keep=kept_for
    )

    assert found.number == pruned


def test_what_was_there_before_is_deleted_row_by_row_as_it_was(shop: Shop) -> None:
    """It is over long after most of its rows are."""
    turn_into_parts(shop.url, ago=0, days=10)
    old, young = of_days_ago(shop.sql, 31), of_days_ago(shop.sql, 29)

    assert prune().startswith("pruned 1 webhooks")

    assert [row.id for row in shop.sql("SELECT id FROM webhook_deliveries")] == [young] != [old]


def test_parts_that_nobody_made_for_long_are_made_and_what_came_meanwhile_moves_there(parted: Shop) -> None:
    for name in parts(parted.sql)[3:]:
        parted.sql(f"DROP TABLE webhook_deliveries_{name}")
    delivery = post_webhook(parted.client, webhook(insert_payment(parted.sql)))
    assert part_of(parted.sql, delivery) == "of_no_day", "and was taken"

    assert turn_parts().startswith("made 4 parts")

    assert part_of(parted.sql, delivery) == NEW
    process(str(delivery))
    assert state_of(parted.sql, delivery) == "applied"


def test_the_doctor_says_how_far_parts_are_made_and_what_is_wrong_with_them(parted: Shop) -> None:
    def results() -> list[tuple[Level, str]]:
        return [(finding.level, finding.result) for finding in check_parts()]

    assert results() == [(Level.OK, "7, made 20 days ahead")]
    for name in parts(parted.sql)[-2:]:
        parted.sql(f"DROP TABLE webhook_deliveries_{name}")
    assert results() == [(Level.WRONG, "webhooks come that no part was made for")]
    turn_parts()
    assert results()[0][0] is Level.OK


def test_the_doctor_names_a_conversion_that_has_not_ended(shop: Shop) -> None:
    assert list(check_parts()) == []
    bind(shop.sql, TODAY + timedelta(days=2))

    assert [finding.result for finding in check_parts()] == ["a conversion was begun and has not ended"]


def test_an_index_is_made_of_parts_as_the_page_on_migrations_says(parted: Shop) -> None:
    """Beside traffic, one part after the other; the last step builds none."""
    names = [f"webhook_deliveries_{name}" for name in (*parts(parted.sql), "of_no_day")]
    for number, name in enumerate(names):
        parted.sql(f"CREATE INDEX CONCURRENTLY new_{number} ON {name} (provider, id)")
    built = [parted.sql(INDEXES, table=name) for name in names]

    parted.sql("CREATE INDEX webhook_deliveries_new ON webhook_deliveries (provider, id)")

    assert [parted.sql(INDEXES, table=name) for name in names] == built
    (index,) = parted.sql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'webhook_deliveries_new'::regclass")
    assert index.indisvalid
    parted.sql("DROP INDEX webhook_deliveries_new")


def test_models_know_both_forms_and_there_is_no_way_down_from_parts(parted: Shop) -> None:
    config = Config(ROOT / "migrations" / "alembic.ini")
    command.check(config)

    with pytest.raises(DBAPIError, match="is in parts, which the release before does not know"):
        command.downgrade(config, "0024")
    assert parts(parted.sql)
    turn_back(parted.url)
    command.check(config)


# Two at once, and what is left by one that was killed


def connected(shop: Shop) -> psycopg.Connection[Any]:
    """A session of the worker's rights and more, in which nothing is committed by itself."""
    return psycopg.connect(make_url(shop.url).set(drivername="postgresql").render_as_string(False))


def test_of_two_housekeepings_the_second_leaves_what_the_first_is_at(parted: Shop) -> None:
    with connected(parted) as first:
        first.execute("SELECT webhooks_drop_part('30 days')")
        assert turn_parts() == "made 0 parts, dropped none"
    with connected(parted) as first:
        parted.sql(f"DROP TABLE webhook_deliveries_{parts(parted.sql)[-1]}")
        first.execute("SELECT webhooks_make_part(14)")
        assert turn_parts() == "made 0 parts, dropped none"

    before = parts(parted.sql)
    answers: list[str] = []
    with connected(parted) as first:
        first.execute("SELECT webhooks_drop_part('30 days')")
        second = Thread(target=lambda: answers.append(str(parted.sql("SELECT webhooks_drop_part('30 days') AS it"))))
        second.start()
        first.commit()
        second.join()
    assert len(answers) == 1, "whoever waited for the part that is gone goes on"
    assert len(before) - len(parts(parted.sql)) <= 2


def test_the_last_part_stays_and_one_that_is_none_is_made(parted: Shop) -> None:
    for name in parts(parted.sql)[2:]:
        parted.sql(f"DROP TABLE webhook_deliveries_{name}")
    dropped = [row.part for _ in range(3) for row in parted.sql("SELECT part FROM webhooks_drop_part('1 hour')")]
    assert dropped == [f"webhook_deliveries_before_{TODAY - timedelta(days=40):%Y%m%d}", None, None]
    assert parts(parted.sql) == [OVER], "or nobody knew any more how long a part is"

    parted.sql(f"DROP TABLE webhook_deliveries_{OVER}")
    (finding,) = check_parts()
    assert (finding.level, finding.result) == (Level.WRONG, "no part is of days to come")
    assert turn_parts() == "made 3 parts, dropped none"
    (finding,) = check_parts()
    assert finding.level is Level.OK


def test_retention_and_days_ahead_are_within_reason(parted: Shop) -> None:
    assert [row.part for row in parted.sql("SELECT part FROM webhooks_drop_part(NULL)")] == [None]
    young = of_days_ago(parted.sql, 0.01)
    for _ in range(10):
        parted.sql("SELECT part FROM webhooks_drop_part('-10 years')")
    assert [row.id for row in parted.sql("SELECT id FROM webhook_deliveries WHERE id = :id", id=young)] == [young]
    for _ in range(10):
        parted.sql("SELECT outcome FROM webhooks_make_part(100000)")
    last = parts(parted.sql)[-1].partition("_")[2]
    assert last <= f"{TODAY + timedelta(days=70):%Y%m%d}"


@pytest.fixture
def crowded(parted: Shop) -> Shop:
    """No part was made for long, and so much came meanwhile that nobody could wait until it has moved."""
    for name in parts(parted.sql)[3:]:
        parted.sql(f"DROP TABLE webhook_deliveries_{name}")
    parted.sql("""INSERT INTO webhook_deliveries (id, provider, body, state)
        SELECT uuidv7(interval '-5 days'), 'mock', '', 'applied' FROM generate_series(1, 10001)""")
    return parted


READ_OF_NO_DAY = """SELECT seq_tup_read FROM pg_stat_xact_user_tables
    WHERE relid = CAST('webhook_deliveries_of_no_day' AS regclass)"""


def test_to_make_a_part_reads_no_large_one_under_the_lock_that_everybody_waits_behind(crowded: Shop) -> None:
    """What reads it does so beside whoever writes there."""
    delivery = post_webhook(crowded.client, webhook(insert_payment(crowded.sql)))
    with connected(crowded) as steps:
        (answer,) = steps.execute("SELECT outcome FROM webhooks_make_part(30)").fetchall()
        assert answer == ("bound",)
        steps.commit()
        assert steps.execute("SELECT webhooks_validate_bound()").fetchall() == [(True,)]
        other = post_webhook(crowded.client, webhook(insert_payment(crowded.sql)))
        steps.commit()
        before = steps.execute(READ_OF_NO_DAY).fetchall()[0][0]
        (answer,) = steps.execute("SELECT outcome FROM webhooks_make_part(30)").fetchall()
        assert answer == ("made",)
        read = steps.execute(READ_OF_NO_DAY).fetchall()[0][0] - before
        assert read == 10_001, "to see that it is large, before there is any lock, and not once more under it"
    assert {part_of(crowded.sql, each) for each in (delivery, other)} == {"of_no_day"}
    process(str(delivery))
    assert state_of(crowded.sql, delivery) == "applied"


def test_days_that_have_begun_without_a_part_stay_without_one_and_the_doctor_counts_them(crowded: Shop) -> None:
    assert turn_parts().startswith("made 1 parts")
    assert turn_parts().startswith("made 0 parts")
    assert crowded.sql("SELECT * FROM webhooks_bounds()") == []

    results = [(finding.level, finding.result) for finding in check_parts()]
    assert results == [(Level.OK, "2, made 20 days ahead"), (Level.ADVICE, "10001 are of days that have no part")]


def test_a_bound_that_a_killed_one_left_goes_before_its_day_comes(crowded: Shop) -> None:
    def leave(ahead: int) -> None:
        crowded.sql(f"""ALTER TABLE webhook_deliveries_of_no_day
            ADD CONSTRAINT webhook_deliveries_not_{TODAY + timedelta(days=ahead):%Y%m%d}_30000101 CHECK (true)""")

    leave(0)
    leave(9)
    levels = [finding.level for finding in check_parts() if "bound" in finding.result]
    assert levels == [Level.WRONG]
    turn_parts()
    (row,) = crowded.sql("SELECT from_day FROM webhooks_bounds()")
    assert row.from_day == TODAY + timedelta(days=9)


def test_what_moves_is_found_by_index_whatever_the_statistics_say(parted: Shop) -> None:
    parted.sql(f"""INSERT INTO webhook_deliveries_{OVER} (id, provider, body, state)
        SELECT uuidv7(interval '-35 days'), 'mock', '', 'received' FROM generate_series(1, 3000)""")
    parted.sql(f"ANALYZE webhook_deliveries_{OVER}")
    parted.sql(f"UPDATE webhook_deliveries_{OVER} SET state = 'applied'")
    parted.sql(f"DROP TABLE webhook_deliveries_before_{TODAY - timedelta(days=40):%Y%m%d}")

    with held(parted.url, f"webhook_deliveries_{OVER}"), connected(parted) as session:
        assert session.execute("SELECT part FROM webhooks_drop_part('30 days')").fetchall() == [("locked",)]
        read = f"SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'webhook_deliveries_{OVER}'"
        assert session.execute(read.encode()).fetchall()[0][0] in {0, None}


def test_the_way_back_takes_the_bound_of_a_killed_conversion_along(shop: Shop) -> None:
    """The release before would not, and a day later it took no webhook any more."""
    bind(shop.sql, TODAY + timedelta(days=1))
    (finding,) = check_parts()
    assert finding.level is Level.WRONG
    config = Config(ROOT / "migrations" / "alembic.ini")
    try:
        command.downgrade(config, "0024")
        assert bounds(shop.sql) == []
    finally:
        command.upgrade(config, "head")


def test_of_several_bounds_none_is_left_on_the_parts(shop: Shop) -> None:
    """Else the older one would refuse webhooks one day."""
    for ahead in (3, 2, 4):
        bind(shop.sql, TODAY + timedelta(days=ahead))

    assert shop.run("partition").exit_code == 0

    assert parts(shop.sql)[0] == f"before_{TODAY + timedelta(days=4):%Y%m%d}"
    assert bounds(shop.sql) == []
    assert insert_webhook(shop.sql, b"{}", id="uuidv7(interval '5 days')")


def test_of_two_operators_the_second_is_refused_and_leaves_the_first_ones_bound(shop: Shop) -> None:
    results: list[Result] = []
    first = Thread(target=lambda: results.append(shop.run("partition")))
    with held(shop.url, "webhook_deliveries") as reader:
        first.start()
        while not bounds(shop.sql) and first.is_alive():
            reader.rollback()  # let the bound in, and hold what comes behind it
            reader.execute("SELECT FROM webhook_deliveries LIMIT 1")
        bound = bounds(shop.sql)
        second = shop.run("partition")
        assert second.exit_code == 1
        assert "Another one runs this command" in second.output
        assert bounds(shop.sql) == bound != []
    first.join()
    assert [result.exit_code for result in results] == [0]


def test_rights_of_others_are_those_of_before(shop: Shop) -> None:
    """A role with an odd name, one that may hand its right on, and everybody."""
    role = f"Odd role {uuid4().hex[:8]}"
    shop.sql(f'CREATE ROLE "{role}"')
    try:
        shop.sql(f'GRANT SELECT ON webhook_deliveries TO "{role}" WITH GRANT OPTION')
        shop.sql(f'GRANT UPDATE (detail) ON webhook_deliveries TO "{role}"')
        shop.sql("GRANT SELECT (id), INSERT (id) ON webhook_deliveries TO PUBLIC")
        rights = shop.sql(GRANTABLE)
        assert shop.run("partition").exit_code == 0
        assert shop.sql(GRANTABLE) == rights
        (old, *_) = parts(shop.sql)
        assert {
            row.grantee for row in shop.sql(GRANTABLE.replace("'webhook_deliveries'", f"'webhook_deliveries_{old}'"))
        } == {"checkout_owner"}
    finally:
        shop.sql("REVOKE ALL ON webhook_deliveries FROM PUBLIC")
        shop.sql(f'DROP OWNED BY "{role}"')
        shop.sql(f'DROP ROLE "{role}"')


GRANTABLE = """
    SELECT privilege_type, grantee::regrole::text, is_grantable, '' AS name FROM pg_class, aclexplode(relacl)
    WHERE oid = CAST('webhook_deliveries' AS regclass)
    UNION ALL
    SELECT privilege_type, grantee::regrole::text, is_grantable, attname FROM pg_attribute, aclexplode(attacl)
    WHERE attrelid = CAST('webhook_deliveries' AS regclass) AND NOT attisdropped
    ORDER BY 1, 2, 3, 4"""
