"""What becomes of webhooks, one at a time."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from checkout_service.database.engine import db, transaction
from checkout_service.providers.adapters.mock.provider import sign
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from checkout_service.telemetry.metrics import secret_matches_total
from tests.conftest import MOCK_SECRET, Sql
from tests.webhook_bodies import insert_payment, insert_webhook, post_webhook, state_of, status_of, webhook
from tests.worker.conftest import MakeWorker, webhook_row
from worker.webhooks.task import process

pytestmark = pytest.mark.usefixtures("worker")


def events(sql: Sql) -> list[tuple[str, str, str]]:
    """Event id, what it proves and what it did, as they came."""
    rows = sql("SELECT event_id, status::text, outcome FROM payment_events ORDER BY id")
    return [(row.event_id, row.status, row.outcome) for row in rows]


def process_all(*deliveries: object) -> None:
    for delivery in deliveries:
        process(str(delivery))


def test_webhook_updates_payment(client: FlaskClient, sql: Sql) -> None:
    reference = insert_payment(sql)
    delivery = post_webhook(client, webhook(reference, event_id="evt_1", amount="240.00", currency="USD"))

    process(str(delivery))

    assert status_of(sql, reference) == "paid"
    assert state_of(sql, delivery) == "applied"
    assert events(sql) == [("evt_1", "paid", "applied")]
    row = webhook_row(sql, delivery)
    assert (row.attempts, row.next_attempt_at, row.provider_ref, row.detail) == (1, None, reference, None)
    assert row.processed_at is not None


def test_the_payment_keeps_the_body_behind_its_status(sql: Sql) -> None:
    reference = insert_payment(sql)
    details = {"event_id": "evt_1", "count": 2**70, "deep": [[[[]]]], "text": "\\u0000 Größe 🎓"}
    process(str(insert_webhook(sql, webhook(reference, "failed", event_id="evt_0"))))
    delivery = insert_webhook(sql, _spelled(reference, details))

    process(str(delivery))

    (row,) = sql("SELECT status::text, raw_payload FROM payments")
    assert row.status == "paid"
    assert row.raw_payload == {"provider_ref": reference, "status": "paid", "raw_data": details}


def test_invalid_webhook_signature_is_rejected_and_the_payment_untouched(sql: Sql) -> None:
    reference = insert_payment(sql)
    before = sql("SELECT * FROM payments")
    delivery = insert_webhook(sql, webhook(reference, secret="a guess"))

    process(str(delivery))

    assert state_of(sql, delivery) == "rejected"
    assert webhook_row(sql, delivery).detail == "the signature is not ours"
    assert sql("SELECT * FROM payments") == before
    assert events(sql) == []


def test_a_rejected_webhook_is_applied_once_its_secret_is_known(sql: Sql, make_worker: MakeWorker) -> None:
    reference = insert_payment(sql)
    delivery = insert_webhook(sql, webhook(reference, secret="a rotated secret"))
    process(str(delivery))
    assert state_of(sql, delivery) == "rejected"

    matches = secret_matches_total.labels("mock", "2")
    before = matches._value.get()
    with make_worker(accounts={"mock": Account(secrets=[Secret("old"), Secret("a rotated secret")])}).app_context():
        process(str(delivery))

    assert state_of(sql, delivery) == "applied"
    assert status_of(sql, reference) == "paid"
    assert matches._value.get() == before + 1, "so that an old secret can be seen to be out of use"


def test_a_webhook_of_a_provider_without_secrets_is_rejected(sql: Sql, make_worker: MakeWorker) -> None:
    reference = insert_payment(sql)
    delivery = insert_webhook(sql, webhook(reference))

    with make_worker(accounts={}).app_context():
        process(str(delivery))

    assert state_of(sql, delivery) == "rejected"
    assert status_of(sql, reference) == "pending"


def test_a_late_failure_does_not_undo_a_payment(sql: Sql) -> None:
    reference = insert_payment(sql)
    paid = insert_webhook(sql, webhook(reference, "paid", event_id="evt_1"))
    process(str(paid))
    failed = insert_webhook(sql, webhook(reference, "failed", event_id="evt_2"))

    process(str(failed))

    assert status_of(sql, reference) == "paid"
    assert events(sql) == [("evt_1", "paid", "applied"), ("evt_2", "failed", "stale")]
    assert state_of(sql, failed) == "applied"
    assert webhook_row(sql, failed).detail.startswith("stale")
    assert sql("SELECT raw_payload FROM payments")[0].raw_payload["status"] == "paid"


def test_a_failure_and_then_another_card_is_paid(sql: Sql) -> None:
    reference = insert_payment(sql)

    process_all(
        insert_webhook(sql, webhook(reference, "failed", event_id="evt_1")),
        insert_webhook(sql, webhook(reference, "paid", event_id="evt_2")),
        insert_webhook(sql, webhook(reference, "reversed", event_id="evt_3")),
    )

    assert [outcome for _, _, outcome in events(sql)] == ["applied"] * 3
    assert status_of(sql, reference) == "reversed"


def test_an_unknown_status_is_ignored(sql: Sql) -> None:
    reference = insert_payment(sql)
    delivery = insert_webhook(sql, webhook(reference, "disputed_by_aunt"))

    process(str(delivery))

    row = webhook_row(sql, delivery)
    assert (row.state, row.detail) == ("ignored", "unknown_type: of a kind that we do not know")
    assert status_of(sql, reference) == "pending"
    assert events(sql) == []


def test_a_large_webhook_is_applied_like_any_other(sql: Sql) -> None:
    reference = insert_payment(sql)
    delivery = insert_webhook(sql, webhook(reference, event_id="evt_1", note="x" * 200_000))

    process(str(delivery))

    assert state_of(sql, delivery) == "applied"
    assert status_of(sql, reference) == "paid"


def test_an_id_without_a_webhook_does_no_harm(sql: Sql) -> None:
    waiting = insert_webhook(sql, webhook(insert_payment(sql)))

    process(str(uuid4()))

    assert state_of(sql, waiting) == "applied"


@pytest.mark.parametrize(("state", "quiet"), [("applied", False), ("duplicate", False), ("ignored", True)])
def test_a_webhook_that_is_done_is_not_done_again(sql: Sql, state: str, *, quiet: bool) -> None:
    """What was ignored an operator may have done again, and no wake-up that names it: those are quiet."""
    reference = insert_payment(sql)
    delivery = insert_webhook(sql, webhook(reference), state=f"'{state}'", next_attempt_at="NULL", attempts=1)
    before = webhook_row(sql, delivery)

    process.push_request(id=str(uuid4()), quiet=quiet)
    try:
        process.run(str(delivery))
    finally:
        process.pop_request()

    assert webhook_row(sql, delivery) == before
    assert status_of(sql, reference) == "pending"


def _spelled(reference: str, details: dict[str, object]) -> bytes:
    """As a provider with another JSON writer sends it: orjson, which the tests' webhooks use, has no such integers."""
    return json.dumps(sign({"provider_ref": reference, "status": "paid", "raw_data": details}, MOCK_SECRET)).encode()


def test_statements_are_prepared_with_their_second_run_and_plans_of_the_locks_kept(sql: Sql) -> None:
    """For a single payment PostgreSQL would make them anew each time: one for it alone looks cheaper, but for that."""
    db.engine.dispose()
    for _ in range(3):
        process(str(insert_webhook(sql, webhook(insert_payment(sql)))))

    with transaction() as connection:
        plans = connection.execute(
            text("""SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements
                WHERE statement LIKE '%FOR NO KEY UPDATE OF %'""")
        ).all()

    locks = [plan for plan in plans if "OF payment" in plan.statement]
    assert locks
    assert all(plan.generic_plans > 0 and plan.custom_plans == 0 for plan in locks)
