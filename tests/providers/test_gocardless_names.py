"""GoCardless: whose news is whose, by our own id in metadata and by GoCardless' names."""

from __future__ import annotations

from typing import Any

import pytest

from checkout_service.providers.base import ThinEvent
from tests.providers.kits.gocardless import event
from tests.providers.kits.kit import PAYMENT_ID
from tests.providers.test_gocardless import parsed, payment_event


def thin(ref: str, *, foreign: bool = True, read_it: bool = False) -> ThinEvent:
    object_ref = ref if read_it else ""
    return ThinEvent(provider="gocardless", provider_ref=ref, foreign=foreign, object_ref=object_ref)


def test_another_shop_on_the_account_is_known_by_its_deployment() -> None:
    mine, theirs = ({"payment_id": str(PAYMENT_ID), "deployment": name} for name in ("uniforms", "boots"))
    assert parsed(payment_event(1, mine), deployment="uniforms").events == [thin(str(PAYMENT_ID), foreign=False)]
    for metadata in (theirs, {"payment_id": str(PAYMENT_ID)}):
        webhook = parsed(payment_event(1, metadata), deployment="uniforms")
        assert webhook.events == [thin(str(PAYMENT_ID)), thin("PM000001")]
    assert parsed(payment_event(1, {}), deployment="uniforms").events == [thin("PM000001")]


@pytest.mark.parametrize("metadata", [{}, {"order": "4711"}, {"payment_id": "INV-4711"}, {"payment_id": 7}])
def test_news_without_our_own_id_is_ours_where_one_of_its_names_is_here(metadata: dict[str, Any]) -> None:
    """Staff and bookkeeping may rewrite metadata, and nobody promises that each event has it."""
    found = parsed(
        event("refunds", "bounced", 1, metadata, refund="RF1"),
        event("refunds", "created", 2, metadata, refund="RF2", payment="PM2"),
        event("payments", "failed", 3, metadata, payment="PM3"),
        event("billing_requests", "fulfilled", 4, metadata, billing_request="BRQ4", payment_request_payment="PM4"),
        payment_event(5, None),
    ).events
    assert found == [
        thin(str(PAYMENT_ID), foreign=False),
        *map(thin, ("PM2", "RF2", "PM3", "PM4")),
        thin("RF1", read_it=True),
    ]


def test_an_event_without_metadata_at_all_is_read_by_its_names() -> None:
    bare = payment_event(1, {})
    del bare["resource_metadata"]
    assert parsed(bare).events == [thin("PM000001")]


def test_of_one_payment_the_news_that_is_ours_for_certain_counts() -> None:
    theirs, mine = payment_event(1, {"payment_id": str(PAYMENT_ID)}), payment_event(2, None)
    mine["resource_metadata"] |= {"deployment": "uniforms"}
    for events in ((theirs, mine), (mine, theirs)):
        assert thin(str(PAYMENT_ID), foreign=False) in parsed(*events, deployment="uniforms").events
