"""What the commands for operators share: their groups, time spans as options, and texts that are safe to print."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click
from flask.cli import AppGroup

from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.durations import parse_duration


class CommandGroup(AppGroup):
    """Commands that need the database. When it is away, they say so in a sentence."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DatabaseUnavailableError as error:
            raise click.ClickException("The database does not answer.") from error


class Duration(click.ParamType[timedelta]):
    """A time span such as 90s, 30m, 2h or 7d."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def printable(text: str) -> str:
    """The text as it is, or escaped: it may be a stranger's, and terminals obey the control characters in it."""
    return text if text.isprintable() else ascii(text)
