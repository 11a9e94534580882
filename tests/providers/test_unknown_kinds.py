"""A verified webhook of a kind that its adapter does not know is ignored as such, whatever else it says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from checkout_service.providers.base import IgnoredReason, ParsedWebhook
from tests.providers.kits import adyen, mock, standard
from tests.providers.kits.kit import AMOUNT, CURRENCY, Kit, SignedWebhook

KITS: list[Kit] = [adyen.KIT, mock.KIT, standard.KIT]


@pytest.mark.parametrize("kit", KITS, ids=[kit.name for kit in KITS])
def test_an_event_of_a_kind_that_nobody_knows_says_so(kit: Kit) -> None:
    parsed = kit.provider().verify_and_parse(kit.webhook(None).raw(kit.name))

    assert (list(parsed.events), parsed.ignored) == ([], IgnoredReason.UNKNOWN_TYPE)


def of_type(kind: str, **data: Any) -> ParsedWebhook:
    body = json.dumps({"type": kind, "data": data}).encode()
    return standard.KIT.provider().verify_and_parse(standard.KIT.sealed(body).raw("standard"))


@pytest.mark.parametrize(
    "kind", ["customer.created", "payment", "payment.", "payment.gone", "refund.requested", "refund"]
)
def test_a_type_of_ones_own_provider_that_is_none_of_ours_is_unknown_whatever_its_data_are(kind: str) -> None:
    """Nothing in it has to be what a known type would need."""
    for data in ({}, {"provider_ref": 7, "amount": "much"}):
        parsed = of_type(kind, **data)
        assert (list(parsed.events), parsed.ignored) == ([], IgnoredReason.UNKNOWN_TYPE)


@pytest.mark.parametrize("kind", ["capture.gone", "dispute.gone"])
def test_a_word_that_is_none_of_a_capture_or_a_dispute_is_unknown(kind: str) -> None:
    subject = kind.partition(".")[0]
    data = {"provider_ref": standard.PAYMENT_REF, f"{subject}_ref": "X", "amount": str(AMOUNT), "currency": CURRENCY}

    parsed = of_type(kind, **data)
    assert (list(parsed.events), parsed.ignored) == ([], IgnoredReason.UNKNOWN_TYPE)


def test_a_status_of_the_mock_provider_that_is_none_is_unknown_for_a_refund_too() -> None:
    unsigned = {"provider_ref": "mock_pi_1", "status": "gone", "raw_data": {"refund_ref": "mock_re_1"}}
    webhook: SignedWebhook = mock.KIT.sealed(json.dumps(unsigned).encode())

    parsed = mock.KIT.provider().verify_and_parse(webhook.raw("mock"))
    assert (list(parsed.events), parsed.ignored) == ([], IgnoredReason.UNKNOWN_TYPE)
