"""What the commands of the application share: groups, and of ``command_options`` what every command may take."""

from __future__ import annotations

from typing import Any

import click
from flask.cli import AppGroup
from sqlalchemy.exc import DBAPIError

from checkout_service.command_options import (
    Day,
    Duration,
    Id,
    Moment,
    Number,
    echo_list,
    kept,
    os_user,
    printable,
)
from checkout_service.database.engine import lacks_schema
from checkout_service.database.errors import DatabaseUnavailableError

__all__ = [
    "CommandGroup",
    "Day",
    "Duration",
    "Id",
    "Moment",
    "Number",
    "echo_list",
    "kept",
    "os_user",
    "printable",
]


class CommandGroup(AppGroup):
    """Commands that need the database. When it is away, or was not migrated, they say so in a sentence."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DatabaseUnavailableError as error:
            raise click.ClickException("The database does not answer.") from error
        except DBAPIError as error:
            if not lacks_schema(error):
                raise
            raise click.ClickException("The database lacks what this release needs: migrate first (release).") from None
