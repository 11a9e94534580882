"""What persons do about settled money: accept a file, undo or resolve a match, say which payout an entry is of."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import click

from checkout_service.command_options import Id, kept
from checkout_service.settlement_words import EXCEPTIONS, FileState, MatchState
from checkout_service.settlements.command_context import because, by, operator_option, settled, shown, why_option
from checkout_service.settlements.command_queries import Row, file_of, files_called
from checkout_service.settlements.connecting import SettlementsConnection
from checkout_service.settlements.dismissing import dismiss, hold_again
from checkout_service.settlements.entered import NotDismissedError, NotHeldError, UnenterableError, UnknownFileError
from checkout_service.settlements.entering import accept
from checkout_service.settlements.naming import account_option, payout_named, provider_option
from checkout_service.settlements.payout_residues import ChangedError, NotOpenError, accept_payout
from checkout_service.settlements.presenting import amount, moment, number_of, residue_line, stored_residue
from checkout_service.settlements.settling import (
    LinkedAlreadyError,
    NoExceptionError,
    NoPartError,
    NotMatchedError,
    OtherCurrencyError,
    ResolvedAlreadyError,
    UndoneAlreadyError,
    UnknownEntryError,
    UnknownMatchError,
    UnknownPayoutError,
    link,
    resolve,
    resolve_all,
    undo,
)
from checkout_service.spellings import parse_id

_NO_MATCH = "No match has this id: `checkout settlements exceptions` lists those that are open."


@click.command("accept", short_help="Enter a held file as it is, with its residue.")
@click.argument("file", metavar="FILE|ID", required=False)
@click.option("--payout", metavar="PAYOUT", help="In place of FILE: an open payout, by its id or name.")
@click.option(
    "--residue",
    is_flag=True,
    help="Enter it with its residue: what was found less what is expected. Without this the residue is shown alone.",
)
@click.option("--provider", metavar="NAME", help="Whose it is, where several have this name.")
@click.option("--account", help="The account that it is about, where several have this name.")
@click.option("--why", help="Why, in your own words, for the audit: needed with --residue.")
@operator_option
def accept_held(
    file: str | None,
    payout: str | None,
    residue: bool,
    provider: str | None,
    account: str | None,
    why: str | None,
    operator: str | None,
) -> None:
    """Enter a held file as it is: you have seen what does not add up, and say why it is right all the same.

    FILE is its name without its folder, or its id. Without --residue it only shows what does not add up, and changes
    nothing. What is accepted stands with the file, with its payout and in the audit. A later file that adds up needs
    none of this.

    --payout accepts an open payout instead, of which no file is held: its entries do not add up to it, and never will.
    It counts while they make this sum, and the payout has this amount; `undo` of its match takes it back.

    \b
    Example:
      checkout settlements accept itemized.csv --residue --why "a cent of rounding"
    """
    if (file is None) == (payout is None):
        raise click.UsageError("Name a held file, or a payout by --payout.")
    reason = because(why or "") if residue else ""
    with settled() as (_settings, connection):
        if file is None:
            _accept_payout(
                connection,
                payout_named(connection, payout or "", provider=provider, account=account),
                why=reason,
                operator=operator,
            )
            return
        found = _held(connection, file, provider, account)
        if not residue:
            _show_residue(found)
            click.echo("Nothing was done: add --residue and --why to enter it as it is.", err=True)
            return
        try:
            entered = accept(connection, found["id"], operator=by(operator), why=reason)
        except UnknownFileError as error:
            raise click.ClickException("No file has this id.") from error
        except NotHeldError as error:
            raise click.ClickException("It is not held any more: somebody was faster, or a later file.") from error
        except UnenterableError as error:
            message = f"It cannot be accepted: {shown(str(error), 500)}. Ask the provider for it once more."
            raise click.ClickException(message) from error
    kinds = "".join(
        f", {count} {state.value}" for state, count in sorted(entered.by_state.items()) if state in EXCEPTIONS
    )
    entries = number_of(entered.new, "new entry", "new entries")
    click.echo(f"{shown(found['name'])}: accepted: {number_of(entered.rows, 'line')}, {entries}{kinds}")
    for each in entered.residues:
        click.echo(f"  {residue_line(each)}")
    if any(each.expected is None for each in entered.residues):
        click.echo(
            "  What nobody has listed yet is no payout here: its lines wait for the report that lists it.", err=True
        )


@click.command("dismiss", short_help="Say that nobody needs a held file.")
@click.argument("file", metavar="FILE|ID")
@click.option("--provider", metavar="NAME", help="Whose file it is, where several have this name.")
@click.option("--account", help="The account that it is about, where files of several have this name.")
@why_option
@operator_option
def dismiss_file(file: str, provider: str | None, account: str | None, why: str, operator: str | None) -> None:
    """Say that nobody needs a held file: what it tells of is here already, or it came by mistake.

    FILE is its name without its folder, or its id. Nothing of it is entered, and it is listed no more; the same bytes
    again change nothing. `undo` of its id holds it again.

    \b
    Example:
      checkout settlements dismiss statement.sta --why "the same as that of Monday"
    """
    reason = because(why)
    with settled() as (_settings, connection):
        found = _held(connection, file, provider, account)
        try:
            dismiss(connection, found["id"], operator=by(operator), why=reason)
        except UnknownFileError as error:
            raise click.ClickException("No file has this id.") from error
        except NotHeldError as error:
            raise click.ClickException("It is not held any more: somebody was faster, or a later file.") from error
    click.echo(f"{shown(found['name'])}: dismissed ({found['id']})")


@click.command("undo", short_help="End a match that is wrong, or take a dismissal back.")
@click.argument("match_id", type=Id(), metavar="MATCH|FILE")
@why_option
@operator_option
def undo_match(match_id: UUID, why: str, operator: str | None) -> None:
    """End a match that is wrong: its entry is as one that nobody has matched. It stays, with who undid it and why.

    Of an exception that was resolved, that is taken back: it is open again, with an id of its own. Of one that an
    undone match left, the undoing is: its entry is matched as if nobody had. Of a file that was dismissed, by its id,
    that is: it is held again.
    """
    reason = because(why)
    with settled() as (_settings, connection):
        try:
            again = undo(connection, match_id, operator=by(operator), why=reason)
        except UnknownMatchError:
            _hold_again(connection, match_id, operator=by(operator), why=reason)
            return
        except UndoneAlreadyError as error:
            raise click.ClickException("It does not hold any more: nothing was done.") from error
        except NotMatchedError as error:
            message = "It is an exception and no match, so there is nothing to undo: resolve it, or link its entry."
            raise click.ClickException(message) from error
    click.echo(f"{match_id}: undone" if again is None else f"{match_id}: open again, as {again}")


@click.command("resolve", short_help="Settle exceptions.")
@click.argument("match_ids", type=Id(), metavar="MATCH…", nargs=-1)
@click.option("--payout", metavar="PAYOUT", help="All exceptions of this payout, by its id or name; with --kind.")
@click.option("--kind", type=click.Choice([state.value for state in EXCEPTIONS]), help="All of this kind.")
@provider_option
@account_option
@why_option
@operator_option
def resolve_match(
    match_ids: tuple[UUID, ...],
    payout: str | None,
    kind: str | None,
    provider: str | None,
    account: str | None,
    why: str,
    operator: str | None,
) -> None:
    """Settle exceptions: they are listed no more, and keep no payout from being reconciled.

    Either those of these ids, one after the other, or with --payout and --kind all of one kind that a payout has, all
    or none of them. A wrong one is taken back by `undo`.

    \b
    Example:
      checkout settlements resolve --payout po_1 --kind unknown_here --why "the other shop's"
    """
    reason = because(why)
    if (payout is None) != (kind is None) or (payout is None) != bool(match_ids):
        raise click.UsageError("Give ids of matches, or --payout with --kind.")
    with settled() as (_settings, connection):
        if payout is not None and kind is not None:
            found = payout_named(connection, payout, provider=provider, account=account)
            number = resolve_all(connection, found["id"], MatchState(kind), operator=by(operator), why=reason)
            click.echo(f"{shown(found['payout_ref'])}: {number} {kind} resolved")
        for match_id in match_ids:
            _resolve(connection, match_id, operator=by(operator), why=reason)
            click.echo(f"{match_id}: resolved")


def _resolve(connection: SettlementsConnection, match_id: UUID, *, operator: str, why: str) -> None:
    """Settle one. Raises ClickException, which names it, where it cannot be."""
    try:
        resolve(connection, match_id, operator=operator, why=why)
    except UnknownMatchError as error:
        raise click.ClickException(f"{match_id}: {_NO_MATCH}") from error
    except UndoneAlreadyError as error:
        raise click.ClickException(f"{match_id}: It does not hold any more: nothing was done.") from error
    except ResolvedAlreadyError as error:
        message = f"{match_id}: Somebody has settled it already: nothing was done. `undo` takes that back."
        raise click.ClickException(message) from error
    except NoExceptionError as error:
        raise click.ClickException(f"{match_id}: It is no exception: nobody needs to settle it.") from error


@click.command("link", short_help="Say which payout an entry is part of.")
@click.argument("entry_id", type=Id(), metavar="ENTRY")
@click.argument("payout", metavar="PAYOUT")
@provider_option
@account_option
@why_option
@operator_option
def link_entry(
    entry_id: UUID, payout: str, provider: str | None, account: str | None, why: str, operator: str | None
) -> None:
    """Say which payout an entry is part of; of a bank's entry, which payout it brought.

    ENTRY is its id, PAYOUT its id or the provider's name for it. The same again changes nothing.
    """
    reason = because(why)
    with settled() as (_settings, connection):
        found = payout_named(connection, payout, provider=provider, account=account)
        try:
            link(connection, entry_id, found["id"], operator=by(operator), why=reason)
        except UnknownEntryError as error:
            raise click.ClickException("No current entry has this id.") from error
        except UnknownPayoutError as error:
            raise click.ClickException("No payout has this id.") from error
        except OtherCurrencyError as error:
            message = "Entry and payout are of different currencies, or of different providers or accounts."
            raise click.ClickException(message) from error
        except LinkedAlreadyError as error:
            raise click.ClickException("The entry is part of another payout: nothing was done.") from error
        except NoPartError as error:
            message = "The payout's own line is no part of it, and a payout that nobody can list has no parts."
            raise click.ClickException(message) from error
    click.echo(f"{entry_id}: linked with {shown(found['payout_ref'])} ({found['id']})")


def _held(connection: SettlementsConnection, named: str, provider: str | None, account: str | None) -> Row:
    """The held file of this id or name. Raises ClickException where there is none, or more than one."""
    try:
        found = [row for row in [file_of(connection, parse_id(named))] if row]
    except ValueError:
        found = list(files_called(connection, kept(named), provider=provider, account=account))
    if not found:
        raise click.ClickException("No file has this name or id: `checkout settlements exceptions --kind held`.")
    held = [row for row in found if row["state"] == FileState.HELD.value]
    if not held and len(found) == 1:
        raise click.ClickException(f"It is not held: it is {found[0]['state']}.")
    if not held:
        raise click.ClickException(f"No file of this name is held:{_named(found)}")
    if len(held) > 1:
        raise click.ClickException(
            f"Several held files have this name; name one by its id, or --provider and --account:{_named(held)}"
        )
    return held[0]


def _named(files: Sequence[Row]) -> str:
    """Files a line each, by what tells them apart: id, provider, what they are about, state, and when they came."""
    return "".join(
        f"\n  {row['id']}  {row['provider']} {shown(', '.join(row['accounts']) or row['account'])}".rstrip()
        + f"  {row['state']}, {number_of(row['rows'], 'line')}, read {moment(row['created_at'])}"
        for row in files
    )


def _hold_again(connection: SettlementsConnection, file_id: UUID, *, operator: str, why: str) -> None:
    """Take a dismissal back. Raises ClickException where this is the id of no file that was dismissed."""
    try:
        hold_again(connection, file_id, operator=operator, why=why)
    except UnknownFileError as error:
        raise click.ClickException(_NO_MATCH) from error
    except NotDismissedError as error:
        raise click.ClickException("It is a file, and was not dismissed: nothing was done.") from error
    click.echo(f"{file_id}: held again")


def _accept_payout(connection: SettlementsConnection, payout: Row, *, why: str, operator: str | None) -> None:
    """Accept a payout, or show what of it does not add up where nobody says why. Raises ClickException."""
    name, currency = shown(payout["payout_ref"]), payout["currency"]
    click.echo(
        f"{name}: {number_of(payout['entries'], 'entry', 'entries')} make {amount(payout['net'], currency)} of "
        f"{amount(payout['amount'], currency)}"
    )
    if not why:
        click.echo("Nothing was done: add --residue and --why to accept it as it is.", err=True)
        return
    try:
        match_id = accept_payout(
            connection, payout["id"], operator=by(operator), why=why, seen=(payout["net"], payout["amount"])
        )
    except UnknownPayoutError as error:
        raise click.ClickException("No payout has this id.") from error
    except NotOpenError as error:
        raise click.ClickException(f"It is not open, it is {payout['state']}: nothing was done.") from error
    except ChangedError as error:
        raise click.ClickException("It has changed at this moment: nothing was done. Look at it again.") from error
    click.echo(f"{name}: accepted (match {match_id})")


def _show_residue(row: Row) -> None:
    for residue in row["residues"]:
        click.echo(stored_residue(residue))
    for fault in row["faults"]:
        click.echo(shown(fault, 500))
