"""Numbers, given after the commit: to orders, for people, without a gap; and to events, by which readers remember them.

An order and an event are committed without one. It follows in a transaction of its own, at once: so no set of webhooks
waits for the commit of another one, and no reader who remembers the last number misses an event that was committed late
(docs/decisions/0017-orders.md, 0018-events.md).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import structlog

from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.publishing.events_wake_up import wake_sender
from worker.context import settings

AT_ONCE: Final = 1000
"""Orders, and events, that get their numbers in one transaction; of events a set more."""

_SEQUENCE: Final = Statement(
    "SELECT orders, events FROM events_sequence(CAST(:prefix AS text), CAST(:most AS integer))", named=False
)

log = structlog.get_logger(__name__)


class Sequenced(NamedTuple):
    """How many orders and how many events got a number."""

    orders: int
    events: int


def sequence_events() -> Sequenced:
    """Give numbers, as ``give_numbers`` does, and wake the sender if there were events."""
    found = give_numbers()
    if found.events:
        try:
            wake_sender()
        except Exception as error:  # noqa: BLE001 (as below)
            log.warning("sender_not_woken", error=type(error).__name__)
    return found


def give_numbers() -> Sequenced:
    """Give numbers to all orders and events that were committed and have none.

    Call it after the commit. It never raises: the next one, or a sweep, numbers what this one left.
    """
    orders, events = 0, 0
    try:
        found = Sequenced(AT_ONCE, AT_ONCE)
        while max(found) >= AT_ONCE:
            found = Sequenced._make(execute(_SEQUENCE, {"prefix": settings().order_number_prefix, "most": AT_ONCE})[0])
            orders += found.orders
            events += found.events
    except Exception as error:  # noqa: BLE001 (the money is committed, and whoever entered it goes on)
        log.warning("events_not_sequenced", error=type(error).__name__)
    return Sequenced(orders, events)
