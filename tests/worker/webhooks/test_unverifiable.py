"""What cannot be verified yet is tried again by itself, and fills nothing that others need meanwhile."""

from __future__ import annotations

import json
from itertools import count
from uuid import UUID, uuid4

import httpx
import redis

from checkout_service.cache import cache
from checkout_service.providers.base import ProviderUnavailableError
from checkout_service.publishing.wake_up import WAKE_UP
from checkout_service.telemetry.metrics import webhook_deliveries_total
from tests.conftest import Sql
from tests.providers.kits import mollie
from tests.providers.kits.kit import SignedWebhook
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, status_of
from tests.worker.conftest import MakeWorker, Messages, webhook_row
from tests.worker.other_providers import Wallets
from tests.worker.scripted import ScriptedProvider, event
from worker.webhooks.rejected import PAYMENT_ROWS
from worker.webhooks.replays import claim_one
from worker.webhooks.sweeping import STEP, sweep
from worker.webhooks.task import process

AWAY = ProviderUnavailableError("no certificate is fetched just now")

_numbers = count(1)


def file(scripted: ScriptedProvider, sql: Sql, reference: str, **columns: str) -> UUID:
    """A webhook that names this payment, and that nobody can verify yet."""
    body = json.dumps({"provider_ref": reference, "number": next(_numbers)}).encode()
    scripted.webhooks[body] = AWAY
    return insert_webhook(sql, body, **columns)


def lapse(sql: Sql) -> None:
    sql("UPDATE webhook_deliveries SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL")


def test_strangers_webhooks_that_nobody_can_verify_are_never_pending_beyond_a_bound(
    sql: Sql, scripted: ScriptedProvider, make_worker: MakeWorker
) -> None:
    """Pending ones keep everybody's webhooks out, where they are too many; and each would be tried for 72 hours."""
    app = make_worker(rejected_max_rows=10)
    app.extensions["providers"] = {scripted.name: scripted}
    reference = insert_payment(sql)
    with app.app_context():
        real = file(scripted, sql, reference)
        for _ in range(3):
            many = [file(scripted, sql, f"mock_pi_nobody_{number}") for number in range(40)]
            process(str(many[0]))
            lapse(sql)
            sweep()
            process(str(real))

        states = sql("SELECT state, count(*) FROM webhook_deliveries GROUP BY state")
        assert [tuple(row) for row in states] == [("rejected", 11)]
        scripted.webhooks = {
            body: [event(reference, "paid")] for body in scripted.webhooks if reference.encode() in body
        }
        lapse(sql)
        sweep()
        process(str(real))
    assert (state_of(sql, real), status_of(sql, reference)) == ("applied", "paid")


def test_a_customers_own_news_while_their_provider_is_away_fills_nothing(wallets: Wallets, sql: Sql) -> None:
    """Mollie signs nothing: anybody who knows the id of their payment can write its webhook, any number of times."""
    reference, other = (wallets.open("mollie").provider_ref for _ in range(2))
    for each in (reference, other):
        wallets.mollie.pay(each)
    wallets.app.extensions["providers"]["mollie"] = mollie.KIT.provider(answer=lambda _: httpx.Response(503))
    real = wallets.file("mollie", SignedWebhook(body=f"id={other}".encode()), received_at="now()")
    webhook = SignedWebhook(body=f"id={reference}".encode())
    many = [wallets.file("mollie", webhook, received_at="now()") for _ in range(3 * PAYMENT_ROWS)]
    process(str(real))

    assert sql("SELECT count(*) FROM webhook_deliveries")[0].count == 1 + PAYMENT_ROWS
    wallets.app.extensions["providers"]["mollie"] = mollie.KIT.provider(answer=wallets.mollie)
    lapse(sql)
    sweep()
    process(str(real))
    assert [status_of(sql, each) for each in (reference, other)] == ["paid", "paid"]
    assert state_of(sql, many[-1]) in {"applied", "duplicate"}


def test_they_are_tried_again_in_sets_those_that_name_an_open_payment_first(
    sql: Sql, scripted: ScriptedProvider, broker: redis.Redis, messages: Messages
) -> None:
    unknown = [file(scripted, sql, f"mock_pi_nobody_{number}") for number in range(STEP)]
    real = file(scripted, sql, insert_payment(sql))
    process(str(real))
    broker.delete("webhooks")
    cache().release(WAKE_UP)
    sql("UPDATE webhook_deliveries SET next_attempt_at = now() - interval '1 minute' WHERE id <> :id", id=real)
    sql("UPDATE webhook_deliveries SET next_attempt_at = now() WHERE id = :id", id=real)

    sweep()

    assert len(messages()) == 1, "one wake-up is for all"
    row = webhook_row(sql, real)
    assert (row.state, row.attempts) == ("received", 0)
    assert sum(state_of(sql, each) == "rejected" for each in unknown) == 1


def test_a_provider_that_is_away_does_not_count_like_a_wrong_secret(sql: Sql, scripted: ScriptedProvider) -> None:
    rejected, received = (webhook_deliveries_total.labels("mock", state) for state in ("rejected", "received"))
    before = rejected._value.get(), received._value.get()

    process(str(file(scripted, sql, insert_payment(sql))))

    assert (rejected._value.get(), received._value.get()) == (before[0], before[1] + 1)


def test_after_72_hours_it_is_rejected_like_any_other(sql: Sql, scripted: ScriptedProvider) -> None:
    delivery = file(scripted, sql, insert_payment(sql), received_at="now() - interval '73 hours'")

    process(str(delivery))

    row = webhook_row(sql, delivery)
    assert (row.state, row.next_attempt_at) == ("rejected", None)


def test_after_a_replay_that_could_not_verify_it_either_it_is_tried_again(sql: Sql, scripted: ScriptedProvider) -> None:
    delivery = file(scripted, sql, insert_payment(sql))
    process(str(delivery))

    assert process(str(delivery)).startswith("rejected")

    row = webhook_row(sql, delivery)
    assert row.due_in > 0
    assert row.replay_of is None


def test_one_that_a_command_replays_is_left_to_it(sql: Sql, scripted: ScriptedProvider) -> None:
    delivery = file(scripted, sql, insert_payment(sql))
    process(str(delivery))
    assert claim_one(delivery, key=uuid4(), operator="ops") is not None
    before = webhook_row(sql, delivery)

    sweep()

    assert webhook_row(sql, delivery).replay_of == before.replay_of
    assert webhook_row(sql, delivery).next_attempt_at == before.next_attempt_at
