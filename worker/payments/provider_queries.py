"""Puts questions to providers about payments, records what they say, and keeps for operators what was asked."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import text

from checkout_service.api.responses import show_time
from checkout_service.database.engine import execute, transaction
from checkout_service.database.errors import DatabaseLockedError, DatabaseUnavailableError
from checkout_service.providers.base import ProviderError, ProviderEvent, ProviderRefundEvent, ProviderUnavailableError
from worker.context import provider
from worker.references import reference
from worker.transitions.outcomes import Outcome
from worker.transitions.refunds import count_refunds, record_all
from worker.transitions.reports import of_answer
from worker.transitions.rules import Entered

WORK_FOR: Final = 40.0
GIVE_UP_AFTER: Final = 3
"""Failures in a row after which a run ends: the provider is away, and the next run is not far."""

NOTED: Final = 50
"""Questions and answers that are kept of each payment."""

_KEPT_FROM_LAST: Final = NOTED - 2

_note = text(f"""
    UPDATE payments SET look_up_log = jsonb_path_query_array(look_up_log, '$[last - {_KEPT_FROM_LAST} to last]')
        || jsonb_build_object(
            'at', CAST(:at AS text), 'question', CAST(:question AS text), 'answer', CAST(:answer AS text))
    WHERE id = :id
""")  # noqa: S608 (only our own constants)

log = structlog.get_logger(__name__)


class Run:
    """One run of a task: how long it may go on, and what it found."""

    def __init__(self) -> None:
        self._until = monotonic() + WORK_FOR
        self._failures_in_a_row = 0
        self._asked = 0
        self._events = 0
        self._held: list[tuple[UUID, Sequence[ProviderEvent | ProviderRefundEvent]]] = []
        self.recorded = False
        """Whether all of the last answer stands in the transitions."""
        self.last_said = ""
        """What the last question was answered with, as the payment's log keeps it."""

    def goes_on(self) -> bool:
        return monotonic() < self._until and self._failures_in_a_row < GIVE_UP_AFTER

    def ask(self, row: Any, question: str, put: Any) -> bool:
        """Put a question to one provider about one payment and record the answer; an error is this payment's alone.

        Returns whether there is no use in asking again soon: only a provider that is away may soon say more.
        """
        asked = provider(row.provider)
        if asked is None:
            log.warning("provider_without_account", provider=row.provider, payment_id=str(row.id))
            self._note(row.id, question, "not asked: no account at this provider is set up")
            return True
        self._asked += 1
        self.recorded = False
        try:
            said = put(asked, reference(row.id))
        except ProviderUnavailableError as error:
            self._failures_in_a_row += 1
            log.warning("provider_unavailable", payment_id=str(row.id), error=str(error))
            self._note(row.id, question, f"unavailable: {error}")
            return False
        except ProviderError as error:
            log.warning("provider_not_understood", payment_id=str(row.id), error=str(error))
            self._note(row.id, question, f"not understood: {error}")
            return True
        except Exception as error:
            log.exception("provider_broke", payment_id=str(row.id))
            self._note(row.id, question, f"broke its reader: {type(error).__name__}")
            return True
        self._failures_in_a_row = 0
        self._record(said, row.id)
        self._note(row.id, question, ", ".join(_word(event) for event in said) or "nothing new")
        return True

    def record_held(self) -> None:
        """Record once more what was said about payments that somebody held until now."""
        held, self._held = self._held, []
        while held and monotonic() < self._until:
            payment_id, said = held.pop()
            self._record(said, payment_id)

    def _note(self, payment_id: UUID, question: str, said: str) -> None:
        """Keep what was said for operators; what jsonb cannot hold is escaped."""
        self.last_said = plain = said[:200].encode("unicode_escape").decode()
        with suppress(DatabaseLockedError):  # only a note
            execute(
                _note, {"id": payment_id, "at": show_time(datetime.now(UTC)), "question": question, "answer": plain}
            )

    def _record(self, said: Sequence[ProviderEvent | ProviderRefundEvent], payment_id: UUID) -> None:
        reports, refunds = of_answer(said)
        entered: list[Entered] = []
        try:
            if said:
                with transaction() as connection:
                    _, entered = record_all(connection, reports, refunds)
                count_refunds(refunds, entered)
            self.recorded = all(one.outcome not in {Outcome.WAITING, Outcome.PARKED} for one in entered)
        except DatabaseLockedError:
            log.warning("payment_held_by_another", payment_id=str(payment_id))
            self._held.append((payment_id, said))
        except DatabaseUnavailableError:
            raise
        except Exception:
            log.exception("events_not_recorded", payment_id=str(payment_id))
        else:
            self._events += len(said)

    def summary(self) -> str:
        return f"asked about {self._asked} payments, learned {self._events} events"


def _word(event: ProviderEvent | ProviderRefundEvent) -> str:
    return f"refund {event.status.value}" if isinstance(event, ProviderRefundEvent) else event.status.value
