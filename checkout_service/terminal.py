"""What the commands for operators share: groups, time spans and days as options, who gives them, safe texts."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, time, timedelta
from getpass import getuser
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


class Day(click.ParamType[datetime]):
    """A day such as 2026-12-24: its beginning in UTC."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return datetime.combine(date.fromisoformat(str(value)), time(), UTC)
        except ValueError:
            self.fail(f"{value!r} is no day such as 2026-12-24", param, ctx)


def os_user() -> str:
    """The name of the operating system's user; where there is none, as in some containers, its number."""
    try:
        return getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def kept(text: str) -> str:
    """The text as a database takes it: bytes of a terminal that are no UTF-8 come as lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode()


def printable(text: str) -> str:
    """The text as it is, or escaped: it may be a stranger's, and terminals obey the control characters in it."""
    return text if text.isprintable() else ascii(text)
