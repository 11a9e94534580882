"""Asks providers about payments, records what they answer, and keeps question and answer for operators to see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from time import monotonic
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import text

from checkout_service.api.responses import show_time
from checkout_service.database.engine import execute, transaction
from checkout_service.database.errors import DatabaseLockedError, DatabaseUnavailableError
from checkout_service.payments.look_up_log import Question
from checkout_service.providers.base import (
    Provider,
    ProviderError,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderUnavailableError,
    Reference,
)
from checkout_service.telemetry import tracing
from worker.context import provider as provider_named
from worker.payments.restored import note_recorded
from worker.references import reference
from worker.transitions.outcomes import Outcome, received_now
from worker.transitions.recording import record
from worker.unanswered import note_answered, note_unanswered

Answer = Sequence[ProviderEvent | ProviderRefundEvent]

Ask = Callable[[Provider, Reference], Answer]
"""Puts a question to a provider. Raises ProviderError."""

WORK_FOR: Final = 40.0
"""Seconds for which a run begins further questions."""

GIVE_UP_AFTER: Final = 3
"""Failures in a row after which a run asks this provider no more: it is away, and the next run is not far."""

LOGGED: Final = 50
"""Questions and answers that are kept of each payment."""

_KEPT_FROM_LAST: Final = LOGGED - 2

_log_question = text(f"""
    UPDATE payments SET look_up_log = jsonb_path_query_array(look_up_log, '$[last - {_KEPT_FROM_LAST} to last]')
        || jsonb_build_object(
            'at', CAST(:at AS text), 'question', CAST(:question AS text), 'answer', CAST(:answer AS text))
    WHERE id = :id
""")  # noqa: S608 (only our own constants)

log = structlog.get_logger(__name__)


def _look_up(adapter: Provider, reference: Reference) -> Answer:
    return adapter.look_up(reference)


def _traced(inquiry: Inquiry, call: Callable[[], Answer]) -> Answer:
    what = tracing.Call.CANCEL if inquiry.question is Question.CANCEL else tracing.Call.LOOK_UP
    with tracing.calling(inquiry.provider, what):
        return call()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """A question about one payment, not put yet; a plain look-up unless it is given.

    ``still_due`` is called right before, and False drops it. ``then`` is called right after, where it is of no use to
    ask again soon; ``in_vain`` where the provider was away. With ``after_restore`` the
    payment waits no more once the answer is recorded.
    """

    payment_id: UUID
    provider: str
    question: Question = Question.LOOK_UP
    ask: Ask = _look_up
    after_restore: bool = False
    still_due: Callable[[], bool] = lambda: True
    then: Callable[[], None] = lambda: None
    in_vain: Callable[[], None] = lambda: None


class StatusQueries:
    """The questions of one run of a task: how long it may go on asking, and what came of it."""

    def __init__(self) -> None:
        self._until = monotonic() + WORK_FOR
        self._failures_in_a_row: Counter[str] = Counter()
        self._payments = 0
        self._events = 0
        self._unrecorded: list[tuple[Inquiry, Answer]] = []
        self.recorded = False
        """Whether all events of the last answer are recorded."""
        self.last_answer = ""
        """The last answer, as the payment's log keeps it."""

    def may_go_on(self) -> bool:
        """Whether there is time for another question."""
        return monotonic() < self._until

    def patience(self, provider: str) -> int:
        """How many more questions in a row this provider may leave without an answer; 0 once it is away."""
        return max(0, GIVE_UP_AFTER - self._failures_in_a_row[provider])

    def ask(self, inquiry: Inquiry) -> bool:
        """Ask its provider about one payment and record the answer; an error is this payment's alone.

        Returns whether it is of no use to ask again soon: only a provider that is away may soon say more. Raises
        DatabaseUnavailableError.
        """
        call = self.prepared(inquiry)
        return call is None or self.conclude(inquiry, call)

    def prepared(self, inquiry: Inquiry) -> Callable[[], Answer] | None:
        """The call to its provider, fit for any thread; None where nobody can be asked.

        Raises DatabaseUnavailableError.
        """
        adapter = provider_named(inquiry.provider)
        if adapter is None:
            log.warning("provider_without_account", provider=inquiry.provider, payment_id=str(inquiry.payment_id))
            self._log(inquiry, "not asked: no account at this provider is set up")
            return None
        call = partial(inquiry.ask, adapter, reference(inquiry.payment_id))
        # Another thread knows of no trace, and would begin one.
        return partial(copy_context().run, _traced, inquiry, call) if tracing.is_on() else call

    def conclude(self, inquiry: Inquiry, call: Callable[[], Answer]) -> bool:
        """Record what ``call`` returns, or note what it raises; like ``ask`` for the rest."""
        payment_id, provider = inquiry.payment_id, inquiry.provider
        self._payments += 1
        self.recorded = False
        try:
            answer = call()
        except ProviderUnavailableError as error:
            if error.in_progress:  # it answered: what was asked for is at work, or not to be told yet
                self._failures_in_a_row[provider] = 0
                note_answered(provider)
            else:
                self._failures_in_a_row[provider] += 1
                note_unanswered(provider, payment_id, error)
            log.warning("provider_unavailable", payment_id=str(payment_id), error=str(error))
            self._log(inquiry, f"unavailable: {error}")
            return False
        except ProviderError as error:
            self._failures_in_a_row[provider] = 0  # an answer is one, whatever it is
            note_answered(provider)
            log.warning("provider_not_understood", payment_id=str(payment_id), error=str(error))
            self._log(inquiry, f"not understood: {error}")
            return True
        except Exception as error:
            log.exception("provider_broke", payment_id=str(payment_id))
            self._log(inquiry, f"broke its reader: {type(error).__name__}")
            return True
        self._failures_in_a_row[provider] = 0
        note_answered(provider)
        self._record(answer, inquiry)
        self._log(inquiry, ", ".join(_in_words(event) for event in answer) or "nothing new")
        return True

    def record_delayed(self) -> None:
        """Record once more the answers about payments that somebody else had locked until now."""
        delayed, self._unrecorded = self._unrecorded, []
        while delayed and monotonic() < self._until:
            inquiry, answer = delayed.pop()
            self._record(answer, inquiry)

    def summary(self) -> str:
        """What came of all questions, as the task's result."""
        return f"asked about {self._payments} payments, learned {self._events} events"

    def _record(self, answer: Answer, inquiry: Inquiry) -> None:
        payment_id = inquiry.payment_id
        try:
            if answer or inquiry.after_restore:
                self._write(answer, inquiry)
            else:
                self.recorded = True
        except DatabaseLockedError:
            log.warning("payment_held_by_another", payment_id=str(payment_id))
            self._unrecorded.append((inquiry, answer))
        except DatabaseUnavailableError:
            raise
        except Exception:
            log.exception("events_not_recorded", payment_id=str(payment_id))
        else:
            self._events += sum(bool(event.event_id) for event in answer)

    def _write(self, answer: Answer, inquiry: Inquiry) -> None:
        with transaction() as connection:
            recorded = record(connection, received_now(answer)) if answer else None
            outcomes = {effect.outcome for effect in recorded.effects} if recorded else set()
            is_whole = not outcomes & {Outcome.WAITING, Outcome.PARKED}
            if is_whole and inquiry.after_restore:
                note_recorded(connection, inquiry.payment_id, inquiry.provider)
        if recorded:
            recorded.follow_up()
        self.recorded = is_whole

    def _log(self, inquiry: Inquiry, answer: str) -> None:
        """Keep the answer for operators; what jsonb cannot hold is escaped."""
        self.last_answer = plain = answer[:200].encode("unicode_escape").decode()
        with suppress(DatabaseLockedError):  # it is only a note
            execute(
                _log_question,
                {
                    "id": inquiry.payment_id,
                    "at": show_time(datetime.now(UTC)),
                    "question": inquiry.question.value,
                    "answer": plain,
                },
            )


def _in_words(event: ProviderEvent | ProviderRefundEvent) -> str:
    if isinstance(event, ProviderRefundEvent):
        return f"refund {event.status.value}"
    return "entries" if event.status is None else event.status.value
