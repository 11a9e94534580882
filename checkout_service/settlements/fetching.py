"""Fetches what providers report since the last time: an account after the other, a report entered before the next.

Several runs take turns (``leases``). What one provider refuses keeps no other from being fetched, and a report that
cannot be read no later one; how far the fetch came is kept up to before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from checkout_service.providers.base import Decline, ProviderError, ProviderRefusedError, ProviderUnavailableError
from checkout_service.providers.registry import ProviderSpecError
from checkout_service.providers.reports import FetchContext, NotFetched, Report, ReportLine, UnreadableReportError
from checkout_service.settings.provider_accounts import Account
from checkout_service.settlement_words import EXCEPTIONS, FileState, MatchState
from checkout_service.settlements.entered import FileOfAnotherError
from checkout_service.settlements.entering import enter
from checkout_service.settlements.leases import FETCH, Connect, Lease, kept, take_lease
from checkout_service.settlements.notices import notices
from checkout_service.settlements.readers import account_name, fetcher_of
from checkout_service.settlements.spool import no_room

EVERY: Final = timedelta(minutes=10)
"""An account is asked once in so long at most, whoever asks."""

AWAY: Final = 3
"""So many reports that a provider does not give at this moment, and it is asked for no further one."""

Progress = Callable[[str, int], None]
"""Is called each second with what is read, and how many lines of it were."""


@dataclass(slots=True, kw_only=True)
class Fetched:
    """What came of the account at one provider. ``error`` says in words why it ended; what was entered before stays."""

    provider: str
    account: str
    files: int = 0
    """Those that nobody had entered before."""
    new: int = 0
    """Entries."""
    withdrawn: int = 0
    """Entries that a file which was issued again has no more."""
    by_state: Counter[MatchState] = field(default_factory=Counter)
    """The current matches of these files' entries that need a person."""
    reconciled: int = 0
    """Payouts that came to that state meanwhile."""
    held: list[tuple[str, UUID]] = field(default_factory=list)
    """Files that do not prove themselves: name and id."""
    failed: list[tuple[str, str]] = field(default_factory=list)
    """Reports that could not be had or read, and why: the others were fetched all the same."""
    error: str = ""
    next_turn: datetime | None = None
    """Where it was asked less than EVERY ago, and so was not now: when it may be asked again."""

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing that anybody has to know."""
        counts = (self.files, self.new, self.withdrawn, self.reconciled, len(self.held))
        return not (any(counts) or self.by_state or self.failed or self.error)


@contextmanager
def fetching(connection: psycopg.Connection[Any], connect: Connect) -> Iterator[Lease]:
    """The turn to fetch. Raises LeaseTakenError, LeaseLostError by its ``go_on``, and psycopg.Error.

    ``connect`` makes further connections, which keep it and give it back beside ``connection``.
    """
    lease = take_lease(connection, FETCH)
    with kept(lease, connect):
        yield lease


def fetch_account(
    connection: psycopg.Connection[Any],
    lease: Lease,
    provider: str,
    account: Account,
    *,
    since: datetime | None,
    operator: str | None = None,
    progress: Progress = lambda _name, _lines: None,
) -> Fetched:
    """Fetch what is new there and enter it, a report after the other.

    ``since`` goes before what the last fetch came to, and changes that only where there was none: what lies between
    would never be fetched. Else ``enter`` notes how far it came, up to the first report that failed: that is asked for
    again by the next fetch, and is no reason to leave out a later one. Raises LeaseLostError, and
    psycopg.OperationalError where the database is away; whatever else ends it is its ``error``.
    """
    name = account_name(provider, account)
    fetched = Fetched(provider=provider, account=name)
    begun = _begin(connection, provider, name)
    if begun is None:
        fetched.next_turn = _next_turn(connection, provider, name)
        return fetched
    now, cursor, fetched_at = begun
    context = FetchContext(
        account=account,
        now=now,
        since=since,
        cursor=cursor,
        notices=notices(connection, provider=provider, now=now, fetched_at=fetched_at),
        is_entered=lambda file: _is_entered(connection, provider, name, file),
        has_number=lambda of, number: _has_number(connection, provider, of, number),
    )
    try:
        away = 0
        for report in fetcher_of(provider)(context):
            lease.go_on()
            try:
                if isinstance(report, NotFetched):
                    raise report.error
                if fetched.failed or (since is not None and cursor is not None):
                    _take_cursor_away(report)
                _enter(connection, lease, report, fetched, operator=operator, progress=progress)
            except (ProviderError, UnreadableReportError, FileOfAnotherError, psycopg.DataError) as error:
                away += isinstance(error, ProviderUnavailableError)
                if away == AWAY or (not isinstance(report, NotFetched) and _is_of_all(error)):
                    raise
                words = error.diag.message_primary if isinstance(error, psycopg.Error) else str(error)
                fetched.failed.append((report.name, words or type(error).__name__))
            lease.go_on()
    except (ProviderError, ProviderSpecError, UnreadableReportError, FileOfAnotherError) as error:
        fetched.error = str(error) or type(error).__name__
    except OSError as error:
        fetched.error = no_room(error)
    except psycopg.Error as error:
        if connection.closed:
            raise
        fetched.error = f"the database refused: {error.diag.message_primary or error}"
    fetched.reconciled = _reconciled(connection, provider, since=now)
    return fetched


def _enter(
    connection: psycopg.Connection[Any],
    lease: Lease,
    report: Report,
    fetched: Fetched,
    *,
    operator: str | None,
    progress: Progress,
) -> None:
    def note(lines: int) -> None:
        # Pages of a long report take longer than the lease lasts. No transaction is open while it is read.
        lease.go_on()
        progress(report.name, lines)

    entered = enter(
        connection,
        report,
        provider=fetched.provider,
        account=fetched.account,
        operator=operator,
        progress=note,
    )
    if entered.is_known:
        return
    fetched.files += 1
    fetched.new += entered.new
    fetched.withdrawn += entered.withdrawn
    fetched.by_state.update({state: count for state, count in entered.by_state.items() if state in EXCEPTIONS})
    if entered.state is FileState.HELD:
        fetched.held.append((report.name, entered.file_id))


def _is_of_all(error: Exception) -> bool:
    """Whether no other report can be had either: by a key without the right to read what reports are made of."""
    return isinstance(error, ProviderRefusedError) and error.reason is Decline.CREDENTIALS


def _take_cursor_away(report: Report) -> None:
    """Have it say nothing of how far it came; that is known once its last line was read."""
    lines = report.lines

    def each() -> Iterator[ReportLine]:
        yield from lines
        report.cursor = None

    report.lines = each()


def _begin(
    connection: psycopg.Connection[Any], provider: str, account: str
) -> tuple[datetime, str | None, datetime | None] | None:
    """When this fetch begins, what the last one came to, and when that began; None where it was a moment ago."""
    row: tuple[datetime, str | None, datetime | None] | None = connection.execute(
        _BEGIN, {"provider": provider, "account": account, "every": EVERY}
    ).fetchone()
    return row


def _next_turn(connection: psycopg.Connection[Any], provider: str, account: str) -> datetime:
    row = connection.execute(_LAST, {"provider": provider, "account": account}).fetchone()
    begun: datetime = row[0] if row and row[0] else datetime.now(UTC)
    return begun.astimezone(UTC) + EVERY


def _is_entered(connection: psycopg.Connection[Any], provider: str, account: str, name: str) -> bool:
    values: Mapping[str, Any] = {"provider": provider, "account": account, "name": name, "states": _DONE_WITH}
    return connection.execute(_IS_ENTERED, values).fetchone() is not None


def _has_number(connection: psycopg.Connection[Any], provider: str, account: str, number: int) -> bool:
    sections = Jsonb([{"account": account, "number": number}])
    values: Mapping[str, Any] = {"provider": provider, "sections": sections, "states": _DONE_WITH}
    return connection.execute(_HAS_NUMBER, values).fetchone() is not None


def _reconciled(connection: psycopg.Connection[Any], provider: str, *, since: datetime) -> int:
    (count,) = connection.execute(_RECONCILED, {"provider": provider, "since": since}).fetchone() or (0,)
    return int(count)


_BEGIN: Final = """
INSERT INTO settlement_accounts AS known (provider, account, fetched_at)
VALUES (%(provider)s, %(account)s, clock_timestamp())
ON CONFLICT (provider, account) DO UPDATE SET fetched_at = clock_timestamp(), updated_at = clock_timestamp()
WHERE known.fetched_at IS NULL OR known.fetched_at <= clock_timestamp() - %(every)s::interval
RETURNING new.fetched_at, new.cursor, old.fetched_at
"""

_LAST: Final = """
SELECT fetched_at FROM settlement_accounts WHERE provider = %(provider)s AND account = %(account)s
"""

_DONE_WITH: Final = [FileState.ENTERED.value, FileState.DISMISSED.value]
"""One that a person dismissed is asked for no more, either."""

_IS_ENTERED: Final = """
SELECT FROM settlement_files
WHERE provider = %(provider)s AND account = %(account)s AND name = %(name)s
    AND state = ANY(%(states)s::settlement_file_state[])
LIMIT 1
"""

# What the file itself says: one that somebody imported has the name that they gave it, and perhaps an account.
_HAS_NUMBER: Final = """
SELECT FROM settlement_files
WHERE provider = %(provider)s AND state = ANY(%(states)s::settlement_file_state[]) AND sections @> %(sections)s LIMIT 1
"""

_RECONCILED: Final = """
SELECT count(*) FROM payouts WHERE provider = %(provider)s AND reconciled_at >= %(since)s
"""
