"""Connections to PostgreSQL that do not wait for ever, leave a server that takes no writes, and believe no half commit.

What is bound here holds for every statement of ours, in the web process and in workers: psycopg sends nothing but
through ``wait``.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import psycopg
from psycopg.errors import Diagnostic
from psycopg.pq import TransactionStatus

ANSWER_WITHIN: Final = 2.5
"""Seconds a client waits for one statement. A frozen server never answers, and its statement_timeout is frozen too."""

COMMIT_WITHIN: Final = 5.0
"""Seconds for the commit of a task, whose statements may take longer."""

GIVE_UP_WITHIN: Final = 0.3
"""Seconds for a server to end what it was asked to cancel. One that lives does so in a few milliseconds."""

OF_A_COMMIT: Final = frozenset({"01000", "57P01"})
"""SQLSTATEs of warnings that come with the success of a commit that is on this server alone: the wait for the
synchronous standby was canceled, or the server was shut down in it. 01000 is any warning; our statements raise none."""


class NoConnectionError(psycopg.OperationalError):
    """A connection could not be made; why, is in its text. libpq keeps the SQLSTATE of that to itself."""


class UnconfirmedCommitError(psycopg.OperationalError):
    """It is committed on the primary, and the standby that should have it as well has not said so.

    A failover may undo it. So nobody may be answered that it is done, though it may be found done later. Its SQLSTATE
    is that of a statement which was canceled: the server is there for others.
    """

    sqlstate = "57014"


class DeadlineConnection(psycopg.Connection[Any]):
    """A connection that gives up on a server which accepts but never answers.

    - **No answer**: the statement is canceled; where that ends nothing either, the server is frozen, and the connection
      is closed. Without it, a commit that waits for a standby would keep its backend for as long as that is away, since
      no timeout of the server bounds it.
    - **A server that takes no writes** (25006: it was demoted, and kept its connections) is left: the next connection
      is made where the address leads by then.
    - **A commit that was not confirmed** raises UnconfirmedCommitError. PostgreSQL answers it with success and a
      warning, which psycopg hands to a handler, whose errors it swallows: so the handler only keeps it.
    """

    answer_within: float = ANSWER_WITHIN

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._warnings: list[str] = []
        # No bound method: a connection that refers to itself would be closed by the garbage collector, some day.
        self.add_notice_handler(partial(_keep, self._warnings))

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        self._warnings.clear()
        try:
            try:
                answer = super().wait(gen, interval, timeout or self.answer_within)
            except psycopg.errors._WaitTimeout:
                answer = self._canceled(gen, interval)
        except psycopg.errors.ReadOnlySqlTransaction:
            self.pgconn.finish()
            raise
        except psycopg.OperationalError:
            if not self._warnings:
                raise
            raise UnconfirmedCommitError("the server went away while its commit waited for a standby") from None
        if self._warnings and self.pgconn.transaction_status == TransactionStatus.IDLE:
            raise UnconfirmedCommitError("committed on this server alone: no synchronous standby has confirmed it")
        return answer

    def _canceled(self, gen: Any, interval: float) -> Any:
        """What a statement ends with that is asked to end. Raises OperationalError where nothing answers."""
        try:
            self.cancel_safe(timeout=GIVE_UP_WITHIN)
            return super().wait(gen, interval, GIVE_UP_WITHIN)
        except BaseException as error:
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            # Whatever failed, the statement goes on: nobody may be lent this connection again.
            self.pgconn.finish()
            if not isinstance(error, Exception):
                raise
            raise psycopg.OperationalError("the database did not answer in time") from None


class PatientConnection(DeadlineConnection):
    """The same for tasks, whose statements may be long: housekeeping deletes in steps of thousands."""

    answer_within = 15.0

    def commit(self) -> None:
        """Commit. One that waits for a standby is canceled well before the task's time limit kills its process, which
        would leave a backend that waits for as long as the standby is away."""
        self.answer_within = COMMIT_WITHIN
        try:
            super().commit()
        finally:
            del self.answer_within


def _keep(warnings: list[str], diagnostic: Diagnostic) -> None:
    if diagnostic.severity_nonlocalized == "WARNING" and diagnostic.sqlstate in OF_A_COMMIT:
        warnings.append(diagnostic.sqlstate)
