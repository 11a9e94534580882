"""What commands for operators share: groups that explain a database that is away, time spans, texts made harmless."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Final

import click
from flask.cli import AppGroup

from checkout_service.database.errors import DatabaseUnavailableError

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class CommandGroup(AppGroup):
    """Commands that need the database, and say so in a sentence when it is away."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DatabaseUnavailableError as error:
            raise click.ClickException("The database does not answer.") from error


class Duration(click.ParamType[timedelta]):
    """A time span such as 90s, 30m, 2h or 7d."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        found = re.fullmatch(r"(\d{1,6})([smhd])", str(value))
        if not found:
            self.fail(f"{value!r} is no time span such as 90s, 30m, 2h or 7d", param, ctx)
        return timedelta(**{_UNITS[found[2]]: int(found[1])})


def printable(text: str) -> str:
    """The text, escaped if need be: it may be a stranger's, and terminals obey control characters."""
    return text if text.isprintable() else ascii(text)
