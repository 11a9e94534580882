"""Thin events of v1 resources: which object each names, and what that object says once it is read.

A thin event holds no amounts and no status (docs.stripe.com/event-destinations, as of API 2026-10-28.endive). An object
that is read shows how it is now. So what came meanwhile is taken from lists, and what was between is not made up.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from checkout_service.providers.adapters.stripe.answered_at import AnsweredAt
from checkout_service.providers.adapters.stripe.client import Calls, Services
from checkout_service.providers.adapters.stripe.disputes import seen_dispute, warning_event
from checkout_service.providers.adapters.stripe.intents import seen_charge, seen_intent
from checkout_service.providers.adapters.stripe.objects import NAME, id_of, moment_in, money
from checkout_service.providers.adapters.stripe.refunds import or_looked_up, seen_refund
from checkout_service.providers.base import (
    IgnoredReason,
    ParsedWebhook,
    ProviderEvent,
    ProviderRefundEvent,
    ThinEvent,
    UnreadableError,
)
from checkout_service.providers.fields import currency_of, nested, text

PREFIX: Final = "v1."
"""Of the kind of a thin event about a v1 resource; behind it stands the kind of the event in full."""

EXPIRED: Final = "charge.expired"
REFUNDED: Final = "charge.refunded"
_FAILED: Final = "payment_intent.payment_failed"


class _Resource(NamedTuple):
    """A resource: what ``related_object.type`` calls it, and what its ids look like."""

    type: str
    ids: re.Pattern[str]


def _resource(type_: str, *beginnings: str) -> _Resource:
    return _Resource(type_, re.compile(rf"(?:{'|'.join(beginnings)})_[0-9A-Za-z_]{{1,200}}"))


_INTENT: Final = _resource("payment_intent", "pi")
_CHARGE: Final = _resource("charge", "ch", "py")
_REFUND: Final = _resource("refund", "re", "pyr")
_DISPUTE: Final = _resource("dispute", "du", "dp")
_WARNING: Final = _resource("radar.early_fraud_warning", "issfr")


def _resource_of(kind: str) -> _Resource:
    """What an event of a kind that we know is about."""
    if kind.startswith("payment_intent."):
        return _INTENT
    if kind.startswith("charge.dispute."):
        return _DISPUTE
    if kind.startswith("radar."):
        return _WARNING
    return _REFUND if kind.startswith(("refund.", "charge.refund.")) else _CHARGE


_RANKS: Final = (_INTENT, _REFUND, _DISPUTE, _WARNING, _CHARGE)
"""Intents name the charges by which the others find their payments, and of which they tell themselves."""


def rank_of(kind: str) -> int:
    """The place of an event's object among those that a list has to have read, from 0."""
    return _RANKS.index(_resource_of(kind))


def is_spare(kind: str) -> bool:
    """Whether an event of an intent says the same: all that charges say but for their refunds."""
    return _resource_of(kind) is _CHARGE and kind != REFUNDED


def is_of_other_mode(event: dict[str, Any], live: bool | None) -> bool:
    """Whether an event is live and our key is for tests, or the other way round. ``live`` is None of a key that hides
    its mode."""
    return live is not None and event.get("livemode") is (not live)


def thin_event_of(event: dict[str, Any], *, live: bool | None, known: Collection[str]) -> ParsedWebhook:
    """The object that a thin event names, or why it is ignored; ``known`` are the kinds that we know what to do with.

    ``context`` stands for a connected account, as ``account`` does in an event in full. No address in the event is
    ever followed: the object is read by its id, whose form is checked here.
    """
    if event.get("context") not in (None, "") or is_of_other_mode(event, live):
        return ParsedWebhook(ignored=IgnoredReason.NOT_OURS)
    kind = text(event, "type")
    plain = kind.removeprefix(PREFIX)
    if plain == kind or plain not in known:
        return ParsedWebhook(ignored=IgnoredReason.UNKNOWN_TYPE)
    resource, related = _resource_of(plain), nested(event, "related_object")
    if related.get("type") != resource.type:
        raise UnreadableError("related_object is not of the type that this kind of event is about")
    ref = text(related, "id")
    if resource.ids.fullmatch(ref) is None:
        raise UnreadableError("the id of related_object is none of its type")
    in_full = event.get("snapshot_event")
    found = ThinEvent(
        provider=NAME,
        provider_ref=ref if resource is _INTENT else "",
        object_ref=ref,
        kind=plain,
        event_id=text(event, "id"),
        full_event_id="" if in_full is None else text(event, "snapshot_event"),
    )
    return ParsedWebhook(events=[found])


def read_object(calls: Calls, news: Sequence[ThinEvent], *, at: datetime, deployment: str) -> ParsedWebhook:
    """What the object that all of these name says at a moment: one call. ``deployment`` is our own name."""
    ref, kinds = news[0].object_ref, {each.kind for each in news}
    resource = _resource_of(news[0].kind)
    if resource.ids.fullmatch(ref) is None:
        raise UnreadableError("the id of an object is none of its type")
    answered_at = AnsweredAt(at)
    found = calls.ask(lambda stripe: answered_at.of(_requested(stripe, resource, ref)))
    if found.get("object") != resource.type or found.get("id") != ref:
        raise UnreadableError("the answer is about another object")
    if resource is _INTENT:
        return ParsedWebhook(events=seen_intent(found, at=at, deployment=deployment, failures=_failures(news)))
    if resource is _CHARGE:
        return _charge(found, kinds, at=at, deployment=deployment)
    if resource is _REFUND:
        return _refund(found)
    if resource is _DISPUTE:
        return ParsedWebhook(events=[seen_dispute(found, at=answered_at.moment)])
    since = moment_in(found, "created") or at
    return ParsedWebhook(events=[warning_event(found, f"lookup:{ref}", raw=found, occurred_at=since)])


def _requested(stripe: Services, resource: _Resource, ref: str) -> Any:
    if resource is _INTENT:
        return stripe.payment_intents.retrieve(ref, {"expand": ["latest_charge"]})
    if resource is _CHARGE:
        return stripe.charges.retrieve(ref)
    if resource is _REFUND:
        return stripe.refunds.retrieve(ref)
    if resource is _DISPUTE:
        return stripe.disputes.retrieve(ref)
    return stripe.radar.early_fraud_warnings.retrieve(ref)


def _failures(news: Sequence[ThinEvent]) -> Sequence[str]:
    """What the events in full call failures without a charge, so that of both kinds each is one attempt."""
    return sorted({each.full_event_id for each in news if each.kind == _FAILED and each.full_event_id})


def _charge(charge: dict[str, Any], kinds: Collection[str], *, at: datetime, deployment: str) -> ParsedWebhook:
    """What a charge says. Of refunds it shows a sum, which their list explains; and why one was let go, its intent."""
    if charge.get("payment_intent") is None:  # of a charge that no payment of ours made
        return ParsedWebhook(ignored=IgnoredReason.NOT_OURS)
    payment = ThinEvent(provider=NAME, provider_ref=id_of(charge.get("payment_intent")))
    expired = EXPIRED in kinds
    came = money(charge, "amount_captured", currency_of(charge.get("currency")))
    let_go = charge.get("refunded") is True and not came and not expired
    events: list[ProviderEvent | ProviderRefundEvent | ThinEvent] = []
    if not let_go and set(kinds) != {REFUNDED}:
        events.append(seen_charge(charge, at=at, deployment=deployment, expired=expired))
    if let_go or REFUNDED in kinds:
        events.append(payment)
    return ParsedWebhook(events=events)


def _refund(refund: dict[str, Any]) -> ParsedWebhook:
    if refund.get("payment_intent") is None and refund.get("charge") is None:
        return ParsedWebhook(ignored=IgnoredReason.NOT_OURS)
    return ParsedWebhook(events=[or_looked_up(refund, seen_refund(refund))])
