"""``checkout settings …``: the environment file of an installation, and the files of its processes.

It needs no application and none of its settings, since it makes them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from checkout_service.command_line.settings_files import SettingsFilesError, merged, missing_settings, write_files
from checkout_service.database.environment_lines import EnvironmentLinesError, environment_lines
from checkout_service.settings.environment_file import EnvironmentFileError, read_environment_file

_FILE = click.Path(dir_okay=False, path_type=Path)
_THERE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("settings")
def settings() -> None:
    """Settings as files: secrets that are made once, and a file for each process."""


@settings.command("init")
@click.argument("file", type=_FILE)
def init(file: Path) -> None:
    """Write what is missing in FILE and can be made: keys, passwords of console and Flower, the namespace.

    What stands there stays, so it may run again, and what is set in the environment is not made. The file is made
    where it is missing, for its owner alone. Nothing of the values is shown.
    """
    try:
        with environment_lines(file) as lines:
            if file.exists():
                read_environment_file(str(file))  # its whole grammar: a file that others misread is not added to
            given = {name: value for name, value in os.environ.items() if value}
            made = missing_settings({**lines.settings(), **given})
            if made:
                lines.write(made)
    except (EnvironmentFileError, EnvironmentLinesError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"settings init: made {', '.join(sorted(made))}" if made else "settings init: nothing, all was there")


@settings.command("split")
@click.argument("files", type=_THERE, nargs=-1, required=True)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def split(files: Sequence[Path], folder: Path) -> None:
    """Write the settings of FILES into FOLDER by who holds them: settings.env, broker.env, web.env and so on.

    Each process is given its own (deploy/systemd, and Secrets of Kubernetes), and no secret of another. What two files
    set is taken from the later one, and so is JWT_SECRET or JWT_JWKS_URL, each in place of the other. It
    may run again; files that would not change are left alone.
    """
    try:
        found = merged([read_environment_file(str(file))[0] for file in files])
        changed = write_files(folder, found)
    except (EnvironmentFileError, SettingsFilesError) as error:
        raise click.ClickException(str(error)) from None
    names = ", ".join(path.name for path in changed)
    click.echo(f"settings split: wrote {names}" if names else "settings split: nothing, all was there")
