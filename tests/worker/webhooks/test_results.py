"""The short way to the result of a webhook with one applied event, beside the whole one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from checkout_service.delivery_states import DeliveryState
from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.base import ProviderEvent, ThinEvent
from checkout_service.providers.raw_webhook import RawWebhook
from worker.transitions.outcomes import Effect, Outcome
from worker.webhooks.attempts import Before
from worker.webhooks.claims import ClaimedWebhook
from worker.webhooks.reading import Reading
from worker.webhooks.results import is_plain, result_after, result_of

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
WEBHOOK = ClaimedWebhook(
    id=UUID(int=1),
    raw=RawWebhook(provider="mock", headers={}, body=b"{}", received_at=NOW),
    size=2,
    attempts=1,
    lease=NOW + timedelta(seconds=30),
    state_before=DeliveryState.RECEIVED,
    in_set=True,
)
EVENT = ProviderEvent(provider="mock", provider_ref="mock_pi_1", event_id="evt_1", status=PaymentStatus.PAID)
PLAIN = Reading(webhook=WEBHOOK, events=[EVENT])
APPLIED = [Effect(Outcome.APPLIED)]


@pytest.mark.parametrize("found", [None, "mock_pi_other"])
@pytest.mark.parametrize("reference", ["mock_pi_1", ""])
def test_plain_webhook_has_the_result_that_the_whole_rule_gives(found: str | None, reference: str) -> None:
    event = ProviderEvent(provider="mock", provider_ref=reference, event_id="evt_1", status=PaymentStatus.PAID)
    reading = PLAIN._replace(events=[event])

    assert is_plain(reading, APPLIED)
    assert result_after(reading, APPLIED, found) == result_of(reading, APPLIED, found)


@pytest.mark.parametrize(
    "change",
    [
        {"error": ValueError("broken")},
        {"unavailable": ""},
        {"unreadable": ""},
        {"waits_for": ThinEvent(provider="mock", provider_ref="mock_pi_2", kind="news")},
        {"events": [EVENT, EVENT]},
        {"events": []},
        {"webhook": WEBHOOK._replace(before=Before(did=frozenset({Outcome.MISMATCH})))},
    ],
    ids=lambda change: next(iter(change)),
)
def test_anything_beside_the_event_is_weighed(change: dict[str, Any]) -> None:
    assert not is_plain(PLAIN._replace(**change), APPLIED)


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.APPLIED])
def test_event_that_was_not_applied_is_weighed(outcome: Outcome) -> None:
    assert not is_plain(PLAIN, [Effect(outcome)])


def test_mismatch_of_an_attempt_before_stays_one() -> None:
    again = PLAIN._replace(webhook=WEBHOOK._replace(attempts=2, before=Before(did=frozenset({Outcome.MISMATCH}))))

    assert result_after(again, APPLIED).mismatch
