"""The task ``payments.capture``: claim, ask the provider, record. On the pattern of refunds (worker/refunds/task.py).

A capture that is requested is asked for, with its id as the provider's idempotency key; one that is processing is
looked up. It ends by an event that carries its id or the provider's name for it, in worker/transitions, or once its
authorisation is over and a look-up after that names no capture that may be it. When the first try is long ago, the
provider is only asked what it knows, since asking again might capture twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from celery import shared_task

from checkout_service.database.engine import Conflict, transaction
from checkout_service.database.errors import DatabaseLockedError, DatabaseUnavailableError
from checkout_service.payments.status import AttemptStatus, RequestStatus
from checkout_service.providers.base import (
    Decline,
    Provider,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderRefusedError,
    ProviderUnavailableError,
    Reference,
    UnreadableError,
)
from checkout_service.providers.entries import AttemptEntry, CaptureEntry, ClosedEntry, Entry, NoneUnderWayEntry
from checkout_service.tasks import TaskName
from checkout_service.telemetry.metrics import capture_requests_failed_total
from worker.backoff import describe
from worker.captures.leases import Kind, LeasedCapture, claim_capture, doubt, end, note_sent, put_off
from worker.context import provider
from worker.references import reference
from worker.transitions.outcomes import received_now
from worker.transitions.recording import record

Answer = Sequence[ProviderEvent | ProviderRefundEvent]

ASK_AGAIN_FOR: Final = timedelta(hours=20)
"""Since it was asked for first. Stripe keeps a key for 24 hours at least, PayPal for 45 days; where nothing is promised
(Mollie) the provider adapter looks for the capture each time before it asks."""

DOUBTED_AFTER: Final = timedelta(hours=72)
"""Since it was asked for first: one that is processing, and that no look-up names, is left to a person. Adyen, whose
look-ups name nothing, says in a webhook what becomes of a capture, within a few days at the latest."""

log = structlog.get_logger(__name__)


class CaptureInDoubtError(Exception):
    """Nobody knows whether the provider made it, and to ask again might make it twice: a person has to look."""


@shared_task(name=TaskName.CAPTURE_PAYMENT)
def capture(request_id: str) -> str:
    """Ask for this capture, or about it, if that is leased now; run it again at any time.

    Raises CaptureInDoubtError when only a person can tell what became of it.
    """
    try:
        leased = claim_capture(UUID(request_id))
        return "nothing is outstanding now" if leased is None else _work(leased)
    except DatabaseLockedError:
        return "another transaction holds its payment; the sweep sends this task again"
    except DatabaseUnavailableError:
        log.warning("database_unavailable", request_id=request_id)
        return "the database is unavailable; the sweep sends this task again"


def _work(leased: LeasedCapture) -> str:
    adapter = provider(leased.provider)
    if adapter is None:
        return put_off(Kind.CAPTURE, leased, "no account at this provider is set up")
    held = replace(reference(leased.payment_id), attempt_ref=leased.attempt_ref or None)
    try:
        return _record(leased, _ask(leased, adapter, held))
    except ProviderUnavailableError as error:
        return put_off(Kind.CAPTURE, leased, f"unavailable: {error}")
    except ProviderRefusedError as error:
        if error.reason is Decline.CREDENTIALS:  # ours to mend, and until then the provider is as good as away
            never = leased.sent_ago is None
            return put_off(Kind.CAPTURE, leased, f"our credentials are refused: {error}", unasked=never)
        return _refused(leased, error)
    except UnreadableError as error:
        return put_off(Kind.CAPTURE, leased, f"not understood: {error}")
    except CaptureInDoubtError:
        doubt(leased)
        raise
    except (DatabaseLockedError, DatabaseUnavailableError):
        raise
    except Exception as error:
        log.exception("capture_broke", request_id=str(leased.id))
        return put_off(Kind.CAPTURE, leased, f"broke: {describe(error)}")


def _ask(leased: LeasedCapture, adapter: Provider, held: Reference) -> Answer:
    """What the provider says when it is asked for the capture, or about it where that is all we may do."""
    if leased.status is RequestStatus.PROCESSING:
        return _looked_up(adapter, held)
    first = leased.sent_ago is None
    if leased.sent_ago is not None and leased.sent_ago > ASK_AGAIN_FOR:
        return _sought(leased, adapter, held, otherwise=CaptureInDoubtError(f"capture {leased.id}"))
    try:
        if not note_sent(Kind.CAPTURE, leased):
            raise ProviderUnavailableError("not asked: its lease is over, another task has it")
    except Conflict as error:
        gone = "what was authorized went before it was asked for"
        raise ProviderRefusedError(gone, reason=Decline.NOT_IN_THIS_STATE) from error
    try:
        return _named(leased, adapter.capture(held, request_id=leased.id, amount=leased.amount, final=leased.final))
    except ProviderRefusedError as error:
        if error.reason is Decline.KEY_REUSED:
            return _sought(leased, adapter, held, otherwise=CaptureInDoubtError(f"capture {leased.id}: {error}"))
        if first or error.reason is Decline.CREDENTIALS:
            raise
        # A key that was kept would have got the first try's answer. To be sure, it is looked for all the same.
        return _sought(leased, adapter, held, otherwise=error)
    except UnreadableError as error:
        return _sought(leased, adapter, held, otherwise=error)


def _looked_up(adapter: Provider, held: Reference) -> Answer:
    try:
        return adapter.look_up(held)
    except ProviderRefusedError as error:
        # It was the question that was refused, not the capture.
        raise UnreadableError(f"a look-up was refused: {error}") from error


def _sought(leased: LeasedCapture, adapter: Provider, held: Reference, *, otherwise: Exception) -> Answer:
    """What a look-up says, if the capture is among it; else raises what is given, or that it was never made."""
    events = _looked_up(adapter, held)
    if any(entry.request_id == str(leased.id) for entry in _captures(events)):
        return events
    if _never_made(leased, events):
        raise _never_made_error() from otherwise
    raise otherwise


def _named(leased: LeasedCapture, events: Answer) -> Answer:
    """The same events; the only capture of our authorisation is ours, even if our id is not given back."""
    captures = [entry for entry in _captures(events) if entry.attempt_ref in {"", leased.attempt_ref}]
    if len(captures) != 1 or captures[0].request_id is not None:
        return events
    ours = replace(captures[0], request_id=str(leased.id))
    return [
        replace(event, entries=[ours if entry is captures[0] else entry for entry in event.entries])
        if isinstance(event, ProviderEvent)
        else event
        for event in events
    ]


def _never_made(leased: LeasedCapture, events: Answer) -> bool:
    """Whether its authorisation is over, and a look-up that names the attempts of a payment no capture that may be it.

    A look-up that names no attempt at all (Adyen's) says nothing of captures either.
    """
    entries = list(_entries(events))
    over = leased.over or any(_says_over(leased, entry) for entry in entries)
    names = any(isinstance(entry, AttemptEntry | NoneUnderWayEntry) for entry in entries)
    return over and names and not any(_may_be(leased, entry) for entry in _captures(events))


def _never_made_error() -> ProviderRefusedError:
    words = "its authorisation is over, and the provider names no capture of it"
    return ProviderRefusedError(words, reason=Decline.NOT_IN_THIS_STATE)


def _says_over(leased: LeasedCapture, entry: Entry) -> bool:
    if isinstance(entry, ClosedEntry):
        return True
    released = isinstance(entry, AttemptEntry) and (entry.rest_released or entry.status > AttemptStatus.AUTHORIZED)
    return released and isinstance(entry, AttemptEntry) and entry.ref == leased.attempt_ref


def _may_be(leased: LeasedCapture, entry: CaptureEntry) -> bool:
    """Whether this may be the capture that was asked for, as far as names tell."""
    if entry.request_id is not None:
        return entry.request_id == str(leased.id)
    return leased.provider_ref is None or entry.ref == leased.provider_ref


def _captures(events: Answer) -> Iterator[CaptureEntry]:
    return (entry for entry in _entries(events) if isinstance(entry, CaptureEntry))


def _entries(events: Answer) -> Iterator[Entry]:
    for event in events:
        if isinstance(event, ProviderEvent):
            yield from event.entries


def _record(leased: LeasedCapture, events: Answer) -> str:
    """One transaction for the events; the next try is put off if they leave anything leased."""
    with transaction() as connection:
        recorded = record(connection, received_now(events))
    recorded.count()
    if leased.status is RequestStatus.REQUESTED and _says_paid(events):
        end(Kind.CAPTURE, leased, RequestStatus.SUCCEEDED)
        return RequestStatus.SUCCEEDED.value
    captures = list(_captures(events))
    if leased.status is RequestStatus.PROCESSING:
        if _never_made(leased, events):
            raise _never_made_error()
        silent = not any(_may_be(leased, entry) for entry in captures)
        if silent and leased.sent_ago is not None and leased.sent_ago > DOUBTED_AFTER:
            raise CaptureInDoubtError(f"capture {leased.id}: its provider does not say what became of it")
    silent = leased.status is RequestStatus.REQUESTED and not captures
    later = put_off(Kind.CAPTURE, leased, "the provider says nothing about it" if silent else None)
    return ", ".join(entry.status.value for entry in captures) or later


def _says_paid(events: Answer) -> bool:
    """Whether a provider without names for captures says that money came."""
    return any(
        isinstance(event, ProviderEvent) and not event.entries and event.status is not None and event.status.money_came
        for event in events
    )


def _refused(leased: LeasedCapture, error: ProviderRefusedError) -> str:
    if end(Kind.CAPTURE, leased, RequestStatus.FAILED, decline=error.reason):
        capture_requests_failed_total.labels(leased.provider, error.reason.value).inc()
        log.warning("capture_refused", request_id=str(leased.id), reason=error.reason.value, error=str(error)[:300])
    return f"refused: {error.reason.value}"
