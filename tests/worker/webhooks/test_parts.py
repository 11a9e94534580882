"""Webhooks in parts by time: turned into them beside traffic, processed in several, dropped one at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import DBAPIError

from checkout_service.database.engine import transaction
from checkout_service.delivery_states import DeliveryState
from checkout_service.doctor.findings import Level
from checkout_service.doctor.parts import check_parts
from checkout_service.webhooks import partitioning
from tests.conftest import ROOT
from tests.webhook_bodies import insert_payment, insert_webhook, post_webhook, state_of, status_of, webhook
from tests.webhook_parts import turn_back, turn_into_parts
from tests.worker.webhooks.parts_shop import (
    Shop,
    bind,
    bounds,
    held,
    named,
    of_days_ago,
    opened,
    part_of,
    part_of_today,
    part_over,
    parted,
    parts,
    shop,
    today,
)
from worker.webhooks.claims import LEASE, claim, claimed_webhook, settle
from worker.webhooks.claims import Result as Outcome
from worker.webhooks.parts import turn_parts
from worker.webhooks.pruning import prune
from worker.webhooks.rejected import reject
from worker.webhooks.replays import claim_one
from worker.webhooks.statements import CLAIM, RELEASE, SET
from worker.webhooks.sweeping import sweep
from worker.webhooks.task import process

__all__ = ["opened", "parted", "shop"]  # fixtures

INDEXES = """
    SELECT index.relname, pg_relation_filenode(index.oid) AS file FROM pg_index JOIN pg_class AS index
    ON index.oid = indexrelid WHERE indrelid = CAST(:table AS regclass) ORDER BY file"""


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
    first = today() + timedelta(days=2)
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


@pytest.mark.parametrize("validated", [True, False])
def test_whoever_is_killed_before_the_last_step_runs_the_command_again(shop: Shop, *, validated: bool) -> None:
    delivery = of_days_ago(shop.sql, 3)
    day = today() + timedelta(days=2)
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


def test_the_bound_of_one_that_nobody_runs_again_goes_before_its_day_comes(shop: Shop) -> None:
    bind(shop.sql, today() + timedelta(days=2))
    assert turn_parts() == "webhooks are one table"
    assert len(bounds(shop.sql)) == 1, "somebody may be at it"
    shop.sql(f"ALTER TABLE webhook_deliveries DROP CONSTRAINT {bounds(shop.sql)[0]}")

    bind(shop.sql, today())
    turn_parts()

    assert bounds(shop.sql) == []
    bind(shop.sql, today())
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


# A whole life in several parts


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


def test_a_claim_and_its_results_look_at_their_set_alone_however_many_wait_in_however_many_parts(parted: Shop) -> None:
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
        assert looked_at(connection) < 3 * SET, "to lock them, and to write them"
    assert {row.id for row in claimed} == {row.id for row in oldest}

    with transaction() as connection:
        done = [Outcome(webhook=claimed_webhook(row), state=DeliveryState.APPLIED) for row in claimed]
        assert len(settle(connection, done)) == SET
        assert looked_at(connection) < 3 * SET


def test_those_given_back_or_rejected_look_at_their_set_alone_too(parted: Shop) -> None:
    many = """INSERT INTO webhook_deliveries (id, provider, body, state, next_attempt_at)
        SELECT uuidv7(number % 30 * interval '-1 day'), 'mock', '', '{}', {} FROM generate_series(1, {}) AS number"""
    parted.sql(many.format("applied", "NULL", 30_000))
    parted.sql(many.format("received", "now()", SET))
    parted.sql("ANALYZE webhook_deliveries")
    claimed = claim(None)
    assert len(claimed) == SET
    with transaction() as connection:
        ours = {"ids": [each.id for each in claimed], "leases": [each.lease for each in claimed]}
        RELEASE.within(connection, ours)
        assert looked_at(connection) < 3 * SET
    claimed = claim(None)
    assert len(claimed) == SET, "they were given back"
    with transaction() as connection:
        reject(connection, [Outcome(webhook=each, state=DeliveryState.REJECTED, detail="unsigned") for each in claimed])
        assert looked_at(connection) < 6 * SET, "and to count what is kept"


def looked_at(connection: Connection) -> int:
    """Rows of webhooks that were read since the transaction began."""
    return int(
        connection.execute(
            text("""
            SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables
            WHERE relname LIKE 'webhook\\_deliveries%'""")
        ).scalar_one()
    )


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

    before = f"webhook_deliveries_before_{today() - timedelta(days=40):%Y%m%d}"
    assert turn_parts() == f"made 0 parts, dropped {before}, webhook_deliveries_{part_over()}"

    assert {row.id for row in parted.sql("SELECT id FROM webhook_deliveries")} == {received, parked, *kept}
    assert {part_of(parted.sql, delivery) for delivery in (received, parked)} == {"of_no_day"}
    assert {row.id for row in claim(None)} == {received}
    parted.sql("UPDATE webhook_deliveries SET state = 'ignored' WHERE id = :id", id=parked)
    assert prune().startswith("pruned 1 webhooks"), "once it is final, it goes row by row"


def test_a_part_that_somebody_has_or_that_is_full_of_pending_ones_is_left_there(parted: Shop) -> None:
    with held(parted.url, f"webhook_deliveries_{part_over()}"):
        assert turn_parts().endswith(f"dropped webhook_deliveries_before_{today() - timedelta(days=40):%Y%m%d}")
    parted.sql("""
        INSERT INTO webhook_deliveries (id, provider, body)
        SELECT uuidv7(interval '-35 days'), 'mock', '' FROM generate_series(1, 1001)""")

    assert turn_parts() == "made 0 parts, dropped none"
    assert parts(parted.sql)[0] == part_over()
    assert parted.sql("SELECT count(*) AS left FROM webhook_deliveries")[0].left == 1004


@pytest.mark.parametrize(("late", "pruned"), [(1.5, 0), (2.5, 1)])
def test_rows_of_a_part_that_should_have_gone_are_deleted_two_days_later(shop: Shop, late: float, pruned: int) -> None:
    """Until then they go with their part, at once."""
    turn_into_parts(shop.url, ago=40, days=10)
    shop.sql(f"DROP TABLE webhook_deliveries_before_{today() - timedelta(days=40):%Y%m%d}")
    of_days_ago(shop.sql, 35)
    since = datetime.now(UTC) - datetime.combine(today(), datetime.min.time(), UTC)
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

    assert part_of(parted.sql, delivery) == part_of_today()
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
    bind(shop.sql, today() + timedelta(days=2))

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
    command.upgrade(config, "head")  # what is above 0025 went down
    command.check(config)
