"""A claim is a lease: it counts an attempt, and only its holder writes what became of the webhook."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import sleep
from uuid import UUID

import psycopg
import pytest
from flask import Flask, current_app
from sqlalchemy import text

from checkout_service.database.engine import transaction
from checkout_service.delivery_states import DeliveryState
from tests.conftest import Servers, Sql
from tests.unknown_tables import unknown
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, status_of, webhook
from tests.worker.conftest import webhook_row
from worker.webhooks.claims import LEASE, ClaimedWebhook, Result, claim, settle, with_bodies
from worker.webhooks.statements import CLAIM, LARGE, SET
from worker.webhooks.task import process


@pytest.mark.usefixtures("worker")
def test_a_worker_that_sleeps_through_its_lease_writes_over_no_other(sql: Sql) -> None:
    delivery = insert_webhook(sql, webhook(insert_payment(sql)))
    (asleep,) = claim(delivery)
    make_due(sql, delivery)
    (awake,) = claim(delivery)

    assert _write(asleep, "rejected") == []
    assert state_of(sql, delivery) == "received"
    assert len(_write(awake, "applied")) == 1
    after = webhook_row(sql, delivery)
    assert _write(asleep, "failed") == []
    assert _write(awake, "failed") == [], "nor does the same one write twice"
    assert webhook_row(sql, delivery) == after


@pytest.mark.usefixtures("worker")
def test_a_returned_attempt_does_not_let_a_sleeper_in(sql: Sql) -> None:
    """Two claims may carry the same number of attempts; the end of the lease tells them apart."""
    delivery = insert_webhook(sql, webhook(insert_payment(sql)))
    (asleep,) = claim(delivery)
    sql("UPDATE webhook_deliveries SET attempts = 0, next_attempt_at = now() WHERE id = :id", id=delivery)
    (awake,) = claim(delivery)
    assert asleep.attempts == awake.attempts

    assert _write(asleep, "rejected") == []
    assert len(_write(awake, "applied")) == 1


@pytest.mark.usefixtures("worker")
def test_a_sleeper_that_meets_the_claim_of_another_waits_for_it_and_writes_nothing(sql: Sql, servers: Servers) -> None:
    """What it read before it waited is not what it goes by."""
    delivery = insert_webhook(sql, webhook(insert_payment(sql)))
    (asleep,) = claim(delivery)
    url = servers.superuser_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(url) as other, ThreadPoolExecutor(1) as pool:
        other.execute(
            "UPDATE webhook_deliveries SET attempts = attempts + 1, next_attempt_at = now() + %s WHERE id = %s",
            (LEASE, delivery),
        )

        def let_go() -> bool:
            for _ in range(1_000):
                if sql("SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"):
                    other.commit()
                    return True
                sleep(0.01)
            return False

        has_waited = pool.submit(let_go)
        assert _write(asleep, "rejected") == []
        assert has_waited.result()
    assert state_of(sql, delivery) == "received"


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(("attempts", "waits"), [(0, "off"), (1, "on")])
def test_only_the_claim_of_a_webhook_that_was_tried_waits_until_it_is_on_disk(
    sql: Sql, attempts: int, waits: str
) -> None:
    """A poison webhook's attempts must count; of a first one that PostgreSQL lost in a crash nothing was written."""
    delivery = insert_webhook(sql, b"{}", attempts=str(attempts), next_attempt_at="now()")
    with transaction() as connection:
        connection.execute(text("SET LOCAL synchronous_commit = on"))

        claimed = CLAIM.within(connection, {"id": delivery, "lease": LEASE})

        assert [row.id for row in claimed] == [delivery]
        assert connection.execute(text("SHOW synchronous_commit")).scalar() == waits


@pytest.mark.usefixtures("worker")
def test_a_claim_is_a_lease_of_30_seconds(sql: Sql) -> None:
    delivery = insert_webhook(sql, webhook(insert_payment(sql)))

    (held,) = claim(delivery)

    row = webhook_row(sql, delivery)
    assert (row.state, row.attempts, row.next_attempt_at) == ("received", 1, held.lease)
    assert row.due_in == pytest.approx(LEASE.total_seconds(), abs=2)
    assert (held.attempts, held.tried_before, held.is_replay, held.in_set) == (1, False, False, True)
    assert claim(delivery) == [], "it is leased"


@pytest.mark.usefixtures("worker")
def test_webhooks_are_claimed_in_sets_the_oldest_first(sql: Sql) -> None:
    sql(
        """INSERT INTO webhook_deliveries (provider, body, received_at, next_attempt_at)
        SELECT 'mock', '{}', now() - n * interval '1 second', now() + interval '5 seconds' - n * interval '1 second'
        FROM generate_series(1, :many) AS n ORDER BY random()""",
        many=SET * 2 + 7,
    )
    own = insert_webhook(sql, b"{}")

    sets = [claim(own), claim(None), claim(None), claim(None)]

    assert [len(webhooks) for webhooks in sets] == [SET + 1, SET, 7, 0]
    assert sets[0][0].id == own, "its own comes first"
    came = [held.raw.received_at for webhooks in sets for held in webhooks][1:]
    assert came == sorted(came)


@pytest.mark.usefixtures("worker")
def test_a_claim_steps_over_what_was_done_since_the_last_vacuum(sql: Sql, servers: Servers) -> None:
    """Each webhook that is done leaves dead entries in the index. There are no statistics yet: it is a new one."""
    parts = [row.part for row in sql(PARTS)]
    plain = servers.superuser_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain, autocommit=True) as superuser, unknown(superuser, *parts):
        for _ in range(4):
            sql(
                """INSERT INTO webhook_deliveries (provider, body)
                SELECT 'mock', convert_to(repeat('x', 1500), 'UTF8') FROM generate_series(1, :n)""",
                n=SET,
            )
            done = claim(None)
            with transaction() as connection:
                written = settle(connection, [Result(held, DeliveryState.APPLIED) for held in done])
            assert len(written) == SET
        insert_webhook(sql, b"{}")

        pages = [pages_of_a_claim() for _ in range(3)]

    assert min(pages) < 400, "one webhook waits, and 2,000 are done on more pages than that"


def pages_of_a_claim() -> int:
    """Pages that PostgreSQL looks into for one claim. Those that it makes ready for the next ones count too."""
    with transaction() as connection:
        given = {"id": None, "lease": LEASE}
        explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {CLAIM.sql}"
        plan = connection.connection.cursor().execute(explain, CLAIM.constants | given).fetchone()[0][0]["Plan"]
        connection.rollback()
    assert "ModifyTable" in str(plan)
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


PARTS = "SELECT relid::regclass::text AS part FROM pg_partition_tree('webhook_deliveries') WHERE isleaf"
"""Of a table that is not in parts, itself."""

HELD_BACK = """
    ALTER FUNCTION webhooks_untried(uuid, integer) RENAME TO webhooks_untried_later;
    CREATE FUNCTION webhooks_untried(own uuid, most integer) RETURNS TABLE (id uuid, part oid, place tid)
    LANGUAGE plpgsql SET lock_timeout = '20s' AS $$ BEGIN
        PERFORM pg_advisory_xact_lock_shared(hashtext('held back'));
        RETURN QUERY SELECT * FROM webhooks_untried_later(own, most);
    END $$
"""
AS_BEFORE = """
    DROP FUNCTION webhooks_untried(uuid, integer);
    ALTER FUNCTION webhooks_untried_later(uuid, integer) RENAME TO webhooks_untried
"""


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("before", [0, 2])
def test_webhook_that_comes_while_a_claim_looks_is_claimed(sql: Sql, servers: Servers, before: int) -> None:
    """The claim locks it, so that whoever is woken for it passes over it; and its own statement does not see it yet."""
    waiting = [insert_webhook(sql, b"{}") for _ in range(before)]
    url = servers.superuser_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(url, autocommit=True) as other, ThreadPoolExecutor(1) as pool:
        other.execute(HELD_BACK)
        try:
            other.execute("SELECT pg_advisory_lock(hashtext('held back'))")
            claiming = pool.submit(partial(in_the_app, current_app._get_current_object()))  # type: ignore[attr-defined]
            wait_for_a_lock(sql)
            came = insert_webhook(sql, b"{}")
            other.execute("SELECT pg_advisory_unlock(hashtext('held back'))")
            claimed = claiming.result(20)
        finally:
            other.execute(AS_BEFORE)

    assert [held.id for held in claimed] == [*waiting, came]


def in_the_app(app: Flask) -> list[ClaimedWebhook]:
    with app.app_context():
        return claim(None)


def wait_for_a_lock(sql: Sql) -> None:
    for _ in range(1_000):
        if sql("SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"):
            return
        sleep(0.01)
    raise TimeoutError("nobody waits for a lock")


CLAIMABLE = {
    "new": ("'received'", 0, "now() + interval '5 seconds'", True),
    "new and due": ("'received'", 0, "now()", True),
    "tried and due": ("'received'", 3, "now()", True),
    "tried, backing off": ("'received'", 3, "now() + interval '1 second'", False),
    "parked": ("'parked'", 0, "now() + interval '1 second'", False),
    "parked and due": ("'parked'", 0, "now()", True),
    "failed": ("'failed'", 12, "NULL", False),
    "rejected": ("'rejected'", 1, "NULL", False),
    "applied": ("'applied'", 1, "NULL", False),
    "duplicate": ("'duplicate'", 1, "NULL", False),
    "ignored": ("'ignored'", 1, "NULL", False),
}


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(("state", "attempts", "due", "claimable"), CLAIMABLE.values(), ids=CLAIMABLE.keys())
def test_what_can_be_claimed(sql: Sql, state: str, attempts: int, due: str, claimable: bool) -> None:
    delivery = insert_webhook(sql, b"{}", state=state, attempts=attempts, next_attempt_at=due)
    before = webhook_row(sql, delivery)
    neighbour = insert_webhook(sql, b"{}")

    claimed = [held.id for held in claim(delivery)]

    if not claimable:
        assert claimed == [neighbour]
        assert (webhook_row(sql, delivery).state, webhook_row(sql, delivery).attempts) == (
            before.state,
            before.attempts,
        )
    elif before.state == "received" and attempts == 0:
        assert claimed == [delivery, neighbour]
    else:
        assert claimed == [delivery], "tried before, so alone"
        assert webhook_row(sql, neighbour).attempts == 0


@pytest.mark.usefixtures("worker")
def test_what_is_due_much_later_is_claimed_by_its_id_alone(sql: Sql) -> None:
    """A claim that looked so far would read all that is parked for the coming days."""
    later = insert_webhook(sql, b"{}", next_attempt_at="now() + interval '1 hour'")

    assert claim(None) == []
    assert [held.id for held in claim(later)] == [later]


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("state", ["'received'", "'parked'"])
def test_only_what_was_never_tried_is_claimed_along(sql: Sql, state: str) -> None:
    insert_webhook(sql, b"{}", state=state, attempts=1, next_attempt_at="now()")
    insert_webhook(sql, b"{}", state="'failed'", attempts=0, next_attempt_at="NULL")

    assert claim(None) == []


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(("size", "large"), [(LARGE, False), (LARGE + 1, True)])
def test_a_large_body_is_fetched_when_its_turn_comes(sql: Sql, size: int, large: bool) -> None:
    body = b"x" * size
    delivery = insert_webhook(sql, body)

    (held,) = claim(delivery)

    assert held.large is large
    assert (held.raw.body == b"") is large
    assert with_bodies([held])[0].raw.body == body


@pytest.mark.usefixtures("worker")
def test_a_set_of_large_and_small_webhooks_is_applied_whole(sql: Sql) -> None:
    references = [insert_payment(sql) for _ in range(12)]
    deliveries = [
        insert_webhook(sql, webhook(reference, note="x" * (LARGE if number % 3 else 1)))
        for number, reference in enumerate(references)
    ]

    process(str(deliveries[0]))

    assert {state_of(sql, delivery) for delivery in deliveries} == {"applied"}
    assert {status_of(sql, reference) for reference in references} == {"paid"}


def make_due(sql: Sql, delivery: UUID) -> None:
    sql("UPDATE webhook_deliveries SET next_attempt_at = now() WHERE id = :id", id=delivery)


def _write(held: ClaimedWebhook, state: str) -> list[Result]:
    with transaction() as connection:
        return settle(connection, [Result(webhook=held, state=state)])
