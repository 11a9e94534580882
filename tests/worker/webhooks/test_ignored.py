"""What is ignored: the reason in the detail, and counted by provider and reason once it is committed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from checkout_service.database.engine import transaction
from checkout_service.providers.base import IgnoredReason
from checkout_service.telemetry import metrics
from tests.conftest import Sql
from tests.providers.kits import adyen
from tests.providers.kits.kit import SignedWebhook
from tests.webhook_bodies import insert_payment, insert_webhook, status_of, webhook
from tests.worker.other_providers import Wallets
from worker.webhooks import task
from worker.webhooks.task import process

SECRET = adyen.KIT.secrets[0]


def counted(provider: str) -> dict[str, float]:
    """By reason, of one provider's."""
    return {
        reason.value: metrics.webhooks_ignored_total.labels(provider, reason.value)._value.get()
        for reason in IgnoredReason
    }


def since(provider: str, before: dict[str, float]) -> dict[str, float]:
    now = counted(provider)
    return {reason: now[reason] - before[reason] for reason in now if now[reason] != before[reason]}


def signed(*unsigned: dict[str, Any], live: str = "false") -> SignedWebhook:
    return SignedWebhook(body=adyen.batch(*[adyen.sign(each, SECRET) for each in unsigned], live=live))


PLATFORM = json.dumps({"type": "balancePlatform.transfer.updated", "data": {"id": "X"}}).encode()
UNKNOWN = adyen.item("A_WORD_OF_NEXT_YEAR")
ANOTHERS = adyen.item(merchantAccountCode="AnotherShopECOM")
REPORT = adyen.item("REPORT_AVAILABLE", merchantReference="", reason="https://ca-test.adyen.com/reports/download/x.csv")

IGNORED = {
    "a new code": (signed(UNKNOWN), "unknown_type: of a kind that we do not know"),
    "a balance platform's": (adyen.sign_bytes(PLATFORM, SECRET), "unknown_type: of a kind that we do not know"),
    "another account's": (signed(ANOTHERS), "not_ours: of another shop, account or mode"),
    "another mode's": (signed(adyen.item(), live="true"), "not_ours: of another shop"),
    "another shop's": (signed(adyen.item(merchantReference="theirs")), "not_ours: of another shop, account or mode"),
    "a report": (signed(REPORT), "nothing_to_record: says nothing that we keep"),
    "a refused cancellation": (
        signed(adyen.item("CANCELLATION", "false", originalReference="A")),
        "nothing_to_record: says nothing that we keep",
    ),
    "several": (signed(REPORT, ANOTHERS, UNKNOWN), "unknown_type: of a kind that we do not know"),
}


@pytest.mark.parametrize(("sent", "detail"), IGNORED.values(), ids=IGNORED.keys())
def test_what_is_ignored_says_why_and_is_counted(
    wallets: Wallets, sql: Sql, client: FlaskClient, sent: SignedWebhook, detail: str
) -> None:
    """Through the receiver, which answers all of it alike: nothing may hold up the queue of Adyen's endpoint."""
    before = counted("adyen")

    answer = client.post("/api/payments/webhook/adyen", data=sent.body, headers=sent.headers)

    assert (answer.status_code, answer.text) == (200, "[accepted]")
    (filed,) = sql("SELECT id FROM webhook_deliveries")
    process(str(filed.id))
    (row,) = sql("SELECT state, detail FROM webhook_deliveries")
    assert (row.state, row.detail) == ("ignored", detail)
    assert since("adyen", before) == {detail.partition(":")[0]: 1}
    assert sql("SELECT * FROM payment_events") == []
    assert wallets.adyen.requests == [], "nobody is asked, and no address in it is"


REFUSED = {
    "unsigned": SignedWebhook(body=adyen.batch(adyen.item())),
    "without additional data": SignedWebhook(
        body=adyen.batch({name: value for name, value in adyen.item("EXPIRE").items() if name != "additionalData"})
    ),
    "no items": SignedWebhook(body=b'{"live": "false", "notificationItems": []}'),
    "no batch": SignedWebhook(body=b"{}"),
    "a balance platform's with another key": adyen.sign_bytes(PLATFORM, "00" * 32),
    "a balance platform's without a key": SignedWebhook(body=PLATFORM),
    "no mode": SignedWebhook(body=b'{"live": {}, "notificationItems": [{"NotificationRequestItem": {}}]}'),
    "a key that stands twice": SignedWebhook(body=b'{"live": "false", "live": "true", "notificationItems": []}'),
    "deep": SignedWebhook(body=b'{"notificationItems": ' + b"[" * 300 + b"]" * 300 + b"}"),
}


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_believed_holds_up_no_queue(
    wallets: Wallets, sql: Sql, client: FlaskClient, sent: SignedWebhook
) -> None:
    """Adyen sends the earliest item again before all others, so an item that we refuse for ever would be the last."""
    before, reference = counted("adyen"), wallets.open("adyen").provider_ref

    answers = [client.post("/api/payments/webhook/adyen", data=sent.body, headers=sent.headers)]
    good = signed(adyen.item(merchantReference=reference))
    answers.append(client.post("/api/payments/webhook/adyen", data=good.body))

    assert [(answer.status_code, answer.text) for answer in answers] == [(200, "[accepted]")] * 2
    first, second = sql("SELECT id FROM webhook_deliveries ORDER BY id")
    process(str(second.id))
    states = {row.id: row.state for row in sql("SELECT id, state FROM webhook_deliveries")}
    assert states == {first.id: "rejected", second.id: "applied"}
    assert status_of(sql, reference) == "paid"
    assert since("adyen", before) == {}


def test_a_verified_item_that_is_not_understood_holds_up_no_queue_either(
    wallets: Wallets, sql: Sql, client: FlaskClient
) -> None:
    reference = wallets.open("adyen").provider_ref
    sent = signed(adyen.item(merchantReference=reference, success="TRUE"), adyen.item(merchantReference=reference))

    answer = client.post("/api/payments/webhook/adyen", data=sent.body)

    assert (answer.status_code, answer.text) == (200, "[accepted]")
    (filed,) = sql("SELECT id FROM webhook_deliveries")
    process(str(filed.id))
    assert status_of(sql, reference) == "paid", "what else is in the batch counts"
    assert sql("SELECT detail FROM webhook_deliveries")[0].detail.startswith(
        "verified, but not understood: item 1 of 2"
    )


@pytest.mark.usefixtures("worker")
def test_nothing_is_counted_before_the_commit_and_a_set_is_counted_once(
    sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference, before = insert_payment(sql), counted("mock")
    deliveries = [insert_webhook(sql, webhook(reference, "of another age", event_id=f"e{n}")) for n in range(3)]
    held = transaction
    seen: list[dict[str, float]] = []

    class Watched:
        def __init__(self) -> None:
            self._within = held()

        def __enter__(self) -> Any:
            return self._within.__enter__()

        def __exit__(self, *error: Any) -> Any:
            seen.append(since("mock", before))
            return self._within.__exit__(*error)

    monkeypatch.setattr(task, "transaction", Watched)
    process(str(deliveries[0]))

    assert seen
    assert all(moment == {} for moment in seen)
    assert since("mock", before) == {"unknown_type": 3}
