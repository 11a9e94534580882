"""What the commands about settled money share: their settings and connection, and what fails in them as a sentence."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import click
import psycopg
from psycopg import errors

from checkout_service.command_options import kept, os_user, printable
from checkout_service.database.connections import UnconfirmedCommitError
from checkout_service.database.logging_in import why as why_not
from checkout_service.settings.errors import SettingsError
from checkout_service.settings.settlements import SettlementsSettings
from checkout_service.settlements.connecting import SettlementsConnection, connect
from checkout_service.settlements.missing import find_missing
from checkout_service.settlements.presenting import number_of
from checkout_service.settlements.readers import report_forms

LONGEST_OPERATOR: Final = 200
LONGEST_WHY: Final = 2000
"""Characters that the audit takes of each (checkout_service/commands/models.py, which the database has as well)."""

operator_option = click.option(
    "--operator", metavar="NAME", help="Who you are, for the audit; by default the operating system's user."
)
why_option = click.option("--why", required=True, help="Why, in your own words, for the audit.")


class EndedError(KeyboardInterrupt):
    """SIGTERM: as Ctrl-C, whatever the server is doing for us is canceled, and what others wait for is given back."""


class SettlementCommands(click.Group):
    """Commands that need the database alone. Ctrl-C and SIGTERM leave nothing half done, and end them with 130 and 143,
    as a shell's."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _interrupted():
                return super().invoke(ctx)
        except EndedError:
            raise SystemExit(128 + signal.SIGTERM) from None
        except KeyboardInterrupt:
            click.echo("\nInterrupted: what was not through is not there; what was entered before stays.", err=True)
            raise SystemExit(128 + signal.SIGINT) from None


@contextmanager
def _interrupted() -> Iterator[None]:
    """Have both signals raise within, each unless whoever started us has it ignored, and be as before it behind."""
    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: _end}
    before = {number: signal.getsignal(number) for number in handlers}
    try:
        for number, handler in handlers.items():
            if before[number] is not signal.SIG_IGN:
                signal.signal(number, handler)
        yield
    finally:
        for number, handler_before in before.items():
            signal.signal(number, handler_before)


@contextmanager
def settled(*, fetches: bool = False) -> Iterator[tuple[SettlementsSettings, SettlementsConnection]]:
    """The settings, and a connection that ends with the block. Raises ClickException for whatever is wrong there.

    Only who ``fetches`` reads the settings of reports: whatever is wrong with them stops nobody else.
    """
    try:
        settings = SettlementsSettings.from_environment(report_forms() if fetches else None)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    try:
        connection = connect(settings)
    except psycopg.OperationalError as error:
        message = f"The database cannot be reached by SETTLEMENTS_DATABASE_URL: {why_not(error)}."
        raise click.ClickException(message) from error
    try:
        with connection:
            yield settings, connection
    except errors.UndefinedTable as error:
        message = "The database lacks what this release needs: migrate first (checkout release)."
        raise click.ClickException(message) from error
    except errors.InsufficientPrivilege as error:
        message = (
            f"The role of SETTLEMENTS_DATABASE_URL may not do this ({_first_line(error)}): it has to be the role "
            "PREFIX_settlements, which `checkout database init` makes."
        )
        raise click.ClickException(message) from error
    except errors.LockNotAvailable as error:
        message = "Another command is entering settled money: nothing was done. Try again when it is through."
        raise click.ClickException(message) from error
    except UnconfirmedCommitError as error:
        message = f"Nobody knows whether it will last: {error}. Run it again: what is there already is found again."
        raise click.ClickException(message) from error
    except psycopg.Error as error:
        away = connection.closed
        message = f"The database {'went away' if away else 'refused'}: {_first_line(error)}. Nothing is half done."
        raise click.ClickException(message) from error


def by(operator: str | None) -> str:
    """Who it is, for the audit."""
    return printable(kept(operator or os_user()))[:LONGEST_OPERATOR]


def because(why: str) -> str:
    """Why, for the audit. Raises UsageError where it says nothing."""
    text = kept(why).strip()
    if not text:
        raise click.UsageError("--why: say why.")
    return text[:LONGEST_WHY]


def watched(name: str, lines: int) -> None:
    """Show at a terminal how far a report is read; nobody else wants to know."""
    if sys.stderr.isatty():
        click.echo(f"\r{shown(name)}: {number_of(lines, 'line')} read", nl=False, err=True)


def watched_no_more() -> None:
    """Begin a new line where ``watched`` wrote one."""
    if sys.stderr.isatty():
        click.echo("\r\033[K", nl=False, err=True)


def shown(text: str, most: int = 200) -> str:
    """A text from outside, as a terminal may have it."""
    return printable(text)[:most]


def _end(_signal: int, _frame: Any) -> None:
    raise EndedError


def _first_line(error: psycopg.Error) -> str:
    return shown(str(error.diag.message_primary or error).partition("\n")[0], 300)


def note_missing(connection: SettlementsConnection, settings: SettlementsSettings) -> None:
    """Look for what of ours no report has listed for so long, and say how much is new. Raises psycopg.Error."""
    days = settings.missing_after.days
    if missing := find_missing(connection, after_days=days, now=datetime.now(UTC)):
        click.echo(f"missing_there: {missing} more, paid for more than {number_of(days, 'day')} and in no report")
