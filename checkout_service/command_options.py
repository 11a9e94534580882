"""Time spans, days, numbers and ids as options of commands, who gives them, and safe texts; it loads no application."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime, timedelta
from getpass import getuser
from typing import Any
from uuid import UUID

import click

from checkout_service.durations import parse_duration
from checkout_service.spellings import parse_day, parse_id, parse_moment, parse_number


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
            return parse_day(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Moment(click.ParamType[datetime]):
    """A moment of RFC 3339, with its offset, such as 2026-11-29T10:04:00Z."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = parse_moment(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if moment.tzinfo is None:
            self.fail(f"{value!r} is no moment with its offset, such as 2026-11-29T10:04:00Z", param, ctx)
        return moment


class Number(click.IntRange):
    """A whole number of a range, in ASCII digits."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(parse_number(str(value)), param, ctx)
        except ValueError:
            self.fail(f"{value!r} is not a valid integer.", param, ctx)


class Id(click.ParamType[UUID]):
    """A UUID in the form of RFC 9562."""

    name = "uuid"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> UUID:
        try:
            return parse_id(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a valid UUID.", param, ctx)


def os_user() -> str:
    """The name of the operating system's user; where there is none, as in some containers, its number."""
    try:
        return getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def kept(text: str) -> str:
    """The text as a database takes it: bytes of a terminal that are no UTF-8 come as lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode()


def echo_list(lines: Iterable[str], *, limit: int, what: str, which: str = "newest") -> None:
    """Print a list, a line each. That there is none, or perhaps more than ``limit``, is said beside the output."""
    count = 0
    for line in lines:
        click.echo(line)
        count += 1
    if not count:
        click.echo(f"No {what} match.", err=True)
    elif count == limit:
        click.echo(f"The {which} {limit} are shown; there may be more: --limit", err=True)


def printable(text: str) -> str:
    """The text as it is, or escaped: it may be a stranger's, and terminals obey the control characters in it."""
    return text if text.isprintable() else ascii(text)
