"""Every task of the worker, each declared once: Celery reads the declarations, worker/ binds a function to each.

The web tier names tasks and never imports the worker. A message says only that there may be work: the row says what is
to be done. So each task may run twice at once, and each message may be lost; its ``promise`` says why that is safe.

A new task needs its declaration here, its function in worker/ under ``@shared_task(name=TaskName.…)``, and a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final, Self

from checkout_service.settings.catalog_source import sync_every


class QueueName(StrEnum):
    """The broker's queues. Slow calls to providers and long deletions never stand before a webhook."""

    WEBHOOKS = "webhooks"
    PAYMENTS = "payments"
    HOUSEKEEPING = "housekeeping"
    EVENTS = "events"


QUEUES_OF_PROCESS: Final = {
    "worker": (QueueName.WEBHOOKS,),
    "housekeeping": (QueueName.PAYMENTS, QueueName.HOUSEKEEPING),
    "sender": (QueueName.EVENTS,),
}
"""Which process of the Procfile, and of deploy/, takes messages from which queues."""

SHORT: Final = timedelta(seconds=20)
"""The time limit of a task that works for a few seconds and may then be inside one slow call."""

ENDING: Final = timedelta(seconds=15)
"""What a worker that was asked to end takes beyond its tasks: 10 s for a broker that froze, some for its processes."""

LONG: Final = timedelta(seconds=75)
"""The time limit of a task that works for up to 40 s in bounded steps and may then be inside up to three slow calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How often beat sends the task.

    The next message says the same as the one before it. So a lost message does no harm, and one that waited is worth
    nothing once another has been taken: whoever takes it finds that the task began less than half of this time ago, and
    does not begin it again. Otherwise a day without workers would leave a day of runs. A message has no end of its own:
    it would be set by beat's clock and judged by the worker's, and one that is behind would end them all.
    """

    every: timedelta


_every: Final = sync_every()

OF_SOURCE: Final = Schedule(every=_every) if _every else None
"""Of the catalogue's source: none where ``CATALOG_SOURCE`` names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """A task: its name in messages, who runs it, for how long, when, and why two runs or none do no harm.

    ``module`` is where its function is. ``argument`` is what the function calls its one argument, the id of a row;
    None where it takes nothing. A task without a ``schedule`` is sent by those who made or changed its row.
    ``time_limit`` is hard: after it the process that runs the task is killed, and the row is left to the next run.
    """

    name: str
    module: str
    queue: QueueName
    time_limit: timedelta
    promise: str
    argument: str | None = None
    schedule: Schedule | None = None


class TaskName(StrEnum):
    """Every task by its name; ``declaration`` says the rest of it."""

    declaration: Declaration

    # A look-up by name, TaskName("webhooks.process"), has the same form; Enum answers it and never comes here.
    def __new__(cls, declaration: Declaration | str) -> Self:
        if not isinstance(declaration, Declaration):
            raise TypeError(f"{declaration!r} is no declaration of a task")
        task = str.__new__(cls, declaration.name)
        task._value_ = declaration.name
        task.declaration = declaration
        return task

    PROCESS_WEBHOOK = Declaration(
        name="webhooks.process",
        module="worker.webhooks.task",
        argument="delivery_id",
        queue=QueueName.WEBHOOKS,
        time_limit=SHORT,
        promise="A webhook is claimed under a lease before it is processed; the sweep sends again for what waits.",
    )
    SWEEP_WEBHOOKS = Declaration(
        name="webhooks.sweep",
        module="worker.webhooks.sweeping",
        queue=QueueName.WEBHOOKS,
        time_limit=SHORT,
        # A sweep may have to wait for its turn while all workers are on a backlog.
        schedule=Schedule(every=timedelta(seconds=2)),
        promise="It changes due times of rows that it locks, and sends wake-ups, which do no harm twice.",
    )
    PRUNE_WEBHOOKS = Declaration(
        name="webhooks.prune",
        module="worker.webhooks.pruning",
        queue=QueueName.HOUSEKEEPING,
        time_limit=LONG,
        schedule=Schedule(every=timedelta(seconds=60)),
        promise="It deletes what is past its retention and skips rows that another run holds; the next run goes on.",
    )
    TURN_PARTS = Declaration(
        name="webhooks.parts",
        module="worker.webhooks.parts",
        queue=QueueName.HOUSEKEEPING,
        time_limit=LONG,
        schedule=Schedule(every=timedelta(minutes=10)),
        promise="Parts are made two weeks ahead and dropped once; what somebody has is left to the next run.",
    )
    LOOK_UP_PAYMENTS = Declaration(
        name="payments.look_up",
        module="worker.payments.look_ups",
        queue=QueueName.PAYMENTS,
        time_limit=LONG,
        schedule=Schedule(every=timedelta(seconds=30)),
        promise="A payment's next look-up is set before its provider is asked, so two runs ask about different ones.",
    )
    EXPIRE_PAYMENTS = Declaration(
        name="payments.expire",
        module="worker.payments.look_ups",
        queue=QueueName.PAYMENTS,
        time_limit=LONG,
        schedule=Schedule(every=timedelta(seconds=60)),
        promise="To cancel a payment twice at its provider does no harm; the second answer changes nothing.",
    )
    REFUND_PAYMENT = Declaration(
        name="payments.refund",
        module="worker.refunds.task",
        argument="refund_id",
        queue=QueueName.PAYMENTS,
        time_limit=LONG,
        promise="A refund is leased before its provider is asked, with its id as the key; the sweep sends again.",
    )
    CAPTURE_PAYMENT = Declaration(
        name="payments.capture",
        module="worker.captures.capturing",
        argument="request_id",
        queue=QueueName.PAYMENTS,
        time_limit=LONG,
        promise="A request is leased before its provider is asked, with its id as the key; the sweep sends again.",
    )
    VOID_PAYMENT = Declaration(
        name="payments.void",
        module="worker.captures.voiding",
        argument="void_id",
        queue=QueueName.PAYMENTS,
        time_limit=LONG,
        promise="A void is leased before its provider is asked; to release twice does no harm; the sweep sends again.",
    )
    CANCEL_PAYMENT = Declaration(
        name="payments.cancel",
        module="worker.payments.cancelling",
        argument="payment_id",
        queue=QueueName.PAYMENTS,
        time_limit=LONG,
        promise="A request to cancel is leased before its provider is asked; the sweep sends again.",
    )
    CANCEL_SHORT_ORDERS = Declaration(
        name="orders.cancel_short",
        module="worker.refunds.short_orders",
        queue=QueueName.HOUSEKEEPING,
        time_limit=LONG,
        schedule=Schedule(every=timedelta(seconds=30)),
        promise="An order is canceled with its refunds in one statement, under its lock; the sweep sends for these.",
    )
    SWEEP_PAYMENTS = Declaration(
        name="payments.sweep",
        module="worker.payments.sweeping",
        queue=QueueName.PAYMENTS,
        time_limit=SHORT,
        # Every five seconds: as long as a fresh request waits before it is due.
        schedule=Schedule(every=timedelta(seconds=5)),
        promise="It sends messages for requests that are due, harmless twice, and numbers what has no number.",
    )
    RUN_COMMANDS = Declaration(
        name="commands.run",
        module="worker.commands",
        queue=QueueName.PAYMENTS,
        time_limit=LONG,
        # The console sends a message itself; this one finds what was commanded while the broker was away.
        schedule=Schedule(every=timedelta(seconds=10)),
        promise="Each step of a command is taken under a lease, so two runs never take the same one.",
    )
    SWEEP_STOCK = Declaration(
        name="stock.sweep",
        module="worker.stock.sweeping",
        queue=QueueName.HOUSEKEEPING,
        time_limit=LONG,
        schedule=Schedule(every=timedelta(seconds=30)),
        promise="It ends holds whose time is over and skips rows that another run holds; the next run goes on.",
    )
    SYNC_CATALOG = Declaration(
        name="catalog.sync",
        module="worker.catalog",
        queue=QueueName.HOUSEKEEPING,
        time_limit=LONG,
        schedule=OF_SOURCE,
        promise="A sync runs alone, by its row, and writes what differs; the next one goes on where it was killed.",
    )
    SWEEP_GUESTS = Declaration(
        name="guests.sweep",
        module="worker.guests",
        queue=QueueName.HOUSEKEEPING,
        time_limit=LONG,
        schedule=Schedule(every=timedelta(minutes=10)),
        promise="It ends guests nobody comes back as and skips rows that another run holds; the next run goes on.",
    )
    WRITE_DUE_EVENTS = Declaration(
        name="events.due",
        module="worker.events.dues",
        queue=QueueName.HOUSEKEEPING,
        time_limit=LONG,
        schedule=Schedule(every=timedelta(seconds=60)),
        promise="Each event is written once for its object and date, whoever comes second; the next run goes on.",
    )
    TURN_DAYS = Declaration(
        name="events.days",
        module="worker.events.days",
        queue=QueueName.HOUSEKEEPING,
        time_limit=LONG,
        schedule=Schedule(every=timedelta(minutes=10)),
        promise="Days are made a week ahead and dropped once; what somebody has is left to the next run.",
    )
    BACKFILL_PAYMENTS = Declaration(
        name="payments.backfill",
        module="worker.payments.backfill",
        queue=QueueName.PAYMENTS,
        time_limit=LONG,
        schedule=Schedule(every=timedelta(hours=1)),
        promise="An event has its webhook's id, so it is recorded once; the next run asks for the same days.",
    )
    SEND_EVENTS = Declaration(
        name="events.send",
        module="worker.events.task",
        queue=QueueName.EVENTS,
        time_limit=LONG,
        promise="An endpoint is claimed under a lease before anything is sent there; the sweep sends again.",
    )
    SWEEP_EVENTS = Declaration(
        name="events.sweep",
        module="worker.events.sweeping",
        queue=QueueName.EVENTS,
        time_limit=SHORT,
        schedule=Schedule(every=timedelta(seconds=2)),
        promise="It sends a wake-up where events are due, harmless twice, and moves places up that skip nothing.",
    )
