"""Adyen's webhooks: a batch of items, each signed by itself over eight of its fields, with no time among them.

Nothing is entered by a field that is not signed: ``reason``, ``eventDate``, ``live`` and all of ``additionalData``
could be anybody's. One unverified item refuses its whole webhook: Adyen did not send it, so what else is in it was
copied from somewhere. A verified item that cannot be understood takes no other with it. (Adyen, "Verify HMAC
signatures" and "Webhook types".)

The webhooks of balance platforms, of management and of tokens are no batch: a header signs their bytes. They say
nothing of payments, so that one that is verified is ignored.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from checkout_service.providers.adapters.adyen.events import CODES, SAYS_NOTHING, Capturing, event_of, may_be_ours
from checkout_service.providers.adapters.adyen.items import Item
from checkout_service.providers.base import (
    IgnoredReason,
    ParsedWebhook,
    ProviderEvent,
    ProviderRefundEvent,
    UnreadableError,
)
from checkout_service.providers.fields import items, json_object, nested, text
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.providers.signatures import before_verification, header, matching, signed_digest

SIGNATURE_HEADER: Final = "hmacsignature"
"""Of what is no batch. ``Protocol``, beside it, names the algorithm: no sender chooses that, so it is not kept."""

_SIGNED: Final = (
    *("pspReference", "originalReference", "merchantAccountCode", "merchantReference", "amount"),
    *("eventCode", "success"),
)


class Ours(NamedTuple):
    """Whose webhooks are read: those of this merchant account, in this mode where ``live`` is known."""

    account: str
    live: bool | None = None


def parse_webhook(raw_webhook: RawWebhook, keys: Sequence[bytes], *, ours: Ours, capturing: Capturing) -> ParsedWebhook:
    """All that a webhook says of payments of this merchant account.

    Raises UnverifiedError unless every item in it, or where it is no batch all of it, is signed by one of the keys, and
    UnreadableError where no event is left besides what cannot be understood. ``capturing`` tells what an authorisation
    is worth.
    """
    with before_verification():
        body = json_object(raw_webhook.body)
        if "notificationItems" not in body:
            return ParsedWebhook(secret=_signed_by_header(raw_webhook, keys), ignored=IgnoredReason.UNKNOWN_TYPE)
        batch = _items_of(body)
        places = [_verify(item, keys) for item in batch]
    of_other_mode = ours.live is not None and body.get("live") == ("false" if ours.live else "true")
    events: list[ProviderEvent | ProviderRefundEvent] = []
    reasons, unreadable = [], None
    for number, item in enumerate(batch, start=1):
        # Keys are shared between the merchant accounts of a company, so a verified item may be another's.
        if item.get("merchantAccountCode") != ours.account:
            reasons.append(IgnoredReason.NOT_OURS)
            continue
        try:
            read = _read(item, raw_webhook, capturing)
        except UnreadableError as error:
            if of_other_mode:
                reasons.append(IgnoredReason.NOT_OURS)
                continue
            unreadable = unreadable or f"item {number} of {len(batch)}: {error}"
            continue
        if isinstance(read, IgnoredReason):
            reasons.append(IgnoredReason.NOT_OURS if of_other_mode else read)
        else:
            # The mode is not signed: it takes no news from a payment that is here.
            events.append(replace(read, foreign=True) if of_other_mode else read)
    if unreadable is not None and not events:
        raise UnreadableError(unreadable)
    first = next((reason for reason in IgnoredReason if reason in reasons), IgnoredReason.NOTHING_TO_RECORD)
    return ParsedWebhook(events=events, secret=places[0], unreadable=unreadable, ignored=first)


def _read(
    item: dict[str, Any], raw_webhook: RawWebhook, capturing: Capturing
) -> ProviderEvent | ProviderRefundEvent | IgnoredReason:
    """What a verified item of our account says, or why that is nothing."""
    code = item.get("eventCode")
    if code in SAYS_NOTHING:
        return IgnoredReason.NOTHING_TO_RECORD
    if code not in CODES:
        if may_be_ours(item):
            text(item, "eventCode")
        return IgnoredReason.UNKNOWN_TYPE  # whatever stands where codes that we know have names
    if not may_be_ours(item):
        return IgnoredReason.NOT_OURS
    return event_of(Item.of(item, raw_webhook.received_at), capturing) or IgnoredReason.NOTHING_TO_RECORD


def signed_content(item: dict[str, Any]) -> bytes:
    """What the signature of an item covers: nothing is escaped, and what is absent is empty."""
    amount = item.get("amount", {})
    if not isinstance(amount, dict):
        raise UnreadableError("an item's amount is not an object")
    value = amount.get("value", "")
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise UnreadableError("an item's amount is not a whole number")
    words = [item.get(name, "") for name in ("pspReference", "originalReference", "merchantAccountCode")]
    words += [item.get("merchantReference", ""), str(value), amount.get("currency", "")]
    words += [item.get("eventCode", ""), item.get("success", "")]
    if not all(isinstance(word, str) for word in words):
        raise UnreadableError("a signed field is not a text")
    return ":".join(words).encode("utf-8", "surrogatepass")


def _items_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The items of a batch, none of them verified yet."""
    holders = items(body, "notificationItems")
    if not holders:
        raise UnreadableError("a batch without items: nothing in it is signed")
    return [_without_nulls(nested(holder, "NotificationRequestItem")) for holder in holders]


def _without_nulls(item: dict[str, Any]) -> dict[str, Any]:
    """The item; a signed field that is null is as one that is absent: both are signed as empty."""
    kept = {name: value for name, value in item.items() if value is not None or name not in _SIGNED}
    amount = kept.get("amount")
    if isinstance(amount, dict):
        kept["amount"] = {name: value for name, value in amount.items() if value is not None}
    return kept


def _verify(item: dict[str, Any], keys: Sequence[bytes]) -> int:
    """The place of the key that an item is signed with."""
    data = item.get("additionalData")
    claimed = data.get("hmacSignature") if isinstance(data, dict) else None
    if not isinstance(claimed, str):
        raise UnreadableError("an item without additionalData.hmacSignature: nobody proves that Adyen sent it")
    content = signed_content(item)
    return matching(keys, lambda key: base64.b64encode(signed_digest(key, content)), [claimed])


def _signed_by_header(raw_webhook: RawWebhook, keys: Sequence[bytes]) -> int:
    """The place of the key that signs the bytes of what is no batch (Adyen, "Verify HMAC signatures")."""
    if SIGNATURE_HEADER not in raw_webhook.headers:
        raise UnreadableError("no batch of items, and no signature in a header: nothing in it is signed")
    claimed = header(raw_webhook, SIGNATURE_HEADER)
    return matching(keys, lambda key: base64.b64encode(signed_digest(key, raw_webhook.body)), [claimed])
