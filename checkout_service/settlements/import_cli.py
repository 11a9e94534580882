"""``checkout settlements import``: files of providers and banks, each entered whole or not at all."""

from __future__ import annotations

import os
import stat
from contextlib import closing
from io import BufferedReader
from pathlib import Path
from typing import Final

import click

from checkout_service.command_options import kept
from checkout_service.providers.registry import ProviderSpecError
from checkout_service.providers.reports import LARGEST_FILE, ReadReport, UnreadableReportError
from checkout_service.settlement_words import BANK, EXCEPTIONS, FileState
from checkout_service.settlements.banks.bookings import plain_account
from checkout_service.settlements.command_context import (
    by,
    note_missing,
    operator_option,
    settled,
    shown,
    watched,
    watched_no_more,
)
from checkout_service.settlements.connecting import SettlementsConnection
from checkout_service.settlements.entered import Entered, FileOfAnotherError
from checkout_service.settlements.entering import enter
from checkout_service.settlements.presenting import number_of, residue_line
from checkout_service.settlements.readers import NoReportsError, reader_of
from checkout_service.settlements.spool import no_room
from checkout_service.spellings import fault_of_subject

_ZIP: Final = b"PK\x03\x04"
_PACKED: Final = {
    b"\x1f\x8b": "compressed by gzip",
    _ZIP: "a ZIP or Excel file",
    b"PK\x05\x06": "an empty ZIP",
    b"PK\x07\x08": "a ZIP in several parts",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ\0": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"7z\xbc\xaf\x27\x1c": "a 7z file",
    b"Rar!\x1a\x07": "a RAR file",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
}
"""How files begin that hold others: what is in them may be any size."""

_TAR: Final = slice(257, 262), b"ustar"
"""Where a tar says what it is."""


class BadFileError(Exception):
    """A file that is not even looked into; the message says why."""


@click.command("import", short_help="Enter reports of a provider, or statements of a bank.")
@click.argument("files", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--provider", metavar="NAME", required=True, help="Whose files they are: a provider such as stripe, or bank."
)
@click.option(
    "--account",
    metavar="NAME",
    default="",
    help="The account there, or the IBAN, where the files do not say it; files of another one are refused.",
)
@operator_option
def import_files(files: tuple[Path, ...], provider: str, account: str, operator: str | None) -> None:
    """Enter reports of a provider, or statements of a bank, out of files: each whole, or nothing of it.

    A file that does not prove itself is kept and held: nothing of it is matched until a later file resolves it, or
    somebody accepts it. The same file again changes nothing. Files are plain, and of at most 512 MiB: nothing that is
    packed (gzip, ZIP, tar, Excel and the like) and no pipe, since a file is read twice. Of a bank a ZIP of camt.053 is
    read as well; there a file has 64 MiB at most, and what is in a ZIP 256 MiB together. The lines of a million take
    257 MiB in TMPDIR while they are read.

    Of several files each counts by itself. Exits with 1 where one cannot be read, whose first unreadable line is named
    by its number, or is held.

    \b
    Example:
      checkout settlements import payouts.csv itemized.csv --provider stripe
    """
    try:
        read = reader_of(provider)
    except NoReportsError as error:
        raise click.UsageError(f"--provider: {shown(str(error), 500)}.") from error
    except ProviderSpecError as error:
        raise click.ClickException(str(error)) from error
    account = kept(account).strip()
    if provider == BANK:
        account = plain_account(account)
    if account and (fault := fault_of_subject(account)):
        raise click.UsageError(f"--account: it {fault}.")
    is_good = True
    with settled() as (settings, connection):
        for file in files:
            try:
                entered, payouts = _entered(
                    connection, file, read, provider=provider, account=account, operator=by(operator)
                )
            except (BadFileError, UnreadableReportError, FileOfAnotherError, OSError) as error:
                watched_no_more()
                words = no_room(error) if isinstance(error, OSError) else str(error)
                click.echo(f"{shown(str(file))}: {shown(words, 1000)}. Nothing of it was entered.", err=True)
                is_good = False
            else:
                watched_no_more()
                _tell(shown(str(file)), entered, payouts=payouts)
                is_good &= entered.state is not FileState.HELD
        if provider != BANK:
            note_missing(connection, settings)
    if not is_good:
        raise SystemExit(1)


def _entered(
    connection: SettlementsConnection, path: Path, read: ReadReport, *, provider: str, account: str, operator: str
) -> tuple[Entered, int]:
    """What came of the file, and how many payouts it lists."""
    name = kept(path.name)
    with closing(_opened(path, provider)) as file:
        report = read(file, name=name, account=account)
        entered = enter(
            connection,
            report,
            provider=provider,
            account=account,
            operator=operator,
            progress=lambda lines: watched(name, lines),
        )
        return entered, len({(each.account, each.payout_ref) for each in report.payouts})


def _opened(path: Path, provider: str) -> BufferedReader:
    """The file, at its beginning. Raises BadFileError for whatever cannot be one of these."""
    try:
        # A pipe that nobody writes to would never open.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise BadFileError(f"it cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BadFileError("it is no regular file: save what it gives into one")
    file = os.fdopen(descriptor, "rb")
    fault = _fault(file, provider)
    if fault:
        file.close()
        raise BadFileError(fault)
    return file


def _fault(file: BufferedReader, provider: str) -> str | None:
    size = os.fstat(file.fileno()).st_size
    if size == 0:
        return "it is empty"
    if size > LARGEST_FILE:
        return f"it has {size} bytes, more than the {LARGEST_FILE >> 20} MiB of a report"
    # Banks pack statements into a ZIP, whose reader bounds it.
    kinds = {magic: words for magic, words in _PACKED.items() if provider != BANK or magic != _ZIP}
    head = file.peek(512)
    packed = next((words for magic, words in kinds.items() if head.startswith(magic)), None)
    place, magic = _TAR
    if head[place] == magic:
        packed = "a tar"
    return f"it is {packed}: unpack it, or save it as CSV, first" if packed else None


def _tell(name: str, entered: Entered, *, payouts: int) -> None:
    if entered.is_known:
        how = {
            FileState.ENTERED: "was entered before",
            FileState.HELD: "is known and held",
            FileState.SUPERSEDED: "is known, and a later file took its place",
            FileState.DISMISSED: "is known, and somebody said that nobody needs it",
        }[entered.state]
        click.echo(f"{name}: {how} ({entered.file_id}); nothing changed")
    elif entered.state is FileState.ENTERED:
        gone = f", {entered.withdrawn} withdrawn" if entered.withdrawn else ""
        gone += f", {number_of(payouts, 'payout')}" if payouts else ""
        kinds = "".join(
            f", {count} {state.value}" for state, count in sorted(entered.by_state.items()) if state in EXCEPTIONS
        )
        lines = number_of(entered.rows, "line")
        click.echo(f"{name}: entered: {lines}, {entered.new} new, {entered.known} known{gone}{kinds}")
    if entered.state is FileState.HELD:
        click.echo(
            f"{name}: held ({entered.file_id}): it does not prove itself, and nothing of it is entered.", err=True
        )
        for residue in entered.residues:
            click.echo(f"  {residue_line(residue)}", err=True)
        for fault in entered.faults:
            click.echo(f"  {shown(fault, 500)}", err=True)
        click.echo(
            "  Import what is missing, or the file as it was issued again; or accept it: checkout settlements accept "
            f"{entered.file_id} --residue --why …; or, where all of it is here already, say so: checkout settlements "
            f"dismiss {entered.file_id} --why …",
            err=True,
        )
    for resolved in entered.retried:
        click.echo(f"{name}: {resolved}, which was held, is entered by it")
