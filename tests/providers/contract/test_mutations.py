"""Whatever a body holds, signed by its provider or by nobody, it is read or refused, and nothing else comes out."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkout_service.payments.status import PaymentStatus, RefundStatus
from tests.providers.contract.judging import LEAVES, read, read_sealed, refused_or_the_same
from tests.providers.kits.collection import KITS
from tests.providers.kits.kit import Kit, SignedWebhook

CARD, SPACED = "4242424242424242", "5555 5555 5555 4444"

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(LEAVES).map(deepcopy),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def some(examples: int) -> Any:
    return settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def bodies(draw: st.DrawFn, kit: Kit) -> tuple[SignedWebhook, SignedWebhook]:
    """A verified webhook, and one like it whose bytes were changed."""
    statuses: list[PaymentStatus | RefundStatus | None] = [*(kit.statuses or [PaymentStatus.PAID]), *kit.refunds, None]
    verified = kit.webhook(draw(st.sampled_from(statuses)))
    body = bytearray(verified.body)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(body)))
        match draw(st.sampled_from(["change", "drop", "insert", "repeat"])):
            case "change":
                body[place : place + 1] = draw(st.binary(min_size=1, max_size=2))
            case "drop":
                del body[place : place + draw(st.integers(1, 40))]
            case "insert":
                body[place:place] = draw(st.binary(min_size=1, max_size=8))
            case "repeat":
                body[place:place] = body[place : place + draw(st.integers(1, 80))]
    return verified, replace(verified, body=bytes(body))


@st.composite
def retyped(draw: st.DrawFn, kit: Kit) -> bytes:
    """A verified body in which something of another type stands somewhere."""
    statuses: list[PaymentStatus | RefundStatus | None] = [*(kit.statuses or [PaymentStatus.PAID]), *kit.refunds, None]
    value = json.loads(kit.webhook(draw(st.sampled_from(statuses))).body)
    for _ in range(draw(st.integers(1, 3))):
        holder: Any = value
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(holder[key], dict | list) and draw(st.integers(0, 3)):
                holder = holder[key]
                continue
            holder[key] = draw(JSON)
            break
    return json.dumps(value).encode()


def never_anything_else(kit: Kit, examples: int) -> None:
    provider = kit.provider()

    @some(examples)
    @given(bodies(kit))
    def bytes_changed(webhooks: tuple[SignedWebhook, SignedWebhook]) -> None:
        verified, changed = webhooks
        events = read(provider, verified)
        assert events is not None
        assert refused_or_the_same(kit, provider, changed, events)

    bytes_changed()
    if not kit.signed or not hasattr(kit, "sealed"):
        return

    @some(examples)
    @given(retyped(kit))
    def content_changed_and_signed(body: bytes) -> None:
        read_sealed(provider, kit.sealed(body))

    content_changed_and_signed()


@pytest.mark.parametrize("name", KITS)
def test_a_changed_body_is_read_or_refused_and_nothing_else_comes_out(name: str) -> None:
    never_anything_else(KITS[name], 200)


@pytest.mark.slow
@pytest.mark.parametrize("name", KITS)
def test_thousands_of_changed_bodies_are_read_or_refused_and_nothing_else_comes_out(name: str) -> None:
    never_anything_else(KITS[name], 5000)


@pytest.mark.parametrize("name", [name for name in KITS if name != "mock"])  # it takes no money, and no cards
def test_no_cards_number_is_in_what_we_keep_wherever_it_stood(name: str) -> None:
    kit = KITS[name]
    for status in (*kit.statuses, *kit.refunds):
        body = json.dumps(_planted(json.loads(kit.webhook(status).body))).encode()
        webhook = kit.sealed(body) if hasattr(kit, "sealed") else replace(kit.webhook(status), body=body)

        kept = str(read_sealed(kit.provider(), webhook))
        for digits in (CARD, SPACED, SPACED.replace(" ", ""), "hunter2"):
            assert digits not in kept


def _planted(value: Any) -> Any:
    """The value with card data beside everything that a provider says."""
    if isinstance(value, list):
        return [_planted(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    planted = {key: _planted(inner) for key, inner in value.items()}
    return {
        "card": {"number": CARD, "cvc": "hunter2"},
        "note": SPACED,
        "description": f"paid with {CARD}",
        "reason": f"card {SPACED} was declined",
        "type": f"{CARD}",
    } | planted
