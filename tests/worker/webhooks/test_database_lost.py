"""The database goes away in the middle of things: what was begun is undone, and done again later."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from checkout_service.settings.secret import Secret
from tests.conftest import Sql
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, status_of, webhook
from tests.worker.conftest import MakeWorker, webhook_row
from tests.worker.promises import insert_promise
from tests.worker.webhooks.test_sweeping import insert_many
from worker.payments.look_ups import expire, look_up
from worker.webhooks.pruning import prune
from worker.webhooks.sweeping import sweep
from worker.webhooks.task import process

AWAY = "the database is unavailable; the sweep sends another wake-up"


@pytest.fixture
def dying(sql: Sql) -> Iterator[None]:
    """Every connection that records an event is lost just before its transaction could end."""
    sql("""
        CREATE FUNCTION test_die() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$""")
    sql("CREATE TRIGGER test_die AFTER INSERT ON payment_events FOR EACH ROW EXECUTE FUNCTION test_die()")
    yield
    sql("DROP FUNCTION test_die() CASCADE")


@pytest.mark.usefixtures("dying")
def test_a_connection_lost_in_the_middle_leaves_nothing_half_done(sql: Sql, make_worker: MakeWorker) -> None:
    references = [insert_payment(sql) for _ in range(5)]
    deliveries = [insert_webhook(sql, webhook(reference)) for reference in references]
    with make_worker().app_context():
        assert process(str(deliveries[0])) == AWAY

        assert {status_of(sql, reference) for reference in references} == {"pending"}
        assert sql("SELECT count(*) FROM payment_events")[0].count == 0
        rows = [webhook_row(sql, delivery) for delivery in deliveries]
        assert {(row.state, row.attempts) for row in rows} == {("received", 1)}
        assert all(20 < row.due_in <= 30 for row in rows), "no hot loop: the lease is waited for"

        sql("DROP TRIGGER test_die ON payment_events")
        sql("UPDATE webhook_deliveries SET next_attempt_at = now()")
    with make_worker().app_context():
        for delivery in deliveries:
            process(str(delivery))

    assert {status_of(sql, reference) for reference in references} == {"paid"}
    assert {state_of(sql, delivery) for delivery in deliveries} == {"applied"}
    assert sql("SELECT count(*) FROM payment_events")[0].count == 5


@pytest.mark.usefixtures("dying")
def test_reconciliation_ends_without_an_error_and_goes_on_later(sql: Sql, make_worker: MakeWorker) -> None:
    reference = insert_promise(sql, ends="now()")
    with make_worker().app_context():
        assert expire() == "asked about 1 payments, learned 0 events"
    assert status_of(sql, reference) == "pending"
    sql("DROP TRIGGER test_die ON payment_events")

    with make_worker().app_context():
        assert expire() == "asked about 1 payments, learned 1 events"
    assert status_of(sql, reference) == "expired"


def test_without_a_database_no_task_fails(sql: Sql, make_worker: MakeWorker) -> None:
    insert_many(sql, 3, attempts="1", next_attempt_at="now()")
    before = sql("SELECT * FROM webhook_deliveries ORDER BY id")
    away = Secret("postgresql+psycopg://checkout_worker@127.0.0.1:1/nowhere")

    with make_worker(database_url=away).app_context():
        assert process(str(before[0].id)) == AWAY
        assert sweep() == prune() == "the database is unavailable"
        assert look_up() == expire() == "asked about 0 payments, learned 0 events"

    assert sql("SELECT * FROM webhook_deliveries ORDER BY id") == before


def test_a_database_that_takes_no_writes_is_one_that_is_away(sql: Sql, make_worker: MakeWorker) -> None:
    """In the middle of a failover, for instance."""
    delivery = insert_webhook(sql, webhook(insert_payment(sql)))
    here = f"ALTER ROLE checkout_worker IN DATABASE {sql('SELECT current_database() AS name')[0].name}"
    sql(f"{here} SET default_transaction_read_only = on")
    try:
        with make_worker().app_context():
            assert process(str(delivery)) == AWAY
            assert sweep() == "the database is unavailable"
    finally:
        sql(f"{here} RESET default_transaction_read_only")

    assert (state_of(sql, delivery), webhook_row(sql, delivery).attempts) == ("received", 0)
