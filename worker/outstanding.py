"""How refunds, captures and voids that somebody asked for are seen to, until their provider has made or refused them.

A claim is a lease. Each is asked for with its id as the provider's idempotency key: a task that is killed anywhere is
taken up again when its lease ends, and asks with the same key. A key is not kept for ever: when the first try is long
ago, the provider is only asked what it knows, since asking again might do it twice.

Whoever notes a sending, or ends one, locks its payment first: that is the order of locks, and the triggers of the first
sending (migrations/entries/requests.sql) lock the payment again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Final, TypeVar
from uuid import UUID

import structlog
from sqlalchemy import Connection, TextClause, text

from checkout_service.database.engine import Conflict, execute, transaction
from checkout_service.database.errors import DatabaseLockedError, DatabaseUnavailableError
from checkout_service.payments.status import RequestStatus
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
from checkout_service.telemetry import tracing
from worker.backoff import describe, jittered
from worker.context import provider
from worker.unanswered import NOT_CALLED, may_call, note_answered, note_unanswered

Answer = Sequence[ProviderEvent | ProviderRefundEvent]

LEASE: Final = timedelta(seconds=90)
"""Longer than the tasks' hard time limit (75 s): nobody claims a row whose worker may still be alive."""

SOONEST: Final = {RequestStatus.REQUESTED: timedelta(seconds=5), RequestStatus.PROCESSING: timedelta(minutes=10)}
LATEST: Final = {RequestStatus.REQUESTED: timedelta(minutes=15), RequestStatus.PROCESSING: timedelta(hours=12)}

ASK_AGAIN_FOR: Final = timedelta(hours=20)
"""Since it was asked for first. Stripe keeps a key for 24 hours at least, PayPal for 45 days; where nothing is promised
(Mollie) the provider adapter looks for what was made each time before it asks."""


class Kind(StrEnum):
    """What was asked for: the table of it."""

    REFUND = "refunds"
    CAPTURE = "capture_requests"
    VOID = "voids"


_lock_payment = text("SELECT FROM payments WHERE id = :payment_id FOR NO KEY UPDATE")

# Before the provider is asked, so that whoever hears of it knows that it may be this one. The first time a trigger of
# refunds and captures looks whether there still is cover. Later a refund says so: a capture would be refused anyway.
_NOTE_SENT: Final = """
    UPDATE {table} AS mine SET sent_at = coalesce(mine.sent_at, now())
    WHERE mine.id = :id AND mine.status = 'requested' AND mine.next_attempt_at = :lease
    RETURNING {covered} AS covered
"""

_COVERED: Final = """
    mine.amount <= (SELECT payment.amount_captured - payment.amount_lost - payment.amount_blocked
            FROM payments AS payment WHERE payment.id = mine.payment_id) - coalesce((
            SELECT sum(other.amount) FROM refunds AS other
            WHERE other.payment_id = mine.payment_id AND other.id <> mine.id AND (other.status = 'succeeded'
                OR other.status <= 'processing' AND (other.sent_at IS NOT NULL OR other.requested_by IS NULL))
        ), 0)
"""

# Only where the claim still holds, and nobody has moved it on meanwhile.
_PUT_OFF: Final = """
    UPDATE {table} SET next_attempt_at = now() + :delay, detail = :detail{doubt},
        sent_at = CASE WHEN CAST(:unasked AS boolean) THEN NULL ELSE sent_at END
    WHERE id = :id AND status <= 'processing' AND next_attempt_at = :lease
"""


def of_each(statement: str) -> Mapping[Kind, TextClause]:
    """The statement for each table. To void twice does no harm, so no void is ever in doubt."""
    return {
        kind: text(
            statement.format(
                table=kind.value,
                covered=_COVERED if kind is Kind.REFUND else "true",
                doubt="" if kind is Kind.VOID else ", in_doubt = in_doubt OR :in_doubt",
            )
        )
        for kind in Kind
    }


_note_sent, _put_off = of_each(_NOTE_SENT), of_each(_PUT_OFF)

log = structlog.get_logger(__name__)


class InDoubtError(Exception):
    """Nobody knows whether the provider made it, and to ask again might make it twice: a person has to look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """A row under lease. ``sent_ago`` is the time since its provider was asked for it first, if it ever was.

    ``in_doubt`` tells that a person was sent for to see what became of it: it is only looked up from then on.
    ``trace_context`` is the trace of the request that asked for it, where that is sampled.
    """

    KIND: ClassVar[Kind]

    id: UUID
    payment_id: UUID
    provider: str
    status: RequestStatus
    lease: datetime
    age: timedelta
    sent_ago: timedelta | None
    trace_context: str | None = None
    in_doubt: bool = False

    def __str__(self) -> str:
        return f"{self.KIND.name.lower()} {self.id}"


L = TypeVar("L", bound=Leased)


def take(row_id: str, claim: Callable[[UUID], L | None], work: Callable[[L], str]) -> str:
    """The body of a task: claim this row and work on it, if nobody else does; what came of it."""
    try:
        leased = claim(UUID(row_id))
        if leased is None:
            return "nothing is outstanding now"
        attributes: tracing.Attributes = {tracing.Attribute.PROVIDER: leased.provider}
        name = f"{leased.KIND.name.lower()} request"
        with tracing.of_row(name, tracing.Kind.INTERNAL, attributes, context=leased.trace_context):
            return work(leased)
    except DatabaseLockedError:
        return "another transaction holds its payment; the sweep sends this task again"
    except DatabaseUnavailableError:
        log.warning("database_unavailable", id=row_id)
        return "the database is unavailable; the sweep sends this task again"


def claimed(statement: TextClause, row_id: UUID) -> dict[str, Any] | None:
    """The row that this statement leases; None when nothing is outstanding now, or another task has it."""
    rows = execute(statement, {"id": row_id, "lease": LEASE})
    if not rows:
        return None
    row: dict[str, Any] = rows[0]._asdict()
    return row | {"status": RequestStatus(row["status"])}


def lock_payment(connection: Connection, leased: Leased) -> None:
    """Lock the payment that it is of, until the transaction ends."""
    connection.execute(_lock_payment, {"payment_id": leased.payment_id})


def note_sent(leased: Leased) -> bool:
    """Write down that its provider is about to be asked.

    Returns whether, of a refund, its payment has the money, beside those refunds that the provider knows or may know: a
    dispute may have come since it was asked for first. Raises ProviderUnavailableError when the lease is over, so that
    it must not be asked, and ProviderRefusedError when it would be the first time, and there is no cover any more.
    """
    try:
        with transaction() as connection:
            lock_payment(connection, leased)
            row = connection.execute(_note_sent[leased.KIND], {"id": leased.id, "lease": leased.lease}).first()
    except Conflict as error:
        gone = "what it is of went before it was asked for"
        raise ProviderRefusedError(gone, reason=Decline.NOT_IN_THIS_STATE) from error
    if row is None:
        raise ProviderUnavailableError("not asked: its lease is over, another task has it", in_progress=True)
    return bool(row.covered)


def put_off(
    leased: Leased,
    detail: str | None,
    *,
    least: timedelta = timedelta(0),
    unasked: bool = False,
    in_doubt: bool = False,
) -> str:
    """Put the next try off; the delay doubles by itself, being as long as the request is old.

    ``in_doubt`` tells that only a person can find out what became of it; that stays so, whatever the next tries come
    to, until a provider names it. ``unasked`` tells that the provider did not look at what it was asked for and never
    was before.
    """
    delay = max(least, min(max(leased.age, SOONEST[leased.status]), LATEST[leased.status]))
    row = {"id": leased.id, "lease": leased.lease, "unasked": unasked, "in_doubt": in_doubt}
    written = None if detail is None else plain(detail)
    execute(_put_off[leased.KIND], row | {"delay": jittered(delay), "detail": written})
    return f"later: {detail or 'still processing'}"


def plain(detail: str) -> str:
    """As it is kept for operators: short, and without a character that a terminal or a table could not show."""
    return detail[:300].encode("unicode_escape").decode()


def see_to(leased: Leased, ask: Callable[[Provider], str], *, refused: Callable[[ProviderRefusedError], str]) -> str:
    """Ask its provider, and put the next try off where nothing came of it. ``refused`` ends what was refused.

    Raises InDoubtError, DatabaseLockedError and DatabaseUnavailableError.
    """
    adapter = provider(leased.provider)
    if adapter is None:
        return put_off(leased, "no account at this provider is set up")
    if not may_call(leased.provider):
        return put_off(leased, f"unavailable: {NOT_CALLED}")
    try:
        came = ask(adapter)
        note_answered(leased.provider)
        return came
    except ProviderUnavailableError as error:
        note_unanswered(leased.provider, leased.payment_id, error)
        return put_off(leased, f"unavailable: {error}")
    except ProviderRefusedError as error:
        if error.reason is Decline.CREDENTIALS:  # ours to mend, and until then the provider is as good as away
            return put_off(leased, f"our credentials are refused: {error}", unasked=leased.sent_ago is None)
        note_answered(leased.provider)
        return refused(error)
    except UnreadableError as error:
        note_answered(leased.provider)
        return put_off(leased, f"not understood: {error}")
    except InDoubtError:
        detail = "in doubt: see in the provider's dashboard whether it was made"
        put_off(leased, detail, least=timedelta(hours=1), in_doubt=True)
        raise
    except (DatabaseLockedError, DatabaseUnavailableError):
        raise
    except Exception as error:
        log.exception("outstanding_broke", kind=leased.KIND.value, id=str(leased.id))
        return put_off(leased, f"broke: {describe(error)}")


def make_once(leased: Leased, make: Callable[[], Answer], *, sought: Callable[[Exception], Answer]) -> Answer:
    """What the provider answers when it is asked to make it, or about it where that is all we may do.

    ``sought`` looks for it at the provider, and raises what it is given where it is not there.
    """
    if leased.in_doubt or (leased.sent_ago is not None and leased.sent_ago > ASK_AGAIN_FOR):
        return sought(InDoubtError(str(leased)))
    if not note_sent(leased):
        # Without cover a first try that never arrived must not be made up for.
        return sought(InDoubtError(str(leased)))
    try:
        return make()
    except ProviderRefusedError as error:
        if error.reason is Decline.KEY_REUSED:
            return sought(InDoubtError(f"{leased}: {error}"))
        if leased.sent_ago is None or error.reason is Decline.CREDENTIALS:
            raise
        # A key that was kept would have got the first try's answer. To be sure, it is looked for all the same.
        return sought(error)
    except UnreadableError as error:
        return sought(error)


def looked_up(adapter: Provider, held: Reference) -> Answer:
    """What the provider knows of the payment. That the question was refused refuses nothing that was asked for."""
    try:
        with tracing.calling(adapter.name, tracing.Call.LOOK_UP):
            return adapter.look_up(held)
    except ProviderRefusedError as error:
        raise UnreadableError(f"a look-up was refused: {error}") from error
