"""What the mock provider's letters and answers say, as facts; whatever else is in them ends as UnreadableError."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from checkout_service.money import InvalidAmountError, parse_amount
from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.base import Fact, Reference, RefundFact, UnreadableError
from checkout_service.providers.strict_json import canonical

NAME = "mock"
PREFIX = "mock_pi_"
REFUND_PREFIX = "mock_re_"
LONGEST_ID = 255


def payment_fact(letter: dict[str, Any], details: dict[str, Any], *, event_id: str) -> Fact | None:
    """The letter's one fact; None when it is of a kind that we do not know."""
    reference = read_text(letter, "provider_ref")
    try:
        status = PaymentStatus(read_text(letter, "status"))
    except ValueError:
        return None
    return Fact(
        provider=NAME,
        provider_ref=reference,
        event_id=read_text(details, "event_id") if "event_id" in details else event_id,
        status=status,
        amount=read_amount(details["amount"]) if "amount" in details else None,
        currency=_currency(details["currency"]) if "currency" in details else None,
        occurred_at=_moment(details["occurred_at"]) if "occurred_at" in details else None,
        payment_id=_payment_id(reference),
        amount_required=False,
        raw=letter,
    )


def refund_fact(letter: dict[str, Any], details: dict[str, Any], *, event_id: str) -> RefundFact | None:
    """The letter's fact about a refund; None when it is about a payment."""
    status = letter.get("status")
    if "refund_ref" not in details or status not in {each.value for each in RefundStatus}:
        return None
    reference = read_text(letter, "provider_ref")
    return RefundFact(
        provider=NAME,
        provider_ref=reference,
        refund_ref=read_text(details, "refund_ref"),
        event_id=read_text(details, "event_id") if "event_id" in details else event_id,
        status=RefundStatus(status),
        amount=read_amount(details["amount"]) if "amount" in details else None,
        currency=_currency(details["currency"]) if "currency" in details else None,
        refund_id=_own_id(read_text(details, "refund_id")) if "refund_id" in details else None,
        payment_id=_payment_id(reference),
        occurred_at=_moment(details["occurred_at"]) if "occurred_at" in details else None,
        raw=letter,
    )


def looked_up(held: dict[str, Any], asked: Reference) -> Sequence[Fact | RefundFact]:
    """The facts in an answer about one payment; their ids name what was seen, so that seeing it again is no news."""
    seen: dict[str, Any] = {
        name: read_text(held, name) for name in ("provider_ref", "status", "amount", "currency") if name in held
    }
    if seen.get("provider_ref") != asked.provider_ref:
        raise UnreadableError("the answer is about another payment")
    refunds = held.get("refunds", [])
    if not isinstance(refunds, list) or not all(isinstance(refund, dict) for refund in refunds):
        raise UnreadableError("refunds is not a list of objects")
    made = [refunded(refund, asked) for refund in refunds]
    if seen.get("status") == PaymentStatus.PENDING.value:
        return made
    canonical(seen)
    event_id = f"lookup:{seen.get('provider_ref')}:{seen.get('status')}:{seen.get('amount', '')}"
    fact = payment_fact(seen, seen, event_id=event_id)
    return [fact, *made] if fact else made


def refunded(made: dict[str, Any], reference: Reference) -> RefundFact:
    """The fact in an answer about one refund."""
    refund_ref, status = read_text(made, "refund_ref"), read_text(made, "status")
    try:
        proven = RefundStatus(status)
    except ValueError as error:
        raise UnreadableError("the answer is not about a refund") from error
    canonical(made)
    return RefundFact(
        provider=NAME,
        provider_ref=reference.provider_ref,
        refund_ref=refund_ref,
        event_id=f"lookup:{refund_ref}:{status}",
        status=proven,
        amount=read_amount(made.get("amount")),
        currency=_currency(made.get("currency")),
        refund_id=_own_id(read_text(made, "refund_id")) if made.get("refund_id") is not None else None,
        payment_id=reference.payment_id,
        raw=made,
    )


def read_text(holder: dict[str, Any], name: str) -> str:
    value = holder.get(name)
    # Not printable are also NUL and lone surrogates, which PostgreSQL's text cannot hold.
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_ID or not value.isprintable():
        raise UnreadableError(f"{name} is not a printable text of 1 to {LONGEST_ID} characters")
    return value


def read_amount(value: object) -> Decimal:
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


def _own_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise UnreadableError("refund_id is not an id of ours") from error


def _payment_id(reference: str) -> UUID | None:
    """Our own id, which the reference of a payment that we opened carries."""
    try:
        return UUID(reference.removeprefix(PREFIX)) if reference.startswith(PREFIX) else None
    except ValueError:
        return None
