"""Tables of operator commands, of how far the worker is with each, and of what a replay came to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated

LONGEST_OPERATOR: Final = 200
LONGEST_WHY: Final = 2000


class Action(StrEnum):
    """What a command does; ``subject`` is the id of what it does it to."""

    PROCESS = "process"
    """Processes one webhook again."""
    PROCESS_ALL = "process_all"
    """Processes all webhooks again that match the selection in ``details``; it has no subject."""
    STOP = "stop"
    """Ends another command."""
    LOOK_UP = "look_up"
    """Asks the provider about a payment."""
    REVIEW = "review"
    """Notes that the reasons for a review were seen: they are in ``details``, and the payment's ``version``."""
    ACCEPT = "accept"
    """Accepts ``amount``, in ``details``, in place of a payment's own."""
    FAIL_CAPTURE = "fail_capture"
    """Ends ``capture_request``, in ``details``, of a payment as failed: a person saw that it was not made."""
    SETTLE_REFUND = "settle_refund"
    """Ends ``refund``, in ``details``, of a payment: a person saw that it was made, with its ``reference``, or that it
    was not."""
    CANCEL = "cancel"
    """Has a payment canceled at its provider, once more where that was given up; ``details`` has ``requested_by``."""
    CAPTURE = "capture"
    """Asked for money to be captured: ``capture_request``, in ``details``, was made with it."""
    VOID = "void"
    """Asked for what is authorized to be released: ``void``, in ``details``."""
    REFUND = "refund"
    """Asked for money to be given back: ``refund``, in ``details``, and perhaps further rows of that request."""
    TAKE_OVER = "take_over"
    """Gives a payment the order of another one for the same filling of the cart."""
    ERASE = "erase"
    """Erases a person: ``subject`` is the id of a user, as their tokens name it."""
    CREATE_KEY = "create_key"
    """Made an API key: ``subject`` is its id; ``details`` has its ``prefix``, ``name`` and ``scopes``."""
    REVOKE_KEY = "revoke_key"
    """Revoked one."""
    CREATE_ENDPOINT = "create_endpoint"
    """Made a webhook endpoint: ``subject`` is its id, as of all below; ``details`` has what it was made with."""
    CHANGE_ENDPOINT = "change_endpoint"
    """Changed what is in ``details``."""
    DELETE_ENDPOINT = "delete_endpoint"
    ROTATE_SECRET = "rotate_secret"  # noqa: S105 (the word)
    """Gave it a new secret; those before go on signing for ``old_for`` seconds."""
    TEST_ENDPOINT = "test_endpoint"
    REPLAY_EVENTS = "replay_events"
    """Sends events to it once more: ``details`` has the ``replay`` and what it is about."""
    STOP_REPLAY = "stop_replay"
    """Stopped the ``replay`` in ``details``."""
    SIGN_IN = "sign_in"
    """Signed in at the console: ``subject`` is the id of the operator's requests; ``details`` has their ``role``."""
    ENTER_FILE = "enter_file"
    """Had a file of settled money read: ``subject`` is its id; ``details`` has its ``name``, ``provider`` and
    ``state``."""
    ACCEPT_FILE = "accept_file"
    """Entered a file of settled money that does not prove itself: ``subject`` is its id; ``details`` has its ``name``
    and its ``residues``."""
    DISMISS_FILE = "dismiss_file"
    """Said that nobody needs a held file of settled money: ``subject`` is its id; ``details`` has its ``name``."""
    HOLD_FILE = "hold_file"
    """Took that back; as above."""
    ACCEPT_PAYOUT = "accept_payout"
    """Accepted that a payout's entries do not add up to it: ``subject`` is its id; ``details`` has the ``match`` that
    says so, what the entries make (``net``), and the payout's ``amount`` and ``currency``."""
    UNDO_MATCH = "undo_match"
    """Ended a match of settled money: ``subject`` is its id; ``details`` has its ``state``, ``entry``, and ``subject``
    with ``subject_id``, what of ours it was."""
    RESOLVE_MATCH = "resolve_match"
    """Settled an exception; as above. Of all of one kind that a payout has, ``subject`` is the payout's id, and
    ``details`` has the ``state`` and how many ``matches`` there were."""
    LINK_PAYOUT = "link_payout"
    """Said which payout an entry is part of: ``subject`` is the payout's id; ``details`` has the ``entry``."""


class Door(StrEnum):
    """Which way a command came in."""

    CONSOLE = "console"
    CLI = "cli"
    FLOWER = "flower"
    """Retry or Apply; also any other message to ``webhooks.process`` that names no command."""
    API = "api"


class RunState(StrEnum):
    """How far the worker is with a command."""

    WAITING = "waiting"
    """No worker has begun."""
    RUNNING = "running"
    DONE = "done"
    """``message`` says what came of it, where the counts do not."""
    STOPPED = "stopped"
    """An operator ended it."""
    REFUSED = "refused"
    """It could not be carried out; ``message`` says why."""


WITH_RUN: Final = (
    Action.PROCESS,
    Action.PROCESS_ALL,
    Action.LOOK_UP,
    Action.REVIEW,
    Action.ACCEPT,
    Action.FAIL_CAPTURE,
    Action.SETTLE_REFUND,
    Action.CANCEL,
    Action.TAKE_OVER,
    Action.ERASE,
)
"""Actions that the worker carries out. A stop is carried out by the run that it stops, and keys by who asks for it."""

OPEN: Final = (RunState.WAITING, RunState.RUNNING)
"""States in which the worker has still something to do."""


def listed(values: Iterable[str]) -> str:
    """The values as SQL lists them: ``'a', 'b'``."""
    return ", ".join(f"'{value}'" for value in values)


def _any_of(values: Iterable[str]) -> str:
    """As PostgreSQL writes ``IN`` back, so that Alembic finds no difference."""
    return "= ANY (ARRAY[" + ", ".join(f"'{value}'::text" for value in values) + "])"


class OperatorCommand(Dated, Base):
    """What an operator asked for. Only ever inserted: nobody updates or deletes it, not even the tables' owner.

    The trigger audit_guard sees to that (migrations/baseline/commands.sql).
    """

    __tablename__ = "audit"
    __table_args__ = (
        CheckConstraint(f"operator <> '' AND length(operator) <= {LONGEST_OPERATOR}", name="operator_length"),
        CheckConstraint(f"action IN ({listed(Action)})", name="action_known"),
        CheckConstraint(f"door IN ({listed(Door)})", name="door_known"),
        CheckConstraint(f"length(why) <= {LONGEST_WHY}", name="why_length"),
        Index("audit_key", "key", unique=True),
        Index("audit_subject", "subject", "id"),
    )
    key: Mapped[UUID]
    """Made when the form is shown, or by the command line; of Flower it is the id of the task. The same key twice is
    one command. It is also the id of the task that a single webhook's command sends."""
    door: Mapped[str] = mapped_column(Text)
    """Which way it came in: a member of ``Door``."""
    operator: Mapped[str] = mapped_column(Text)
    """Who gave the command: the user at the console, of the operating system, or in Flower."""
    action: Mapped[str] = mapped_column(Text)
    """What is to be done: a member of ``Action``."""
    subject: Mapped[str] = mapped_column(Text)
    """The id of the webhook, payment, command, user, key or operator that it is about; empty where it is about many."""
    why: Mapped[str] = mapped_column(Text)
    """The operator's own words; may be empty."""
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    """Of process_all ``choice``, as ``webhooks.selection`` writes it, and ``counted``; of review ``reason`` (those
    seen) and ``version`` (the payment's, where it is known); of accept ``amount``, in the payment's currency; of
    fail_capture ``capture_request``, its id; of settle_refund ``refund``, its id, ``made`` and, where it was,
    ``reference``, the provider's name for it; of cancel ``requested_by``, the id of the operator's requests; of capture
    ``capture_request``, of void ``void`` and of refund ``refund``, the id of what was made; of create_key and
    revoke_key ``prefix``, ``name`` and ``scopes``; of sign_in ``role``; of a webhook endpoint what was asked for."""


class CommandRun(Dated, Base):
    """How far the worker is with the command of the same id."""

    __tablename__ = "command_runs"
    __table_args__ = (
        CheckConstraint(f"state IN ({listed(RunState)})", name="state_known"),
        Index("command_runs_open", "leased_until", postgresql_where=text(f"state {_any_of(OPEN)}")),
    )
    id: Mapped[UUID] = mapped_column(ForeignKey("audit.id"), primary_key=True, server_default=text("uuidv7()"))
    state: Mapped[str] = mapped_column(Text, server_default=text(f"'{RunState.WAITING}'"))
    """A member of ``RunState``."""
    leased_until: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=text("now()"))
    """Until then no other task commands.run takes this one up."""
    after_id: Mapped[UUID | None]
    """The last webhook that was taken: those up to it are not taken again, whatever became of them."""
    replayed: Mapped[int] = mapped_column(server_default=text("0"))
    """Webhooks that were taken."""
    all_taken: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether no webhook that matches is left."""
    message: Mapped[str | None] = mapped_column(Text)
    """What came of it, or why it was refused, for the operator."""
    trace_context: Mapped[str | None] = mapped_column(String(55))
    """The trace of the request that gave the command (W3C traceparent), where that is sampled."""


class CommandResult(Dated, Base):
    """How many webhooks of a replay ended in a state; counted in the transaction that wrote those states."""

    __tablename__ = "command_results"
    __table_args__ = (Index("command_results_command_id_state", "command_id", "state", unique=True),)
    command_id: Mapped[UUID] = mapped_column(ForeignKey("command_runs.id"))
    """The command that replayed them."""
    state: Mapped[str] = mapped_column(Text)
    """The state in which they ended: a member of ``DeliveryState``."""
    count: Mapped[int]
    """How many ended so."""
