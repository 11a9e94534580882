"""``checkout database …``: makes what a deployment needs in PostgreSQL, and looks whether it is as it should be.

It needs no application and none of its settings, since it comes before them.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast

import click

from checkout_service.database.environment_lines import EnvironmentLines, EnvironmentLinesError, environment_lines
from checkout_service.database.schema import MIGRATIONS
from checkout_service.database.setup import Prepared, prepare_database
from checkout_service.database.setup_roles import SETTINGS, SetupError
from checkout_service.settings.database_addresses import AddressError
from checkout_service.settings.database_names import DatabaseNames, read_names
from checkout_service.settings.secret import Secret
from checkout_service.spellings import parse_number

ADMIN: Final = "ADMIN_DATABASE_URL"

BOUNDS: Final = Path(__file__).with_name("bounds.sql")
SEARCH: Final = MIGRATIONS / "catalogue" / "search.sql"


class _Commands(click.Group):
    """``check`` is the doctor's, which is above this room: it is loaded by its name, and only when it is run."""

    ELSEWHERE: Final = {"check": ("checkout_service.doctor.database_cli", "check")}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *self.ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.ELSEWHERE:
            module, name = self.ELSEWHERE[cmd_name]
            return cast("click.Command", getattr(import_module(module), name))
        return super().get_command(ctx, cmd_name)


class _Connections(click.IntRange):
    """In ASCII digits, as all numbers of commands; their own type is above this room."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(parse_number(str(value)), param, ctx)
        except ValueError:
            self.fail(f"{value!r} is not a valid integer.", param, ctx)


@click.group(cls=_Commands)
def database() -> None:
    """Roles, schema and rights in PostgreSQL."""


@database.command("init")
@click.option(
    "--admin-url-file",
    type=click.Path(dir_okay=False, allow_dash=True),
    help=f'A file with the administrator\'s address, "-" for standard input; else {ADMIN}, or you are prompted for it.',
)
@click.option(
    "--env-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The environment file that addresses with passwords are written to; its other lines stay.",
)
@click.option(
    "--renew",
    type=click.Choice(list(SETTINGS)),
    multiple=True,
    help="Make a new password for this role; may be repeated. Restart who uses it: the old one ends.",
)
@click.option(
    "--connections",
    type=_Connections(20, 100_000),
    help="How many connections web and workers may have together; by default nine tenths of what others leave.",
)
def init(admin_url_file: str | None, env_file: Path | None, renew: tuple[str, ...], connections: int | None) -> None:
    """Make the database, the roles with their passwords, the schema and what they may do there.

    \b
    The administrator is a superuser, or a role with CREATEROLE that owns the database or may make it (CREATEDB). Its
    address is no argument, since arguments are seen by everybody on the machine.

    Schema and roles are named by DATABASE_SCHEMA and DATABASE_ROLE_PREFIX, from the file or the environment. Passwords
    that stand in the file, or in the environment, are kept; where there are none they are made. It may run again, and
    changes nothing then. Migrations come next: checkout release.
    """
    try:
        with environment_lines(env_file) if env_file else nullcontext() as file:
            done = _prepared(file, _admin(admin_url_file), renew, connections)
    except (SetupError, EnvironmentLinesError) as error:
        raise click.ClickException(str(error)) from None
    for step in done.steps or ["nothing: all was there"]:
        click.echo(f"database init: {step}")
    for note in done.notes:
        click.echo(f"database init: note: {note}")
    if done.faults:
        raise click.ClickException("\n".join(done.faults))


@database.command("bounds")
def bounds() -> None:
    """Show SQL for a superuser that bounds what no right does: pipe it into psql, in this database.

    Its two numbers, of connections, are at its top. Beside other applications read docs/database.md first.
    """
    names = _names()
    click.echo(f"SET checkout.role_prefix = '{names.prefix}';")
    click.echo(BOUNDS.read_text(encoding="utf-8"), nl=False)


@database.command("search")
def search() -> None:
    """Show SQL for the tables' owner that makes the functions of the search, where a restore had no extension."""
    names = _names()
    click.echo(f"SET search_path = {names.schema};")
    click.echo(names.in_sql(SEARCH.read_text(encoding="utf-8")), nl=False)


def _names() -> DatabaseNames:
    names, faults = read_names(os.environ)
    if faults:
        raise click.UsageError("\n".join(faults))
    return names


def _prepared(
    file: EnvironmentLines | None, admin: Secret, renew: tuple[str, ...], connections: int | None
) -> Prepared:
    settings = {} if file is None else file.settings()
    names, faults = read_names({**settings, **os.environ})
    if faults:
        raise click.UsageError("\n".join(faults))
    for name in ("DATABASE_SCHEMA", "DATABASE_ROLE_PREFIX"):
        if name in settings and os.environ.get(name, settings[name]) != settings[name]:
            raise click.UsageError(f"{name} is another one in the environment than in the file.")
    try:
        return prepare_database(
            admin, names=names, environment=os.environ, file=file, renew=renew, connections=connections
        )
    except AddressError as error:
        raise click.UsageError(f"{ADMIN} {error}") from None


def _admin(path: str | None) -> Secret:
    """The administrator's address, by none of the ways that others can see."""
    if path is not None:
        try:
            with click.open_file(path) as file:
                text = file.read(65_536).strip()
                mode = 0 if path == "-" else os.fstat(file.fileno()).st_mode
        except (OSError, UnicodeDecodeError):
            raise click.UsageError("The file of the administrator's address cannot be read.") from None
        if mode & stat.S_IROTH:  # as an environment file is named, by command_line/entry.py
            click.echo(f"{path} may be read by every user of this machine: chmod o-r it.", err=True)
    elif text := os.environ.get(ADMIN, "").strip():
        pass
    elif sys.stdin.isatty():
        text = click.prompt("The administrator's address (postgresql://…), not shown", hide_input=True).strip()
    else:
        raise click.UsageError(f"Set {ADMIN}, or name a file with it by --admin-url-file.")
    if not text:
        raise click.UsageError("The administrator's address is empty.")
    return Secret(text)
