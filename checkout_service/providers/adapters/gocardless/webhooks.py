"""GoCardless' webhooks: up to 250 events of many payments in one body, signed as a whole, and no amount in any.

An event says what happened to something and how that is called. So each payment that has news is looked up once. It is
ours by the metadata of what the event is about, where our own id stands. (GoCardless, "Webhooks" and "Events".)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from checkout_service.providers.adapters.gocardless.names import EVENT, NAME, id_in, metadata_of, our_payment
from checkout_service.providers.base import IgnoredReason, ParsedWebhook, ThinEvent, UnreadableError
from checkout_service.providers.fields import json_object, text
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
    "surcharge_fee_debited surcharge_fee_credited",
    "refunds": "refund_settled",
    # Steps of the customer's way through the pages.
    "billing_requests": "created flow_created flow_visited flow_exited collect_customer_details collect_bank_account "
    "collect_amount payer_details_confirmed choose_currency select_institution payer_geo_blocked "
    "bank_authorisation_visited bank_authorisation_authorised bank_authorisation_denied bank_authorisation_expired "
    "bank_authorisation_failed",
}
_NO_NEWS: Final = {kind: frozenset(words.split()) for kind, words in _NO_NEWS_IN_WORDS.items()}

_OTHER_KINDS: Final = """
    creditors customers exports instalment_schedules mandates organisations outbound_payments payer_authorisations
    payment_account_transactions payouts scheme_identifiers subscriptions
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
    ours: dict[str, None] = {}
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
        else:
            ours[judged] = None
    thin = [ThinEvent(provider=NAME, provider_ref=reference) for reference in ours]
    return thin, _first(reasons), unreadable


def _judged(event: object, deployment: str) -> str | IgnoredReason:
    """The reference of the payment that an event is news of, or why it is none."""
    if not isinstance(event, dict):
        raise UnreadableError("it is not an object")
    id_in(event, "id", EVENT)
    kind, action = text(event, "resource_type"), text(event, "action")
    if kind in _OF_OTHERS:
        return IgnoredReason.NOTHING_TO_RECORD
    if action not in _NEWS.get(kind, ()) and action not in _NO_NEWS.get(kind, ()):
        return IgnoredReason.UNKNOWN_TYPE
    payment_id = our_payment(metadata_of(event, "resource_metadata"), deployment)
    if payment_id is None:
        return IgnoredReason.NOT_OURS
    return str(payment_id) if action in _NEWS[kind] else IgnoredReason.NOTHING_TO_RECORD


def _first(reasons: Iterable[IgnoredReason]) -> IgnoredReason:
    held = set(reasons)
    return next((reason for reason in IgnoredReason if reason in held), IgnoredReason.NOTHING_TO_RECORD)
