"""The task ``payments.capture``: claim, ask the provider, record. As that of refunds (worker/refunds/task.py).

A capture that is requested is asked for once; one that is processing is looked up. It ends by an event that carries its
id or the provider's name for it, in worker/transitions, or once its authorisation is over and a look-up after that
names no capture that may be it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Final

import structlog
from celery import shared_task

from checkout_service.database.engine import transaction
from checkout_service.payments.status import AttemptStatus, RequestStatus
from checkout_service.providers.base import Decline, Provider, ProviderEvent, ProviderRefusedError, Reference
from checkout_service.providers.entries import AttemptEntry, CaptureEntry, ClosedEntry, Entry, NoneUnderWayEntry
from checkout_service.tasks import TaskName
from checkout_service.telemetry import tracing
from checkout_service.telemetry.metrics import capture_requests_failed_total
from worker.captures.leases import LeasedCapture, claim_capture, end
from worker.outstanding import Answer, InDoubtError, looked_up, make_once, put_off, see_to, take
from worker.references import reference
from worker.transitions.outcomes import received_now
from worker.transitions.recording import record

DOUBTED_AFTER: Final = timedelta(hours=72)
"""Since it was asked for first: one that is processing, and that no look-up names, is left to a person. Adyen, whose
look-ups name nothing, says in a webhook what becomes of a capture, within a few days at the latest."""

log = structlog.get_logger(__name__)


@shared_task(name=TaskName.CAPTURE_PAYMENT)
def capture(request_id: str) -> str:
    """Ask for this capture, or about it, if that is leased now; run it again at any time.

    Raises InDoubtError when only a person can tell what became of it.
    """
    return take(request_id, claim_capture, _work)


def _work(leased: LeasedCapture) -> str:
    held = replace(reference(leased.payment_id), attempt_ref=leased.attempt_ref or None)
    return see_to(
        leased,
        lambda adapter: _record(leased, _ask(leased, adapter, held)),
        refused=lambda error: _refused(leased, error),
    )


def _ask(leased: LeasedCapture, adapter: Provider, held: Reference) -> Answer:
    """What the provider says when it is asked for the capture, or about it where that is all we may do."""
    if leased.status is RequestStatus.PROCESSING:
        return looked_up(adapter, held)
    return make_once(
        leased,
        lambda: _named(leased, _capture(leased, adapter, held)),
        sought=lambda otherwise: _sought(leased, adapter, held, otherwise),
    )


def _capture(leased: LeasedCapture, adapter: Provider, held: Reference) -> Answer:
    with tracing.calling(leased.provider, tracing.Call.CAPTURE):
        return adapter.capture(held, request_id=leased.id, amount=leased.amount, final=leased.final)


def _sought(leased: LeasedCapture, adapter: Provider, held: Reference, otherwise: Exception) -> Answer:
    """What a look-up says, if the capture is among it; else raises what is given, or that it was never made."""
    events = looked_up(adapter, held)
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
    recorded.follow_up()
    if leased.status is RequestStatus.REQUESTED and _says_paid(events):
        end(leased, RequestStatus.SUCCEEDED)
        return RequestStatus.SUCCEEDED.value
    captures = list(_captures(events))
    if leased.status is RequestStatus.PROCESSING:
        if _never_made(leased, events):
            raise _never_made_error()
        silent = not any(_may_be(leased, entry) for entry in captures)
        if silent and leased.sent_ago is not None and leased.sent_ago > DOUBTED_AFTER:
            raise InDoubtError(f"{leased}: its provider does not say what became of it")
    silent = leased.status is RequestStatus.REQUESTED and not captures
    later = put_off(leased, "the provider says nothing about it" if silent else None)
    return ", ".join(entry.status.value for entry in captures) or later


def _says_paid(events: Answer) -> bool:
    """Whether a provider without names for captures says that money came."""
    return any(
        isinstance(event, ProviderEvent) and not event.entries and event.status is not None and event.status.money_came
        for event in events
    )


def _refused(leased: LeasedCapture, error: ProviderRefusedError) -> str:
    if end(leased, RequestStatus.FAILED, decline=error.reason, detail=error.answer):
        capture_requests_failed_total.labels(leased.provider, error.reason.value).inc()
        log.warning("capture_refused", request_id=str(leased.id), reason=error.reason.value, error=str(error)[:300])
    return f"refused: {error.reason.value}"
