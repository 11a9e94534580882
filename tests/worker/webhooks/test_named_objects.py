"""Thin events that name an object: it is read once a set, under the limits of look-ups, and recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from flask import Flask

from checkout_service.cache import cache
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.providers.base import (
    Decline,
    ParsedWebhook,
    ProviderRefusedError,
    ProviderUnavailableError,
    ThinEvent,
)
from tests.conftest import Sql
from tests.providers.kits.kit import SignedWebhook
from tests.providers.kits.stripe import (
    CHARGE,
    DEPLOYMENT,
    KIT,
    REFUND,
    StripeBank,
    charge,
    intent,
    problem,
    refund,
    sign,
    thin,
)
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, status_of
from tests.worker.conftest import MakeWorker, webhook_row
from tests.worker.scripted import ScriptedProvider, event
from worker.webhooks import look_ups
from worker.webhooks.sweeping import sweep
from worker.webhooks.task import WebhookFailedError, process

OURS = "pi_ours"


class Stripe(StripeBank):
    """The stand-in, which may be away or say something else."""

    other: httpx.Response | None = None
    away: str | None = None
    """What stands in the path of calls that are not answered."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = super().__call__(request)
        if self.away and self.away in request.url.path:
            return httpx.Response(503)
        return answer if self.other is None else self.other

    @property
    def paths(self) -> list[str]:
        return [request.url.path for request in self.requests]


@pytest.fixture
def bank(make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stripe]:
    monkeypatch.setattr("checkout_service.providers.transport.sleep", lambda seconds: None)
    app: Flask = make_worker()
    made = Stripe()
    app.extensions["providers"] = {"stripe": KIT.provider(answer=made)}
    with app.app_context():
        yield made


def file(sql: Sql, webhook: SignedWebhook, age: str = "0 seconds") -> UUID:
    """The webhook as the receiver keeps it."""
    received_at = f"now() - interval '{age}'"
    row = sql(
        f"""INSERT INTO webhook_deliveries (provider, headers, body, received_at)
        VALUES ('stripe', CAST(:headers AS jsonb), :body, {received_at}) RETURNING id""",
        headers=json.dumps(webhook.headers),
        body=webhook.body,
    )[0]
    return UUID(str(row.id))


def signed_news(kind: str, ref: str, number: int = 1, **fields: Any) -> SignedWebhook:
    """A thin event that is signed now."""
    body = thin(kind, ref, number=number, **fields).body
    return sign(body, KIT.secrets[0], signed_at=datetime.now(UTC))


def paid(ref: str = OURS, **fields: Any) -> dict[str, Any]:
    return intent(**{"id": ref, "latest_charge": charge(payment_intent=ref)} | fields)


def detail(sql: Sql, delivery: UUID) -> tuple[str, str | None]:
    row = webhook_row(sql, delivery)
    return row.state, row.detail


def test_twenty_thin_events_of_one_object_in_one_set_are_one_read(sql: Sql, bank: Stripe) -> None:
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    bank.payments[OURS] = paid()
    kinds = ["payment_intent.succeeded", "payment_intent.processing"]
    webhooks = [file(sql, signed_news(kinds[number % 2], OURS, number)) for number in range(20)]

    process(str(webhooks[0]))

    assert bank.paths == [f"/v1/payment_intents/{OURS}"]
    assert status_of(sql, OURS) == "paid"
    assert sorted(state_of(sql, one) for one in webhooks) == ["applied"] + ["duplicate"] * 19


def test_a_refund_of_the_dashboard_and_a_lost_dispute_are_learned(sql: Sql, bank: Stripe) -> None:
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    bank.payments[OURS] = paid()
    bank.refunds[REFUND] = refund(payment_intent=OURS, amount=4000, metadata={})
    webhooks = [
        file(sql, signed_news("payment_intent.succeeded", OURS, 1)),
        file(sql, signed_news("refund.updated", REFUND, 2)),
        file(sql, signed_news("charge.refunded", CHARGE, 3)),
    ]

    process(str(webhooks[0]))

    assert [state_of(sql, one) for one in webhooks] == ["applied", "applied", "duplicate"]
    (row,) = sql("SELECT amount_captured AS captured, amount_refunded AS refunded FROM payments")
    assert (row.captured, row.refunded) == (240, 40)
    assert len(bank.paths) == len(set(bank.paths)) + 1, "the intent alone is read twice: by itself, and with its list"


def test_an_object_that_the_provider_does_not_show_is_not_ours(sql: Sql, bank: Stripe) -> None:
    webhooks = [file(sql, signed_news("refund.created", "re_gone", number)) for number in range(5)]
    webhooks.append(file(sql, signed_news("payment_intent.succeeded", "pi_gone", 6)))

    process(str(webhooks[0]))

    words = "not_ours: the provider has no such object for this account"
    assert {detail(sql, one) for one in webhooks} == {("ignored", words)}
    assert sorted(bank.paths) == ["/v1/payment_intents/pi_gone", "/v1/refunds/re_gone"]


def test_an_intent_that_is_gone_though_its_payment_is_here_is_not_passed_over(sql: Sql, bank: Stripe) -> None:
    """The key may be another account's: an operator is to see it."""
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    delivery = file(sql, signed_news("payment_intent.succeeded", OURS))

    process(str(delivery))

    row = webhook_row(sql, delivery)
    assert (row.state, row.attempts) == ("received", 1)
    assert "unknown_reference" in row.detail


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"context": "acct_another"}, "not_ours: of another shop, account or mode"),
        ({"livemode": True}, "not_ours: of another shop, account or mode"),
        ({"type": "v1.customer.created"}, "unknown_type: of a kind that we do not know"),
    ],
)
def test_what_is_not_for_us_is_ignored_without_a_call(
    sql: Sql, bank: Stripe, fields: dict[str, Any], reason: str
) -> None:
    delivery = file(sql, signed_news("payment_intent.succeeded", OURS, **fields))

    process(str(delivery))

    assert detail(sql, delivery) == ("ignored", reason)
    assert bank.paths == []


def test_an_intent_of_another_shop_on_the_account_is_ignored_at_once(sql: Sql, bank: Stripe) -> None:
    bank.payments["pi_theirs"] = paid("pi_theirs", metadata={"deployment": "another"})
    delivery = file(sql, signed_news("payment_intent.succeeded", "pi_theirs"))

    process(str(delivery))

    assert detail(sql, delivery) == ("ignored", "not_ours: of another shop")


def test_a_charge_of_no_intent_is_not_ours(sql: Sql, bank: Stripe) -> None:
    bank.objects[CHARGE] = charge(payment_intent=None)
    delivery = file(sql, signed_news("charge.succeeded", CHARGE))

    process(str(delivery))

    assert detail(sql, delivery)[1] == "not_ours: of another shop, account or mode"


def test_an_open_intent_says_nothing_to_record(sql: Sql, bank: Stripe) -> None:
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    bank.payments[OURS] = paid(
        status="requires_payment_method", latest_charge=None, amount_received=0, last_payment_error=None
    )
    delivery = file(sql, signed_news("payment_intent.processing", OURS))

    process(str(delivery))

    assert status_of(sql, OURS) == "pending"
    assert detail(sql, delivery) == ("ignored", "nothing_to_record: says nothing that we keep")


def test_a_payment_that_is_not_here_yet_is_waited_for(sql: Sql, bank: Stripe) -> None:
    metadata = {"deployment": DEPLOYMENT}
    bank.payments[OURS] = paid(metadata=metadata)
    bank.refunds[REFUND] = refund(payment_intent=None, amount=4000, metadata={})
    news, given_back = (
        file(sql, signed_news("payment_intent.succeeded", OURS)),
        file(sql, signed_news("refund.created", REFUND, 2)),
    )
    process(str(news))
    assert (state_of(sql, news), state_of(sql, given_back)) == ("parked", "parked")

    insert_payment(sql, provider="stripe", provider_ref=OURS)
    sweep()
    process(str(news))
    sweep()
    process(str(given_back))

    assert (state_of(sql, news), state_of(sql, given_back)) == ("applied", "applied")
    assert len(bank.paths) == 4, "each is read once more when its payment came"


@pytest.mark.parametrize("answer", [httpx.Response(503), problem(403, code="more_permissions_required")])
def test_while_the_provider_is_away_no_attempt_is_used_up(sql: Sql, bank: Stripe, answer: httpx.Response) -> None:
    """Permissions that a key lacks are ours to mend, and until then Stripe is as good as away."""
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    bank.payments[OURS] = paid()
    bank.other = answer
    waiting = []
    for minutes in (0, 60, 4000):
        signed_at = datetime.now(UTC) - timedelta(minutes=minutes)
        webhook = sign(thin("payment_intent.succeeded", OURS, number=minutes).body, KIT.secrets[0], signed_at=signed_at)
        waiting.append(file(sql, webhook, f"{minutes} minutes"))
    for _ in range(3):
        sql("UPDATE webhook_deliveries SET next_attempt_at = now()")
        for delivery in waiting:
            process(str(delivery))
        rows = [webhook_row(sql, delivery) for delivery in waiting]
        assert {(row.state, row.attempts) for row in rows} == {("received", 1)}
    assert status_of(sql, OURS) == "pending"

    bank.other = None
    sql("UPDATE webhook_deliveries SET next_attempt_at = now()")
    for delivery in waiting:
        process(str(delivery))
    assert sorted(state_of(sql, delivery) for delivery in waiting) == ["applied", "duplicate", "duplicate"]
    assert status_of(sql, OURS) == "paid"


def test_a_set_that_finds_the_provider_away_calls_it_once_for_one_object(sql: Sql, bank: Stripe) -> None:
    bank.other = httpx.Response(503)
    webhooks = [file(sql, signed_news("refund.created", REFUND, number)) for number in range(10)]

    process(str(webhooks[0]))

    assert {state_of(sql, one) for one in webhooks} == {"received"}
    assert len(bank.paths) == 3, "the tries of one call"


def test_a_provider_that_others_found_away_is_not_called(sql: Sql, bank: Stripe) -> None:
    cache().put("away:stripe", b"1", seconds=30)
    delivery = file(sql, signed_news("refund.created", REFUND))

    process(str(delivery))

    assert bank.paths == []
    assert webhook_row(sql, delivery).detail.startswith("not called")


def test_three_objects_without_an_answer_open_the_circuit(sql: Sql, bank: Stripe) -> None:
    bank.other = httpx.Response(503)
    webhooks = [file(sql, signed_news("refund.created", f"re_{number}", number)) for number in range(10)]

    process(str(webhooks[0]))

    assert len(set(bank.paths)) == 3
    assert cache().known(["away:stripe"])


def test_a_set_reads_for_a_bounded_time(sql: Sql, bank: Stripe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.webhooks.task.LOOK_UP_FOR", -1.0)
    delivery = file(sql, signed_news("refund.created", REFUND))

    process(str(delivery))

    assert bank.paths == []
    assert (state_of(sql, delivery), webhook_row(sql, delivery).attempts) == ("received", 1)


def test_a_stranger_causes_no_read(sql: Sql, bank: Stripe) -> None:
    webhook = sign(signed_news("refund.created", REFUND).body, "whsec_of_a_stranger", signed_at=datetime.now(UTC))
    delivery = file(sql, webhook)

    process(str(delivery))

    assert state_of(sql, delivery) == "rejected"
    assert bank.paths == []


def test_a_hostile_id_is_failed_and_never_part_of_a_path(sql: Sql, bank: Stripe) -> None:
    related = {"id": "re_/../../v1/balance", "type": "refund", "url": "https://elsewhere.test/"}
    delivery = file(sql, signed_news("refund.created", REFUND, related_object=related))

    process(str(delivery))
    with pytest.raises(WebhookFailedError, match="not understood"):
        process(str(delivery))

    assert bank.paths == []
    assert state_of(sql, delivery) == "failed"


class Naming(ScriptedProvider):
    """A scripted provider with objects; what is read of each, by its name."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, Any] = {}
        self.read: list[list[ThinEvent]] = []

    def look_up_object(self, news: list[ThinEvent]) -> ParsedWebhook:
        self.read.append(list(news))
        found = self.objects[news[0].object_ref]
        if isinstance(found, Exception):
            raise found
        return ParsedWebhook(events=found)


@pytest.fixture
def naming(make_worker: MakeWorker) -> Iterator[Naming]:
    app = make_worker()
    provider = Naming()
    app.extensions["providers"] = {provider.name: provider}
    with app.app_context():
        yield provider


def script(naming: Naming, sql: Sql, name: str, *thin_events: ThinEvent) -> UUID:
    body = json.dumps({"webhook": name}).encode()
    naming.webhooks[body] = list(thin_events)
    return insert_webhook(sql, body)


def of(ref: str, **fields: Any) -> ThinEvent:
    return ThinEvent(**{"provider": "mock", "provider_ref": "", "object_ref": ref} | fields)


def test_all_that_a_set_says_of_an_object_is_there_when_it_is_read(sql: Sql, naming: Naming) -> None:
    reference = insert_payment(sql)
    naming.objects["x"] = [event(reference, "paid", event_id="lookup:x")]
    first, second = script(naming, sql, "1", of("x", kind="a")), script(naming, sql, "2", of("x", kind="b"), of("x"))

    process(str(first))

    assert [sorted(each.kind for each in news) for news in naming.read] == [["", "a", "b"]]
    assert sorted((state_of(sql, first), state_of(sql, second))) == ["applied", "duplicate"]


def test_an_unverified_event_never_leads_to_an_object(sql: Sql, naming: Naming) -> None:
    delivery = script(naming, sql, "1", of("x", provider_ref="mock_pi_unknown", verified=False))

    process(str(delivery))

    assert naming.read == []
    assert (state_of(sql, delivery), naming.looked_up) == ("received", [])


def test_an_object_leads_to_its_payment_which_is_looked_up_once(sql: Sql, naming: Naming) -> None:
    reference = insert_payment(sql)
    naming.truths[reference] = [event(reference, "paid", event_id="lookup:paid")]
    led = ThinEvent(provider="mock", provider_ref=reference)
    naming.objects |= {"x": [led], "y": [led], "z": [ThinEvent(provider="mock", provider_ref="mock_pi_unknown")]}
    webhooks = [script(naming, sql, ref, of(ref)) for ref in ("x", "y", "z")]

    process(str(webhooks[0]))

    assert naming.looked_up == [reference]
    assert sorted(state_of(sql, one) for one in webhooks) == ["applied", "duplicate", "parked"]
    assert status_of(sql, reference) == "paid"


def test_a_refusal_of_an_object_is_its_webhooks_alone(sql: Sql, naming: Naming) -> None:
    reference = insert_payment(sql)
    naming.objects |= {
        "x": ProviderRefusedError("status 400", reason=Decline.OTHER),
        "y": [event(reference, "paid", event_id="lookup:y")],
    }
    bad, good = script(naming, sql, "x", of("x")), script(naming, sql, "y", of("y"))

    process(str(bad))

    assert (state_of(sql, bad), webhook_row(sql, bad).attempts, state_of(sql, good)) == ("received", 1, "applied")


def test_a_404_that_is_not_stripes_ends_nothing(sql: Sql, bank: Stripe) -> None:
    """A proxy on the way, or what answers at a wrong address, knows nothing of a refund."""
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    bank.payments[OURS] = paid()
    bank.other = httpx.Response(404, text="<html>nginx</html>")
    delivery = file(sql, signed_news("refund.created", REFUND))
    process(str(delivery))
    row = webhook_row(sql, delivery)
    assert (row.state, row.attempts) == ("received", 1)

    bank.other = None
    bank.refunds[REFUND] = refund(payment_intent=OURS, amount=4000, metadata={})
    process(str(file(sql, signed_news("payment_intent.succeeded", OURS, 2))))
    sql("UPDATE webhook_deliveries SET next_attempt_at = now()")
    process(str(delivery))
    assert state_of(sql, delivery) == "applied"


def test_a_refund_that_is_here_and_not_at_the_provider_is_not_passed_over(sql: Sql, bank: Stripe) -> None:
    """Nor is what any other name here stands for: the key may be another account's."""
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    bank.payments[OURS] = paid()
    bank.refunds[REFUND] = refund(payment_intent=OURS, amount=4000, metadata={})
    process(str(file(sql, signed_news("payment_intent.succeeded", OURS, 1))))
    process(str(file(sql, signed_news("refund.created", REFUND, 2))))
    bank.other = problem(404, type="invalid_request_error", code="resource_missing")
    webhooks = [
        file(sql, signed_news("refund.updated", REFUND, 3)),
        file(sql, signed_news("charge.updated", CHARGE, 4)),
    ]
    for delivery in webhooks:
        process(str(delivery))
        row = webhook_row(sql, delivery)
        assert (row.state, row.attempts) == ("received", 1)
        assert "unknown_reference" in row.detail


def test_a_database_that_goes_away_during_a_look_up_is_no_fault_of_the_webhook(
    sql: Sql, naming: Naming, monkeypatch: pytest.MonkeyPatch
) -> None:
    naming.objects["x"] = ProviderRefusedError("404", reason=Decline.UNKNOWN_REFERENCE)
    delivery = script(naming, sql, "1", of("x"))
    with monkeypatch.context() as failover:
        failover.setattr(look_ups, "is_named_here", _unavailable)
        assert process(str(delivery)) == "the database is unavailable; the sweep sends another wake-up"
    assert sql("SELECT attempt_log FROM webhook_deliveries")[0].attempt_log is None

    sql("UPDATE webhook_deliveries SET next_attempt_at = now()")
    process(str(delivery))

    assert state_of(sql, delivery) == "ignored"


def _unavailable(*_: str) -> bool:
    raise DatabaseUnavailableError("a failover")


def test_a_charge_whose_payment_was_away_is_applied_by_the_attempt_that_entered_it(sql: Sql, bank: Stripe) -> None:
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    bank.payments[OURS] = paid()
    bank.objects[CHARGE] = charge(payment_intent=OURS)
    news, given_back = (
        file(sql, signed_news("charge.updated", CHARGE, 1)),
        file(sql, signed_news("charge.refunded", CHARGE, 2)),
    )
    bank.away = "payment_intents"
    process(str(news))
    assert (status_of(sql, OURS), state_of(sql, news), state_of(sql, given_back)) == ("paid", "received", "received")

    bank.away = ""
    for delivery in (news, given_back):
        sql("UPDATE webhook_deliveries SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL")
        process(str(delivery))

    assert state_of(sql, news) == "applied"


def test_an_object_is_read_again_until_all_it_leads_to_is_answered(sql: Sql, naming: Naming) -> None:
    first, second = insert_payment(sql), insert_payment(sql)
    naming.truths[first] = [event(first, "paid", event_id="lookup:1")]
    naming.truths[second] = ProviderUnavailableError("away")
    naming.objects |= {
        "x": [ThinEvent(provider="mock", provider_ref=first)],
        "y": [ThinEvent(provider="mock", provider_ref=second)],
        "z": ProviderRefusedError("404", reason=Decline.UNKNOWN_REFERENCE),
    }
    delivery = script(naming, sql, "1", of("x"), of("y"), of("z"))
    process(str(delivery))
    assert (status_of(sql, first), webhook_row(sql, delivery).provider_ref) == ("paid", second)
    naming.read.clear()
    naming.truths[second] = [event(second, "paid", event_id="lookup:2")]
    sql("UPDATE webhook_deliveries SET next_attempt_at = now()")
    process(str(delivery))

    assert state_of(sql, delivery) == "applied"
    assert [news[0].object_ref for news in naming.read] == ["y"]
    assert naming.looked_up == [first, second, second]


def test_what_waits_of_one_object_is_read_again_though_another_was_not_answered(sql: Sql, naming: Naming) -> None:
    """PARKED leaves no trace either."""
    naming.objects |= {"x": [event("to_come", "paid", event_id="lookup:x")], "y": ProviderUnavailableError("away")}
    delivery = script(naming, sql, "1", of("x"), of("y"))
    process(str(delivery))
    assert webhook_row(sql, delivery).detail.endswith("(2 of 2 are left)")
    reference = insert_payment(sql, provider_ref="to_come")
    naming.objects["y"] = []
    sql("UPDATE webhook_deliveries SET next_attempt_at = now()")

    process(str(delivery))

    assert (state_of(sql, delivery), status_of(sql, reference)) == ("applied", "paid")


@pytest.mark.parametrize("order", [("x", "y", "z"), ("z", "y", "x"), ("y", "x", "z")])
def test_of_several_reasons_the_first_counts_in_its_own_words(sql: Sql, naming: Naming, order: tuple[str, ...]) -> None:
    naming.objects |= {
        "x": ProviderRefusedError("404", reason=Decline.UNKNOWN_REFERENCE),
        "y": [],
        "z": [ThinEvent(provider="mock", provider_ref=insert_payment(sql))],
    }
    delivery = script(naming, sql, "1", *(of(name) for name in order))

    process(str(delivery))

    words = "not_ours: the provider has no such object for this account"
    assert detail(sql, delivery) == ("ignored", words)
