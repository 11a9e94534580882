"""Records events about payments and refunds: the one road to their entries, and so to ``payments.status``.

Webhooks, look-ups, backfill and the answers about refunds all come through ``record``. It takes many events and a fixed
number of statements, in this order:

    find names          only where the events name anything besides their payments
    lock carts          only where money may come, be authorized, or that may end: an order follows
    lock payments       once, for all events, with their mates that money came for: of a generation, or of merged carts
    read events         that were recorded before: an event counts once
    lock refunds        only where there are events about refunds
    read refund events  that were recorded before
    join entries        attempts, captures, requests of captures, disputes, notices: one each, where there are any
    move refunds
    insert refunds      that were made in the provider's dashboard
    fold payments       those that something changed of: status, sums and reasons are computed in the database, and
                        orders are made there
    insert events       about payments
    insert events       about refunds
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from checkout_service.database.errors import DatabaseLockedError
from checkout_service.database.statements import Run, together
from checkout_service.payments.status import AttemptStatus, PaymentStatus
from checkout_service.providers.base import Decline, ProviderEvent
from checkout_service.providers.entries import AttemptEntry, Entry
from worker.transitions import statements
from worker.transitions.derived import entries_of, in_words
from worker.transitions.entering import Entries, disagrees
from worker.transitions.locked import LockedPayment, locked_payment
from worker.transitions.matching import Match, Matcher, Matches, entry_names, find, may_move_money, named_in
from worker.transitions.outcomes import (
    Change,
    Effect,
    ObjectKind,
    Outcome,
    PaymentMove,
    ReceivedEvent,
    Recorded,
    RefundMove,
)
from worker.transitions.recording_refunds import apply_refunds, insert_refund_events, lock_refunds, write_refunds

PARKED, FOREIGN, DUPLICATE = Effect(Outcome.PARKED), Effect(Outcome.FOREIGN), Effect(Outcome.DUPLICATE)
APPLIED, STALE, MISMATCH = Effect(Outcome.APPLIED), Effect(Outcome.STALE), Effect(Outcome.MISMATCH)
"""Made once: a set has hundreds of events, and these effects say nothing of their own."""

_NAMES: Final = frozenset(
    {
        "payment_attempts_provider_attempt_ref",
        "captures_provider_capture_ref",
        "disputes_provider_dispute_ref",
        "refunds_provider_provider_ref",
        "capture_requests_provider_provider_ref",
    }
)
"""The indexes that let a name be known for one payment alone."""


EventKey = tuple[str, str]
"""A provider and its name for an event."""

PaymentName = tuple[str, str]
"""A provider and its reference of a payment: two providers may name alike."""


class _Judged(NamedTuple):
    """An event about a payment that is here, its place in the set, and what it proves.

    ``mismatch`` tells one that speaks of money or of names that are not ours, ``known`` an answer to a query that was
    recorded before: it is joined once more, and not recorded.
    """

    place: int
    received: ReceivedEvent
    event: ProviderEvent
    match: Match
    payment: LockedPayment
    entries: Sequence[Entry]
    mismatch: bool
    known: bool = False


def record(connection: Connection, events: Sequence[ReceivedEvent]) -> Recorded:
    """Record events, about payments and refunds mixed, within the caller's transaction.

    Events about payments that are not here yet are PARKED, FOREIGN where they are another shop's; events about refunds
    that cannot be entered yet are WAITING. None of these leaves a trace. Raises DatabaseLockedError, also where another
    set has just entered one of the names for another payment, and DatabaseUnavailableError.
    """
    if not events:
        return Recorded()
    try:
        return _record(connection, events)
    except IntegrityError as error:
        constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
        if constraint in _NAMES:
            raise DatabaseLockedError(f"another set has just entered a name: {constraint}") from error
        raise


def record_refusal(
    connection: Connection, *, refund_id: UUID, provider: str, provider_ref: str, decline: Decline, detail: str
) -> Recorded:
    """Record that the provider refused a refund of ours, or we in its place; no move if it is past that.

    There is no event about a refusal: nothing was made at the provider. ``provider_ref`` is what its
    ``provider`` calls the payment, ``detail`` what staff read of the refusal.
    """
    (rows,) = together(connection, *_locks(references=[(provider, provider_ref)], ids=[], money=[]))
    payments = list(map(locked_payment, rows))
    lock_refunds(connection, payments)
    refunds = [refund for payment in payments for refund in payment.refunds if refund.id == refund_id]
    if not refunds or not refunds[0].refuse(decline, detail):
        return Recorded()
    changes = write_refunds(connection, refunds)
    (computed,) = together(connection, *_folds([refunds[0].payment.id], Entries(), {}))
    folded = _changes(computed)
    move = RefundMove(refunds[0].payment.provider, refunds[0].status)
    return Recorded(refund_moves=[move], payment_moves=_moves(payments, folded), changes=[*folded, *changes])


def _record(connection: Connection, events: Sequence[ReceivedEvent]) -> Recorded:
    matches = find(connection, events)
    payments, known = _lock_all(connection, events, matches)
    matcher = Matcher(matches, payments)
    matched = [matcher.match(received.event) for received in events]
    opened_in = _note_traces(connection, events, matched)
    effects, entries = [FOREIGN if received.event.foreign else PARKED for received in events], Entries()
    judged = _judge(events, matched, known, effects)
    for each in judged:
        if each.match.others:
            entries.flag_names(each.payment.id, each.match.others, each.place)
        else:
            entries.add(each.place, each.received, each.payment, each.entries)
    refunds = apply_refunds(connection, events, matched, entries, effects)
    entries.write(connection)
    written = write_refunds(connection, refunds.refunds)
    entries.touched.update(change.payment_id for change in written)
    folds = _folds(_with_mates(payments, entries.touched), entries, _raws(judged, entries.news))
    # What payments came to is asked of events without an id alone, which answers to queries have.
    if any(not each.event.event_id for each in judged):
        folded = [change for rows in together(connection, *folds) for change in _changes(rows)]
        moved = {change.payment_id for change in folded}
        together(connection, *_inserts(judged, entries.news, moved, named_in(events, matched), effects))
    else:
        inserts = _inserts(judged, entries.news, set(), set(), effects)
        found = together(connection, *folds, *inserts)
        folded = _changes(found[0]) if folds else []
    insert_refund_events(connection, refunds.entries)
    return Recorded(
        effects=effects,
        refund_moves=refunds.moves(),
        payment_moves=_moves(payments, folded),
        changes=[*folded, *entries.changes, *written],
        failed=entries.failed,
        found={
            place: match.payment.provider_ref for place, match in enumerate(matched) if match.by_name and match.payment
        },
        opened_in=opened_in,
    )


def _note_traces(
    connection: Connection, events: Sequence[ReceivedEvent], matched: Sequence[Match]
) -> Mapping[UUID, str]:
    """Have what is written of a payment belong to the trace of the last event about it, where that is sampled.

    Returns the traces that these payments were opened in, by the id of the webhook.
    """
    traced = [
        (received, match.payment)
        for received, match in zip(events, matched, strict=True)
        if received.trace_context is not None and match.payment is not None
    ]
    if not traced:
        return {}
    contexts = {payment.id: received.trace_context for received, payment in traced}
    values = {"payments": list(contexts), "contexts": list(contexts.values())}
    statements.NOTE_TRACES.within(connection, values)
    return {
        received.delivery_id: payment.trace_context
        for received, payment in traced
        if received.delivery_id is not None and payment.trace_context is not None
    }


def _lock_all(
    connection: Connection, events: Iterable[ReceivedEvent], matches: Matches
) -> tuple[list[LockedPayment], Mapping[EventKey, object]]:
    """The payments that the events speak of, and others for the same things that have money; and what was recorded
    before of these events."""
    references: set[PaymentName] = set()
    money: set[PaymentName] = set()
    naming: set[PaymentName] = set()
    searching = False
    for received in events:
        event = received.event
        name = (event.provider, event.provider_ref)
        names = [name, *((event.provider, each) for each in matches.references_of(event))] if matches.owners else [name]
        references.add(name)
        if entry_names(event):
            naming.update(names)
        if isinstance(event, ProviderEvent) and may_move_money(event):
            money.update(names)
            searching = searching or bool(event.names)
    if searching:
        # Its payment may be found by a name that another event of the set has brought: any of those may be meant.
        money |= naming
    in_order = sorted(references)
    of_money = in_order if money == references else sorted(money)
    locks = _locks(references=in_order, ids=sorted(matches.references), money=of_money)
    ids = {received.event.event_id for received in events if isinstance(received.event, ProviderEvent)} - {""}
    if not ids:
        *_, rows = together(connection, *locks)
        return list(map(locked_payment, rows)), {}
    values = {"providers": sorted({provider for provider, _ in references}), "events": sorted(ids)}
    *_, rows, recorded = together(connection, *locks, (statements.KNOWN_EVENTS, values))
    return list(map(locked_payment, rows)), _known(map(statements.KnownEventRow._make, recorded))


def _locks(*, references: Sequence[PaymentName], ids: Sequence[UUID], money: Sequence[PaymentName]) -> list[Run]:
    """What locks carts, where money may come, and then payments; the last one has their rows."""
    of_money = {"money_providers": [provider for provider, _ in money], "money": [name for _, name in money]}
    of_all = {"providers": [provider for provider, _ in references], "references": [name for _, name in references]}
    of_carts = [(statements.LOCK_CARTS, of_money)] if money else []
    return [*of_carts, (statements.LOCK_PAYMENTS, {**of_all, **of_money, "ids": ids})]


def _judge(
    events: Sequence[ReceivedEvent],
    matched: Sequence[Match],
    known: Mapping[EventKey, object],
    effects: list[Effect],
) -> list[_Judged]:
    """The events about payments that are here and were not recorded before; of the others the effects are put in.

    Of two events with one id in a set the first counts, unless only the second agrees with the payment. One that was
    recorded as a mismatch is judged again. The id of an answer to a query names what was seen, not when: seen again, it
    tells that an attempt is under way still, or once more, and puts its time limit no further off.
    """
    judged: list[_Judged] = []
    counted: dict[EventKey, _Judged] = {}
    for place, (received, match) in enumerate(zip(events, matched, strict=True)):
        event, payment = received.event, match.payment
        if not isinstance(event, ProviderEvent):
            continue
        if payment is None:
            effects[place] = FOREIGN if event.foreign else PARKED
            continue
        key = (event.provider, event.event_id)
        if key in known and known[key] != event.status:
            effects[place] = DUPLICATE
            if received.delivery_id is None and not match.others:
                under_way = _seen_again(entries_of(event, payment.amount, payment.currency))
                if under_way:
                    judged.append(
                        _Judged(place, received, event, match, payment, under_way, mismatch=False, known=True)
                    )
            continue
        entries = () if match.others else entries_of(event, payment.amount, payment.currency)
        mismatch = bool(match.others) or disagrees(payment, entries)
        each = _Judged(place, received, event, match, payment, entries, mismatch)
        other = counted.get(key) if event.event_id else None
        if other is not None:
            if mismatch or not other.mismatch:
                effects[place] = DUPLICATE
                continue
            effects[other.place] = DUPLICATE
            judged.remove(other)
        counted[key] = each
        judged.append(each)
    return judged


def _seen_again(entries: Iterable[Entry]) -> list[Entry]:
    """What an answer that was recorded before still tells: which attempts are under way.

    Look-ups count the limit of a method from when they ask. Were it joined each time, it would never be over.
    """
    return [
        replace(entry, times_out_at=None)
        for entry in entries
        if isinstance(entry, AttemptEntry) and entry.status is AttemptStatus.UNDER_WAY
    ]


_SETTLED: Final = object()
"""In place of the status of an event that is not judged again."""


def _known(rows: Iterable[statements.KnownEventRow]) -> Mapping[EventKey, object]:
    """The events that were recorded before; those that were a mismatch with their status."""
    return {
        (row.provider, row.event_id): (row.status and PaymentStatus(row.status))
        if row.outcome == Outcome.MISMATCH
        else _SETTLED
        for row in rows
    }


def _with_mates(payments: Iterable[LockedPayment], touched: set[UUID]) -> list[UUID]:
    """The payments to be computed anew: what has money tells also of the others for the same."""
    return [payment.id for payment in payments if payment.id in touched or (payment.mate and touched)]


def _raws(judged: Iterable[_Judged], news: set[int]) -> Mapping[UUID, bytes]:
    """The body of the newest event of each payment that told more than what was known."""
    newest = {each.payment.id: each.event for each in judged if each.place in news}
    return {payment: statements.as_json(event.raw) for payment, event in newest.items()}


def _folds(ids: Sequence[UUID], entries: Entries, raws: Mapping[UUID, bytes]) -> list[Run]:
    """What has the database compute these payments of their entries."""
    if not ids:
        return []
    closing, looked_up = entries.closing, entries.looked_up
    values = {
        "ids": ids,
        "closing": [closing[id_].value if id_ in closing else None for id_ in ids] if closing else None,
        "looked_up": [looked_up.get(id_) for id_ in ids] if looked_up else None,
        "raws": [raws.get(id_) for id_ in ids] if raws else None,
    }
    return [(statements.FOLD, values)]


def _changes(rows: Sequence[Any]) -> list[Change]:
    """What changed of the payments that were computed."""
    return [
        Change(ObjectKind.PAYMENT, row.id, row.id, row.version, row.status_from, row.status_to)
        for row in map(statements.FoldRow._make, rows)
    ]


def _moves(payments: Iterable[LockedPayment], folded: Iterable[Change]) -> list[PaymentMove]:
    """The payments that came to another status."""
    providers = {payment.id: payment.provider for payment in payments}
    return [
        PaymentMove(providers[change.id], change.status_to)
        for change in folded
        if change.status_from != change.status_to
    ]


def _inserts(
    judged: Sequence[_Judged],
    news: set[int],
    moved: set[UUID],
    named: Collection[tuple[UUID | None, UUID]],
    effects: list[Effect],
) -> list[Run]:
    """Put the effects of the events in; what inserts those that have an id.

    One without an id is news only where it moved its payment: that nothing is under way is so at every look-up. If a
    webhook led to it, and to no event with an id about that payment (``named``), it gets one: by these a webhook is
    found again, and what it says of a person is exported and erased.
    """
    by_key: dict[EventKey, _Judged] = {}
    for each in judged:
        if each.known:
            continue
        event, delivery_id = each.event, each.received.delivery_id
        if event.event_id or each.mismatch:
            effects[each.place] = MISMATCH if each.mismatch else APPLIED if each.place in news else STALE
        else:
            effects[each.place] = APPLIED if each.payment.id in moved else DUPLICATE
            if effects[each.place] is APPLIED and delivery_id and (delivery_id, each.payment.id) not in named:
                event = replace(event, event_id=f"look-up:{delivery_id}:{each.payment.id}")
        if event.event_id:
            by_key[event.provider, event.event_id] = each if event is each.event else each._replace(event=event)
    if not (chosen := [by_key[key] for key in sorted(by_key)]):  # by key: it is kinder to the index
        return []
    events = [each.event for each in chosen]
    words = [orjson.dumps(in_words(event.entries)).decode() if event.entries else None for event in events]
    values = {
        "deliveries": [each.received.delivery_id for each in chosen],
        "providers": [event.provider for event in events],
        "events": [event.event_id for event in events],
        "payments": [each.payment.id for each in chosen],
        "statuses": [event.status and event.status.value for event in events],
        "amounts": [event.amount for event in events],
        "currencies": [event.currency for event in events],
        "outcomes": [effects[each.place].outcome.value for each in chosen],
        "entries": words if any(words) else [],
        "occurred": [event.occurred_at for event in events],
        "received": [each.received.received_at for each in chosen],
    }
    return [(statements.INSERT_EVENTS, values)]
