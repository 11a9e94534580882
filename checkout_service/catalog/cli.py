"""``flask catalog import``: listings out of a file, with progress on a terminal."""

from __future__ import annotations

import io
import os
import stat
import sys
from time import monotonic
from typing import Any, BinaryIO

import click
import psycopg

from checkout_service.catalog.operations import ImportRefusedError, import_listings
from checkout_service.settings.values import MigrationSettings, SettingsError


@click.group()
def catalog() -> None:
    """What can be bought."""


@catalog.command("import")
@click.argument("file", type=click.File("rb"), metavar="FILE.jsonl")
def import_(file: BinaryIO) -> None:
    """Store the listings of a JSON Lines file, all of them or none; "-" reads standard input.

    \b
    A line is one listing:
      {"id", "title", "unit_price", "currency", "stock", "active", "vendor", "school", "spec"}
    The last three are {"id", "name"}; a spec may have "attributes". Everything is found again by its id: what is new
    is added, what differs is changed. stock, active, school and spec may be left out.

    Connects by MIGRATION_DATABASE_URL, since only the tables' owner may write the catalogue.
    """
    started = monotonic()
    try:
        url = MigrationSettings.from_environment().database_url
        size = _size(file)
        bar: Any = click.progressbar(
            length=size or 0, label="Importing", file=sys.stderr, hidden=size is None or not sys.stderr.isatty()
        )
        with bar:
            done = import_listings(file=file, database_url=url, progress=bar.update)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    except ImportRefusedError as error:
        raise click.ClickException(f"{error}\nNothing was imported.") from error
    except psycopg.Error as error:
        raise click.ClickException(f"The database refused: {error}\nNothing was imported.") from error
    click.echo(
        f"Imported {done.new + done.changed + done.unchanged} listings in {monotonic() - started:.1f} s: "
        f"{done.new} new, {done.changed} changed, {done.unchanged} as they were."
    )


def _size(file: BinaryIO) -> int | None:
    """How many bytes there are to read; None of a pipe, since nobody knows."""
    try:
        found = os.fstat(file.fileno())
    except io.UnsupportedOperation:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
