"""Enters what a set of events proves: attempts, captures, disputes, notices, and what is of the whole payment.

Gathered in memory first, so that each row is written once and the number of statements is fixed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from checkout_service.database.errors import DatabaseLockedError
from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.status import (
    AttemptStatus,
    CaptureStatus,
    DisputeStage,
    DisputeStatus,
    PaymentStatus,
    RequestStatus,
)
from checkout_service.providers.base import Decline
from checkout_service.providers.entries import (
    AttemptEntry,
    CaptureEntry,
    ClosedEntry,
    DisputeEntry,
    Entry,
    NoneUnderWayEntry,
    NoticeEntry,
    RefusedVoidEntry,
)
from checkout_service.rates.counts import FAILED_WITHIN
from worker.transitions import entry_statements as statements
from worker.transitions.joining import EARLIEST, AttemptValues, CaptureValues, DisputeValues, Joins
from worker.transitions.locked import LockedPayment
from worker.transitions.outcomes import Change, ObjectKind, ReceivedEvent

LOOKED_UP_BEFORE: Final = timedelta(minutes=1)
"""A look-up ends attempts that were reported this long before it, or longer: what crossed it on its way stays.

A report has the provider's clock and a look-up ours. Were the provider's behind by more than this, an attempt that
began after the look-up would be dropped as ended, and the customer offered another try. It costs that one which ended
within a minute of its report stays ``processing`` until the next look-up.
"""

FAILED_RECENTLY: Final = timedelta(seconds=FAILED_WITHIN)
"""What failed earlier is no sign that somebody is trying cards at this moment, though it is heard of only now."""

_REQUESTS: Final = {
    CaptureStatus.PENDING: RequestStatus.PROCESSING,
    CaptureStatus.REFUSED: RequestStatus.FAILED,
    CaptureStatus.SUCCEEDED: RequestStatus.SUCCEEDED,
    CaptureStatus.UNDONE: RequestStatus.SUCCEEDED,
}
"""What a capture proves of the request that it came of."""


class Entries:
    """The entries of one set, and once they are written what came of them.

    ``news`` are the places of events that told more than what was known, ``touched`` the payments to be computed anew,
    ``closing`` and ``looked_up`` what is joined with the payment itself.
    """

    def __init__(self) -> None:
        self._attempts: Joins[AttemptValues] = Joins()
        self._captures: Joins[CaptureValues] = Joins()
        self._disputes: Joins[DisputeValues] = Joins()
        self._notices: dict[tuple[UUID, str, str], tuple[str | None, list[int]]] = {}
        self._requests: list[tuple[LockedPayment, CaptureEntry]] = []
        self._refused_voids: list[tuple[LockedPayment, str, int]] = []
        self.closing: dict[UUID, PaymentStatus] = {}
        self.looked_up: dict[UUID, datetime] = {}
        self.news: set[int] = set()
        self.touched: set[UUID] = set()
        self.changes: list[Change] = []
        self.failed: list[UUID] = []
        """The payment of each attempt that failed within the last hour, and was not known to have failed."""

    def add(self, place: int, received: ReceivedEvent, payment: LockedPayment, entries: Sequence[Entry]) -> None:
        """Gather what the event at this place of the set proves."""
        event = received.event
        for entry in entries:
            if isinstance(entry, AttemptEntry):
                self._add_attempt(place, received, payment, entry)
            elif isinstance(entry, CaptureEntry):
                if entry.attempt_ref:
                    # Its name leads to the payment from now on, though nothing else may ever be told of it.
                    self._add_attempt(place, received, payment, AttemptEntry(ref=entry.attempt_ref))
                if entry.status >= CaptureStatus.SUCCEEDED:
                    self._flag_currency(place, payment, ReviewReason.MISMATCH, entry)
                self._captures.add(payment, entry.ref, CaptureValues.of(entry), place)
                self._requests.append((payment, entry))
            elif isinstance(entry, DisputeEntry):
                if entry.step:
                    self._flag_currency(place, payment, ReviewReason.DISPUTE_MISMATCH, entry)
                values = DisputeValues.of(entry, event.event_id, payment.currency)
                self._disputes.add(payment, entry.ref, values, place)
            elif isinstance(entry, ClosedEntry):
                self._close(place, payment, entry)
            elif isinstance(entry, NoneUnderWayEntry):
                at = min(entry.at, received.received_at) - LOOKED_UP_BEFORE
                if payment.looked_up_at is None or at > payment.looked_up_at:
                    self.looked_up[payment.id] = max(at, self.looked_up.get(payment.id, at))
                    self.touched.add(payment.id)
            elif isinstance(entry, RefusedVoidEntry):
                self._refused_voids.append((payment, entry.void_id, place))
            elif isinstance(entry, NoticeEntry):
                self.notice(payment.id, entry.reason, ref=entry.ref, detail=entry.detail, place=place)

    def notice(
        self, payment_id: UUID, reason: ReviewReason, *, ref: str, detail: str | None = None, place: int | None = None
    ) -> None:
        """Have a person look at a payment; once for what it is about."""
        _, places = self._notices.setdefault((payment_id, reason.value, ref), (detail, []))
        if place is not None:
            places.append(place)

    def flag_names(self, payment_id: UUID, others: Mapping[UUID, str], place: int) -> None:
        """Nothing moves: a person has to see for which of these payments the names are."""
        for other, name in others.items():
            detail = f"known for payment {other}, and named for payment {payment_id}"
            for flagged in (payment_id, other):
                self.notice(flagged, ReviewReason.NAME_OF_ANOTHER, ref=name, detail=detail, place=place)

    def write(self, connection: Connection) -> None:
        """Join what was gathered with what is there; at most one statement for each kind of entry.

        Raises DatabaseLockedError where another set has just entered one of these names for another payment.
        """
        self._join_attempts(connection)
        self._join_captures(connection)
        self._move_requests(connection)
        self._join_disputes(connection)
        self._insert_notices(connection)

    def _add_attempt(self, place: int, received: ReceivedEvent, payment: LockedPayment, entry: AttemptEntry) -> None:
        at = entry.at or received.event.occurred_at or received.received_at
        values = AttemptValues.of(entry, min(at, received.received_at), payment.currency)
        if entry.presumed is not None and entry.currency != payment.currency:
            self._flag_currency(place, payment, ReviewReason.MISMATCH, entry)
        self._attempts.add(payment, entry.ref, values, place)

    def _flag_currency(
        self,
        place: int,
        payment: LockedPayment,
        reason: ReviewReason,
        entry: AttemptEntry | CaptureEntry | DisputeEntry,
    ) -> None:
        """Have a person look at money in another currency: it counts nowhere, and its name may be joined in ours."""
        if entry.currency not in {None, payment.currency}:
            self.notice(payment.id, reason, ref=entry.ref, detail=f"money in {entry.currency}", place=place)

    def _close(self, place: int, payment: LockedPayment, entry: ClosedEntry) -> None:
        known = self.closing.get(payment.id, payment.closed)
        if known is None or entry.status > known:
            self.closing[payment.id] = entry.status
            self.touched.add(payment.id)
            self.news.add(place)

    def _join_attempts(self, connection: Connection) -> None:
        if not self._attempts.by_key:
            return
        chosen = self._attempts.in_order()
        columns = list(zip(*(joined.values for joined in chosen), strict=True))
        statuses, currencies, presumed, authorized, released, expires, times_out, replaces, declines, reported = columns
        rows = statements.JOIN_ATTEMPTS.within(
            connection,
            {
                "payments": [joined.payment.id for joined in chosen],
                "providers": [joined.payment.provider for joined in chosen],
                "refs": [joined.ref for joined in chosen],
                "statuses": [status.value for status in statuses],
                "reported": list(reported),
                "currencies": _sparse(currencies),
                "presumed": _sparse(presumed),
                "authorized": _sparse(authorized),
                "released": list(released) if any(released) else [],
                "expires": _sparse(expires),
                "times_out": _sparse(times_out),
                "replaces": _sparse(replaces),
                "declines": _sparse(declines),
            },
        )
        failed = AttemptStatus.FAILED.value
        for row in map(statements.AttemptRow._make, rows):
            before = None
            if row.status_before is not None and row.reported_before is not None:
                before = AttemptValues(
                    AttemptStatus(row.status_before),
                    row.currency_before,
                    row.presumed_before,
                    row.authorized_before,
                    bool(row.released_before),
                    row.expires_before,
                    row.times_out_before,
                    row.replaces_before,
                    row.decline_before,
                    row.reported_before,
                )
            joined = self._attempts.by_key[row.payment_id, row.attempt_ref]
            self.news.update(joined.places_of_news(before))
            if before is None or row.is_new_version:
                self._changed(ObjectKind.ATTEMPT, row)
            else:
                self.touched.add(row.payment_id)
            if row.status == failed != row.status_before:
                failed_at = joined.values.reported_at
                if failed_at > datetime.now(UTC) - FAILED_RECENTLY:
                    self.failed.append(row.payment_id)

    def _join_captures(self, connection: Connection) -> None:
        if not self._captures.by_key:
            return
        chosen = self._captures.in_order()
        values = [joined.values for joined in chosen]
        rows = statements.JOIN_CAPTURES.within(
            connection,
            {
                "payments": [joined.payment.id for joined in chosen],
                "providers": [joined.payment.provider for joined in chosen],
                "refs": [joined.ref for joined in chosen],
                "attempts": [each.attempt_ref for each in values],
                "statuses": [each.status.value for each in values],
                "amounts": [each.amount for each in values],
                "currencies": [each.currency for each in values],
            },
        )
        for row in map(statements.CaptureRow._make, rows):
            joined = self._captures.by_key.get((row.payment_id, row.capture_ref))
            if joined is None:
                raise DatabaseLockedError("another set has just entered a capture's name for another payment")
            before = None
            if row.status_before is not None and row.amount_before is not None and row.currency_before is not None:
                before = CaptureValues(
                    CaptureStatus(row.status_before), row.amount_before, row.currency_before, row.attempt_before or ""
                )
            self.news.update(joined.places_of_news(before))
            self._changed(ObjectKind.CAPTURE, row)

    def _move_requests(self, connection: Connection) -> None:
        if self._requests:
            move_requests(connection, self._requests)
        if self._refused_voids:
            self._refuse_voids(connection)

    def _refuse_voids(self, connection: Connection) -> None:
        """End voids of ours that their provider refused; a later refusal of one that succeeded is no news."""
        chosen = {void_id: (payment, place) for payment, name, place in self._refused_voids if (void_id := _uuid(name))}
        rows = statements.REFUSE_VOIDS.within(
            connection,
            {
                "voids": sorted(chosen),
                "payments": [chosen[void_id][0].id for void_id in sorted(chosen)],
                "decline": Decline.NOT_IN_THIS_STATE.value,
            },
        )
        self.news.update(chosen[row.id][1] for row in rows)
        # An order may have been canceled for it, whose money then stays where it is.
        self.touched.update(chosen[row.id][0].id for row in rows)

    def _join_disputes(self, connection: Connection) -> None:
        if not self._disputes.by_key:
            return
        chosen = self._disputes.in_order()
        values = [joined.values for joined in chosen]
        rows = statements.JOIN_DISPUTES.within(
            connection,
            {
                "payments": [joined.payment.id for joined in chosen],
                "providers": [joined.payment.provider for joined in chosen],
                "refs": [joined.ref for joined in chosen],
                "captures": [each.capture_ref for each in values],
                "attempts": [each.attempt_ref for each in values],
                "stages": [each.stage.value for each in values],
                "statuses": [each.status.value for each in values],
                "reported": [None if each.at is EARLIEST else each.at for each in values],
                "ranks": [each.rank for each in values],
                "events": [each.event_id for each in values],
                "reasons": [each.reason for each in values],
                "due": [each.evidence_due_at for each in values],
                "blocks": [each.blocks_refund for each in values],
                "steps": [each.step for each in values],
                "outs": [each.money_out for each in values],
                "only": [each.money_only for each in values],
                "amounts": [each.amount for each in values],
                "currencies": [each.currency for each in values],
            },
        )
        for row in map(statements.DisputeRow._make, rows):
            self.news.update(self._disputes.by_key[row.payment_id, row.dispute_ref].places_of_news(_before(row)))
            self._changed(ObjectKind.DISPUTE, row)

    def _insert_notices(self, connection: Connection) -> None:
        if not self._notices:
            return
        keys = sorted(self._notices)
        rows = statements.INSERT_NOTICES.within(
            connection,
            {
                "payments": [payment for payment, _, _ in keys],
                "reasons": [reason for _, reason, _ in keys],
                "refs": [ref for _, _, ref in keys],
                "details": [self._notices[key][0] for key in keys],
            },
        )
        for row in map(statements.NoticeRow._make, rows):
            self.touched.add(row.payment_id)
            self.news.update(self._notices[row][1][:1])

    def _changed(self, kind: ObjectKind, row: Any) -> None:
        self.touched.add(row.payment_id)
        self.changes.append(Change(kind, row.id, row.payment_id, row.version, row.status_before, row.status))


def move_requests(connection: Connection, captures: Iterable[tuple[LockedPayment, CaptureEntry]]) -> None:
    """Move the requests that these captures came of, by our id or by the provider's name for them; one statement."""
    chosen = sorted(captures, key=lambda each: (each[0].id, each[1].ref))
    statements.MOVE_REQUESTS.within(
        connection,
        {
            "payments": [payment.id for payment, _ in chosen],
            "providers": [payment.provider for payment, _ in chosen],
            "refs": [entry.ref for _, entry in chosen],
            "requests": [_uuid(entry.request_id) for _, entry in chosen],
            "statuses": [_REQUESTS[entry.status].value for _, entry in chosen],
        },
    )


def disagrees(payment: LockedPayment, entries: Sequence[Entry]) -> bool:
    """Whether an event speaks of money that is not counted: in another currency, or of an amount that it leaves out."""
    for entry in entries:
        if isinstance(entry, NoticeEntry) and entry.reason is ReviewReason.MISMATCH:
            return True
        if isinstance(entry, CaptureEntry) and entry.currency != payment.currency:
            return True
        if isinstance(entry, AttemptEntry) and entry.currency is not None and entry.currency != payment.currency:
            return True
    return False


def _before(row: statements.DisputeRow) -> DisputeValues | None:
    if row.status_before is None or row.stage_before is None:
        return None
    return DisputeValues(
        DisputeStage(row.stage_before),
        row.at_before or EARLIEST,
        row.rank_before or 0,
        row.event_before or "",
        DisputeStatus(row.status_before),
        row.reason_before,
        row.due_before,
        bool(row.blocks_before),
        row.step_before or 0,
        bool(row.out_before),
        bool(row.only_before),
        row.amount_before,
        row.currency_before,
        row.capture_before or "",
        row.attempt_before or "",
    )


def _sparse(column: Sequence[Any]) -> list[Any]:
    """The column, empty where a set says nothing of it."""
    return [] if column.count(None) == len(column) else list(column)


def _uuid(given: str | None) -> UUID | None:
    try:
        return None if given is None else UUID(given)
    except ValueError:
        return None
