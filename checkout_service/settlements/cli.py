"""``checkout settlements``: what providers paid out beside what we believe we sold, fetched, entered, shown, settled.

It needs its own settings alone (docs/settlements.md), and loads no application. Each command ends: a timer runs the
fetch.
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

import click

from checkout_service.command_options import Day
from checkout_service.settings.settlements import SettlementsSettings
from checkout_service.settlements.command_context import (
    SettlementCommands,
    note_missing,
    settled,
    shown,
    watched,
    watched_no_more,
)
from checkout_service.settlements.connecting import connect
from checkout_service.settlements.fetching import Fetched, fetch_account, fetching
from checkout_service.settlements.import_cli import import_files
from checkout_service.settlements.leases import LeaseLostError, LeaseTakenError
from checkout_service.settlements.persons_cli import accept_held, dismiss_file, link_entry, resolve_match, undo_match
from checkout_service.settlements.presenting import number_of
from checkout_service.settlements.show_cli import list_exceptions, show_fees, show_payout

NOTHING_SET: Final = (
    "No provider's reports are set up: their settings begin with the provider and REPORTS, such as STRIPE_REPORTS_KEY "
    "(docs/settlements.md). Files can be imported; what is missing in them is looked for all the same."
)


@click.group(cls=SettlementCommands)
def settlements() -> None:
    """What was paid out, beside what was sold: reports fetched and imported, exceptions, payouts, fees.

    Connects by SETTLEMENTS_DATABASE_URL, as the role PREFIX_settlements. Amounts are in the currency's major unit, and
    times in UTC unless a setting says otherwise.

    Exits with 0 where it is done or nothing is to do, with 1 where somebody has to look, with 2 where it was used
    wrongly, with 130 after Ctrl-C and 143 after SIGTERM: what was not through then is not there.
    """


for _command in (
    import_files,
    accept_held,
    dismiss_file,
    undo_match,
    resolve_match,
    link_entry,
    list_exceptions,
    show_payout,
    show_fees,
):
    settlements.add_command(_command)


@settlements.command("fetch")
@click.option(
    "--since",
    type=Day(),
    help="Fetch from this day on, such as 2026-11-01 (its beginning in SETTLEMENTS_TIMEZONE), in place of where the "
    "last fetch ended.",
)
@click.option("--provider", metavar="NAME", help="Of this provider alone, such as stripe; by default of all.")
def fetch(since: datetime | None, provider: str | None) -> None:
    """Fetch what providers report since the last time, and enter it.

    A timer runs it, each hour say. It ends by itself. Of two at once one ends at once, with a word and with 0; after
    one that was killed the next may begin within 2 minutes. An account is asked once in 10 minutes at most, whoever
    asks. Without news it writes nothing.

    Exits with 1 where a provider could not be fetched, or a file does not prove itself: each is named, and the others
    were fetched all the same.

    \b
    Example:
      checkout settlements fetch --provider stripe --since 2026-11-01
    """
    with settled(fetches=True) as (settings, connection):
        accounts, faults = settings.accounts, settings.report_faults
        if provider is not None:
            if provider not in {*accounts, *faults}:
                raise click.ClickException(_not_set(provider, settings))
            accounts = {name: account for name, account in accounts.items() if name == provider}
            faults = {name: wrong for name, wrong in faults.items() if name == provider}
        elif not accounts and not faults:
            click.echo(NOTHING_SET, err=True)
        begins = _beginning(since, settings)
        needs_somebody = bool(faults)
        for name, wrong in faults.items():
            click.echo(f"{name}: not fetched, since its settings cannot be used:", err=True)
            for fault in wrong:
                click.echo(f"  {shown(fault, 1000)}", err=True)
        try:
            with fetching(connection, partial(connect, settings)) as lease:
                for name, account in accounts.items():
                    lease.go_on()
                    done = fetch_account(connection, lease, name, account, since=begins, progress=watched)
                    watched_no_more()
                    _tell(done)
                    needs_somebody |= bool(done.error or done.held or done.failed)
                lease.go_on()
                note_missing(connection, settings)
        except LeaseTakenError as error:
            click.echo(
                "Another fetch is at work, or was killed a moment ago: nothing was done. If it was killed, another one "
                f"may begin at {error.until:%H:%M:%S} UTC.",
                err=True,
            )
        except LeaseLostError as error:
            message = "This fetch was away for too long, and another one has begun: that one goes on."
            raise click.ClickException(message) from error
    if needs_somebody:
        raise SystemExit(1)


def _not_set(provider: str, settings: SettlementsSettings) -> str:
    others = ", ".join(settings.accounts) or "none"
    prefix = f"{shown(provider, 32)}_REPORTS_…".upper()
    return f"The reports of {shown(provider, 32)} are not set up ({prefix}). Set up are: {others}."


def _beginning(since: datetime | None, settings: SettlementsSettings) -> datetime | None:
    """The beginning of the day in the zone of settled money, in UTC. Raises UsageError for a day that has not begun."""
    if since is None:
        return None
    try:
        begins = datetime.combine(since.date(), time(), ZoneInfo(settings.timezone)).astimezone(UTC)
    except OverflowError as error:
        raise click.UsageError(f"--since: {since.date()} is no day of money.") from error
    if begins > datetime.now(UTC):
        raise click.UsageError(f"--since: {since:%Y-%m-%d} has not begun in {settings.timezone}.")
    return begins


def _tell(done: Fetched) -> None:
    """Say what came of a provider: nothing where nothing is new, faults beside the output."""
    name = f"{done.provider} {shown(done.account)}".rstrip()
    if done.next_turn:
        click.echo(f"{name}: asked less than 10 minutes ago; again from {done.next_turn:%H:%M} UTC.", err=True)
        return
    if done.is_quiet:
        return
    kinds = "".join(f", {count} {state.value}" for state, count in sorted(done.by_state.items()))
    gone = f", {done.withdrawn} withdrawn" if done.withdrawn else ""
    files, entries = number_of(done.files, "file"), number_of(done.new, "new entry", "new entries")
    click.echo(f"{name}: {files}, {entries}{gone}, {number_of(done.reconciled, 'payout')} reconciled{kinds}")
    for file, file_id in done.held:
        click.echo(f"{name}: held: {shown(file)} ({file_id}): checkout settlements exceptions --kind held", err=True)
    for report, words in done.failed:
        click.echo(f"{name}: not entered: {shown(report)}: {shown(words, 1000)}; the next fetch tries again", err=True)
    if done.error:
        click.echo(f"{name}: ended: {shown(done.error, 1000)}", err=True)
