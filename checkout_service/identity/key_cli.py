"""``checkout api-keys``: keys for programs of the shop, made, listed and revoked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

import click
import psycopg

from checkout_service.api.responses import show_time
from checkout_service.api.scopes import OPENS, Scope
from checkout_service.identity.api_keys import REMEMBERED_FOR
from checkout_service.identity.key_form import is_key, is_prefix, prefix_of
from checkout_service.identity.key_operations import NoSuchKeyError, create_key, newest_keys, revoke_key
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import MigrationSettings, SettingsError
from checkout_service.spellings import parse_id
from checkout_service.telemetry.logs import strike_out_of_text
from checkout_service.terminal import CommandGroup, Number, echo_list, kept, os_user, printable

LONGEST_NAME: Final = 200

api_keys = CommandGroup("api-keys", help="Keys of programs: each with its scopes, shown once, kept as a hash.")

_operator = click.option("--operator", help="Who you are, for the audit; by default the operating system's user.")
_why = click.option("--why", default="", help="For the audit.")


class ScopeName(click.ParamType[Scope]):
    """One of the scopes that there are."""

    name = "scope"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Scope:
        try:
            return Scope(str(value))
        except ValueError:
            known = "".join(f"\n  {scope:15} {words}" for scope, words in OPENS.items())
            self.fail(f"{printable(str(value))} is no scope. There are:{known}", param, ctx)


class KeyName(click.ParamType[str]):
    """A key's prefix, its id, or the key itself, of which the prefix is taken."""

    name = "prefix or id"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if is_key(text):
            return prefix_of(text)
        if is_prefix(text):
            return text
        try:
            return str(parse_id(text))
        except ValueError:
            # The text may be most of a key.
            self.fail("this is neither the prefix of a key, such as csk_0aB1cD2e, nor the id of one.", param, ctx)


@api_keys.command("create")
@click.option("--scope", "scopes", type=ScopeName(), multiple=True, required=True, help="May be repeated.")
@click.option("--name", default="", help="What it is for.")
@click.option("--expires-in-days", "days", type=Number(1, 3650), help="By default it does not end by itself.")
@_why
@_operator
def create(scopes: tuple[Scope, ...], name: str, days: int | None, why: str, operator: str | None) -> None:
    """Make a key and print it: alone, on the last line of the output. It is shown this once.

    Connects by MIGRATION_DATABASE_URL, since only the tables' owner may make one.
    """
    if len(name) > LONGEST_NAME:
        raise click.UsageError(f"A name has {LONGEST_NAME} characters at most.")
    with _as_owner() as url:
        made = create_key(
            scopes,
            name=printable(_written(name)),
            lasts=None if days is None else timedelta(days=days),
            operator=_cut(operator),
            why=_written(why),
            database_url=url,
        )
    end = "it does not end by itself" if made.expires_at is None else f"it ends at {show_time(made.expires_at)}"
    click.echo(f"Key {made.prefix} for {' '.join(sorted(set(scopes)))}; {end}. It is shown this once:", err=True)
    click.echo(made.key)


@api_keys.command("list")
@click.option("--limit", type=Number(1, 10_000), default=50, show_default=True)
def list_keys(limit: int) -> None:
    """List keys, the newest first: prefix, id, whether it is good, when it was used last, scopes, who made it."""
    lines = (
        f"{row.prefix}  {row.id}  {_state(row.is_good, row.revoked_at, row.expires_at):40}  "
        f"last used {_time(row.last_used_at):27}  {' '.join(row.scopes)}  "
        f"made {_time(row.created_at)} by {printable(row.created_by)}{f'  {printable(row.name)}' if row.name else ''}"
        for row in newest_keys(limit)
    )
    echo_list(lines, limit=limit, what="API keys")


@api_keys.command("revoke")
@click.argument("key", type=KeyName(), metavar="PREFIX_OR_ID")
@_why
@_operator
def revoke(key: str, why: str, operator: str | None) -> None:
    """Revoke a key, for good. Processes that know it stop taking it within seconds."""
    with _as_owner() as url:
        try:
            revoked = revoke_key(key, operator=_cut(operator), why=_written(why), database_url=url)
        except NoSuchKeyError:
            raise click.ClickException(f"There is no key {key}.") from None
    if revoked.before is not None:
        click.echo(f"Key {revoked.prefix} was revoked before, at {show_time(revoked.before)}.")
    else:
        click.echo(f"Key {revoked.prefix} is revoked: within {REMEMBERED_FOR:.0f} s it opens nothing.")


@contextmanager
def _as_owner() -> Iterator[Secret]:
    """The owner's way to the database. What is refused within ends the command with a sentence."""
    try:
        yield MigrationSettings.from_environment().database_url
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    except psycopg.errors.LockNotAvailable as error:
        raise click.ClickException("Others hold this key for too long, so it is not revoked: see who does.") from error
    except psycopg.Error as error:
        raise click.ClickException(f"The database refused: {error}\nNothing was changed.") from error


def _written(text: str) -> str:
    """What somebody typed, as it is kept: a key that they meant to tell of is no more in it than in a log."""
    return strike_out_of_text(kept(text))


def _cut(operator: str | None) -> str:
    return printable(operator or os_user())[:200]


def _state(is_good: bool, revoked_at: datetime | None, expires_at: datetime | None) -> str:
    if revoked_at is not None:
        return f"revoked {show_time(revoked_at)}"
    if expires_at is not None:
        return f"{'ends' if is_good else 'over since'} {show_time(expires_at)}"
    return "good"


def _time(moment: datetime | None) -> str:
    return "never" if moment is None else show_time(moment)
