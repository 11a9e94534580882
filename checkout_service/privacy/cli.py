"""``checkout privacy``: erases a person, and writes down everything that is held of one."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO
from uuid import UUID, uuid4

import click
import orjson

from checkout_service.commands import watching
from checkout_service.commands.models import Door, RunState
from checkout_service.commands.operations import Origin, erase
from checkout_service.identity.cli import called
from checkout_service.privacy.export import held_of
from checkout_service.terminal import CommandGroup, Id, kept, os_user, printable

privacy = CommandGroup("privacy", help="Give a person what is held of them, or erase it.")

_user = click.option("--user", type=Id(), help="Their id: of a guest, or as events and lists have it.")
_subject = click.option("--subject", help="What their tokens call them; where that is a UUID, it is the id.")
_issuer = click.option("--issuer", help="With --subject: who issues these tokens, if not JWT_ISSUER.")


@privacy.command("erase")
@_user
@_subject
@_issuer
@click.option("--why", required=True, help="For the audit, which is never erased: name nobody.")
@click.option("--operator", help="Who you are, for the audit; by default the operating system's user.")
def erase_person(user: UUID | None, subject: str | None, issuer: str | None, why: str, operator: str | None) -> None:
    """Erase a person, and show how far the workers are. What was paid stays, under a random subject.

    Refused while something is under way with their payments. It goes on whether anybody watches or not. A second one
    finds nothing left.
    """
    user_id = called(user, subject, issuer=issuer)
    origin = Origin(key=uuid4(), door=Door.CLI, operator=printable(operator or os_user()), why=kept(why))
    command = watching.watch(
        erase(user_id, origin=origin),
        progress=lambda command: (command.state, command.message),
        line=lambda command: command.message or "",
    )
    if command.open:
        so_far = f" ({command.message})" if command.message else ""
        raise click.ClickException(
            f"Nothing moved within {watching.PATIENCE:.0f} s{so_far}. Command {command.id} is kept, and goes on as "
            "soon as workers run and nobody holds what is left."
        )
    if command.state is not RunState.DONE:
        raise click.ClickException(f"Command {command.id} was refused: {command.message}.")
    click.echo(f"{command.message}. What backups hold goes with the backups.")


@privacy.command("export")
@_user
@_subject
@_issuer
@click.option("--to", "path", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Else the output.")
def export_person(user: UUID | None, subject: str | None, issuer: str | None, path: Path | None) -> None:
    """Write everything that is held of a person as JSON Lines: each line is a row, ``kind`` says of what.

    A file is a new one, and nobody else on this machine may read it.
    """
    user_id = called(user, subject, issuer=issuer)
    with nullcontext(sys.stdout.buffer) if path is None else _new_file(path) as file:
        count = 0
        for row in held_of(user_id):
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            count += 1
        file.flush()
    click.echo(f"{count} row{'' if count == 1 else 's'} of {user_id}", err=True)


def _new_file(path: Path) -> BinaryIO:
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except OSError as error:
        raise click.ClickException(f"{path}: {os.strerror(error.errno or 0)}") from error
