"""What persons do about settled money: accept a file, undo or resolve a match, say which payout an entry is of."""

from __future__ import annotations

from uuid import UUID

import click

from checkout_service.command_options import Id, kept
from checkout_service.settlement_words import EXCEPTIONS, FileState
from checkout_service.settlements.command_context import because, by, operator_option, settled, shown, why_option
from checkout_service.settlements.command_queries import Row, file_of, files_called
from checkout_service.settlements.connecting import SettlementsConnection
from checkout_service.settlements.entered import NotHeldError, UnenterableError, UnknownFileError
from checkout_service.settlements.entering import accept
from checkout_service.settlements.presenting import stored_residue
from checkout_service.settlements.settling import (
    LinkedAlreadyError,
    NoExceptionError,
    NotMatchedError,
    OtherCurrencyError,
    ResolvedAlreadyError,
    UndoneAlreadyError,
    UnknownEntryError,
    UnknownMatchError,
    UnknownPayoutError,
    link,
    resolve,
    undo,
)
from checkout_service.spellings import parse_id

_NO_MATCH = "No match has this id: `checkout settlements exceptions` lists those that are open."


@click.command("accept")
@click.argument("file", metavar="FILE|ID")
@click.option(
    "--residue", is_flag=True, help="Enter it with what it lacks or has too much; without this that is shown."
)
@click.option("--provider", help="Whose file it is, where several have this name.")
@why_option
@operator_option
def accept_file(file: str, residue: bool, provider: str | None, why: str, operator: str | None) -> None:
    """Enter a held file as it is: you have seen what does not add up, and say why it is right all the same.

    FILE is its name without its folder, or its id. What is accepted stands with the file and in the audit. A later
    file that adds up needs none of this.
    """
    reason = because(why)
    with settled() as (_settings, connection):
        found = _held(connection, file, provider)
        if not residue:
            _show_residue(found)
            raise click.ClickException("Nothing was done: add --residue to enter it as it is.")
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
    click.echo(f"{shown(found['name'])}: accepted: {entered.rows} lines, {entered.new} new entries{kinds}")


@click.command("undo")
@click.argument("match_id", type=Id(), metavar="MATCH")
@why_option
@operator_option
def undo_match(match_id: UUID, why: str, operator: str | None) -> None:
    """End a match that is wrong: its entry is as one that nobody has matched. It stays, with who undid it and why."""
    reason = because(why)
    with settled() as (_settings, connection):
        try:
            undo(connection, match_id, operator=by(operator), why=reason)
        except UnknownMatchError as error:
            raise click.ClickException(_NO_MATCH) from error
        except UndoneAlreadyError as error:
            raise click.ClickException("It does not hold any more: nothing was done.") from error
        except ResolvedAlreadyError as error:
            raise click.ClickException("Somebody has settled it already: nothing was done.") from error
        except NotMatchedError as error:
            raise click.ClickException("It is no match, so nothing is to be undone: resolve or link it.") from error
    click.echo(f"{match_id}: undone")


@click.command("resolve")
@click.argument("match_id", type=Id(), metavar="MATCH")
@why_option
@operator_option
def resolve_match(match_id: UUID, why: str, operator: str | None) -> None:
    """Settle an exception: it is listed no more, and keeps no payout from being reconciled."""
    reason = because(why)
    with settled() as (_settings, connection):
        try:
            resolve(connection, match_id, operator=by(operator), why=reason)
        except UnknownMatchError as error:
            raise click.ClickException(_NO_MATCH) from error
        except UndoneAlreadyError as error:
            raise click.ClickException("It does not hold any more: nothing was done.") from error
        except ResolvedAlreadyError as error:
            raise click.ClickException("Somebody has settled it already: nothing was done.") from error
        except NoExceptionError as error:
            raise click.ClickException("It is no exception: nobody needs to settle it.") from error
    click.echo(f"{match_id}: resolved")


@click.command("link")
@click.argument("entry_id", type=Id(), metavar="ENTRY")
@click.argument("payout_id", type=Id(), metavar="PAYOUT")
@why_option
@operator_option
def link_entry(entry_id: UUID, payout_id: UUID, why: str, operator: str | None) -> None:
    """Say which payout an entry is part of; of a bank's entry, which payout it brought.

    The same again changes nothing.
    """
    reason = because(why)
    with settled() as (_settings, connection):
        try:
            link(connection, entry_id, payout_id, operator=by(operator), why=reason)
        except UnknownEntryError as error:
            raise click.ClickException("No current entry has this id.") from error
        except UnknownPayoutError as error:
            raise click.ClickException("No payout has this id.") from error
        except OtherCurrencyError as error:
            message = "Entry and payout are of different currencies, or of different providers or accounts."
            raise click.ClickException(message) from error
        except LinkedAlreadyError as error:
            raise click.ClickException("The entry is part of another payout: nothing was done.") from error
    click.echo(f"{entry_id}: linked with {payout_id}")


def _held(connection: SettlementsConnection, named: str, provider: str | None) -> Row:
    """The held file of this id or name. Raises ClickException where there is none, or more than one."""
    try:
        found = [row for row in [file_of(connection, parse_id(named))] if row]
    except ValueError:
        found = list(files_called(connection, kept(named), provider=provider))
    if not found:
        raise click.ClickException("No file has this name or id: `checkout settlements exceptions --kind held`.")
    held = [row for row in found if row["state"] == FileState.HELD.value]
    if not held:
        raise click.ClickException(f"It is not held: it is {found[0]['state']}.")
    if len(held) > 1:
        names = "".join(f"\n  {row['id']}  {row['provider']} {shown(row['account'])}" for row in held)
        raise click.ClickException(f"Several held files have this name; name one by its id:{names}")
    return held[0]


def _show_residue(row: Row) -> None:
    for residue in row["residues"]:
        click.echo(stored_residue(residue))
    for fault in row["faults"]:
        click.echo(shown(fault, 500))
