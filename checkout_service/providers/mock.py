"""The mock provider: takes no money, but signs, reports, doubts and fails like one that does.

Its webhook is ``{"provider_ref", "status", "signature", "raw_data"}`` with the signature over everything else. Without
MOCK_API_BASE it has no server: ``open`` echoes the amount, ``look_up`` finds the payment still open, ``cancel`` works.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from uuid import UUID

from checkout_service.accounts import Account
from checkout_service.money import InvalidAmountError, parse_amount, show
from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.base import Contents, Fact, Opened, Reference, RefundFact, UnreadableError
from checkout_service.providers.strict_json import canonical, parse_object
from checkout_service.providers.transport import Transport
from checkout_service.webhooks.envelope import Envelope

PREFIX = "mock_pi_"
REFUND_PREFIX = "mock_re_"
LONGEST_ID = 255


class MockProvider:
    """The mock provider; its only option is ``api_base``."""

    name = "mock"

    def __init__(self, account: Account) -> None:
        base = account.option("api_base")
        self._api = Transport(base) if base else None
        self._secrets = account.keys()

    def open(self, *, payment_id: UUID, amount: Decimal, currency: str) -> Opened:
        reference = PREFIX + payment_id.hex
        if self._api is None:
            return Opened(provider_ref=reference, payment_token=reference, amount=amount, currency=currency)
        order = {"payment_id": str(payment_id), "amount": show(amount), "currency": currency}
        held = self._api.call("POST", "/payments", json=order, idempotency_key=str(payment_id))
        return Opened(
            provider_ref=_text(held, "provider_ref"),
            payment_token=_text(held, "payment_token"),
            amount=_amount(held["amount"]) if "amount" in held else amount,
            currency=_text(held, "currency"),
        )

    def read(self, envelope: Envelope) -> Contents:
        letter = parse_object(envelope.body)
        signature = letter.pop("signature", None)
        signed = canonical(letter)
        secret = self._match(signed, signature) if isinstance(signature, str) else None
        if secret is None:
            raise UnreadableError("the signature is not ours")
        details = letter.get("raw_data", {})
        if not isinstance(details, dict):
            raise UnreadableError("raw_data is not an object")
        fact = _fact(letter, details, event_id=hashlib.sha256(signed).hexdigest())
        return Contents(said=[fact] if fact else [], secret=secret)

    def look_up(self, reference: Reference) -> Sequence[Fact | RefundFact]:
        provider_ref = reference.provider_ref
        if self._api is None:
            return []
        return _looked_up(self._api.call("GET", f"/payments/{quote(provider_ref, safe='')}"), provider_ref)

    def cancel(self, reference: Reference) -> Sequence[Fact | RefundFact]:
        provider_ref = reference.provider_ref
        if self._api is None:
            return _looked_up({"provider_ref": provider_ref, "status": PaymentStatus.CANCELED.value}, provider_ref)
        path = f"/payments/{quote(provider_ref, safe='')}/cancel"
        return _looked_up(self._api.call("POST", path, idempotency_key=f"cancel-{provider_ref}"), provider_ref)

    def refund(
        self, reference: Reference, *, refund_id: UUID, amount: Decimal, reason: str | None
    ) -> Sequence[Fact | RefundFact]:
        order = {"refund_id": str(refund_id), "amount": show(amount), "currency": reference.currency}
        if self._api is None:
            made = order | {"refund_ref": REFUND_PREFIX + refund_id.hex, "status": RefundStatus.SUCCEEDED.value}
        else:
            path = f"/payments/{quote(reference.provider_ref, safe='')}/refunds"
            made = self._api.call("POST", path, json=order, idempotency_key=str(refund_id))
        return [_refunded(made, reference)]

    def _match(self, signed: bytes, signature: str) -> int | None:
        """The place of the live secret that the letter was signed with."""
        claimed = signature.encode("utf-8", "surrogatepass")
        matches = [secret and hmac.compare_digest(_signature(secret, signed), claimed) for secret in self._secrets]
        return next((place for place, match in enumerate(matches) if match), None)


def sign(letter: dict[str, Any], secret: str) -> dict[str, Any]:
    """The letter with its signature, as the mock provider sends it."""
    unsigned = {key: value for key, value in letter.items() if key != "signature"}
    return unsigned | {"signature": _signature(secret.encode(), canonical(unsigned)).decode()}


def _signature(secret: bytes, signed: bytes) -> bytes:
    return hmac.new(secret, signed, hashlib.sha256).hexdigest().encode()


def _fact(letter: dict[str, Any], details: dict[str, Any], *, event_id: str) -> Fact | None:
    """The letter's one fact; None when it is of a kind that we do not know."""
    reference = _text(letter, "provider_ref")
    try:
        status = PaymentStatus(_text(letter, "status"))
    except ValueError:
        return None
    return Fact(
        provider=MockProvider.name,
        provider_ref=reference,
        event_id=_text(details, "event_id") if "event_id" in details else event_id,
        status=status,
        amount=_amount(details["amount"]) if "amount" in details else None,
        currency=_currency(details["currency"]) if "currency" in details else None,
        occurred_at=_moment(details["occurred_at"]) if "occurred_at" in details else None,
        payment_id=_payment_id(reference),
        amount_required=False,
        raw=letter,
    )


def _looked_up(held: dict[str, Any], asked: str) -> Sequence[Fact]:
    """The fact in an answer about one payment; its id names what was seen, so that seeing it again is no news."""
    seen: dict[str, Any] = {
        name: _text(held, name) for name in ("provider_ref", "status", "amount", "currency") if name in held
    }
    if seen.get("provider_ref") != asked:
        raise UnreadableError("the answer is about another payment")
    if seen.get("status") == PaymentStatus.PENDING.value:
        return []
    canonical(seen)
    event_id = f"lookup:{seen.get('provider_ref')}:{seen.get('status')}:{seen.get('amount', '')}"
    fact = _fact(seen, seen, event_id=event_id)
    return [fact] if fact else []


def _refunded(made: dict[str, Any], reference: Reference) -> RefundFact:
    """The fact in an answer about one refund."""
    refund_ref, status = _text(made, "refund_ref"), _text(made, "status")
    try:
        proven = RefundStatus(status)
        refund_id = UUID(_text(made, "refund_id"))
    except ValueError as error:
        raise UnreadableError("the answer is not about a refund") from error
    return RefundFact(
        provider=MockProvider.name,
        provider_ref=reference.provider_ref,
        refund_ref=refund_ref,
        event_id=f"lookup:{refund_ref}:{status}",
        status=proven,
        amount=_amount(made.get("amount")),
        currency=_currency(made.get("currency")),
        refund_id=refund_id,
        payment_id=reference.payment_id,
        raw=made,
    )


def _text(holder: dict[str, Any], name: str) -> str:
    value = holder.get(name)
    # Not printable are also NUL and lone surrogates, which PostgreSQL's text cannot hold.
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_ID or not value.isprintable():
        raise UnreadableError(f"{name} is not a printable text of 1 to {LONGEST_ID} characters")
    return value


def _amount(value: object) -> Decimal:
    try:
        return parse_amount(value if isinstance(value, str) else "")
    except InvalidAmountError as error:
        raise UnreadableError("amount is not a text with an amount") from error


def _currency(value: object) -> str:
    if not isinstance(value, str) or len(value) != 3 or not value.isascii():
        raise UnreadableError("currency is not three letters")
    return value


def _moment(value: object) -> datetime:
    """An aware time from RFC 3339 text."""
    try:
        moment = datetime.fromisoformat(value if isinstance(value, str) else "")
        # A year that PostgreSQL and every time zone can hold; no payment is older.
        if moment.tzinfo is not None and 1970 <= moment.year <= 9000:
            return moment.astimezone(UTC)
    except ValueError as error:
        raise UnreadableError("occurred_at is not a time") from error
    raise UnreadableError("occurred_at is not a time of ours with its offset")


def _payment_id(reference: str) -> UUID | None:
    """Our own id, which the reference of a payment that we opened carries."""
    try:
        return UUID(reference.removeprefix(PREFIX)) if reference.startswith(PREFIX) else None
    except ValueError:
        return None
