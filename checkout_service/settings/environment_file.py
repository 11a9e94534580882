"""The environment file: settings, one ``NAME=value`` a line, in the one form that its four readers read alike.

Those are ``set -a; . FILE`` in sh, systemd's EnvironmentFile, docker's --env-file, and this module. What any of them
reads otherwise is refused with the line's number, and never with the value, which may be a secret. The rules of each
reader stand in docs/command-line.md.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Container
from typing import Final

OPTION: Final = "--env-file"
SETTING: Final = "CHECKOUT_ENV_FILE"

LARGEST_FILE: Final = 2**20
LONGEST_LINE: Final = 65_000
"""Bytes; docker reads lines of less than 64 KiB."""

MOST_FAULTS: Final = 20
"""Lines that are named in one message."""

NAME: Final = re.compile(r"[A-Z_][A-Z0-9_]*")

REFUSED: Final = {
    " ": "a space, which ends the value in sh",
    "\t": "a tab, which ends the value in sh",
    '"': "a quotation mark, which docker takes for a part of the value",
    "'": "a quotation mark, which docker takes for a part of the value",
    "\\": "a backslash, which docker takes for a part of the value",
    "$": "a $, which sh replaces",
    "`": "a `, which sh replaces",
    "~": "a ~, which sh may replace",
    ";": "a ;, which ends the command in sh",
    "&": "an &, which ends the command in sh",
    "|": "a |, which ends the command in sh",
    "<": "a <, which sh takes for a redirection",
    ">": "a >, which sh takes for a redirection",
    "(": "a (, which sh takes for its own",
    ")": "a ), which sh takes for its own",
}
"""Characters that no value holds, and why."""

OF_THE_SHELL: Final = re.compile(
    r"_|IFS|ENV|PPID|PWD|OLDPWD|E?UID|GROUPS|LINENO|OPTIND|OPTARG|OPTERR|PS[0-4]|S?RANDOM|SECONDS|DIRSTACK|FUNCNAME"
    r"|HIST\w*|EPOCH(?:REALTIME|SECONDS)|SHELLOPTS|POSIXLY_CORRECT|BASH\w*|LC_\w+|LANG|CHECKOUT_ENV_FILE"
)
"""Names that a shell keeps for itself, or by which it reads what follows."""


class EnvironmentFileError(Exception):
    """The file cannot be used; the message names it and its lines, and no value."""


def read_environment_file(path: str) -> tuple[dict[str, str], str | None]:
    """What the file sets, and a line for the terminal where anybody may read it.

    Raises EnvironmentFileError with every fault, up to 20.
    """
    content, mode = _read(path)
    warning = f"{path} may be read by every user of this machine: chmod o-r it." if mode & stat.S_IROTH else None
    return parse(content, name=path), warning


def parse(content: bytes, *, name: str) -> dict[str, str]:
    """What a file of this content sets; ``name`` is for messages. Raises EnvironmentFileError."""
    found: dict[str, str] = {}
    faults: list[str] = []
    for number, line in enumerate(content.removesuffix(b"\n").split(b"\n"), start=1):
        try:
            pair = _parse_line(line, found)
        except _FaultError as error:
            faults.append(f"{name}, line {number}: {error}")
            if len(faults) == MOST_FAULTS:
                break
        else:
            found.update([pair] if pair else [])
    if faults:
        raise EnvironmentFileError("\n".join(faults))
    return found


def is_accepted(setting: str, value: str) -> bool:
    """Whether a line of an environment file may set this."""
    try:
        _parse_line(f"{setting}={value}".encode(errors="surrogateescape"), ())
    except _FaultError:
        return False
    return "\n" not in value


class _FaultError(Exception):
    """What is wrong with a line."""


def _parse_line(line: bytes, found: Container[str]) -> tuple[str, str] | None:
    """The setting of a line, which is not ``found`` yet; None of an empty line and of a comment. Raises _FaultError."""
    if len(line) > LONGEST_LINE:
        raise _FaultError(f"has more than {LONGEST_LINE} bytes")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise _FaultError("is not UTF-8") from None
    if text.startswith("\ufeff"):
        raise _FaultError("begins with a byte order mark: save it without")
    if text.endswith("\r"):
        raise _FaultError("ends as on Windows: save it with \\n alone")
    if text.startswith("#"):
        _check_comment(text)
        return None
    if not text:
        return None
    setting, equals, value = text.partition("=")
    _check_name(setting, has_equals=bool(equals))
    if setting in found:
        raise _FaultError(f"sets {setting} once more")
    _check_value(value)
    return setting, value


def _check_comment(text: str) -> None:
    if text.endswith("\\"):
        raise _FaultError("is a comment that ends with a backslash, which systemd goes on with in the next line")
    if "\0" in text:
        raise _FaultError("holds a NUL")
    if any(not (character.isprintable() or character == "\t") for character in text):
        raise _FaultError("holds a control character")


def _check_name(setting: str, *, has_equals: bool) -> None:
    if not setting.strip():
        raise _FaultError("has no name" if has_equals else "holds spaces alone: leave it empty")
    if setting != setting.strip():
        raise _FaultError("has a space or a tab before the name or before the =")
    if setting.split()[0] == "export":
        raise _FaultError("begins with export, which systemd and docker do not know: leave it out")
    if not has_equals:
        raise _FaultError("has no =")
    if not NAME.fullmatch(setting):
        raise _FaultError("has a name that is not made of A to Z, 0 to 9 and _")
    if OF_THE_SHELL.fullmatch(setting):
        raise _FaultError(f"sets {setting}, which a shell keeps for itself")


def _check_value(value: str) -> None:
    if value.startswith("#"):
        raise _FaultError("has a value that begins with #, which some readers take for a comment")
    for character in value:
        if reason := REFUSED.get(character):
            raise _FaultError(f"has a value with {reason}")
        if character == "\0":
            raise _FaultError("has a value with a NUL")
        if not character.isprintable():
            raise _FaultError("has a value with a control character, or a space that is not seen")


def _read(path: str) -> tuple[bytes, int]:
    """The file's bytes and mode, bounded in time and size. Raises EnvironmentFileError."""
    try:
        # A pipe would be waited for, by this very call.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                raise EnvironmentFileError(f"{path} is no file.")
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(LARGEST_FILE + 1)
        finally:
            os.close(descriptor)
    except ValueError:
        raise EnvironmentFileError("The environment file's name holds a NUL.") from None
    except OSError as error:
        raise EnvironmentFileError(f"{path} cannot be read: {error.strerror}.") from None
    if len(content) > LARGEST_FILE:
        raise EnvironmentFileError(f"{path} has more than {LARGEST_FILE} bytes.")
    return content, mode
