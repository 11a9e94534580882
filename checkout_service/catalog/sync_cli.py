"""``checkout catalog sync``: listings out of another application's tables, and the GRANTs that this needs."""

from __future__ import annotations

import re
import sys
from time import monotonic

import click
import psycopg

from checkout_service.catalog.models import SyncState
from checkout_service.catalog.source import SourceError
from checkout_service.catalog.sync_writing import SyncOverError, SyncRunningError
from checkout_service.catalog.syncing import Keys, sync_catalog
from checkout_service.settings.catalog_source import CatalogSettings
from checkout_service.settings.database_addresses import connection_parameters
from checkout_service.settings.database_names import names_at
from checkout_service.settings.values import SettingsError

STATEMENT_SECONDS = 600
"""How long one statement on the source may take: somebody waits for it, and may end it."""


@click.command("sync")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option(
    "--allow-gone",
    is_flag=True,
    help="Allow more than CATALOG_SYNC_MAX_GONE, gone or far from their prices, this once.",
)
@click.option("--grants", is_flag=True, help="Print what the owner of the source runs so that it can be read.")
def sync(*, dry_run: bool, allow_gone: bool, grants: bool) -> None:
    """Bring the catalogue to what CATALOG_SOURCE gives: a SELECT on the tables of your application.

    \b
    Needed columns: id, title, unit_price, currency, vendor.
    Others: vendor_id, school, school_id, spec, spec_id, attributes, description, images, prices, stock, active.

    What differs is written. What the source no longer has is made inactive, and never deleted. A row that cannot be a
    listing is named, and its listing left as it is. Of an empty source, or where more than CATALOG_SYNC_MAX_GONE
    percent would be made inactive, by it or within a day, or have their prices moved far, nothing is changed.

    Connects by WORKER_DATABASE_URL: the worker's role reads the source. Exits with 1 if somebody has to look at
    something.
    """
    try:
        settings = CatalogSettings.from_environment()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    if grants:
        _print_grants(settings)
        return
    started = monotonic()
    try:
        done = sync_catalog(
            source=settings.source,
            database_url=settings.database_url,
            namespace=settings.namespace,
            pooler=settings.database_pooler,
            statement_seconds=STATEMENT_SECONDS,
            allow_gone=allow_gone,
            writes=not dry_run,
            progress=_progress if sys.stderr.isatty() else lambda _rows: None,
        )
    except SyncRunningError as error:
        message = "Another sync is at work, or was killed a moment ago: nothing was done. Try again later."
        raise click.ClickException(message) from error
    except SyncOverError as error:
        message = "This sync was away for too long, and another one has begun: that one goes on."
        raise click.ClickException(message) from error
    except SourceError as error:
        raise click.ClickException(f"{error}.") from error
    except psycopg.Error as error:
        message = f"The database refused: {error}\nWhat was written is right; the next sync goes on."
        raise click.ClickException(message) from error
    if done.state is SyncState.REFUSED:
        raise click.ClickException(f"{done.in_words[:1].upper()}{done.in_words[1:]}.")
    for name, keys in (("new", done.new), ("changed", done.changed), ("made inactive", done.gone)):
        _echo(name, keys, err=False)
    for name, keys in (("unusable", done.unusable), ("short", done.short), ("left out", done.left_out)):
        _echo(name, keys, err=True)
    click.echo(f"Synced in {monotonic() - started:.1f} s, {done.in_words}.")
    if not done.is_good:
        raise SystemExit(1)


def _echo(name: str, keys: Keys, *, err: bool) -> None:
    for each in keys.first:
        click.echo(f"{name}: {each}", err=err)
    if keys.count > len(keys.first):
        click.echo(f"{name}: and {keys.count - len(keys.first)} others", err=err)


def _print_grants(settings: CatalogSettings) -> None:
    """By the names that stand behind FROM and JOIN: a comma between tables is not seen, and said so."""
    role = _quoted(
        str(connection_parameters(settings.database_url.reveal()).get("user") or names_at(settings.database_url).worker)
    )
    tables = settings.source.tables
    if not tables:
        raise click.ClickException(
            "CATALOG_SOURCE names no table with its schema behind FROM or JOIN: write shop.products."
        )
    for schema in dict.fromkeys(schema for schema, _ in tables):
        click.echo(f"GRANT USAGE ON SCHEMA {schema} TO {role};")
    for schema, table in tables:
        click.echo(f"GRANT SELECT ON {schema}.{table} TO {role};")
    click.echo(
        "Run these as who owns the tables. Others that CATALOG_SOURCE names without FROM or JOIN are left out.",
        err=True,
    )


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


def _progress(rows: int) -> None:
    click.echo(f"\r{rows} rows looked at", nl=False, err=True)
