"""What Stripe is asked and what comes of it: look-ups with all that is known of the money, captures, voids."""

from __future__ import annotations

import json
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkout_service.payments.status import AttemptStatus, DisputeStatus, PaymentStatus
from checkout_service.providers.adapters.stripe.provider import StripeProvider
from checkout_service.providers.base import (
    Decline,
    Opening,
    ProviderError,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderRefusedError,
    Reference,
    UnreadableError,
)
from checkout_service.providers.entries import (
    AttemptEntry,
    CaptureEntry,
    ClosedEntry,
    DisputeEntry,
    NoneUnderWayEntry,
)
from tests.providers.contract.judging import LEAVES
from tests.providers.kits.kit import AMOUNT, CURRENCY, PAYMENT_ID
from tests.providers.kits.stripe import DEPLOYMENT, KIT, StripeBank, dispute, refund

CAPTURE, VOID = UUID("5d0c2f57-6b50-5a8e-9a43-0c6f1f1e4d01"), UUID("5d0c2f57-6b50-5a8e-9a43-0c6f1f1e4d02")


class Opened:
    """A payment at a server of Stripe's, that a customer may pay."""

    def __init__(self, **options: str) -> None:
        self.bank = StripeBank()
        self.provider: StripeProvider = KIT.provider(answer=self.bank, **options)
        held = self.provider.open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY))
        self.reference = Reference(
            provider_ref=held.provider_ref, payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY
        )

    @property
    def intent(self) -> dict[str, Any]:
        found: dict[str, Any] = self.bank.payments[self.reference.provider_ref]
        return found

    def pay(self) -> Opened:
        self.bank.pay(self.reference.provider_ref)
        return self

    def look_up(self) -> list[Any]:
        return list(self.provider.look_up(self.reference))

    def sent(self, number: int = -1) -> dict[str, str]:
        content = self.bank.requests[number].content.decode()
        return {name: values[0] for name, values in parse_qs(content).items()}


def entries_in(found: list[Any], kind: type) -> list[Any]:
    return [
        entry
        for event in found
        if isinstance(event, ProviderEvent)
        for entry in event.entries
        if isinstance(entry, kind)
    ]


def test_a_payment_that_nobody_tried_says_only_that_none_is_under_way() -> None:
    begun = datetime.now(UTC)
    (found,) = Opened().look_up()

    assert (found.event_id, found.status) == ("", None)
    (none,) = found.entries
    assert isinstance(none, NoneUnderWayEntry)
    assert begun <= none.at <= datetime.now(UTC)


def test_what_is_under_way_is_not_ended_by_a_look_up() -> None:
    opened = Opened()
    opened.intent.update(status="processing", latest_charge={"id": "py_1", "object": "charge", "status": "pending"})

    (found,) = opened.look_up()

    assert found.status is PaymentStatus.PROCESSING
    assert [entry.status for entry in found.entries] == [AttemptStatus.UNDER_WAY]


def test_a_look_up_tells_captures_refunds_and_disputes_by_name() -> None:
    opened = Opened().pay()
    charge_ref = opened.intent["latest_charge"]["id"]
    opened.intent["latest_charge"]["disputed"] = True
    opened.bank.disputes = [
        dispute(status, moves, id=f"du_{status}", amount=4000, payment_intent=opened.reference.provider_ref)
        for status, moves in (("won", 2), ("lost", 1))
    ]
    opened.bank.refunds["re_dashboard"] = refund(
        id="re_dashboard", payment_intent=opened.reference.provider_ref, amount=100, metadata={}
    )

    first, again = opened.look_up(), opened.look_up()

    assert [(entry.ref, entry.amount) for entry in entries_in(first, CaptureEntry)] == [(charge_ref, AMOUNT)]
    disputes = entries_in(first, DisputeEntry)
    assert [(entry.ref, entry.status, entry.money_out) for entry in disputes] == [
        ("du_won", DisputeStatus.WON, False),
        ("du_lost", DisputeStatus.LOST, True),
    ]
    (refunded,) = [event for event in first if isinstance(event, ProviderRefundEvent)]
    assert (refunded.refund_ref, refunded.amount, refunded.refund_id) == ("re_dashboard", Decimal("1.00"), None)
    assert [event.event_id for event in first] == [event.event_id for event in again]


def test_news_of_a_dispute_have_another_id() -> None:
    opened = Opened().pay()
    opened.intent["latest_charge"]["disputed"] = True
    ids = set()
    for status, moves in (("needs_response", 0), ("needs_response", 1), ("lost", 1), ("won", 1), ("won", 2)):
        opened.bank.disputes = [dispute(status, moves, payment_intent=opened.reference.provider_ref)]
        ids.add(opened.look_up()[-1].event_id)
    assert len(ids) == 5


@pytest.mark.parametrize(("amount", "transaction", "money"), [(4000, None, 0), (4000, "txn_1", 1), (3000, None, 1)])
def test_what_was_never_captured_and_let_go_is_no_refund(amount: int, transaction: str | None, money: int) -> None:
    opened = Opened(capture="manual").pay()
    opened.provider.capture(opened.reference, request_id=CAPTURE, amount=Decimal("200.00"), final=True)
    opened.bank.refunds["re_1"] = refund(
        metadata={},
        amount=amount,
        balance_transaction=transaction,
        payment_intent=opened.reference.provider_ref,
    )

    found = opened.look_up()

    assert len([event for event in found if isinstance(event, ProviderRefundEvent)]) == money
    assert [entry.amount for entry in entries_in(found, CaptureEntry)] == [Decimal("200.00")]


def test_automatic_capture_is_the_default_and_manual_an_option() -> None:
    assert "capture_method" not in Opened().sent()
    assert Opened(capture="automatic").sent().get("capture_method") is None
    manual = Opened(capture="manual").sent()
    assert manual["capture_method"] == "manual"
    assert manual["metadata[deployment]"] == DEPLOYMENT
    several = Opened(capture="manual", multicapture="on").sent()
    assert several["payment_method_options[card][request_multicapture]"] == "if_available"
    assert "payment_method_options[card][request_multicapture]" not in manual


def test_an_authorisation_is_seen_with_its_end_and_captured_once() -> None:
    opened = Opened(capture="manual").pay()
    (tried,) = entries_in(opened.look_up(), AttemptEntry)
    assert (tried.status, tried.authorized, tried.rest_released) == (AttemptStatus.AUTHORIZED, AMOUNT, False)
    assert tried.expires_at is not None

    made = [
        list(opened.provider.capture(opened.reference, request_id=CAPTURE, amount=Decimal("200.00"), final=True))
        for _ in range(2)
    ]

    (came,) = entries_in(made[0], CaptureEntry)
    assert (came.amount, came.request_id, came.attempt_ref) == (Decimal("200.00"), str(CAPTURE), tried.ref)
    assert [event.event_id for event in made[0]] == [event.event_id for event in made[1]]
    assert entries_in(made[0], AttemptEntry)[0].rest_released
    sent = opened.sent()
    assert sent == {"amount_to_capture": "20000", f"metadata[capture_{CAPTURE.hex}]": "20000"}
    assert opened.bank.requests[-1].headers["Idempotency-Key"] == str(CAPTURE)


def test_several_captures_leave_the_rest_open_where_the_account_has_them() -> None:
    opened = Opened(capture="manual", multicapture="on").pay()
    found = []
    for request_id, amount, final in ((CAPTURE, "100.00", False), (VOID, "140.00", True)):
        answer = opened.provider.capture(opened.reference, request_id=request_id, amount=Decimal(amount), final=final)
        found.append(list(answer))
    released = [entries_in(each, AttemptEntry)[0].rest_released for each in found]
    captures = [[(entry.amount, entry.request_id) for entry in entries_in(each, CaptureEntry)] for each in found]

    assert released == [False, True]
    # Each answer, and each look-up, tells of every request that it was: one whose answer was lost is found again.
    assert captures == [[(Decimal(100), str(CAPTURE))], [(Decimal(240), str(CAPTURE)), (Decimal(240), str(VOID))]]
    assert [entry.request_id for entry in entries_in(opened.look_up(), CaptureEntry)] == [str(CAPTURE), str(VOID)]
    assert [opened.sent(number).get("final_capture") for number in (-4, -3)] == ["false", None]


def test_a_part_that_leaves_the_rest_open_is_refused_before_any_call_elsewhere() -> None:
    opened = Opened(capture="manual").pay()
    calls = len(opened.bank.requests)

    with pytest.raises(ProviderRefusedError) as caught:
        opened.provider.capture(opened.reference, request_id=CAPTURE, amount=Decimal("100.00"), final=False)

    assert caught.value.reason is Decline.NOT_IN_THIS_STATE
    assert len(opened.bank.requests) == calls


@pytest.mark.parametrize(
    ("amount", "reason"), [("240.01", Decline.AMOUNT_REFUSED), ("1.00", Decline.NOT_IN_THIS_STATE)]
)
def test_more_than_is_authorized_and_what_was_captured_before_is_refused(amount: str, reason: Decline) -> None:
    opened = Opened(capture="manual").pay()
    if reason is Decline.NOT_IN_THIS_STATE:
        opened.provider.capture(opened.reference, request_id=VOID, amount=AMOUNT, final=True)

    with pytest.raises(ProviderRefusedError) as caught:
        opened.provider.capture(opened.reference, request_id=CAPTURE, amount=Decimal(amount), final=True)
    assert caught.value.reason is reason


def test_a_void_lets_go_of_what_is_authorized_however_often_it_is_sent() -> None:
    opened = Opened(capture="manual").pay()
    for key in (VOID, VOID, CAPTURE):  # the same again, and another after the intent was canceled
        found = list(opened.provider.void(opened.reference, void_id=key))
        assert entries_in(found, ClosedEntry) == [ClosedEntry(status=PaymentStatus.CANCELED)]
        assert [entry.status for entry in entries_in(found, AttemptEntry)] == [AttemptStatus.CANCELED]


def test_what_was_captured_cannot_be_voided() -> None:
    opened = Opened(capture="manual").pay()
    opened.provider.capture(opened.reference, request_id=CAPTURE, amount=AMOUNT, final=True)

    with pytest.raises(ProviderRefusedError) as caught:
        opened.provider.void(opened.reference, void_id=VOID)
    assert caught.value.reason is Decline.NOT_IN_THIS_STATE


def test_a_void_after_a_part_was_captured_keeps_that_part() -> None:
    opened = Opened(capture="manual", multicapture="on").pay()
    opened.provider.capture(opened.reference, request_id=CAPTURE, amount=Decimal("100.00"), final=False)

    found = list(opened.provider.void(opened.reference, void_id=VOID))

    assert [entry.amount for entry in entries_in(found, CaptureEntry)] == [Decimal("100.00")]
    assert entries_in(found, ClosedEntry) == []
    assert entries_in(found, AttemptEntry)[0].rest_released


def test_an_answer_about_another_payment_is_unreadable_for_captures_and_voids_too() -> None:
    opened = Opened(capture="manual").pay()
    other = KIT.provider(answer=opened.bank, capture="manual")
    opened.bank.payments["pi_other"] = opened.intent

    other_ref = replace(opened.reference, provider_ref="pi_other")
    for call in (
        lambda: other.capture(other_ref, request_id=CAPTURE, amount=AMOUNT, final=True),
        lambda: other.void(other_ref, void_id=VOID),
    ):
        with pytest.raises((UnreadableError, ProviderRefusedError)):
            call()


def test_answers_with_anything_in_them_changed_are_values_or_errors_of_ours() -> None:
    """Also of disputes, refunds, captures and voids, which the contract suite does not know."""

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def changed(data: st.DataObject) -> None:
        opened = Opened(capture="manual", multicapture="on").pay()
        opened.provider.capture(opened.reference, request_id=CAPTURE, amount=Decimal("100.00"), final=False)
        opened.intent["latest_charge"]["disputed"] = True
        opened.bank.disputes = [dispute(amount=4000, payment_intent=opened.reference.provider_ref)]
        opened.bank.refunds["re_1"] = refund(metadata={}, payment_intent=opened.reference.provider_ref)

        def answer(request: httpx.Request) -> httpx.Response:
            response = opened.bank(request)
            value = json.loads(response.content)
            holder: Any = value
            while isinstance(holder, dict | list) and holder:
                keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
                key = data.draw(st.sampled_from(keys))
                if isinstance(holder[key], dict | list) and holder[key] and data.draw(st.integers(0, 3)):
                    holder = holder[key]
                    continue
                holder[key] = deepcopy(data.draw(st.sampled_from(LEAVES)))
                break
            return httpx.Response(response.status_code, content=json.dumps(value))

        provider = KIT.provider(answer=answer, capture="manual", multicapture="on")
        for call in (
            lambda: provider.look_up(opened.reference),
            lambda: provider.capture(opened.reference, request_id=VOID, amount=Decimal("40.00"), final=False),
            lambda: provider.void(opened.reference, void_id=VOID),
            lambda: provider.undelivered(since=datetime.now(UTC)),
        ):
            with suppress(ProviderError):
                call()

    changed()


def test_what_was_not_delivered_is_of_every_kind_that_a_webhook_is() -> None:
    bank = StripeBank()
    in_full = {name: webhook for name, webhook in KIT.movements().items() if not name.startswith("thin")}
    bank.events = [json.loads(webhook.body) for webhook in in_full.values()]

    page = KIT.provider(answer=bank).undelivered(since=datetime(2025, 1, 1, tzinfo=UTC))

    delivered = [KIT.provider().verify_and_parse(webhook.raw("stripe")).events for webhook in in_full.values()]
    assert [list(one.events) for one in page.events] == [list(events) for events in delivered]
    assert all(events for events in delivered)
