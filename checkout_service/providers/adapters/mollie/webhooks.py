"""Mollie's webhooks: the unsigned form of one payment, and the signed event of a subscription.

Neither moves anything. The form may be anybody's, and of an event what counts is fetched too: it holds a state that may
be over, and whoever has a secret must not be able to make money of it. So both feeds of one change lead to the same
look-up, and are one movement. (Mollie, "Webhooks" and "Next-gen Webhooks"; mollie-api-py 1.10.20, SignatureValidator
and EntityWebhookEvent.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from checkout_service.providers.adapters.mollie.responses import NAME, own_payment
from checkout_service.providers.adapters.mollie.spec import SIGNATURE
from checkout_service.providers.base import (
    IgnoredReason,
    ParsedWebhook,
    ThinEvent,
    UnreadableError,
    UnverifiedError,
)
from checkout_service.providers.fields import json_object, nested, text
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.providers.signatures import header, matching, signed_hex

PREFIX: Final = "sha256="

EVENT: Final = "event"
"""The resource of what tells by its type what happened."""

PING: Final = "hook.ping"
"""What is sent where somebody tries a subscription."""

_CLASSIC: Final = re.compile(rb"id=(tr_[0-9A-Za-z]{1,64})")

_PAYMENT: Final = re.compile(r"tr_[0-9A-Za-z]{1,64}")

_ENTITIES: Final = {
    "payment": _PAYMENT,
    "refund": re.compile(r"re_[0-9A-Za-z]{1,64}"),
    "chargeback": re.compile(r"chb_[0-9A-Za-z]{1,64}"),
    "capture": re.compile(r"cpt_[0-9A-Za-z]{1,64}"),
}
"""What an event is about where it is of use, by the word before the point of its type, and what its id looks like."""

_PATH: Final = re.compile(r"https://[^/?#]+/v2/payments/(tr_[0-9A-Za-z]{1,64})(?:/[a-z]+/[0-9A-Za-z_]{1,70})?")
"""The address of a payment, or of something of it: its path alone is read, and nothing is fetched from there."""


def parse_classic(raw_webhook: RawWebhook) -> ParsedWebhook:
    """The payment that has news, as anybody may write it.

    All other bodies are refused as unverified: a stranger's nonsense must not end among what failed.
    """
    found = _CLASSIC.fullmatch(raw_webhook.body)
    if found is None:
        raise UnverifiedError("not a form with the id of a payment alone")
    return ParsedWebhook(events=[ThinEvent(provider=NAME, provider_ref=found[1].decode(), verified=False)])


def verify(raw_webhook: RawWebhook, keys: Sequence[bytes]) -> int:
    """The place, from 0, of the live secret that signed these bytes; raises UnverifiedError for none.

    While a secret is changed there are two signatures, which a server joins with a comma. The prefix may be missing:
    Mollie's own verifier takes a bare one as well. That one takes a webhook without a signature for an older kind; here
    it is nobody's.
    """
    if not any(keys):
        raise UnverifiedError("MOLLIE_WEBHOOK_SECRETS is not set, so that no signed webhook can be verified")
    # A tab may stand around a comma as a space may (RFC 9110, 5.6.1).
    signatures = header(raw_webhook, SIGNATURE, tabs=True)
    claims = [claim.strip().removeprefix(PREFIX) for claim in signatures.split(",")]
    return matching(keys, lambda key: signed_hex(key, raw_webhook.body), claims)


def parse_event(raw_webhook: RawWebhook, *, mode: str, secret: int) -> ParsedWebhook:
    """The payment that a verified event is about. ``mode`` is that of our API key, live or test.

    The payload is an event, with what it is about inside (full) or without it (simple); or that thing alone, as the
    reference pages of Mollie's APIs show it.
    """
    webhook = json_object(raw_webhook.body)
    resource, entity = webhook.get("resource"), webhook
    if isinstance(resource, str) and resource in _ENTITIES:
        kind, entity_id = resource, text(webhook, "id")
    elif isinstance(resource, str) and resource != EVENT and "type" not in webhook:
        return ParsedWebhook(secret=secret, ignored=IgnoredReason.UNKNOWN_TYPE)
    else:
        word = text(webhook, "type")
        if word == PING:
            return ParsedWebhook(secret=secret)
        kind, _, news = word.partition(".")
        if kind not in _ENTITIES or not news:
            return ParsedWebhook(secret=secret, ignored=IgnoredReason.UNKNOWN_TYPE)
        entity_id, entity = text(webhook, "entityId"), _entity(webhook, kind)
    if not _ENTITIES[kind].fullmatch(entity_id):
        raise UnreadableError(f"a {kind} is named as no {kind} is")
    of_mode = entity.get("mode")
    if isinstance(of_mode, str) and of_mode != mode:
        return ParsedWebhook(secret=secret, ignored=IgnoredReason.NOT_OURS)
    payment = entity_id if kind == "payment" else _payment_of(entity, webhook)
    own_id = own_payment(entity) if kind == "payment" else None
    thin_event = ThinEvent(
        provider=NAME,
        provider_ref=payment or "",
        # Mollie lists no captures of an account: one that is not known here waits for a look-up of its payment.
        object_ref="" if payment or kind == "capture" else entity_id,
        names=() if payment else (entity_id,),
        # All payments that we open carry our id.
        foreign=kind == "payment" and "metadata" in entity and own_id is None,
        payment_id=own_id,
    )
    return ParsedWebhook(events=[thin_event], secret=secret)


def _entity(webhook: dict[str, Any], kind: str) -> dict[str, Any]:
    """What the event is about, as it was; {} of a simple event. Mollie's guide has it under its own kind, too."""
    embedded = webhook.get("_embedded")
    found = embedded.get("entity", embedded.get(kind)) if isinstance(embedded, dict) else None
    return found if isinstance(found, dict) else {}


def _payment_of(entity: dict[str, Any], webhook: dict[str, Any]) -> str | None:
    """The payment that a refund, a chargeback or a capture is of; None where nothing in the event tells."""
    named = entity.get("paymentId")
    if isinstance(named, str) and _PAYMENT.fullmatch(named):
        return named
    for holder, link in ((webhook, "entity"), (entity, "payment"), (entity, "self")):
        try:
            href = nested(holder, "_links", link).get("href")
        except UnreadableError:
            continue
        if isinstance(href, str) and (found := _PATH.fullmatch(href)):
            return found[1]
    return None
