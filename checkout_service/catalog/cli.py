"""``checkout catalog``: ``import`` takes listings out of a file, with progress on a terminal; ``sync`` is beside it."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Sequence
from time import monotonic
from typing import Any, BinaryIO, Final

import click
import psycopg

from checkout_service.catalog.operations import (
    Imported,
    ImportRefusedError,
    ShortagesRefusedError,
    StockLeftError,
    import_listings,
)
from checkout_service.catalog.sync_cli import sync
from checkout_service.money import why_withdrawn
from checkout_service.settings.values import MigrationSettings, SettingsError

NAMED: Final = 20
"""Shortages that are named."""


@click.group()
def catalog() -> None:
    """What can be bought."""


catalog.add_command(sync)


@catalog.command("import")
@click.argument("file", type=click.File("rb"), metavar="FILE.jsonl")
@click.option("--accept-shortages", is_flag=True, help="Enter a stock that is below what is reserved all the same.")
def import_(file: BinaryIO, *, accept_shortages: bool) -> None:
    """Store the listings of a JSON Lines file, all of them or none; "-" reads standard input.

    \b
    A line is one listing:
      {"id", "title", "description", "images", "unit_price", "currency", "prices", "stock", "active",
       "vendor", "school", "spec"}
    The last three are {"id", "name"}; a spec may have "attributes". images are up to 10 of {"url", "alt"}, at one of
    IMAGE_ORIGINS. prices are those in other currencies: {"EUR": "35.00"}. Everything is found again by its id: what is
    new is added, what differs is changed. All but id, title, unit_price, currency and vendor may be left out.

    stock is what lies there, with what is held and what is sold and not handed over yet. A line that brings it below
    that is refused, and with it the file. Of listings that are there already it is entered last, a thousand at a time,
    so that customers do not wait for the file.

    Connects by MIGRATION_DATABASE_URL, since only the tables' owner may write the catalogue.
    """
    import_file(file, accept_shortages=accept_shortages)


def import_file(file: BinaryIO, *, accept_shortages: bool = False) -> None:
    """Import a JSON Lines file for somebody at a terminal, and say in a line what it did.

    Raises ClickException, which says what is wrong and what was stored.
    """
    started = monotonic()
    try:
        settings = MigrationSettings.from_environment()
        size = _size(file)
        bar: Any = click.progressbar(
            length=size or 0, label="Importing", file=sys.stderr, hidden=size is None or not sys.stderr.isatty()
        )
        with bar:
            done = import_listings(
                file=file,
                database_url=settings.database_url,
                progress=bar.update,
                accept_shortages=accept_shortages,
                image_origins=settings.image_origins,
            )
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    except ShortagesRefusedError as error:
        lines = [f"line {number}: {reserved.against()}" for number, reserved in error.shortages]
        left = (
            "All the rest was imported; these pieces were taken meanwhile." if error.stored else "Nothing was imported."
        )
        raise click.ClickException("\n".join([*_first(lines), left])) from error
    except ImportRefusedError as error:
        raise click.ClickException(f"{error}\nNothing was imported.") from error
    except StockLeftError as error:
        left = "All was imported but some stock, which is as it was before: import the file again."
        raise click.ClickException(f"The database refused: {error}\n{left}") from error
    except psycopg.Error as error:
        raise click.ClickException(f"The database refused: {error}\nNothing was imported.") from error
    for line in _first([f"shortage: {reserved.against()}" for reserved in done.shortages]):
        click.echo(line, err=True)
    for currency, count in sorted(done.left_out.items()):
        click.echo(f"left out: prices in {currency} of {count} lines: {why_withdrawn(currency)}", err=True)
    click.echo(_summary(done, monotonic() - started))


def _summary(done: Imported, seconds: float) -> str:
    return (
        f"Imported {done.new + done.changed + done.unchanged} listings in {seconds:.1f} s: "
        f"{done.new} new, {done.changed} changed, {done.unchanged} as they were."
    )


def _first(lines: Sequence[str]) -> Sequence[str]:
    """As many as a person reads, and how many others there are."""
    others = len(lines) - NAMED
    return [*lines[:NAMED], *([f"and {others} others"] if others > 0 else [])]


def _size(file: BinaryIO) -> int | None:
    """How many bytes there are to read; None of a pipe, since nobody knows."""
    try:
        found = os.fstat(file.fileno())
    except io.UnsupportedOperation:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
