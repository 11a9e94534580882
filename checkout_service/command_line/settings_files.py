"""Settings of an installation as files: what can be made of them is made once, and each process gets its own secrets.

One file has them all, for whoever installs. The others are for the processes, by the table of
``checkout_service.settings.secret_holders``: whoever breaks into one process finds no secret of another.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from checkout_service.settings.secret_holders import SECRETS, files_with, is_secret

SETTINGS_FILE: Final = "settings"
"""The name of the file with what is no secret, which every process reads."""

FILES: Final = (SETTINGS_FILE, *dict.fromkeys(name for _, names in SECRETS for name in names))
"""The files, without their suffix: this one, and one for each that holds secrets."""

SUFFIX: Final = ".env"

EITHER: Final = ("JWT_SECRET", "JWT_JWKS_URL")
"""What callers' tokens are checked by: one of the two."""


class SettingsFilesError(Exception):
    """The files cannot be written; the message names settings, and no value."""


def _key() -> str:
    """256 bits, in characters that every reader of an environment file takes as they are."""
    return secrets.token_urlsafe(32)


MADE: Final[Mapping[str, Callable[[], str]]] = {
    "PAYMENT_NAMESPACE": lambda: str(uuid4()),
    "PAGES_SECRET": _key,
    "WEBHOOK_SECRETS_KEY": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    "METRICS_TOKEN": _key,
    "CONSOLE_BASIC_AUTH": lambda: f"ops:{_key()}",
    "FLOWER_BASIC_AUTH": lambda: f"ops:{_key()}",
}
"""What belongs to a deployment alone, and how it is made: nobody outside has to know it."""


def missing_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """What can be made and is not set: random values, other ones at each call.

    Callers' tokens are checked by the identity provider's keys where the shop has one (``JWT_JWKS_URL``); else a
    ``JWT_SECRET`` is made. The mock provider's secret is made where that provider is on.
    """
    made = {name: make() for name, make in MADE.items() if not settings.get(name)}
    if not settings.get("JWT_SECRET") and not settings.get("JWT_JWKS_URL"):
        made["JWT_SECRET"] = _key()
    providers = settings.get("PAYMENT_PROVIDERS") or ("" if settings.get("ENVIRONMENT") == "production" else "mock")
    if "mock" in (name.strip() for name in providers.split(",")) and not settings.get("MOCK_WEBHOOK_SECRETS"):
        made["MOCK_WEBHOOK_SECRETS"] = _key()
    return made


def merged(files: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """What several files set together; of what two of them set, the later one's.

    Of ``EITHER`` the later one counts as well: a secret that was made for a trial ends where a shop names its identity
    provider. Two in one file both stay, and no process starts with them.
    """
    found: dict[str, str] = {}
    for settings in files:
        if sum(bool(settings.get(name)) for name in EITHER) == 1:
            found = {name: value for name, value in found.items() if name not in EITHER}
        found |= settings
    return found


def split(settings: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The settings of each file, by its name in ``FILES``. Raises SettingsFilesError.

    An address without a password is a secret like one with it: what a file holds hangs on names alone.
    """
    unknown = [name for name in settings if is_secret(name) and not files_with(name)]
    if unknown:
        names = ", ".join(unknown)
        raise SettingsFilesError(f"{names}: looks like a secret, and no process reads it. Take it out of the file.")
    found: dict[str, dict[str, str]] = {name: {} for name in FILES}
    for name, value in settings.items():
        for file in files_with(name) or (SETTINGS_FILE,):
            found[file][name] = value
    return found


def write_files(folder: Path, settings: Mapping[str, str]) -> list[Path]:
    """Write the files of ``split`` into the folder, each whole at every moment, for their owner alone.

    Those that are there already keep owner and group. Returns the files that changed. Raises SettingsFilesError.
    """
    changed = []
    for name, own in split(settings).items():
        path = folder / f"{name}{SUFFIX}"
        text = "".join(f"{setting}={value}\n" for setting, value in sorted(own.items()))
        try:
            if _replace(path, text):
                changed.append(path)
        except OSError as error:
            raise SettingsFilesError(f"{path} cannot be written: {error.strerror}.") from None
    return changed


def _replace(path: Path, text: str) -> bool:
    """Whether it had another content. Raises OSError."""
    before = None
    with suppress(FileNotFoundError):
        if path.read_text(encoding="utf-8") == text:
            return False
        before = path.stat()
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.draft")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            if before is not None and os.geteuid() == 0:
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
                os.fchmod(file.fileno(), before.st_mode & 0o640)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise
    return True
