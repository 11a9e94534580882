"""Forgeries are kept within bounds, and never at the expense of what is genuine."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from checkout_service.database.engine import transaction
from checkout_service.telemetry.metrics import letters_dropped_total
from tests.conftest import Sql
from tests.crowd import at_once
from tests.webhook_bodies import insert_letter, insert_payment, letter, state_of, status_of
from tests.worker.conftest import MakeWorker
from worker.webhooks import task as webhooks
from worker.webhooks.claims import Result, claim
from worker.webhooks.rejected import reject
from worker.webhooks.statements import LARGE
from worker.webhooks.task import process


def forged(number: int, size: int = 0) -> bytes:
    return letter(f"mock_pi_{number}", secret="a guess", padding="x" * size)


def file_forgeries(sql: Sql, many: int, size: int = 0) -> list[UUID]:
    return [
        insert_letter(sql, forged(number, size), received_at=f"now() - interval '{many - number} seconds'")
        for number in range(many)
    ]


def kept(sql: Sql) -> list[UUID]:
    return [row.id for row in sql("SELECT id FROM webhook_deliveries WHERE state = 'rejected' ORDER BY received_at")]


def dropped() -> float:
    return letters_dropped_total._value.get()


def test_rejected_letters_are_kept_up_to_a_number_of_rows(sql: Sql, make_worker: MakeWorker) -> None:
    deliveries = file_forgeries(sql, 8)
    before = dropped()

    with make_worker(rejected_max_rows=5).app_context():
        process(str(deliveries[7]))

    assert kept(sql) == deliveries[:5], "the newest are dropped"
    assert sql("SELECT count(*) FROM webhook_deliveries")[0].count == 5
    assert dropped() - before == 3


@pytest.mark.parametrize("size", [0, LARGE + 1], ids=["small", "large"])
def test_rejected_letters_are_kept_up_to_a_number_of_bytes(sql: Sql, make_worker: MakeWorker, size: int) -> None:
    deliveries = file_forgeries(sql, 6, size)
    each = len(forged(0, size))
    before = dropped()

    with make_worker(rejected_max_bytes=3 * each).app_context():
        process(str(deliveries[0]))
    assert kept(sql) == deliveries[:3]
    assert dropped() - before == 3

    one_more = insert_letter(sql, forged(9, size))
    with make_worker(rejected_max_bytes=4 * each - 1).app_context():
        process(str(one_more))
    assert one_more not in kept(sql), "one byte too many"


def test_a_full_box_of_forgeries_keeps_no_genuine_letter_out(sql: Sql, make_worker: MakeWorker) -> None:
    reference, unknown = insert_payment(sql), "mock_pi_unknown"
    file_forgeries(sql, 5)
    genuine, parked = insert_letter(sql, letter(reference)), insert_letter(sql, letter(unknown))

    with make_worker(rejected_max_rows=1).app_context():
        process(str(genuine))

    assert [state_of(sql, genuine), state_of(sql, parked)] == ["applied", "parked"]
    assert status_of(sql, reference) == "paid"
    assert len(kept(sql)) == 1


def test_a_rejected_letter_processed_again_keeps_its_place(sql: Sql, make_worker: MakeWorker) -> None:
    with make_worker(rejected_max_rows=3).app_context():
        deliveries = file_forgeries(sql, 3)
        process(str(deliveries[0]))

        for delivery in deliveries:
            process(str(delivery))

    assert kept(sql) == deliveries


@pytest.mark.parametrize("bound", ["rejected_max_rows", "rejected_max_bytes"])
def test_the_newest_forgery_makes_room_for_a_letter_that_an_operator_had_processed(
    sql: Sql, make_worker: MakeWorker, bound: str
) -> None:
    failed = insert_letter(sql, forged(1), state="'failed'", attempts=1, next_attempt_at="NULL")
    older, newer = (
        insert_letter(
            sql, forged(2), state="'rejected'", attempts=1, next_attempt_at="NULL", received_at=f"now() - {age}"
        )
        for age in ("interval '2 hours'", "interval '1 hour'")
    )
    before = dropped()

    with make_worker(**{bound: 2 * (len(forged(1)) if bound == "rejected_max_bytes" else 1)}).app_context():
        process(str(failed))

    assert set(kept(sql)) == {failed, older}, f"not {newer}"
    assert dropped() == before + 1


def test_a_bell_that_names_a_rejected_letter_makes_no_place_for_another(sql: Sql, make_worker: MakeWorker) -> None:
    """While it is looked at again its place is free, and another worker's forgery may take it."""
    with make_worker(rejected_max_rows=3).app_context():
        deliveries = file_forgeries(sql, 3)
        process(str(deliveries[0]))
        before = dropped()
        (own,) = claim(deliveries[0])
        process(str(insert_letter(sql, forged(9))))
        with transaction() as connection:
            reject(connection, [Result(letter=own, state="rejected")])

    assert kept(sql) == deliveries
    assert dropped() == before + 1


def test_large_letters_that_the_time_is_too_short_for_are_given_back_untouched(
    sql: Sql, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = insert_letter(sql, forged(1))
    large = [insert_letter(sql, forged(number, LARGE + 1)) for number in (2, 3)]
    monkeypatch.setattr(webhooks, "WORK_FOR", -1.0)

    with make_worker().app_context():
        assert process(str(small)) == "1 letters"
        rows = sql(
            "SELECT state, attempts, next_attempt_at <= now() AS due FROM webhook_deliveries WHERE id <> :id", id=small
        )
        assert [tuple(row) for row in rows] == [("received", 0, True)] * 2

        monkeypatch.undo()
        assert process(str(large[1])) == "2 letters"
    assert {state_of(sql, delivery) for delivery in large} == {"rejected"}


def test_large_forgeries_are_counted_once_a_chunk(
    sql: Sql, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliveries = file_forgeries(sql, 7, LARGE + 1)
    size = len(forged(0, LARGE + 1))
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
        deliveries = [insert_letter(sql, forged(number), attempts=1, next_attempt_at="now()") for number in range(20)]
        before = dropped()
        workers = [make_worker(rejected_max_rows=bound) for _ in range(4)]

        shares = [deliveries[turn::4] for turn in range(4)]

        at_once([lambda app=app, share=share: _run(app, share) for app, share in zip(workers, shares, strict=True)])

        assert sql("SELECT state, count(*) FROM webhook_deliveries GROUP BY state") == [("rejected", bound)]
        assert dropped() - before == 20 - bound


def test_a_store_that_refuses_rejected_letters_holds_back_no_genuine_one(sql: Sql, make_worker: MakeWorker) -> None:
    """Whatever goes wrong with forgeries, the genuine letters of the same set are through before it."""
    reference = insert_payment(sql)
    forgery, genuine = insert_letter(sql, forged(1)), insert_letter(sql, letter(reference))
    sql("ALTER TABLE webhook_deliveries ADD CONSTRAINT test_none CHECK (state <> 'rejected')")
    try:
        with make_worker().app_context():
            process(str(forgery))
    finally:
        sql("ALTER TABLE webhook_deliveries DROP CONSTRAINT test_none")

    assert [state_of(sql, forgery), state_of(sql, genuine)] == ["received", "applied"]
    assert status_of(sql, reference) == "paid"


def test_forgeries_that_have_to_wait_let_the_genuine_pass(sql: Sql, make_worker: MakeWorker, superuser: Engine) -> None:
    """Another worker holds the lock under which forgeries are counted."""
    reference = insert_payment(sql)
    forgery = insert_letter(sql, forged(1))
    genuine = insert_letter(sql, letter(reference, padding="x" * LARGE))
    with superuser.connect() as other, make_worker().app_context():
        other.execute(text("SELECT pg_advisory_lock(hashtextextended('checkout rejected letters', 0))"))
        process(str(forgery))
        other.execute(text("SELECT pg_advisory_unlock_all()"))

    assert [state_of(sql, forgery), state_of(sql, genuine)] == ["received", "applied"]


def _run(app: object, deliveries: list[UUID]) -> None:
    with app.app_context():  # type: ignore[attr-defined]
        for delivery in deliveries:
            process(str(delivery))
