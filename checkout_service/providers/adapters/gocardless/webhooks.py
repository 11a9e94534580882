"""GoCardless' webhooks: up to 250 events of many payments in one body, signed as a whole, and no amount in any.

An event says what happened to something and how that is called. So each payment that has news is looked up once. It is
ours by the metadata of what the event is about, where our own id stands. Anybody with access to the account can rewrite
that, and nobody promises that each event has it: without it, it is ours where one of its names is known for a payment
here. A refund that is not known is read by its name. (GoCardless, "Webhooks" and "Events".)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from checkout_service.providers.adapters.gocardless.names import (
    EVENT,
    NAME,
    PAYMENT,
    REFUND,
    id_in,
    is_ours,
    link_in,
    metadata_of,
)
from checkout_service.providers.base import IgnoredReason, ParsedWebhook, ThinEvent, UnreadableError
from checkout_service.providers.fields import json_object, own_id, text
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.providers.signatures import header, matching, signed_hex

SIGNATURE: Final = "webhook-signature"

_NEWS_IN_WORDS: Final = {
    "payments": "created confirmed failed cancelled customer_approval_denied charged_back chargeback_cancelled "
    "resubmission_requested",
    "refunds": "created submitted paid failed bounced cancelled funds_returned",
    "billing_requests": "fulfilled cancelled failed",
}
_NEWS: Final = {kind: frozenset(words.split()) for kind, words in _NEWS_IN_WORDS.items()}
"""The actions after which a payment is looked up, by the kind of what an event is about."""

_NO_NEWS_IN_WORDS: Final = {
    # That it is on its way is known of its creation; payouts and fees are between GoCardless and the shop.
    "payments": "submitted paid_out customer_approval_granted late_failure_settled chargeback_settled "
    "surcharge_fee_debited surcharge_fee_credited sds_settlement_delayed",
    "refunds": "refund_settled",
    # Steps of the customer's way through the pages.
    "billing_requests": "created flow_created flow_visited flow_exited collect_customer_details collect_bank_account "
    "collect_amount payer_details_confirmed choose_currency select_institution payer_geo_blocked "
    "bank_authorisation_visited bank_authorisation_authorised bank_authorisation_denied bank_authorisation_expired "
    "bank_authorisation_failed",
}
_NO_NEWS: Final = {kind: frozenset(words.split()) for kind, words in _NO_NEWS_IN_WORDS.items()}

_OTHER_KINDS: Final = """
    creditors customer customers exports instalment_schedules mandates organisations outbound_payments
    payer_authorisations payment_account_transaction payment_account_transactions payouts scheme_identifiers
    subscriptions
"""
_OF_OTHERS: Final = frozenset(_OTHER_KINDS.split())
"""Kinds of things that no payment of ours changes by."""


def parse_delivery(raw_webhook: RawWebhook, keys: Sequence[bytes], *, deployment: str) -> ParsedWebhook:
    """The payments of ours that a delivery has news of, each once.

    Raises UnverifiedError unless one of the keys signed the body, and UnreadableError where no payment is left besides
    what cannot be understood. Nothing of the body is read before its signature was compared.
    """
    claimed = header(raw_webhook, SIGNATURE)
    place = matching(keys, lambda key: signed_hex(key, raw_webhook.body), [claimed])
    found, ignored, unreadable = news_in(json_object(raw_webhook.body), deployment=deployment)
    if unreadable is not None and not found:
        raise UnreadableError(unreadable)
    return ParsedWebhook(events=found, secret=place, unreadable=unreadable, ignored=ignored)


def news_in(body: dict[str, Any], *, deployment: str) -> tuple[list[ThinEvent], IgnoredReason, str | None]:
    """The payments of ours with news, why the others lead to nothing, and why some event could not be understood.

    Raises UnreadableError where there is no list of events.
    """
    events = body.get("events")
    if not isinstance(events, list):
        raise UnreadableError("events is not a list")
    found: dict[str, ThinEvent] = {}
    reasons: set[IgnoredReason] = set()
    unreadable = None
    for number, event in enumerate(events, start=1):
        try:
            judged = _judged(event, deployment)
        except UnreadableError as error:
            unreadable = unreadable or f"event {number} of {len(events)}: {error}"
            continue
        if isinstance(judged, IgnoredReason):
            reasons.add(judged)
            continue
        for news in judged:
            # Of one payment the news that is ours for certain counts.
            if news.provider_ref not in found or not news.foreign:
                found[news.provider_ref] = news
    # What costs a call that may lead to nobody of ours comes last.
    in_turn = sorted(found.values(), key=lambda news: (bool(news.object_ref), news.foreign))
    return in_turn, _first(reasons), unreadable


def _judged(event: object, deployment: str) -> Sequence[ThinEvent] | IgnoredReason:
    """The news that an event is, of one payment by each of its names; or why it is none."""
    if not isinstance(event, dict):
        raise UnreadableError("it is not an object")
    id_in(event, "id", EVENT)
    kind, action = text(event, "resource_type"), text(event, "action")
    if kind in _OF_OTHERS:
        return IgnoredReason.NOTHING_TO_RECORD
    if action not in _NEWS.get(kind, ()) and action not in _NO_NEWS.get(kind, ()):
        return IgnoredReason.UNKNOWN_TYPE
    metadata = metadata_of(event, "resource_metadata")
    payment_id = own_id(metadata.get("payment_id"))
    ours = payment_id is not None and is_ours(metadata, deployment)
    if action not in _NEWS[kind]:
        return IgnoredReason.NOTHING_TO_RECORD if ours else IgnoredReason.NOT_OURS
    if ours:
        return [ThinEvent(provider=NAME, provider_ref=str(payment_id))]
    return _by_names(event, kind, payment_id) or IgnoredReason.NOT_OURS


def _by_names(event: dict[str, Any], kind: str, payment_id: UUID | None) -> list[ThinEvent]:
    """News that is another shop's, unless one of its names is known here; of a refund that nobody named it is read."""
    payment_ref = link_in(event, "payment_request_payment" if kind == "billing_requests" else "payment", PAYMENT)
    named = [str(payment_id)] if payment_id is not None else []
    named += [payment_ref] if payment_ref is not None else []
    found = [ThinEvent(provider=NAME, provider_ref=name, foreign=True) for name in named]
    refund_ref = link_in(event, "refund", REFUND) if kind == "refunds" else None
    if refund_ref is not None:
        to_read = "" if named else refund_ref
        found.append(ThinEvent(provider=NAME, provider_ref=refund_ref, object_ref=to_read, foreign=True))
    return found


def _first(reasons: Iterable[IgnoredReason]) -> IgnoredReason:
    held = set(reasons)
    return next((reason for reason in IgnoredReason if reason in held), IgnoredReason.NOTHING_TO_RECORD)
