"""Adyen's webhooks: a batch of items, each signed by itself over eight of its fields, with no time among them.

Nothing is decided on a field that is not signed: ``reason``, ``eventDate``, ``live`` and all of ``additionalData``
could be anybody's. One unverified item refuses its whole webhook: Adyen did not send it, so what else is in it was
copied from somewhere. A verified item that cannot be understood takes no other with it. (Adyen, "Verify HMAC
signatures" and "Webhook types".)
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from checkout_service.providers.adapters.adyen.events import Capturing, event_of, may_be_ours
from checkout_service.providers.adapters.adyen.items import Item
from checkout_service.providers.base import ParsedWebhook, ProviderEvent, ProviderRefundEvent, UnreadableError
from checkout_service.providers.fields import items, json_object, nested
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.providers.signatures import before_verification, matching, signed_digest


def parse_batch(raw_webhook: RawWebhook, keys: Sequence[bytes], *, account: str, capturing: Capturing) -> ParsedWebhook:
    """All that a batch says of payments of this merchant account.

    Raises UnverifiedError unless every item in it is signed by one of the keys, and UnreadableError where no event is
    left besides what cannot be understood. ``capturing`` tells what an authorisation is worth.
    """
    with before_verification():
        batch = _items_of(raw_webhook.body)
        places = [_verify(item, keys) for item in batch]
    events: list[ProviderEvent | ProviderRefundEvent] = []
    unreadable = None
    for number, item in enumerate(batch, start=1):
        # Keys are shared between the merchant accounts of a company, so a verified item may be another's.
        if item.get("merchantAccountCode") != account or not may_be_ours(item):
            continue
        try:
            event = event_of(Item.of(item, raw_webhook.received_at), capturing)
        except UnreadableError as error:
            unreadable = unreadable or f"item {number} of {len(batch)}: {error}"
            continue
        if event is not None:
            events.append(event)
    if unreadable is not None and not events:
        raise UnreadableError(unreadable)
    return ParsedWebhook(events=events, secret=places[0], unreadable=unreadable)


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


def _items_of(body: bytes) -> list[dict[str, Any]]:
    """The items of a batch, none of them verified yet."""
    holders = items(json_object(body), "notificationItems")
    if not holders:
        raise UnreadableError("a batch without items: nothing in it is signed")
    return [nested(holder, "NotificationRequestItem") for holder in holders]


def _verify(item: dict[str, Any], keys: Sequence[bytes]) -> int:
    """The place of the key that an item is signed with."""
    claimed = nested(item, "additionalData").get("hmacSignature")
    if not isinstance(claimed, str):
        raise UnreadableError("an item has no signature")
    content = signed_content(item)
    return matching(keys, lambda key: base64.b64encode(signed_digest(key, content)), [claimed])
