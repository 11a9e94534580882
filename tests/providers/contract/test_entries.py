"""Every kind of webhook about attempts, captures, refunds and disputes, at each provider whose kit names them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkout_service.providers.base import ProviderEvent, ProviderRefundEvent, ThinEvent
from checkout_service.providers.entries import Entry
from tests.providers.contract.judging import essence, read, read_sealed, refused_or_the_same, rewritten
from tests.providers.contract.test_mutations import CARD, JSON, SPACED, _planted
from tests.providers.kits.collection import KITS
from tests.providers.kits.kit import CURRENCY, SignedWebhook

KINDS = [(name, kind) for name, kit in KITS.items() for kind in getattr(kit, "movements", dict)()]


@pytest.fixture(params=KINDS, ids=lambda pair: f"{pair[0]}: {pair[1]}")
def kind(request: pytest.FixtureRequest) -> tuple[str, str]:
    return tuple(request.param)


def webhook_of(kind: tuple[str, str]) -> SignedWebhook:
    found: SignedWebhook = KITS[kind[0]].movements()[kind[1]]  # type: ignore[attr-defined]  # KINDS has those that do
    return found


def values_in(entry: Entry) -> Iterator[Any]:
    yield from (getattr(entry, field.name) for field in fields(entry))


def test_it_says_something_of_a_payment_that_can_be_found(kind: tuple[str, str]) -> None:
    events = read(KITS[kind[0]].provider(), webhook_of(kind))

    assert events
    for event in events:
        assert event.provider == kind[0]
        assert event.provider_ref or (event.object_ref if isinstance(event, ThinEvent) else any(event.names))
        if isinstance(event, ProviderEvent):
            assert event.event_id
            assert event.entries


def test_its_amounts_moments_and_names_are_fit_for_the_database(kind: tuple[str, str]) -> None:
    for event in read(KITS[kind[0]].provider(), webhook_of(kind)) or ():
        if isinstance(event, ThinEvent):
            continue
        assert all(name.isprintable() for name in event.names)
        if isinstance(event, ProviderRefundEvent):
            assert event.refund_ref
            continue
        for value in (value for entry in event.entries for value in values_in(entry)):
            if isinstance(value, Decimal):
                assert value >= 0
            if isinstance(value, datetime):
                assert value.tzinfo is not None
            if isinstance(value, str):
                assert value.isprintable()
        currencies = {getattr(entry, "currency", None) for entry in event.entries}
        assert currencies <= {None, CURRENCY}


def test_it_means_the_same_each_time_it_is_delivered(kind: tuple[str, str]) -> None:
    first, again = (read(KITS[kind[0]].provider(), webhook_of(kind)) for _ in range(2))

    assert first is not None
    assert again is not None
    assert essence(first) == essence(again)


def test_changed_by_a_stranger_it_is_refused_or_means_the_same(kind: tuple[str, str]) -> None:
    kit, verified = KITS[kind[0]], webhook_of(kind)
    provider = kit.provider()
    events = read(provider, verified)
    assert events
    for changed in rewritten(json.loads(verified.body)):
        webhook = replace(verified, body=json.dumps(changed).encode())
        assert refused_or_the_same(kit, provider, webhook, events), changed


def test_changed_by_its_provider_it_is_read_or_refused_and_nothing_else_comes_out(kind: tuple[str, str]) -> None:
    kit, verified = KITS[kind[0]], webhook_of(kind)
    if not hasattr(kit, "sealed"):
        pytest.skip("nobody can seal what was changed")
    provider = kit.provider()
    value = json.loads(verified.body)
    for changed in rewritten(value):
        read_sealed(provider, kit.sealed(json.dumps(changed).encode()))

    # A few of each kind, of which there are so many.
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def several_things(data: st.DataObject) -> None:
        changed = json.loads(verified.body)
        for _ in range(data.draw(st.integers(2, 4))):
            holder: Any = changed
            while isinstance(holder, dict | list) and holder:
                keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
                key = data.draw(st.sampled_from(keys))
                if isinstance(holder[key], dict | list) and data.draw(st.integers(0, 3)):
                    holder = holder[key]
                    continue
                holder[key] = data.draw(JSON)
                break
        read_sealed(provider, kit.sealed(json.dumps(changed).encode()))

    several_things()


def test_no_cards_number_is_in_what_we_keep_of_it(kind: tuple[str, str]) -> None:
    kit, verified = KITS[kind[0]], webhook_of(kind)
    if kind[0] == "mock":
        pytest.skip("it takes no money, and no cards")
    body = json.dumps(_planted(json.loads(verified.body))).encode()
    webhook = kit.sealed(body) if hasattr(kit, "sealed") else replace(verified, body=body)

    found = str(read_sealed(kit.provider(), webhook))
    for digits in (CARD, SPACED, SPACED.replace(" ", ""), "hunter2"):
        assert digits not in found
