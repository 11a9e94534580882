"""The account that PostgreSQL runs as: ours, or another one where we are root, whom PostgreSQL refuses to serve.

A root user's folders are often closed to all others. Neither their modes nor the list of users is touched: the programs
are copied to where the account can read them, and the data is reached through the working directory.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

UNPRIVILEGED = ("postgres", "nobody")


@dataclass(frozen=True, kw_only=True)
class Account:
    """Who to become when starting PostgreSQL: the arguments of ``subprocess.Popen``, none to stay who we are."""

    user: int | None = None
    group: int | None = None

    def popen_arguments(self) -> dict[str, Any]:
        if self.user is None:
            return {}
        return {"user": self.user, "group": self.group, "extra_groups": []}

    def own(self, folder: Path) -> None:
        """Make a folder, private to the account."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.user is not None and self.group is not None:
            os.chown(folder, self.user, self.group)

    def data_folder(self, folder: Path) -> str:
        """How the account names its data folder, given that it is also its working directory."""
        if self.user is None or _open_to_all(folder.parent):
            return str(folder)
        if sys.platform != "linux":
            raise PermissionError(f"{folder} is not reachable for user {self.user}: run as a user other than root")
        return "/proc/self/cwd"

    def programs(self, installed: Path, runtime: Path) -> Path:
        """Where PostgreSQL's programs are; copied under ``runtime`` if the account cannot reach the installed ones."""
        if self.user is None or _open_to_all(installed):
            return installed / "bin"
        libraries = installed.parent.with_name(f"{installed.parent.name}.libs")
        target = runtime / installed.parent.name / installed.name
        for part in ("bin", "lib", "share"):
            shutil.copytree(installed / part, target / part, ignore=_unneeded_programs, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, runtime / libraries.name, symlinks=True)
        return target / "bin"


def postgres_account(folder: Path) -> Account:
    """Stay who we are; as root become the owner of the project (sudo), or else a user that every system has."""
    if os.geteuid() != 0:
        return Account()
    owner = next(parent for parent in folder.resolve().parents if parent.exists()).stat().st_uid
    try:
        entry = pwd.getpwuid(owner) if owner != 0 else _first_known(UNPRIVILEGED)
    except KeyError:
        entry = _first_known(UNPRIVILEGED)
    return Account(user=entry.pw_uid, group=entry.pw_gid)


def _first_known(names: tuple[str, ...]) -> pwd.struct_passwd:
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in names:
        if name in known:
            return known[name]
    raise PermissionError(f"PostgreSQL will not run as root, and there is no user named {' or '.join(names)}")


def _open_to_all(folder: Path) -> bool:
    """Whether any user may walk down to this folder."""
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.resolve().parents))


def _unneeded_programs(folder: str, names: list[str]) -> set[str]:
    return set(names) - {"postgres", "initdb"} if Path(folder).name == "bin" else set()
