"""``checkout catalog demo``: the demo catalogue of the package, for a shop that is only tried."""

from __future__ import annotations

import click
import psycopg
from flask import Flask, current_app
from flask.cli import with_appcontext

from checkout_service.catalog.cli import catalog, import_file
from checkout_service.catalog.operations import take_off_sale
from checkout_service.local.demo_catalog import CATALOGUE, listing_ids
from checkout_service.settings.values import MigrationSettings, SettingsError, WebSettings


def init_app(_app: Flask) -> None:
    """Give the ``catalog`` group of the command line this command."""
    catalog.add_command(demo)


@click.command("demo")
@click.option("--off-sale", is_flag=True, help="Take its listings off sale again, in production too.")
@with_appcontext
def demo(*, off_sale: bool) -> None:
    """Fill the shop with the demo catalogue: uniforms and books in USD and EUR, of vendors that are made up.

    It may run again: what is there is brought back to what it was, and so is its stock. In production it is refused,
    since people would pay for what nobody can send. Listings are never deleted: --off-sale makes those of the demo
    catalogue inactive, and leaves all others as they are.

    Connects by MIGRATION_DATABASE_URL, as catalog import does.
    """
    if off_sale:
        click.echo(f"Took {_take_off_sale()} listings of the demo catalogue off sale.")
        return
    settings: WebSettings = current_app.extensions["settings"]
    if settings.production:
        raise click.ClickException(
            "ENVIRONMENT is production: people would pay for what nobody can send. "
            "Import listings of your own (catalog import, catalog sync).\nNothing was imported."
        )
    with CATALOGUE.open("rb") as file:
        import_file(file)


def _take_off_sale() -> int:
    try:
        url = MigrationSettings.from_environment().database_url
        return take_off_sale(listings=listing_ids(), database_url=url)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    except psycopg.Error as error:
        raise click.ClickException(f"The database refused: {error}\nNothing was changed.") from error
