"""Unverified webhooks are kept within bounds, and never at the expense of what is verified."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from checkout_service.database.engine import transaction
from checkout_service.delivery_states import DeliveryState, RejectedClass
from checkout_service.telemetry.metrics import webhook_deliveries_dropped_total
from tests.conftest import Sql
from tests.crowd import at_once
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, status_of, webhook
from tests.worker.conftest import MakeWorker
from worker.webhooks import task as webhooks
from worker.webhooks.claims import Result
from worker.webhooks.rejected import reject
from worker.webhooks.replays import claim_one
from worker.webhooks.statements import LARGE
from worker.webhooks.task import process


def unverified(number: int, size: int = 0) -> bytes:
    return webhook(f"mock_pi_{number}", secret="a guess", padding="x" * size)


def file_unverified(sql: Sql, many: int, size: int = 0) -> list[UUID]:
    return [
        insert_webhook(sql, unverified(number, size), received_at=f"now() - interval '{many - number} seconds'")
        for number in range(many)
    ]


def kept(sql: Sql) -> list[UUID]:
    return [row.id for row in sql("SELECT id FROM webhook_deliveries WHERE state = 'rejected' ORDER BY received_at")]


def dropped(named: str = "unknown") -> float:
    return webhook_deliveries_dropped_total.labels(named)._value.get()


def test_rejected_webhooks_are_kept_up_to_a_number_of_rows(sql: Sql, make_worker: MakeWorker) -> None:
    deliveries = file_unverified(sql, 8)
    before = dropped()

    with make_worker(rejected_max_rows=5).app_context():
        process(str(deliveries[7]))

    assert kept(sql) == deliveries[3:], "the oldest are dropped"
    assert sql("SELECT count(*) FROM webhook_deliveries")[0].count == 5
    assert dropped() - before == 3


@pytest.mark.parametrize("size", [0, LARGE + 1], ids=["small", "large"])
def test_rejected_webhooks_are_kept_up_to_a_number_of_bytes(sql: Sql, make_worker: MakeWorker, size: int) -> None:
    deliveries = file_unverified(sql, 6, size)
    each = len(unverified(0, size))
    before = dropped()

    with make_worker(rejected_max_bytes=3 * each).app_context():
        process(str(deliveries[0]))
    assert kept(sql) == deliveries[3:]
    assert dropped() - before == 3

    one_more = insert_webhook(sql, unverified(9, size))
    with make_worker(rejected_max_bytes=4 * each - 1).app_context():
        process(str(one_more))
    assert kept(sql) == [*deliveries[4:], one_more], "one byte too many"


def test_a_full_box_of_unverified_keeps_no_verified_webhook_out(sql: Sql, make_worker: MakeWorker) -> None:
    reference, unknown = insert_payment(sql), "mock_pi_unknown"
    file_unverified(sql, 5)
    verified, parked = insert_webhook(sql, webhook(reference)), insert_webhook(sql, webhook(unknown))

    with make_worker(rejected_max_rows=1).app_context():
        process(str(verified))

    assert [state_of(sql, verified), state_of(sql, parked)] == ["applied", "parked"]
    assert status_of(sql, reference) == "paid"
    assert len(kept(sql)) == 1


def test_a_rejected_webhook_processed_again_keeps_its_place(sql: Sql, make_worker: MakeWorker) -> None:
    with make_worker(rejected_max_rows=3).app_context():
        deliveries = file_unverified(sql, 3)
        process(str(deliveries[0]))

        for delivery in deliveries:
            process(str(delivery))

    assert kept(sql) == deliveries


@pytest.mark.parametrize("bound", ["rejected_max_rows", "rejected_max_bytes"])
def test_the_oldest_of_the_others_makes_room_for_a_webhook_that_an_operator_had_processed(
    sql: Sql, make_worker: MakeWorker, bound: str
) -> None:
    failed = insert_webhook(
        sql,
        unverified(1),
        state="'failed'",
        attempts=1,
        next_attempt_at="NULL",
        received_at="now() - interval '3 hours'",
    )
    older, newer = (
        insert_webhook(
            sql, unverified(2), state="'rejected'", attempts=1, next_attempt_at="NULL", received_at=f"now() - {age}"
        )
        for age in ("interval '2 hours'", "interval '1 hour'")
    )
    before = dropped()

    with make_worker(**{bound: 2 * (len(unverified(1)) if bound == "rejected_max_bytes" else 1)}).app_context():
        process(str(failed))

    assert kept(sql) == [failed, newer], f"not {older}"
    assert dropped() == before + 1


def test_a_rejected_webhook_that_is_replayed_makes_no_place_for_another(sql: Sql, make_worker: MakeWorker) -> None:
    """While it is looked at again its place is free, and another worker's unverified webhook may take it."""
    with make_worker(rejected_max_rows=3).app_context():
        deliveries = file_unverified(sql, 3)
        process(str(deliveries[0]))
        before = dropped()
        own = claim_one(deliveries[0], key=uuid4(), operator="ops")
        assert own is not None
        newest = insert_webhook(sql, unverified(9))
        process(str(newest))
        with transaction() as connection:
            rejected = reject(connection, [Result(webhook=own, state=DeliveryState.REJECTED)])

    assert kept(sql) == [deliveries[0], deliveries[2], newest], "the oldest of the others made room"
    assert (rejected.dropped, dropped()) == ({RejectedClass.UNKNOWN: 1}, before), "the caller counts, once committed"


def test_large_webhooks_that_the_time_is_too_short_for_are_given_back_untouched(
    sql: Sql, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = insert_webhook(sql, unverified(1))
    large = [insert_webhook(sql, unverified(number, LARGE + 1)) for number in (2, 3)]
    monkeypatch.setattr(webhooks, "WORK_FOR", -1.0)

    with make_worker().app_context():
        assert process(str(small)) == "1 webhooks"
        rows = sql(
            "SELECT state, attempts, next_attempt_at <= now() AS due FROM webhook_deliveries WHERE id <> :id", id=small
        )
        assert [tuple(row) for row in rows] == [("received", 0, True)] * 2

        monkeypatch.undo()
        assert process(str(large[1])) == "2 webhooks"
    assert {state_of(sql, delivery) for delivery in large} == {"rejected"}


def test_large_unverified_are_counted_once_a_chunk(
    sql: Sql, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliveries = file_unverified(sql, 7, LARGE + 1)
    size = len(unverified(0, LARGE + 1))
    monkeypatch.setattr(webhooks, "CHUNK", 3 * size)
    counts: list[int] = []
    reject = webhooks.reject
    monkeypatch.setattr(
        webhooks, "reject", lambda connection, results: (counts.append(len(results)), reject(connection, results))[1]
    )

    with make_worker().app_context():
        process(str(deliveries[0]))

    assert counts == [3, 3, 1]


def test_the_bounds_are_exact_under_many_workers(sql: Sql, make_worker: MakeWorker) -> None:
    bound = 7
    for _ in range(5):
        sql("TRUNCATE webhook_deliveries")
        deliveries = [
            insert_webhook(sql, unverified(number), attempts=1, next_attempt_at="now()") for number in range(20)
        ]
        before = dropped()
        workers = [make_worker(rejected_max_rows=bound) for _ in range(4)]

        shares = [deliveries[turn::4] for turn in range(4)]

        at_once([lambda app=app, share=share: _run(app, share) for app, share in zip(workers, shares, strict=True)])

        assert sql("SELECT state, count(*) FROM webhook_deliveries GROUP BY state") == [("rejected", bound)]
        assert dropped() - before == 20 - bound


def test_a_store_that_refuses_rejected_webhooks_holds_back_no_verified_one(sql: Sql, make_worker: MakeWorker) -> None:
    """Whatever goes wrong with unverified webhooks, the verified webhooks of the same set are through before it."""
    reference = insert_payment(sql)
    one_unverified, verified = insert_webhook(sql, unverified(1)), insert_webhook(sql, webhook(reference))
    sql("ALTER TABLE webhook_deliveries ADD CONSTRAINT test_none CHECK (state <> 'rejected')")
    try:
        with make_worker().app_context():
            process(str(one_unverified))
    finally:
        sql("ALTER TABLE webhook_deliveries DROP CONSTRAINT test_none")

    assert [state_of(sql, one_unverified), state_of(sql, verified)] == ["received", "applied"]
    assert status_of(sql, reference) == "paid"


def test_unverified_that_have_to_wait_let_the_verified_pass(
    sql: Sql, make_worker: MakeWorker, superuser: Engine
) -> None:
    """Another worker holds the table that whoever rejects locks."""
    reference = insert_payment(sql)
    one_unverified = insert_webhook(sql, unverified(1))
    verified = insert_webhook(sql, webhook(reference, padding="x" * LARGE))
    with superuser.connect() as other, make_worker().app_context():
        other.execution_options(isolation_level="READ COMMITTED")
        other.execute(text("LOCK TABLE webhook_rejections IN SHARE ROW EXCLUSIVE MODE"))
        process(str(one_unverified))
        other.rollback()

    assert [state_of(sql, one_unverified), state_of(sql, verified)] == ["received", "applied"]


def _run(app: object, deliveries: list[UUID]) -> None:
    with app.app_context():  # type: ignore[attr-defined]
        for delivery in deliveries:
            process(str(delivery))
