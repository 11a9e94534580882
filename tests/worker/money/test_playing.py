"""The player itself: it sees an order that decides, and a webhook that is not done."""

from __future__ import annotations

import json

import pytest

from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.base import ThinEvent
from tests.providers.kits.kit import SignedWebhook
from tests.worker.money.playing import Copy, Player, _orders
from tests.worker.scripted import Scripted, ScriptedProvider, event


def saying(provider: ScriptedProvider, copy: Copy, name: str, words: Scripted) -> SignedWebhook:
    body = json.dumps({"webhook": copy(name)}).encode()
    provider.webhooks[body] = words
    return SignedWebhook(body=body)


def test_all_orders_end_alike(player: Player) -> None:
    provider = ScriptedProvider()
    statuses = ("failed", "processing", "paid")

    ending = player.play(
        provider,
        [
            lambda copy, status=status: saying(
                provider, copy, status, [event(copy("pi"), status, event_id=copy(status))]
            )
            for status in statuses
        ],
        reference=lambda copy: copy("pi"),
    )

    assert (ending.status, ending.captured, ending.unsettled) == (PaymentStatus.PAID.value, 240, ())


def test_an_order_that_decides_is_seen(player: Player) -> None:
    provider = ScriptedProvider()
    seen: set[int] = set()

    def first_come(copy: Copy, status: str) -> SignedWebhook:
        """A provider that contradicts itself: only what it says first of a payment is about that payment."""
        reference = copy("elsewhere") if copy.number in seen else copy("pi")
        seen.add(copy.number)
        words = [event(reference, status, event_id=copy(status))]
        return saying(provider, copy, status, words if reference == copy("pi") else [])

    with pytest.raises(AssertionError, match="the order decides"):
        player.play(
            provider,
            [lambda copy: first_come(copy, "failed"), lambda copy: first_come(copy, "paid")],
            reference=lambda copy: copy("pi"),
        )


def test_a_webhook_that_is_not_done_is_seen(player: Player) -> None:
    provider = ScriptedProvider()

    ending = player.play(
        provider,
        [lambda copy: saying(provider, copy, "news", [ThinEvent(provider="mock", provider_ref=copy("unknown"))])],
        reference=lambda copy: copy("pi"),
    )

    assert set(ending.unsettled) == {"parked"}


def test_many_webhooks_come_in_a_sample_of_orders_always_the_same() -> None:
    assert len(_orders(4)) == 24
    assert len(_orders(6)) == 24
    assert _orders(6) == _orders(6)
    assert all(sorted(order) == list(range(6)) for order in _orders(6))
