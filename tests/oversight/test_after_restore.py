"""``checkout after-restore``: series go on behind what was seen outside, senders know the log, payments are due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from flask import Flask
from sqlalchemy import Engine, make_url, text

from checkout_service.events.queries import DroppedEventsError, events_page
from checkout_service.oversight import after_restore as after_restore_module
from checkout_service.oversight.after_restore import Done, after_restore
from checkout_service.settings.secret import Secret
from tests.conftest import MakeListing, Servers, Sql
from tests.events.numbered import sequence
from tests.ordering import paid_order
from tests.webhook_bodies import insert_payment
from worker.events.marks import NO_MARK
from worker.events.reading import read_numbers


@pytest.fixture
def address(servers: Servers) -> str:
    return make_url(servers.superuser_url).set(drivername="postgresql").render_as_string(hide_password=False)


def run(address: str, *, events_past: int = 0, orders_past: int = 0, moment: datetime | None = None) -> Done:
    return after_restore(
        events_past=events_past,
        orders_past=orders_past,
        payments_since=timedelta(days=30),
        moment=moment,
        database_url=Secret(address),
    )


def test_senders_and_readers_go_on_in_a_log_that_was_moved(
    app: Flask, worker_app: Flask, sql: Sql, make_listing: MakeListing, address: str
) -> None:
    paid_order(sql, (make_listing(), 1))
    sequence(sql)
    with worker_app.app_context():
        before = read_numbers(NO_MARK)
    done = run(address, events_past=before.last + 500, orders_past=70)
    assert (done.before.event, done.after.event) == (before.last, before.last + 500)
    with worker_app.app_context():
        for known in (before.mark, read_numbers(NO_MARK).mark):
            moved = read_numbers(known)
            assert (moved.last, moved.go_on) == (before.last + 500, True)

    paid_order(sql, (make_listing(), 1))
    sequence(sql)
    with app.app_context():
        page = events_page(before.last + 9, limit=100)
    assert page.events[0].seq == before.last + 500, "the last event once more, by which the log is known"
    assert [event.seq for event in page.events[1:]] == list(
        range(before.last + 501, before.last + 500 + len(page.events))
    )
    assert len(page.events) > 1
    assert [row.number for row in sql("SELECT number FROM orders ORDER BY number")] == [1, 71]


def test_a_series_is_never_moved_back(sql: Sql, make_listing: MakeListing, address: str) -> None:
    paid_order(sql, (make_listing(), 1))
    sequence(sql)
    run(address, events_past=900, orders_past=90)
    rows = sql("SELECT * FROM event_numbers ORDER BY seq"), sql("SELECT * FROM order_numbers ORDER BY number")
    for number in (0, 5, 900):
        done = run(address, events_past=number, orders_past=number // 10)
        assert done.before == done.after == (900, 90)
    assert (sql("SELECT * FROM event_numbers ORDER BY seq"), sql("SELECT * FROM order_numbers ORDER BY number")) == rows


def test_a_log_without_an_event(
    app: Flask, worker_app: Flask, sql: Sql, make_listing: MakeListing, address: str
) -> None:
    run(address, events_past=40)
    with worker_app.app_context():
        empty = read_numbers(NO_MARK)
        assert (empty.last, read_numbers(empty.mark).go_on) == (40, True)
    paid_order(sql, (make_listing(), 1))
    sequence(sql)
    with app.app_context():
        assert events_page(40, limit=100).events[0].seq == 41
        with pytest.raises(DroppedEventsError):
            events_page(7, limit=100)


def test_payments_of_so_long_and_all_that_are_open_are_looked_up(
    sql: Sql, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = after_restore_module._LOOK_UPS.replace(f"LIMIT {after_restore_module.PAGE}", "LIMIT 1")
    monkeypatch.setattr(after_restore_module, "_LOOK_UPS", page)
    old, recent, open_one = insert_payment(sql, status="paid"), insert_payment(sql, status="paid"), insert_payment(sql)
    sql("UPDATE payments SET next_look_up_at = NULL WHERE status = 'paid'")
    aged = "UPDATE payments SET created_at = now() - interval '40 days' WHERE provider_ref = ANY(:references)"
    sql(aged, references=[old, open_one])
    assert run(address).payments == 2
    due = """SELECT provider_ref FROM look_ups_after_restore AS due JOIN payments ON payments.id = due.payment_id
        WHERE due_at <= now() AND answered_at IS NULL"""
    assert {row.provider_ref for row in sql(due)} == {recent, open_one}
    assert run(address, moment=datetime.now(UTC) - timedelta(days=15)).payments == 3
    assert {row.provider_ref for row in sql(due)} == {old, recent, open_one}


def test_who_cannot_tell_is_named_and_let_go_by_an_operator(app: Flask, sql: Sql, address: str) -> None:
    for provider in ("mock", "adyen"):
        insert_payment(sql, status="paid", provider=provider)
    runner = app.test_cli_runner(env={"MIGRATION_DATABASE_URL": address})
    done = runner.invoke(args=["after-restore", "--events-past", "9", "--orders-past", "9"])
    assert "Payments: 2 are looked up" in done.output
    assert "adyen: its look-ups find no refunds" in done.output
    assert "mock: its look-ups" not in done.output

    sql("UPDATE look_ups_after_restore SET answered_at = now() WHERE provider = 'adyen'")
    for words, output, left in (
        (["mock"], "0 payments of mock wait no more.\n", 2),
        (["adyen"], "1 payments of adyen wait no more.\n", 1),
        (["mock", "--unanswered"], "1 payments of mock wait no more.\n", 0),
    ):
        assert runner.invoke(args=["after-restore-done", *words]).output == output
        assert len(sql("SELECT FROM look_ups_after_restore")) == left


def test_who_holds_the_numbers_of_orders_is_not_waited_for_without_end(
    address: str, superuser: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(after_restore_module, "LOCK_WITHIN", "100ms")
    with superuser.execution_options(isolation_level="READ COMMITTED").connect() as other:
        other.execute(text("LOCK TABLE order_numbering IN SHARE UPDATE EXCLUSIVE MODE"))
        with pytest.raises(psycopg.errors.LockNotAvailable):
            run(address, orders_past=9)


def test_whoever_is_not_the_owner_changes_nothing(app: Flask, servers: Servers, sql: Sql) -> None:
    runner = app.test_cli_runner(env={"MIGRATION_DATABASE_URL": servers.web_url.replace("+psycopg", "")})
    done = runner.invoke(args=["after-restore", "--events-past", "9", "--orders-past", "9"])
    assert done.exit_code == 1
    assert "The database refused" in done.output
    assert sql("SELECT FROM event_series") == []
