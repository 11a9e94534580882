"""``checkout stock``: what lies there of a listing, entered by somebody who looked."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, TextIO
from uuid import UUID

import click
import psycopg

from checkout_service.catalog.rows import LARGEST_STOCK
from checkout_service.catalog.shortages import Reserved
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import MigrationSettings, SettingsError
from checkout_service.spellings import parse_id
from checkout_service.stock.counting import Entered, Mode, StockRefusedError, enter_stock, list_listings, stock_of
from checkout_service.terminal import Id, Number, echo_list, kept, printable

# A number below zero is no option.
_NUMBERS: Final = {"ignore_unknown_options": True}
_PIECES: Final = Number(0, LARGEST_STOCK)

LONGEST_FILE: Final = 100_000
"""Listings of one file."""


@click.group()
def stock() -> None:
    """What lies there of listings, with what is held and what is sold and not handed over yet.

    Connects by MIGRATION_DATABASE_URL, since only the tables' owner may write the catalogue. Less than is reserved is
    refused, with the orders that it is reserved for.
    """


@stock.command("set", context_settings=_NUMBERS)
@click.argument("listing", type=Id())
@click.argument("number", type=_PIECES, metavar="N")
def set_stock(listing: UUID, number: int) -> None:
    """Say that N pieces of a listing lie there. From then on its stock is tracked."""
    with _as_owner() as url:
        _show(enter_stock({listing: number}, database_url=url))


@stock.command("add", context_settings=_NUMBERS)
@click.argument("listing", type=Id())
@click.argument("number", type=Number(-LARGEST_STOCK, LARGEST_STOCK), metavar="N")
def add_stock(listing: UUID, number: int) -> None:
    """Say that N pieces of a listing came; or went, if N is below zero."""
    with _as_owner() as url:
        _show(enter_stock({listing: number}, database_url=url, mode=Mode.MORE))


@stock.command("count", context_settings=_NUMBERS)
@click.argument("listing", type=Id(), required=False)
@click.argument("number", type=_PIECES, metavar="[N]", required=False)
@click.option(
    "--file", type=click.File("r", encoding="utf-8-sig"), help='Lines "LISTING,N" instead; - is standard input.'
)
@click.option("--accept", is_flag=True, help="Enter less than is reserved all the same: a shortage.")
def count_stock(listing: UUID | None, number: int | None, *, file: TextIO | None, accept: bool) -> None:
    """Enter a count: N pieces of a listing, or what a file says of many: all are judged before any is entered."""
    if file is not None and listing is None:
        numbers = _lines_of(file)
    elif file is None and listing is not None and number is not None:
        numbers = {listing: number}
    else:
        raise click.UsageError("Give LISTING and N, or --file.")
    with _as_owner() as url:
        _show(enter_stock(numbers, database_url=url, accept_shortages=accept))


@stock.command("list")
@click.option("--title", help="Only those whose title has this text in it, in whatever case.")
@click.option("--limit", type=Number(1, 10_000), default=50, show_default=True)
def list_stock(title: str | None, limit: int) -> None:
    """List listings by title, each with its id, what lies there and what is available."""
    with _as_owner() as url:
        found = list_listings(title=None if title is None else kept(title), limit=limit, database_url=url)
    lines = (
        f"{listing}  {'not tracked' if lies is None else f'{lies} lie there, {available} available':32}  "
        f"{printable(name)}{'' if active else '  (not on sale)'}"
        for listing, name, active, lies, available in found
    )
    echo_list(lines, limit=limit, what="listings", which="first")


@stock.command("show")
@click.argument("listing", type=Id())
def show_stock(listing: UUID) -> None:
    """Show what lies there of a listing, what of it is reserved, for which orders, and how many are short."""
    with _as_owner() as url:
        click.echo(_phrase(stock_of(listing, database_url=url)))


@contextmanager
def _as_owner() -> Iterator[Secret]:
    """The owner's way to the database. What is refused within ends the command with a sentence."""
    try:
        yield MigrationSettings.from_environment().database_url
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    except StockRefusedError as error:
        raise click.ClickException(f"{error}\n{_changed(error.entered)}") from error
    except psycopg.errors.LockNotAvailable as error:
        raise click.ClickException("Others hold these listings for too long: try again.") from error
    except psycopg.Error as error:
        raise click.ClickException(f"The database refused: {error}\nNothing was changed.") from error


def _changed(entered: int) -> str:
    if not entered:
        return "Nothing was changed."
    return f"{entered} listings were entered before that, and stay. The others were not: mend it, and enter all again."


def _lines_of(file: TextIO) -> Mapping[UUID, int]:
    """What a file says of many listings. A line with another number for the same listing is refused, as is none."""
    numbers: dict[UUID, int] = {}
    try:
        for place, row in enumerate(csv.reader(file, strict=True), 1):
            if not row or not "".join(row).strip():
                continue
            listing, number = _line_of(row, place)
            if listing in numbers:
                raise click.ClickException(f"line {place}: the listing {listing} has a line already.")
            if len(numbers) == LONGEST_FILE:
                raise click.ClickException(f"line {place}: a file has {LONGEST_FILE} listings at most.")
            numbers[listing] = number
    except (csv.Error, UnicodeDecodeError) as error:
        raise click.ClickException(f"This is no CSV file in UTF-8: {error}.") from error
    if not numbers:
        raise click.ClickException("The file names no listing.")
    return numbers


def _line_of(row: Sequence[str], place: int) -> tuple[UUID, int]:
    if len(row) != 2:
        raise click.ClickException(f'line {place}: is not "LISTING,N".')
    listing, number = (cell.strip() for cell in row)
    # int() takes more than a person means by a number, and a very long one only as an error of its own.
    if not re.fullmatch(r"\d{1,10}", number, re.ASCII) or int(number) > LARGEST_STOCK:
        raise click.ClickException(f"line {place}: {printable(number[:40])} is no integer from 0 to {LARGEST_STOCK}.")
    try:
        return parse_id(listing), int(number)
    except ValueError:
        raise click.ClickException(f"line {place}: {printable(listing[:40])} is no UUID.") from None


def _show(entered: Sequence[Entered]) -> None:
    for each in entered:
        before = "not tracked" if each.before is None else each.before
        click.echo(f"{_phrase(each.reserved)} Before: {before}.")


def _phrase(of: Reserved) -> str:
    if of.stock is None:
        return f"{of.name}: not tracked; {of.in_words}."
    short = f" {of.short} short: held or sold, and not there." if of.short else ""
    return f"{of.name}: {of.stock} lie there, {of.available} available; {of.in_words}.{short}"
