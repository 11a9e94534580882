"""What a provider is to the rest of the service: pure values, its errors, and the protocol of an adapter.

The errors of a call:

    ProviderError
    ├── ProviderUnavailableError   no answer: nothing is known, ask again
    ├── ProviderRefusedError       the provider said no, with a Decline
    └── UnreadableError            there was an answer, and it cannot be understood

and of a webhook:

    ProviderError
    ├── ProviderUnavailableError   what it takes to verify or parse it cannot be had now
    ├── UnverifiedError            nobody proves that the provider sent it: it is rejected
    └── UnreadableError            the provider sent it, and it cannot be understood: it is failed
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from checkout_service.payments.next_action import NextAction
from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.entries import Entry
from checkout_service.providers.raw_webhook import RawWebhook


class Decline(StrEnum):
    """Why a provider said no, in words that all of them share."""

    DECLINED = "declined"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    EXPIRED_METHOD = "expired_method"
    AUTHENTICATION_FAILED = "authentication_failed"
    SUSPECTED_FRAUD = "suspected_fraud"
    AMOUNT_REFUSED = "amount_refused"
    CURRENCY_REFUSED = "currency_refused"
    NOT_IN_THIS_STATE = "not_in_this_state"
    UNKNOWN_REFERENCE = "unknown_reference"
    KEY_REUSED = "key_reused"
    CREDENTIALS = "credentials"
    OTHER = "other"


class ProviderError(Exception):
    """The provider, or what came in its name, could not be used: always one of the errors below."""


class ProviderUnavailableError(ProviderError):
    """No answer, or one that says to try again: nothing is known.

    ``in_progress`` means that a concurrent retry is at work.
    """

    def __init__(self, message: str, *, in_progress: bool = False) -> None:
        super().__init__(message)
        self.in_progress = in_progress


class ProviderRefusedError(ProviderError):
    """The provider understood and said no, or we did in its place before any call; ``reason`` tells why.

    ``answer`` is what staff may read of what it answered (``refusals.answer_in_short``); without one it is our own
    words. It names no person and no secret. ``lags`` tells that what is unknown now may be shown later: a list may
    be behind the events about what is in it.
    """

    def __init__(
        self, message: str, *, reason: Decline = Decline.OTHER, answer: str | None = None, lags: bool = False
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.lags = lags
        self.answer = message if answer is None else answer


class UnverifiedError(ProviderError):
    """Nobody proves that the provider sent this webhook: anybody may have, or our own secret is wrong.

    Also for what could not be understood before its signature was checked, and for what a provider that signs nothing
    would not send. Such webhooks are ``rejected`` and kept within bounds.
    """


class UnreadableError(ProviderError):
    """The provider sent it, as an answer or as a verified webhook, and it cannot be understood.

    It is not tried again by itself: the bytes will not get better. A person, or another version of the adapter, may.
    """


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Buyer:
    """Who buys, as they wrote it: ``locale`` is a BCP 47 tag, ``phone`` a number in any form. It prints nothing."""

    email: str
    name: str
    locale: str
    phone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DeliveryAddress:
    """Where it is to go, as its customer wrote it; ``country`` is of ISO 3166-1 alpha-2. It prints nothing."""

    name: str
    line1: str
    postal_code: str
    city: str
    country: str
    line2: str | None = None
    region: str | None = None
    phone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a provider is to open: ``amount`` of ``currency`` (ISO 4217), for our payment of that id.

    ``return_url`` and ``cancel_url`` are where this payment's customer goes from the provider's page, in place of the
    account's own; None where the request named none. ``buyer``, ``delivery_address`` and ``description`` (one line of
    at most 255 characters) go to the provider in its own members, as far as it takes them. All of it comes of the
    customer's request and their cart alone, so a retry with the same key opens the same.
    """

    payment_id: UUID
    amount: Decimal
    currency: str
    return_url: str | None = None
    cancel_url: str | None = None
    buyer: Buyer | None = None
    delivery_address: DeliveryAddress | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A payment that the provider holds ready.

    ``provider_ref`` is the provider's name of it, ``payment_token`` what the client pays with, ``amount`` (in
    ``currency``, ISO 4217) what the provider will take.
    """

    provider_ref: str
    payment_token: str
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What we know of a payment when we ask its provider about it.

    ``provider_ref`` is what every webhook about it carries, ``payment_token`` what the client pays with (where there
    was a session). ``attempt_ref`` and ``capture_ref`` are the provider's names of what is asked about: of a refund the
    capture, or the attempt, that it is of; of a capture or a void the authorisation; else the newest that are known.
    ``closed`` says that we expect no money any more (it expired or was canceled), so none may be captured.
    ``failed_events`` are the ids of the newest events by which a try to pay failed.
    """

    provider_ref: str
    payment_id: UUID
    amount: Decimal
    currency: str
    payment_token: str | None = None
    attempt_ref: str | None = None
    capture_ref: str | None = None
    closed: bool = False
    failed_events: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderEvent:
    """Something that a provider vouches for: the entries that it proves.

    ``event_id`` is the same for every delivery of one event; '' is of an answer that is not recorded, only joined.
    ``provider_ref`` is the payment's own reference, '' where the event does not carry it; ``names`` are the provider's
    other names (of attempts, captures, disputes, refunds) by which the payment may be found then. ``payment_id`` is our
    own id where the provider gave it back to us. ``foreign`` says that it is another shop's, unless its payment is
    here.

    Without ``entries``, they follow from ``status``, ``amount`` and ``capture_ref`` (see worker/transitions). With
    them, ``status`` only tells people what the event is about; None where it is about no status of a payment.
    ``amount_required`` says that a ``paid`` without amount and currency proves nothing. ``occurred_at`` is aware.
    ``raw`` is the body behind it, as an object or as JSON already, fit for jsonb.
    """

    provider: str
    provider_ref: str
    event_id: str
    status: PaymentStatus | None
    amount: Decimal | None = None
    currency: str | None = None
    occurred_at: datetime | None = None
    payment_id: UUID | None = None
    amount_required: bool = True
    capture_ref: str | None = None
    entries: Sequence[Entry] = ()
    names: Sequence[str] = ()
    foreign: bool = False
    raw: dict[str, Any] | bytes = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRefundEvent:
    """What a provider vouches for of one refund, requested by us or made in its dashboard.

    ``provider_ref`` is the payment's ('' where the event does not carry it: then ``names`` lead to it, as of a
    ProviderEvent), ``refund_ref`` the refund's; ``refund_id`` our own id of it where the provider gave it back to us.
    ``capture_ref`` and ``attempt_ref`` tell what it is of, where that is known. ``foreign`` says that it is another
    shop's, unless its payment is here.
    """

    provider: str
    provider_ref: str
    refund_ref: str
    event_id: str
    status: RefundStatus
    amount: Decimal | None = None
    currency: str | None = None
    refund_id: UUID | None = None
    payment_id: UUID | None = None
    decline: Decline | None = None
    occurred_at: datetime | None = None
    capture_ref: str | None = None
    attempt_ref: str | None = None
    names: Sequence[str] = ()
    foreign: bool = False
    raw: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinEvent:
    """A provider says only that something has news; the events must be looked up.

    ``provider_ref`` is the payment's own reference or, where the provider does not say that, its name of one of the
    payment's attempts, captures, disputes or refunds; '' where the news is of something else. ``verified`` tells
    whether the webhook was verified: anybody can write one that was not.

    ``object_ref`` is the provider's name of what has news (a refund, a dispute, a payment), where the adapter reads it
    by that name alone (``named_objects.SupportsNamedObjects``), so that its payment need not be known; of a verified
    event alone. Without it the payment is looked up. ``kind`` is the adapter's own word for what happened,
    ``event_id`` the same for every delivery of this event, and ``full_event_id`` the id of the event in full about the
    same change, where the provider sends both. ``foreign`` says that it is another shop's, unless its payment is here.
    ``names`` are the provider's names of an attempt, capture, dispute or refund by which the payment is found where
    ``provider_ref`` is '': before any call, and instead of it. ``payment_id`` is our own id of the payment, where a
    verified event has it.
    """

    provider: str
    provider_ref: str
    verified: bool = True
    object_ref: str = ""
    kind: str = ""
    event_id: str = ""
    full_event_id: str = ""
    foreign: bool = False
    names: tuple[str, ...] = ()
    payment_id: UUID | None = None


class IgnoredReason(StrEnum):
    """Why a verified webhook leads to nothing: its state is ``ignored``, and this stands first in its detail."""

    UNKNOWN_TYPE = "unknown_type"
    """Its kind is none that the adapter knows what to do with: a new one, or one that nobody needed to subscribe to."""
    NOT_OURS = "not_ours"
    """It is of another shop, account or mode, or of a payment that another service opened."""
    NOTHING_TO_RECORD = "nothing_to_record"
    """Its kind is known, and it moved nothing that we keep."""

    @property
    def detail_prefix(self) -> str:
        """What the detail of a webhook that is ignored for this reason begins with."""
        return f"{self.value}: "


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedWebhook:
    """What a verified webhook says; without events where that is nothing that we keep, and ``ignored`` tells why.

    ``secret`` is the place, from 0, of the live secret that matched, where the provider signs with one. ``unreadable``
    is why some verified part of it could not be understood, where it has several parts: the events of the others count
    all the same. Of several parts that lead to nothing for several reasons, the first of IgnoredReason is told.
    """

    events: Sequence[ProviderEvent | ProviderRefundEvent | ThinEvent] = ()
    secret: int | None = None
    unreadable: str | None = None
    ignored: IgnoredReason = IgnoredReason.NOTHING_TO_RECORD


class Provider(Protocol):
    """One provider adapter. Every method raises ProviderError and nothing else; amounts are in units of a currency."""

    name: str
    asks: bool
    """Whether ``open`` asks somebody over a network, and so may take seconds."""

    def open(self, opening: Opening) -> Opened:
        """Open a payment.

        Its id is the provider's idempotency key and travels in its metadata. What the provider would refuse of buyer
        and address is left out, so that no payment fails by it. An amount that the currency cannot express is refused
        before any call.
        """

    def next_action(self, payment_token: str) -> NextAction:
        """What the customer's client does next with that token; None where nothing is known of it.

        Pure: it asks nobody, and raises nothing whatever the token is. Adapters of other distributions may be without.
        """

    def verify_and_parse(self, raw_webhook: RawWebhook) -> ParsedWebhook:
        """Verify and parse a webhook in one act, every item of a batch, its age judged by when it was received.

        Raises UnverifiedError, UnreadableError, or ProviderUnavailableError where it takes a call that cannot be made
        now.
        """

    def look_up(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Ask for the truth about one payment and its refunds; empty when it is still open.

        Where the provider waits for us to capture, this captures, with our payment id in the key; never for a payment
        that is ``closed``. Raises one of the errors of a call, as ``cancel`` and ``refund`` do.
        """

    def cancel(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Make sure that it can no longer be paid; return what the provider knows of it now."""

    def refund(
        self, reference: Reference, *, refund_id: UUID, amount: Decimal, reason: str | None
    ) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Give back ``amount`` of the payment's currency. The refund id is the provider's idempotency key."""

    def capture(
        self, reference: Reference, *, request_id: UUID, amount: Decimal, final: bool
    ) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Capture ``amount`` of the authorisation ``reference.attempt_ref``; ``final`` releases what is left of it.

        The request id is the provider's idempotency key. A provider that cannot refuses with NOT_IN_THIS_STATE.
        """

    def void(self, reference: Reference, *, void_id: UUID) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Release what is authorized by ``reference.attempt_ref`` and was not captured. The id is the key."""
