"""What a payment is, by MONEY's rules alone, written down once more in plain Python: what the fold is measured by.

A history is a list of what was reported of a payment, in no order. Nothing here is taken from the SQL.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from checkout_service.payments.status import AttemptStatus, CaptureStatus, PaymentStatus, RefundStatus
from checkout_service.providers.base import ProviderRefundEvent
from checkout_service.providers.entries import (
    AttemptEntry,
    CaptureEntry,
    ClosedEntry,
    DisputeEntry,
    NoneUnderWayEntry,
    NoticeEntry,
)

Report = (
    AttemptEntry | CaptureEntry | DisputeEntry | ClosedEntry | NoneUnderWayEntry | NoticeEntry | ProviderRefundEvent
)

ZERO = Decimal(0)


@dataclass
class Attempt:
    """All that was reported of one attempt."""

    status: AttemptStatus = AttemptStatus.STARTED
    reported_at: datetime | None = None
    presumed: Decimal | None = None
    authorized: Decimal | None = None
    released: bool = False
    replaces: str | None = None


@dataclass
class Capture:
    """All that was reported of one capture."""

    attempt: str
    status: CaptureStatus
    amount: Decimal


@dataclass
class Refund:
    """All that was reported of one refund."""

    status: RefundStatus
    amount: Decimal


@dataclass
class Expected:
    """A payment over ``due``, as all that was reported of it makes it."""

    due: Decimal
    attempts: dict[str, Attempt] = field(default_factory=dict)
    captures: dict[str, Capture] = field(default_factory=dict)
    refunds: dict[str, Refund] = field(default_factory=dict)
    disputes: dict[str, list[DisputeEntry]] = field(default_factory=dict)
    notices: set[str] = field(default_factory=set)
    closed: PaymentStatus | None = None
    looked_up_at: datetime | None = None

    def hear(self, reports: Report) -> None:
        """Join one thing that was reported."""
        match reports:
            case AttemptEntry():
                known = self.attempts.setdefault(reports.ref, Attempt())
                known.status = max(known.status, reports.status)
                assert reports.at is not None
                known.reported_at = max(known.reported_at or reports.at, reports.at)
                known.presumed = _more(known.presumed, reports.presumed)
                known.authorized = _more(known.authorized, reports.authorized)
                known.released |= reports.rest_released
                known.replaces = known.replaces or reports.replaces
            case CaptureEntry():
                capture = self.captures.setdefault(
                    reports.ref, Capture(reports.attempt_ref, reports.status, reports.amount)
                )
                capture.status = max(capture.status, reports.status)
                capture.amount = max(capture.amount, reports.amount)
            case DisputeEntry():
                self.disputes.setdefault(reports.ref, []).append(reports)
            case ClosedEntry():
                self.closed = reports.status if self.closed is None else max(self.closed, reports.status)
            case NoneUnderWayEntry():
                self.looked_up_at = reports.at if self.looked_up_at is None else max(self.looked_up_at, reports.at)
            case NoticeEntry():
                self.notices.add(reports.reason.value)
            case ProviderRefundEvent():
                assert reports.amount is not None
                refund = self.refunds.setdefault(reports.refund_ref, Refund(reports.status, reports.amount))
                refund.status = max(refund.status, reports.status)

    @property
    def came(self) -> Decimal:
        """What captures brought; what is presumed on an attempt gives way to what is named."""
        named = [capture for capture in self.captures.values() if capture.status >= CaptureStatus.SUCCEEDED]
        total = sum((capture.amount for capture in named), ZERO)
        for ref, attempt in self.attempts.items():
            if attempt.status < AttemptStatus.EXPIRED and not any(capture.attempt == ref for capture in named):
                total += attempt.presumed or ZERO
        return total

    @property
    def undone(self) -> Decimal:
        return sum((each.amount for each in self.captures.values() if each.status is CaptureStatus.UNDONE), ZERO)

    @property
    def taken(self) -> Decimal:
        """What disputes took whose greatest movement is outwards; the presumed one only while none is named."""
        named = {ref: reports for ref, reports in self.disputes.items() if ref and _movement(reports)[0]}
        if named:
            return sum((_amount(reports) or ZERO for reports in named.values() if _movement(reports)[1]), ZERO)
        presumed = self.disputes.get("", [])
        if not presumed or not _movement(presumed)[1]:
            return ZERO
        amount = _amount(presumed)
        return self.came if amount is None else amount

    @property
    def blocked(self) -> Decimal:
        """What disputes hold back that took nothing yet, as the newest news of each say."""
        return sum(
            (
                _amount(reports) or ZERO
                for ref, reports in self.disputes.items()
                if ref and not _movement(reports)[0] and _newest(reports).blocks_refund
            ),
            ZERO,
        )

    @property
    def authorized(self) -> Decimal:
        """What open authorisations promise, less what was captured of authorisations that are not released."""
        replaced = {attempt.replaces for attempt in self.attempts.values()}
        total = ZERO
        for ref, attempt in self.attempts.items():
            if attempt.status is AttemptStatus.AUTHORIZED and not attempt.released:
                if attempt.presumed is None and ref not in replaced:
                    total += self.due if attempt.authorized is None else attempt.authorized
                total -= self._captured_of(ref)
        if "" not in self.attempts or self.attempts[""].status is not AttemptStatus.AUTHORIZED:
            total -= self._captured_of("")
        return max(ZERO, total)

    def _captured_of(self, attempt: str) -> Decimal:
        named = [each for each in self.captures.values() if each.status >= CaptureStatus.SUCCEEDED]
        return sum((each.amount for each in named if each.attempt == attempt), ZERO)

    @property
    def under_way(self) -> bool:
        """Whether some attempt is, by which no money came. One without a name gives way to those with one."""
        brought = {each.attempt for each in self.captures.values() if each.status >= CaptureStatus.SUCCEEDED}
        return self.closed is None and any(
            attempt.status is AttemptStatus.UNDER_WAY
            and attempt.presumed is None
            and ref not in brought
            and attempt.reported_at is not None
            and (self.looked_up_at is None or attempt.reported_at > self.looked_up_at)
            and (ref or not self._named_since(attempt.reported_at))
            for ref, attempt in self.attempts.items()
        )

    def _named_since(self, moment: datetime) -> bool:
        """Whether an attempt with a name was ever authorized, or failed since."""
        return any(
            attempt.status >= AttemptStatus.AUTHORIZED
            or (
                attempt.status is AttemptStatus.FAILED
                and attempt.reported_at is not None
                and attempt.reported_at >= moment
            )
            for ref, attempt in self.attempts.items()
            if ref
        )

    @property
    def refunded(self) -> Decimal:
        return sum((each.amount for each in self.refunds.values() if each.status is RefundStatus.SUCCEEDED), ZERO)

    @property
    def refunding(self) -> Decimal:
        return sum((each.amount for each in self.refunds.values() if each.status is RefundStatus.PROCESSING), ZERO)

    @property
    def status(self) -> str:
        """The first that holds."""
        if self.came > 0:
            if self.undone + self.taken >= self.came:
                return "reversed"
            return "paid" if self.came >= self.due else "partially_paid"
        if self.closed is not None:
            return self.closed.value
        if self.authorized > 0:
            return "authorized"
        if self.under_way:
            return "processing"
        over = {AttemptStatus.FAILED: "failed", AttemptStatus.EXPIRED: "expired", AttemptStatus.CANCELED: "canceled"}
        ends = [attempt.status for attempt in self.attempts.values() if attempt.status in over]
        return over[max(ends)] if ends else "pending"

    def reasons(self, mates: Iterable[Expected]) -> str | None:
        """Why a person has to look; ``mates`` are the other payments of the same filling of the cart."""
        gone = self.undone + self.taken
        found = set(self.notices)
        if ZERO < self.came < self.due and not self.under_way and (self.closed is not None or not self.authorized):
            found.add("mismatch")
        if self.came > self.due:
            found.add("overpaid")
        if self.came > gone + self.refunded and self.closed in {PaymentStatus.EXPIRED, PaymentStatus.CANCELED}:
            found.add("paid_after_close")
        if gone + self.refunded + self.refunding > self.came:
            found.add("refund_too_large")
        if self.came > 0 and any(mate.came > 0 for mate in mates):
            found.add("paid_twice")
        return ", ".join(sorted(found)) or None


def _more(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return max((each for each in (one, other) if each is not None), default=None)


def _movement(reports: list[DisputeEntry]) -> tuple[int, bool]:
    return max((each.step, each.money_out) for each in reports)


def _amount(reports: list[DisputeEntry]) -> Decimal | None:
    return max((each.amount for each in reports if each.amount is not None), default=None)


def _newest(reports: list[DisputeEntry]) -> DisputeEntry:
    return max(reports, key=lambda each: (each.stage, each.at, each.rank))
