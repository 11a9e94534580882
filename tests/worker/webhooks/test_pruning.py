"""What is old goes, in steps; what is pending stays however old it is."""

from __future__ import annotations

from uuid import UUID

import pytest
from flask import Flask

from tests.conftest import Customer, MakeListing, Sql
from tests.crowd import at_once
from tests.money import bring_to
from tests.purchases import fill_cart, opened
from tests.webhook_bodies import insert_payment, insert_webhook
from tests.worker.conftest import MakeWorker
from worker.webhooks.pruning import prune

DONE = ("applied", "duplicate", "ignored")
ALL = (*DONE, "rejected", "failed", "received", "parked")


def aged(days: int) -> dict[str, str]:
    """As if it had come so long ago: keys are version 7 UUIDs, and carry their time."""
    return {"id": f"uuidv7(interval '-{days} days')", "received_at": f"now() - interval '{days} days'"}


def left(sql: Sql) -> list[str]:
    return sorted(row.state for row in sql("SELECT state FROM webhook_deliveries"))


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("days", "kept"),
    [(6, ALL), (8, (*DONE, "failed", "received", "parked")), (29, (*DONE, "failed", "received", "parked"))],
)
def test_what_is_younger_than_its_retention_is_kept(sql: Sql, days: int, kept: tuple[str, ...]) -> None:
    for state in ALL:
        insert_webhook(sql, b"{}", state=f"'{state}'", **aged(days))

    prune()

    assert left(sql) == sorted(kept)


@pytest.mark.usefixtures("worker")
def test_webhooks_past_their_retention_go_but_never_those_pending_work(sql: Sql) -> None:
    for state in ALL:
        insert_webhook(sql, b"{}", state=f"'{state}'", **aged(31))

    prune()

    assert left(sql) == ["parked", "received"]


@pytest.mark.usefixtures("worker")
def test_events_past_their_retention_go_and_the_payment_stays_as_it_is(sql: Sql) -> None:
    reference = insert_payment(sql, status="paid")
    for days in (1, 399, 401, 800):
        sql(
            f"""INSERT INTO payment_events (id, provider, event_id, payment_id, status, outcome, received_at)
            SELECT uuidv7(interval '-{days} days'), 'mock', 'evt_{days}', id, 'paid', 'applied',
                now() - interval '{days} days' FROM payments WHERE provider_ref = :reference""",
            reference=reference,
        )
    payment = sql("SELECT * FROM payments")

    prune()

    assert [row.event_id for row in sql("SELECT event_id FROM payment_events ORDER BY id")] == ["evt_399", "evt_1"]
    assert sql("SELECT * FROM payments") == payment


@pytest.mark.usefixtures("worker")
def test_addresses_go_after_a_day_or_once_their_payment_is_decided(sql: Sql) -> None:
    kept, ended, paid, under_way, failed = (insert_payment(sql) for _ in range(5))
    sql("""
        INSERT INTO session_addresses (payment_id, address, ends_at)
        SELECT id, '\\x01', now() + '1 hour' FROM payments""")
    sql("""
        UPDATE session_addresses SET ends_at = now() - interval '1 second'
        FROM payments WHERE payments.id = payment_id AND provider_ref = :ended""", ended=ended)  # fmt: skip
    sql("UPDATE payments SET status = 'paid' WHERE provider_ref = :paid", paid=paid)
    sql("UPDATE payments SET under_way = true WHERE provider_ref = :under_way", under_way=under_way)
    sql("UPDATE payments SET status = 'failed' WHERE provider_ref = :failed", failed=failed)

    assert " 2 addresses" in prune()

    left = sql("SELECT provider_ref FROM session_addresses JOIN payments ON payments.id = payment_id")
    assert {row.provider_ref for row in left} == {kept, under_way, failed}, "what may fail once more counts for it"


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("status", ["failed", "processing"])
def test_an_address_stays_as_long_as_its_payment_holds_pieces(
    customer: Customer, make_listing: MakeListing, sql: Sql, status: str
) -> None:
    """Else a stranger with a declined card holds as many pieces as there are, a guest after the other."""
    payment = opened(customer, fill_cart(customer, (make_listing(stock=5), 2)))["payment_id"]
    sql("""INSERT INTO session_addresses (payment_id, address, ends_at)
        SELECT id, '\\x01', now() - interval '1 second' FROM payments""")
    bring_to(sql, payment, status)

    assert " 0 addresses" in prune()

    bring_to(sql, payment, "canceled")
    assert " 1 addresses" in prune()


@pytest.mark.usefixtures("worker")
def test_pruning_goes_on_step_by_step(sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    sql("""
        INSERT INTO webhook_deliveries (id, provider, body, state, next_attempt_at, received_at)
        SELECT uuidv7(interval '-40 days'), 'mock', '{}', 'applied', NULL, now() - interval '40 days'
        FROM generate_series(1, 5000)""")

    monkeypatch.setattr("worker.webhooks.pruning.PRUNE_FOR", 0.0)
    assert prune().startswith("pruned 0 webhooks, 0 rejected webhooks, 0 events, 0 addresses")
    assert len(left(sql)) == 5000

    monkeypatch.undo()
    assert prune().startswith("pruned 5000 webhooks, 0 rejected webhooks, 0 events, 0 addresses")
    assert left(sql) == []


def test_prunes_at_once_share_the_work(sql: Sql, make_worker: MakeWorker) -> None:
    sql("""
        INSERT INTO webhook_deliveries (id, provider, body, state, next_attempt_at, received_at)
        SELECT uuidv7(interval '-40 days'), 'mock', '{}', 'applied', NULL, now() - interval '40 days'
        FROM generate_series(1, 9000)""")
    pending = insert_webhook(sql, b"{}", **aged(40))
    pruners = [make_worker() for _ in range(3)]

    words = at_once([lambda app=app: _prune(app) for app in pruners])
    words.append(_prune(pruners[0]))

    assert sum(int(line.split()[1]) for line in words) == 9000
    assert [row.id for row in sql("SELECT id FROM webhook_deliveries")] == [pending]


def _prune(app: Flask) -> str:
    with app.app_context():
        return prune()


def mark(sql: Sql) -> UUID:
    (row,) = sql("SELECT after_id FROM prune_marks WHERE kind = 'webhooks'")
    found: UUID = row.after_id
    return found


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("began", ["now() - interval '25 hours'", "now() + interval '10 days'"])
def test_what_the_mark_went_by_is_found_within_a_day_also_after_a_clock_that_was_put_back(sql: Sql, began: str) -> None:
    """It was not final when the run came by."""
    sql("DELETE FROM prune_marks")
    passed = insert_webhook(sql, b"{}", state="'parked'", **aged(40))
    insert_webhook(sql, b"{}", state="'applied'", **aged(35))
    prune()
    sql("UPDATE webhook_deliveries SET state = 'applied' WHERE id = :id", id=passed)
    prune()
    assert left(sql) == ["applied"], "behind the mark, nothing looks there"
    assert mark(sql) > passed

    sql(f"UPDATE prune_marks SET began_at = {began}")
    prune()

    assert left(sql) == []
    (row,) = sql(
        "SELECT began_at BETWEEN now() - interval '1 minute' AND now() AS is_now FROM prune_marks WHERE kind = :kind",
        kind="webhooks",
    )
    assert row.is_now
