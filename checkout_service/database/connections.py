"""Connections to PostgreSQL that do not wait for ever: a bound on the client, for servers that are frozen."""

from __future__ import annotations

from typing import Any, Final

import psycopg

ANSWER_WITHIN: Final = 2.5
"""Seconds a client waits for one statement. A frozen server never answers, and its statement_timeout is frozen too."""


class DeadlineConnection(psycopg.Connection[Any]):
    """A connection that gives up on a server which accepts but never answers."""

    answer_within: float = ANSWER_WITHIN

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return super().wait(gen, interval, timeout or self.answer_within)
        except psycopg.errors._WaitTimeout:
            self.pgconn.finish()
            raise psycopg.OperationalError("the database did not answer in time") from None


class PatientConnection(DeadlineConnection):
    """The same for tasks, whose statements may be long: housekeeping deletes in steps of thousands."""

    answer_within = 15.0
