"""A provider of one's own: Standard Webhooks 1.0 for its webhooks, and a small contract in JSON for calls to it.

docs/providers.md says what such a provider has to send and to answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from urllib.parse import quote
from uuid import UUID, uuid4

from checkout_service.payments.next_action import NextAction
from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.adapters.standard.signature import key_of, verified
from checkout_service.providers.base import (
    Decline,
    IgnoredReason,
    Opened,
    Opening,
    ParsedWebhook,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderRefusedError,
    ProviderUnavailableError,
    Reference,
    UnreadableError,
)
from checkout_service.providers.buyers import extras_of, open_whole_or_plain, urls_of
from checkout_service.providers.entries import Entry
from checkout_service.providers.fields import (
    amount_from_text,
    currency_of,
    decimal_text,
    items,
    json_object,
    moment_of,
    nested,
    own_id,
    redirect_to,
    text,
)
from checkout_service.providers.optional_names import (
    LISTS,
    NAMES,
    capture_entries,
    dispute_entries,
    held_entries,
    payment_entries,
    source_of,
    what_was_seen,
)
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.providers.redaction import kept
from checkout_service.providers.signatures import check_age, header, unix_time
from checkout_service.providers.transport import Transport, bearer, bounded
from checkout_service.settings.provider_accounts import Account

NAME: Final = "standard"

_KEPT: Final = (
    "type timestamp data provider_ref payment_id refund_ref refund_id status amount currency reason refunds at"
)
KEPT: Final = frozenset({*_KEPT.split(), *NAMES, *LISTS})

_ENDED: Final = frozenset({PaymentStatus.CANCELED, PaymentStatus.EXPIRED})
_MONEY_CAME: Final = frozenset({PaymentStatus.PAID, PaymentStatus.PARTIALLY_PAID, PaymentStatus.REVERSED})

_NO_CALL: Final = "the contract has no call for captures and voids: whoever authorizes captures"


class _Seen(NamedTuple):
    """What the provider answered about a payment, and the events in it."""

    held: dict[str, Any]
    events: Sequence[ProviderEvent | ProviderRefundEvent]


class StandardProvider:
    """A provider that keeps our contract, at ``api_base`` with ``api_key`` as the bearer's token."""

    name = NAME
    asks = True

    def __init__(self, account: Account) -> None:
        key = account.option("api_key") or ""
        self._api = Transport(account.option("api_base") or "", headers=bearer(key), explain=_explain)
        self._keys = [key_of(secret) for secret in account.secrets]
        self._tolerance = account.tolerance

    def open(self, opening: Opening) -> Opened:
        order = {
            "payment_id": str(opening.payment_id),
            "amount": decimal_text(opening.amount, opening.currency),
            "currency": opening.currency,
            **urls_of(opening),
        }
        held = open_whole_or_plain(
            lambda body, key: self._api.call("POST", "/payments", json=body, idempotency_key=key),
            whole=order | extras_of(opening),
            plain=order,
            payment_id=opening.payment_id,
        )
        return Opened(
            provider_ref=text(held, "provider_ref"),
            payment_token=text(held, "payment_token"),
            **_money(held),
        )

    def next_action(self, payment_token: str) -> NextAction:
        return redirect_to(payment_token)

    def verify_and_parse(self, raw_webhook: RawWebhook) -> ParsedWebhook:
        secret = verified(raw_webhook, self._keys)
        signed_at = unix_time(header(raw_webhook, "webhook-timestamp"))
        check_age(signed_at, raw_webhook, self._tolerance)
        event_id = text(raw_webhook.headers, "webhook-id")
        events = _events_of(json_object(raw_webhook.body), event_id)
        return ParsedWebhook(events=events, secret=secret, ignored=IgnoredReason.UNKNOWN_TYPE)

    def look_up(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        return self._ask("GET", _path(reference), reference).events

    def cancel(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Cancel under the key of the payment, so that one whose answer was lost is asked for again as the same.

        Under one key the first answer comes again for ever, though a payment moves on. So where it is not that the
        payment ended, what is true now is looked up, and what did not end is canceled under a key of its own.
        """
        key = f"cancel-{reference.payment_id}"
        with bounded():
            try:
                answer = self._cancel(reference, key)
                if _status_in(answer) in _ENDED:
                    return answer.events
            except ProviderRefusedError as error:
                if error.reason is Decline.CREDENTIALS:
                    raise
            now = self._ask("GET", _path(reference), reference)
            if _status_in(now) in {*_ENDED, *_MONEY_CAME}:
                return now.events
            return self._cancel(reference, f"{key}-{uuid4()}").events

    def _cancel(self, reference: Reference, key: str) -> _Seen:
        return self._ask("POST", f"{_path(reference)}/cancel", reference, key)

    def _ask(self, method: str, path: str, reference: Reference, key: str | None = None) -> _Seen:
        seen_at = datetime.now(UTC)
        held = self._api.call(method, path, idempotency_key=key)
        return _Seen(held, _looked_up(held, reference, seen_at))

    def refund(
        self, reference: Reference, *, refund_id: UUID, amount: Decimal, reason: str | None
    ) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        order: dict[str, Any] = {
            "refund_id": str(refund_id),
            "amount": decimal_text(amount, reference.currency),
            "currency": reference.currency,
        }
        if reason:
            order["reason"] = reason
        if reference.capture_ref:
            order["capture_ref"] = reference.capture_ref
        made = self._api.call("POST", f"{_path(reference)}/refunds", json=order, idempotency_key=str(refund_id))
        return [_refund_seen(made, reference)]

    def capture(
        self, reference: Reference, *, request_id: UUID, amount: Decimal, final: bool
    ) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        raise ProviderRefusedError(_NO_CALL, reason=Decline.NOT_IN_THIS_STATE)

    def void(self, reference: Reference, *, void_id: UUID) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        raise ProviderRefusedError(_NO_CALL, reason=Decline.NOT_IN_THIS_STATE)


def _events_of(webhook: dict[str, Any], event_id: str) -> list[ProviderEvent | ProviderRefundEvent]:
    """What a webhook says; nothing where its type is none that we know."""
    subject, _, word = text(webhook, "type").partition(".")
    occurred_at = moment_of(webhook["timestamp"], "timestamp") if "timestamp" in webhook else None
    if subject == "payment" and (status := _payment_status(word)) is not None:
        about = nested(webhook, "data")
        entries = payment_entries(about, status, occurred_at)
        return [_payment(about, status, event_id, entries, occurred_at=occurred_at, raw=webhook)]
    if subject == "refund" and (refund_status := _refund_status(word)) is not None:
        about = nested(webhook, "data")
        return [_refund(about, refund_status, event_id, text(about, "provider_ref"), occurred_at, raw=webhook)]
    if subject in {"capture", "dispute"}:
        about = nested(webhook, "data")
        text(about, f"{subject}_ref")
        named = capture_entries(about, word) if subject == "capture" else dispute_entries(about, word, occurred_at)
        if named is not None:
            return [_payment(about, None, event_id, named, occurred_at=occurred_at, raw=webhook)]
    return []


def _looked_up(
    held: dict[str, Any], reference: Reference, seen_at: datetime
) -> list[ProviderEvent | ProviderRefundEvent]:
    """What an answer about one payment says; the ids name what was seen, so that seeing it again is no news."""
    if text(held, "provider_ref") != reference.provider_ref:
        raise UnreadableError("the answer is about another payment")
    found: list[ProviderEvent | ProviderRefundEvent] = []
    status = _payment_status(text(held, "status"))
    listed = held_entries(held, status, seen_at)
    event_id = f"lookup:{reference.provider_ref}:{status.value if status else ''}:{held.get('amount', '')}"
    if listed:
        lists = what_was_seen(held)
        found.append(_payment(held, status, f"{event_id}:{lists}" if lists else "", listed, raw=held))
    elif status is not None and status is not PaymentStatus.PENDING:
        found.append(_payment(held, status, event_id, [], raw=held))
    refunds = items(held, "refunds") if "refunds" in held else []
    return [*found, *(_refund_seen(refund, reference) for refund in refunds)]


def _status_in(answer: _Seen) -> PaymentStatus | None:
    return _payment_status(text(answer.held, "status"))


def _refund_seen(refund: dict[str, Any], reference: Reference) -> ProviderRefundEvent:
    status = _refund_status(text(refund, "status"))
    if status is None:
        raise UnreadableError("a refund has a status that nobody knows")
    event_id = f"lookup:{text(refund, 'refund_ref')}:{status.value}"
    return _refund(refund, status, event_id, reference.provider_ref, raw=refund)


def _payment(
    about: dict[str, Any],
    status: PaymentStatus | None,
    event_id: str,
    entries: Sequence[Entry],
    *,
    raw: dict[str, Any],
    occurred_at: datetime | None = None,
) -> ProviderEvent:
    """An event; only a paid one must tell of how much."""
    priced = "amount" in about or "currency" in about or status in {PaymentStatus.PAID, PaymentStatus.PARTIALLY_PAID}
    return ProviderEvent(
        provider=NAME,
        provider_ref=text(about, "provider_ref"),
        event_id=event_id,
        status=status,
        **(_money(about) if priced else {}),
        occurred_at=occurred_at,
        payment_id=own_id(about.get("payment_id")),
        entries=entries or (),
        raw=kept(raw, KEPT),
    )


def _refund(
    about: dict[str, Any],
    status: RefundStatus,
    event_id: str,
    provider_ref: str,
    occurred_at: datetime | None = None,
    *,
    raw: dict[str, Any],
) -> ProviderRefundEvent:
    return ProviderRefundEvent(
        provider=NAME,
        provider_ref=provider_ref,
        refund_ref=text(about, "refund_ref"),
        event_id=event_id,
        status=status,
        **_money(about),
        refund_id=own_id(about.get("refund_id")),
        payment_id=own_id(about.get("payment_id")),
        occurred_at=occurred_at,
        raw=kept(raw, KEPT),
        **source_of(about),
    )


def _money(about: dict[str, Any]) -> dict[str, Any]:
    currency = currency_of(about.get("currency"))
    return {"amount": amount_from_text(about.get("amount"), currency), "currency": currency}


def _payment_status(word: str) -> PaymentStatus | None:
    return next((status for status in PaymentStatus if status.value == word), None)


def _refund_status(word: str) -> RefundStatus | None:
    known = (status for status in RefundStatus if status is not RefundStatus.REQUESTED)
    return next((status for status in known if status.value == word), None)


def _explain(status: int, body: dict[str, Any]) -> Decline | None:
    """The contract's own words in ``{"error": …}`` are those of Decline, and ``in_progress``."""
    word = body.get("error")
    if word == "in_progress":
        raise ProviderUnavailableError("another call with this key is at work", in_progress=True)
    return next((reason for reason in Decline if reason.value == word), None)


def _path(reference: Reference) -> str:
    return f"/payments/{quote(reference.provider_ref, safe='')}"
