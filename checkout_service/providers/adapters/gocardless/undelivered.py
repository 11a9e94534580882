"""What GoCardless could not deliver: the webhooks that failed, and refunds.

It keeps the webhooks that it sent with their bodies ("Webhooks", List webhooks). Refunds are listed besides: their
events need not name their payment, so one that somebody made in the dashboard is found by the payment that it is of,
whose name is known here. Refunds go first, so that a webhook that cannot be read ends no other walk.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

import structlog

from checkout_service.providers.adapters.gocardless.names import (
    NAME,
    PAYMENT,
    REFUND,
    WEBHOOK,
    id_in,
    is_id,
    link_in,
    metadata_of,
    our_payment,
)
from checkout_service.providers.adapters.gocardless.webhooks import news_in
from checkout_service.providers.base import Decline, ParsedWebhook, ProviderRefusedError, ThinEvent, UnreadableError
from checkout_service.providers.fields import items, json_object, nested, text
from checkout_service.providers.transport import LARGEST_ANSWER, TooLargeError, Transport, bounded
from checkout_service.providers.undelivered import UndeliveredEvent, UndeliveredPage

WEBHOOKS: Final = 3
"""Of a page: each has a body of 250 events in it, and an answer may have a million bytes."""

LARGEST_WEBHOOK: Final = 8_000_000
"""Bytes of an answer about one webhook: 250 events of three metadata keys (50 + 500 characters), escaped twice."""

REFUNDS: Final = 100
"""Of a page."""

_REFUNDS, _WEBHOOKS = "refunds", "webhooks"

log = structlog.get_logger(__name__)


class Undelivered:
    """Walks along refunds first, then along failed webhooks. Thread-safe."""

    def __init__(self, api: Transport, deployment: str) -> None:
        self._api = api
        self._deployment = deployment

    def page(self, *, since: datetime, after: str | None) -> UndeliveredPage:
        """A page of both walks; a cursor says which of them it goes on with."""
        walk, _, cursor = (after or f"{_REFUNDS}:").partition(":")
        with bounded():
            if walk == _WEBHOOKS:
                return self._failed_webhooks(since, cursor)
            try:
                return self._refunds(since, cursor)
            except (UnreadableError, ProviderRefusedError) as error:
                log.warning("undelivered_refunds_not_listed", provider=NAME, error=str(error))
                return UndeliveredPage(events=(), after=f"{_WEBHOOKS}:", whole=False)

    def payment_of(self, refund_ref: str) -> ParsedWebhook:
        """The payment that a refund is of, by its name or by ours. Raises one of the errors of a call."""
        if not is_id(refund_ref, REFUND):
            raise ProviderRefusedError("no refund has this name", reason=Decline.UNKNOWN_REFERENCE)
        refund = nested(self._api.call("GET", f"/refunds/{refund_ref}"), "refunds")
        if id_in(refund, "id", REFUND) != refund_ref:
            raise UnreadableError("the answer is about another refund")
        payment_id = our_payment(metadata_of(refund), self._deployment)
        if payment_id is not None:
            return ParsedWebhook(events=[ThinEvent(provider=NAME, provider_ref=str(payment_id))])
        return ParsedWebhook(events=_of_payment(refund))

    def _failed_webhooks(self, since: datetime, cursor: str) -> UndeliveredPage:
        try:
            answer = self._list("webhooks", since, cursor, WEBHOOKS, successful="false")
        except TooLargeError:
            answer = self._list("webhooks", since, cursor, 1, largest=LARGEST_WEBHOOK, successful="false")
        events = []
        for webhook in items(answer, "webhooks"):
            try:
                body = webhook.get("request_body")
                found, _, _ = news_in(
                    json_object(body.encode("utf-8", "surrogatepass") if isinstance(body, str) else b""),
                    deployment=self._deployment,
                )
                events.append(UndeliveredEvent(event_id=id_in(webhook, "id", WEBHOOK), events=found))
            except UnreadableError:
                continue  # of another kind, or of another endpoint; its delivery says so where it is ours
        cursor_after = after_of(answer)
        return UndeliveredPage(events=events, after=f"{_WEBHOOKS}:{cursor_after}" if cursor_after else None)

    def _refunds(self, since: datetime, cursor: str) -> UndeliveredPage:
        answer = self._list("refunds", since, cursor, REFUNDS)
        events = []
        for refund in items(answer, "refunds"):
            try:
                # What we requested names us, and so do its events.
                if our_payment(metadata_of(refund), self._deployment) is None:
                    event_id = f"{id_in(refund, 'id', REFUND)}:{text(refund, 'status')}"
                    events.append(UndeliveredEvent(event_id=event_id, events=_of_payment(refund)))
            except UnreadableError:
                continue  # takes no other with it
        cursor_after = after_of(answer)
        return UndeliveredPage(events=events, after=f"{_REFUNDS}:{cursor_after}" if cursor_after else f"{_WEBHOOKS}:")

    def _list(
        self, kind: str, since: datetime, cursor: str, most: int, *, largest: int = LARGEST_ANSWER, **filters: str
    ) -> dict[str, Any]:
        created = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        query = filters | {"created_at[gte]": created, "limit": str(most)} | ({"after": cursor} if cursor else {})
        return self._api.call("GET", f"/{kind}?{urlencode(query)}", largest=largest)


def after_of(answer: dict[str, Any]) -> str | None:
    """The cursor of the next page of a list; None after the last one."""
    meta = answer.get("meta")
    cursors = meta.get("cursors") if isinstance(meta, dict) else None
    after = cursors.get("after") if isinstance(cursors, dict) else None
    if after is None:
        return None
    return text({"after": after}, "after")


def _of_payment(refund: dict[str, Any]) -> list[ThinEvent]:
    """News of the payment that a refund is of, by GoCardless' name of it."""
    payment_ref = link_in(refund, "payment", PAYMENT)
    return [] if payment_ref is None else [ThinEvent(provider=NAME, provider_ref=payment_ref, foreign=True)]
