"""What GoCardless could not deliver, and what none of its events leads to a payment by.

It keeps the webhooks that it sent with their bodies ("Webhooks", List webhooks). The events of a refund that somebody
made in its dashboard name the refund alone, without our metadata: such a refund's payment is read once to learn whose
it is. What a payment is of never changes, so it is remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Final
from urllib.parse import urlencode

from checkout_service.providers.adapters.gocardless.names import (
    NAME,
    PAYMENT,
    REFUND,
    WEBHOOK,
    id_in,
    link_in,
    metadata_of,
    our_payment,
)
from checkout_service.providers.adapters.gocardless.webhooks import news_in
from checkout_service.providers.base import Decline, ProviderRefusedError, ThinEvent, UnreadableError
from checkout_service.providers.fields import items, json_object, nested, text
from checkout_service.providers.transport import Transport, bounded
from checkout_service.providers.undelivered import UndeliveredEvent, UndeliveredPage

WEBHOOKS: Final = 6
"""Of a page: each has a body of 250 events in it, and an answer may have a million bytes."""

REFUNDS: Final = 20
"""Of a page: each may take a call."""

REMEMBERED: Final = 20_000

_IN_REFUNDS: Final = "refunds"


class Undelivered:
    """Walks along failed webhooks first, then along refunds. Thread-safe."""

    def __init__(self, api: Transport, deployment: str) -> None:
        self._api = api
        self._deployment = deployment
        self._owners: OrderedDict[str, str | None] = OrderedDict()
        self._lock = Lock()

    def page(self, *, since: datetime, after: str | None) -> UndeliveredPage:
        """A page of both walks; a cursor says which of them it goes on with."""
        walk, _, cursor = (after or "").partition(":")
        with bounded():
            return self._refunds(since, cursor) if walk == _IN_REFUNDS else self._webhooks(since, cursor)

    def _webhooks(self, since: datetime, cursor: str) -> UndeliveredPage:
        answer = self._list("webhooks", since, cursor, WEBHOOKS, successful="false")
        events = []
        for webhook in items(answer, "webhooks"):
            try:
                body = webhook.get("request_body")
                found, _, _ = news_in(
                    json_object(body.encode("utf-8", "surrogatepass") if isinstance(body, str) else b""),
                    deployment=self._deployment,
                )
            except UnreadableError:
                continue  # of another kind, or of another endpoint; its delivery says so where it is ours
            events.append(UndeliveredEvent(event_id=id_in(webhook, "id", WEBHOOK), events=found))
        cursor_after = after_of(answer)
        return UndeliveredPage(events=events, after=f"webhooks:{cursor_after}" if cursor_after else f"{_IN_REFUNDS}:")

    def _refunds(self, since: datetime, cursor: str) -> UndeliveredPage:
        answer = self._list("refunds", since, cursor, REFUNDS)
        events = []
        for refund in items(answer, "refunds"):
            payment_ref = link_in(refund, "payment", PAYMENT)
            # What we requested names us, and so do its events.
            if payment_ref is None or our_payment(metadata_of(refund), self._deployment) is not None:
                continue
            reference = self._owner(payment_ref)
            if reference is not None:
                event_id = f"{id_in(refund, 'id', REFUND)}:{text(refund, 'status')}"
                thin = [ThinEvent(provider=NAME, provider_ref=reference)]
                events.append(UndeliveredEvent(event_id=event_id, events=thin))
        cursor_after = after_of(answer)
        return UndeliveredPage(events=events, after=f"{_IN_REFUNDS}:{cursor_after}" if cursor_after else None)

    def _owner(self, payment_ref: str) -> str | None:
        """Our reference of a payment, or None of another shop's."""
        with self._lock:
            if payment_ref in self._owners:
                return self._owners[payment_ref]
        try:
            held = nested(self._api.call("GET", f"/payments/{payment_ref}"), "payments")
            payment_id = our_payment(metadata_of(held), self._deployment)
        except ProviderRefusedError as error:
            if error.reason is not Decline.UNKNOWN_REFERENCE:
                raise
            payment_id = None
        owner = None if payment_id is None else str(payment_id)
        with self._lock:
            self._owners[payment_ref] = owner
            while len(self._owners) > REMEMBERED:
                self._owners.popitem(last=False)
        return owner

    def _list(self, kind: str, since: datetime, cursor: str, most: int, **filters: str) -> dict[str, Any]:
        created = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        query = filters | {"created_at[gte]": created, "limit": str(most)} | ({"after": cursor} if cursor else {})
        return self._api.call("GET", f"/{kind}?{urlencode(query)}")


def after_of(answer: dict[str, Any]) -> str | None:
    """The cursor of the next page of a list; None after the last one."""
    meta = answer.get("meta")
    cursors = meta.get("cursors") if isinstance(meta, dict) else None
    after = cursors.get("after") if isinstance(cursors, dict) else None
    if after is None:
        return None
    return text({"after": after}, "after")
