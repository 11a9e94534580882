"""An environment file that settings are added to: every other line stays as it is, and it is whole at every moment.

What it sets is read by the one grammar (``checkout_service.settings.environment_file``); what is written here has
values of plain characters.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from checkout_service.settings.environment_file import EnvironmentFileError, parse

PLAIN: Final = re.compile(r"[A-Za-z0-9._:/?@!=+,%\[\]-]*")
"""Values that need no quotes for any reader."""

LARGEST: Final = 2**20


class EnvironmentLinesError(Exception):
    """The file cannot be used; the message names it, and none of its values."""


class EnvironmentLines:
    """The file at one moment, while nobody else of us changes it. Raises EnvironmentLinesError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        target = path.resolve()
        self._former = target.with_name(f".{target.name}.former")
        self._before: str | None = None
        self._has_written = False
        self._reread()

    def _reread(self) -> None:
        try:
            self._content = self._path.read_bytes() if self._path.exists() else b""
            self._text = self._content.decode()
        except UnicodeDecodeError:
            raise EnvironmentLinesError(f"{self._path} is not UTF-8") from None
        except OSError as error:
            raise EnvironmentLinesError(f"{self._path} cannot be read: {error.strerror}") from None
        if len(self._content) > LARGEST:
            raise EnvironmentLinesError(f"{self._path} has more than {LARGEST} bytes")

    def settings(self) -> dict[str, str]:
        """What it sets, read as the command line and every process read it; any other form of line is refused."""
        try:
            return parse(self._content, name=str(self._path))
        except EnvironmentFileError as error:
            raise EnvironmentLinesError(str(error)) from None

    def write(self, settings: Mapping[str, str], *, keep_former: bool = False) -> None:
        """Set these, in their line or behind the last one; whatever happens, the file is as before or as it is then.

        Only its owner may read it. It is on the disk when this returns. ``keep_former`` lays the file as it is now
        beside it, until ``put_back`` or ``forget_former``.
        """
        for name, value in settings.items():
            if not PLAIN.fullmatch(value):
                raise EnvironmentLinesError(f"{name} would need quotes, which readers of {self._path} do not agree on")
        left = dict(settings)
        lines = []
        # At "\n" alone: what else a text may be split at is no end of a line to any reader.
        for line in self._text.removesuffix("\n").split("\n") if self._text else []:
            name = line.partition("=")[0]
            lines.append(f"{name}={left.pop(name)}" if name in left else line)
        lines += [f"{name}={value}" for name, value in left.items()]
        self._before, self._has_written = (self._text if self._path.exists() else None), True
        if keep_former:
            self._put(self._former, self._text)
        self._put(self._path.resolve(), "".join(f"{line}\n" for line in lines))  # a link stays one
        self._reread()

    def former(self) -> dict[str, str]:
        """What the file set before a run that was ended in between; nothing where none was."""
        try:
            return parse(self._former.read_bytes(), name=str(self._former))
        except FileNotFoundError:
            return {}
        except (OSError, EnvironmentFileError):
            raise EnvironmentLinesError(f"{self._former} cannot be read") from None

    def put_back(self) -> None:
        """Have it as it was before the last ``write``; nothing where there was none."""
        if self._before is not None:
            self._put(self._path.resolve(), self._before)
        elif self._has_written:
            self._path.unlink(missing_ok=True)
        self.forget_former()
        self._reread()

    def forget_former(self) -> None:
        """What ``write`` replaced is needed no more."""
        try:
            self._former.unlink(missing_ok=True)
        except OSError as error:
            raise EnvironmentLinesError(f"{self._former} cannot be removed: {error.strerror}") from None
        # So that nothing from before this is put back.
        self._before, self._has_written = None, False

    def _put(self, target: Path, text: str) -> None:
        draft = target.with_name(f".{target.name}.draft")
        try:
            _replace(target, draft, text)
        except OSError as error:
            with suppress(OSError):
                draft.unlink()
            raise EnvironmentLinesError(f"{self._path} cannot be written: {error.strerror}") from None


def _replace(target: Path, draft: Path, text: str) -> None:
    with suppress(FileNotFoundError):
        draft.unlink()  # of one that was killed; nobody else is here
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        if target.exists() and os.geteuid() == 0:
            owner = target.stat()
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def environment_lines(path: Path) -> Iterator[EnvironmentLines]:
    """The file, once no other run of ours has it; whoever comes second sees what the first has written.

    The lock is on its folder, since the file itself is replaced. Raises EnvironmentLinesError.
    """
    try:
        folder = os.open(path.resolve().parent, os.O_RDONLY)
    except OSError as error:
        raise EnvironmentLinesError(f"the folder of {path} cannot be used: {error.strerror}") from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield EnvironmentLines(path)
    finally:
        os.close(folder)
