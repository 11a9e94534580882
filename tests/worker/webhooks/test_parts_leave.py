"""A part of webhooks that is over goes in two steps, and nobody who writes a webhook queues up behind either."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread, Timer
from time import monotonic
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import make_url

from checkout_service.database.engine import transaction
from checkout_service.delivery_states import DeliveryState
from tests.webhook_bodies import insert_payment, insert_webhook, post_webhook, state_of, webhook
from tests.worker.webhooks.parts_shop import (
    Shop,
    held,
    of_days_ago,
    opened,
    part_of,
    part_over,
    parted,
    parts,
    shop,
    today,
)
from worker.webhooks import parts as task
from worker.webhooks.claims import Result, claim, settle
from worker.webhooks.parts import turn_parts
from worker.webhooks.task import process

__all__ = ["opened", "parted", "shop"]  # fixtures

SOON = "10ms"
"""Longer than an INSERT waits for a lock that nobody stands in front of, and shorter than 20 ms."""

INSERT = b"INSERT INTO webhook_deliveries (provider, body) VALUES ('mock', '')"


@contextmanager
def connected(shop: Shop, lock_timeout: str = "0") -> Iterator[psycopg.Connection[Any]]:
    """A session in which nothing is committed by itself; what is left of it is rolled back."""
    url = make_url(shop.url).set(drivername="postgresql").render_as_string(False)
    with psycopg.connect(url, options=f"-c lock_timeout={lock_timeout}") as session:
        yield session
        session.rollback()


def part_before() -> str:
    """What was there before, and has been over for ten days."""
    return f"before_{today() - timedelta(days=40):%Y%m%d}"


def rows(shop: Shop, *own: UUID) -> list[Any]:
    return shop.sql("SELECT * FROM webhook_deliveries WHERE id = ANY(:own) ORDER BY id", own=list(own))


# The first step


def test_webhooks_are_taken_while_a_part_is_emptied(parted: Shop) -> None:
    with connected(parted) as session, connected(parted, SOON) as other:
        (answer,) = session.execute("SELECT part, kept FROM webhooks_empty_part('30 days')").fetchall()
        assert answer == (f"webhook_deliveries_{part_before()}", 0)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute(f"SELECT FROM webhook_deliveries_{part_before()}".encode())
        other.rollback()

        other.execute(INSERT)
        other.commit()
        assert post_webhook(parted.client, webhook("mock_pi_meanwhile"))
        session.commit()


def test_what_is_not_final_is_kept_as_it_is_and_all_else_goes(parted: Shop) -> None:
    own = [of_days_ago(parted.sql, 35, state) for state in ("received", "parked", "rejected")]
    final = [of_days_ago(parted.sql, 35, state) for state in ("failed", "duplicate", "ignored")]
    before = rows(parted, *own)

    parted.sql("SELECT webhooks_empty_part('30 days')")
    (answer,) = parted.sql("SELECT part, kept FROM webhooks_empty_part('30 days')")

    assert tuple(answer) == (f"webhook_deliveries_{part_over()}", 3)
    assert rows(parted, *own) == before
    assert rows(parted, *final) == []
    assert {part_of(parted.sql, each) for each in own} == {part_over()}
    (again,) = parted.sql("SELECT part, kept FROM webhooks_empty_part('30 days')")
    assert tuple(again) == (None, 0), "there is nothing to empty"


def test_whoever_is_killed_between_the_steps_leaves_the_second_to_the_next_run(parted: Shop) -> None:
    received = of_days_ago(parted.sql, 35, "received")
    with connected(parted) as killed:
        killed.execute("SELECT webhooks_empty_part('30 days')")
        killed.rollback()
    assert len(parted.sql("SELECT FROM webhook_deliveries")) == 5, "each step is a transaction"
    for _ in range(2):
        parted.sql("SELECT webhooks_empty_part('30 days')")
    assert parts(parted.sql)[:2] == [part_before(), part_over()]
    assert len(parted.sql("SELECT FROM webhook_deliveries")) == 3

    assert turn_parts() == f"made 0 parts, dropped webhook_deliveries_{part_before()}, webhook_deliveries_{part_over()}"

    assert part_of(parted.sql, received) == "of_no_day"
    assert {row.id for row in claim(None)} == {received}


def test_a_part_that_somebody_reads_is_emptied_by_a_later_run(parted: Shop) -> None:
    with held(parted.url, f"webhook_deliveries_{part_before()}"):
        (answer,) = parted.sql("SELECT part, kept FROM webhooks_empty_part('30 days')")
        assert tuple(answer) == ("locked", 0)
    (answer,) = parted.sql("SELECT part, kept FROM webhooks_empty_part('30 days')")
    assert answer.part == f"webhook_deliveries_{part_before()}"


@pytest.mark.parametrize(("number", "size"), [(1001, 1), (33, 2**20)])
def test_a_part_with_much_that_is_not_final_is_not_written_anew(parted: Shop, number: int, size: int) -> None:
    parted.sql(
        f"""INSERT INTO webhook_deliveries (id, provider, body)
        SELECT uuidv7(interval '-50 days'), 'mock', repeat('x', {size})::bytea FROM generate_series(1, {number})"""
    )
    (answer,) = parted.sql("SELECT part FROM webhooks_empty_part('30 days')")
    assert answer.part == f"webhook_deliveries_{part_over()}", "the next one is"
    assert parted.sql(f"SELECT count(*) AS left FROM webhook_deliveries_{part_before()}")[0].left == number + 1


def test_two_that_keep_house_at_once_lose_nothing_and_double_nothing(parted: Shop) -> None:
    """One of them is of the release before, which does both steps in one."""
    own = [of_days_ago(parted.sql, 35, state) for state in ("received", "parked", "rejected")]
    before = rows(parted, *own)
    with connected(parted) as first, connected(parted) as second:
        first.execute("SELECT webhooks_empty_part('30 days')")
        first.execute("SELECT webhooks_empty_part('30 days')")
        for step in ("empty_part('30 days')", "detach_part('30 days', true)", "drop_part('30 days')"):
            answer = second.execute(f"SELECT part FROM webhooks_{step}".encode()).fetchall()
            assert answer == [("locked",)], step
        second.rollback()
        first.commit()
        for _ in range(2):
            second.execute("SELECT webhooks_drop_part('30 days')")
            second.commit()

    assert rows(parted, *own) == before
    assert {part_of(parted.sql, each) for each in own} == {"of_no_day"}
    assert turn_parts() == "made 0 parts, dropped none"


def test_webhook_that_is_claimed_while_its_part_is_emptied_is_applied_once(parted: Shop) -> None:
    reference = insert_payment(parted.sql)
    moment = "interval '-35 days'"
    delivery = insert_webhook(parted.sql, webhook(reference), id=f"uuidv7({moment})")
    with connected(parted) as session:
        session.execute("SELECT webhooks_empty_part('30 days')")
        (answer,) = session.execute("SELECT part, kept FROM webhooks_empty_part('30 days')").fetchall()
        assert answer == (f"webhook_deliveries_{part_over()}", 1)
        # The claim waits for the part, and finds the row where it is by then.
        end = Timer(0.3, session.commit)
        end.start()
        process(str(delivery))
        end.join()
    (claimed,) = rows(parted, delivery)
    assert (claimed.state, claimed.attempts) == ("applied", 1)

    again = insert_webhook(parted.sql, webhook(insert_payment(parted.sql)), id=f"uuidv7({moment})")
    (taken,) = claim(again)
    assert turn_parts().endswith(f"dropped webhook_deliveries_{part_before()}, webhook_deliveries_{part_over()}")
    assert part_of(parted.sql, again) == "of_no_day"
    with transaction() as connection:
        assert len(settle(connection, [Result(webhook=taken, state=DeliveryState.FAILED)])) == 1
    assert state_of(parted.sql, again) == "failed"


def test_table_of_the_same_name_in_a_session_is_not_what_is_written_back(parted: Shop) -> None:
    """The function is its owner's, and whoever calls it may have tables of his own."""
    received = of_days_ago(parted.sql, 35, "received")
    before = rows(parted, received)
    with connected(parted) as session:
        session.execute("CREATE TEMP TABLE webhooks_kept AS SELECT * FROM webhook_deliveries")
        for _ in range(2):
            session.execute("SELECT webhooks_empty_part('30 days')")
        session.execute("DROP TABLE pg_temp.webhooks_kept")
        session.commit()

    assert rows(parted, received) == before
    assert len(parted.sql("SELECT FROM webhook_deliveries")) == 3


# The second step


def test_no_webhook_queues_up_behind_a_part_that_waits_for_its_moment(
    parted: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has the table all the time, as webhooks do that come one upon the other."""
    monkeypatch.setattr(task, "TRIES", 5)
    parted.sql(f"DROP TABLE webhook_deliveries_{part_before()}")  # which has been over for long
    over = Event()
    results = set[str]()

    def housekeep() -> None:
        while not over.is_set():
            (answer,) = parted.sql("SELECT part FROM webhooks_detach_part('30 days', true)")
            results.add(answer.part)

    thread = Thread(target=housekeep)
    with connected(parted) as holder, connected(parted, SOON) as session:
        holder.execute(INSERT)
        assert turn_parts() == "made 0 parts, dropped none"
        thread.start()
        try:
            until = monotonic() + 1.0
            while monotonic() < until or not results:
                session.execute(INSERT)
                session.commit()
        finally:
            over.set()
            thread.join()
        assert results == {"locked"}
        assert part_over() in parts(parted.sql)

    assert turn_parts() == f"made 0 parts, dropped webhook_deliveries_{part_over()}"


def test_a_part_that_is_a_day_late_is_waited_for_shortly_and_given_up(parted: Shop) -> None:
    with connected(parted) as holder, connected(parted, "1s") as session:
        holder.execute(INSERT)
        results = list[Any]()
        thread = Thread(
            target=lambda: results.extend(parted.sql("SELECT part FROM webhooks_detach_part('30 days', true)"))
        )
        thread.start()
        session.execute(INSERT)
        session.commit()
        thread.join()
        assert [row.part for row in results] == ["locked"]
    with connected(parted) as holder:
        holder.execute(INSERT)
        began = monotonic()
        (answer,) = parted.sql("SELECT part FROM webhooks_detach_part('30 days', false)")
        assert answer.part == "locked"
        assert monotonic() - began < 5


def test_the_tables_lock_is_not_waited_for_while_somebody_reads_the_part(parted: Shop) -> None:
    """A dump has it for hours."""
    with (
        held(parted.url, f"webhook_deliveries_{part_before()}"),
        connected(parted) as session,
        connected(parted, SOON) as other,
    ):
        assert session.execute("SELECT part FROM webhooks_detach_part('30 days', true)").fetchall() == [("locked",)]
        other.execute(INSERT)
        other.commit()


def test_a_part_with_too_many_pending_ones_stays_small_and_keeps_no_other(parted: Shop) -> None:
    parted.sql(
        """INSERT INTO webhook_deliveries (id, provider, body)
        SELECT uuidv7(interval '-50 days'), 'mock', '' FROM generate_series(1, 301)"""
    )
    assert turn_parts() == f"made 0 parts, dropped webhook_deliveries_{part_over()}"

    assert parts(parted.sql)[0] == part_before()
    assert parted.sql(f"SELECT count(*) AS left FROM webhook_deliveries_{part_before()}")[0].left == 301
    assert len(claim(None)) == 301
    parted.sql(f"UPDATE webhook_deliveries_{part_before()} SET state = 'ignored', next_attempt_at = NULL")
    assert turn_parts() == f"made 0 parts, dropped webhook_deliveries_{part_before()}"


@pytest.mark.parametrize(("number", "leaves"), [(16, True), (17, False)])
def test_no_more_than_4_mib_move_while_everybody_waits_for_the_table(
    parted: Shop, number: int, *, leaves: bool
) -> None:
    """Strangers choose how large a rejected one is, up to 256 KiB."""
    final = parted.sql("SELECT id FROM webhook_deliveries ORDER BY id LIMIT 1")[0].id
    parted.sql(
        f"""INSERT INTO webhook_deliveries (id, provider, state, body)
        SELECT uuidv7(interval '-50 days'), 'mock', 'rejected', repeat('x', {256 * 1024})::bytea
        FROM generate_series(1, {number})"""
    )
    turn_parts()

    assert (part_before() not in parts(parted.sql)) == leaves
    assert len(parted.sql("SELECT FROM webhook_deliveries WHERE state = 'rejected'")) == number
    assert rows(parted, final) == [], "it was emptied of what is final"


def test_webhooks_are_taken_and_applied_while_parts_leave(parted: Shop) -> None:
    taken: list[UUID] = []
    over = Event()

    def take() -> None:
        while not over.is_set():
            taken.append(post_webhook(parted.client, webhook(insert_payment(parted.sql))))

    taker = Thread(target=take)
    taker.start()
    try:
        until = monotonic() + 20
        while part_over() in parts(parted.sql) and monotonic() < until:
            turn_parts()
    finally:
        over.set()
        taker.join()
    assert part_over() not in parts(parted.sql)
    process(str(taken[0]))
    assert {state_of(parted.sql, delivery) for delivery in taken} == {"applied"}
