"""Who is calling, by their API key: a program of the shop, with the scopes that its key was made with.

What is compared is the SHA-256 of what was sent, as a dict and an index compare it. How long that takes tells of a hash
whose sender could have computed it themselves, and of no key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from time import monotonic, time
from typing import Any, Final
from uuid import UUID

import structlog
from flask import Flask, Response, current_app, g, request

from checkout_service.api.callers import Caller
from checkout_service.api.problems import Unauthorized, Unavailable
from checkout_service.at_work import notes_at_work
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.identity.key_form import BEGINNING, hash_of, is_key
from checkout_service.telemetry.request_log import KEY_PREFIX

REMEMBERED_FOR: Final = 5.0
"""Seconds. So long after it was revoked a key may go on working in a process that knew it."""

KEPT_KEYS: Final = 1024
"""Of each kind: keys that were found, and hashes that no key has. Strangers fill only the latter."""

UNKNOWN_AT_ONCE: Final = 20
"""Keys that a process never saw are looked for, so many at once and so many a second: strangers can make up as many as
they like, each with a good checksum. A look takes some tenths of a millisecond."""

LEARNED_EVERY: Final = 1.0
"""Seconds. Beyond that all good keys are read, so often at most: then none of them is a stranger's any more."""

NOTED_EVERY: Final = 60.0
"""Seconds between two notes of a key's last use, in one process."""

log = structlog.get_logger(__name__)

_find: Final = Statement("""
    SELECT id, prefix, scopes, expires_at FROM api_keys
    WHERE hash = :hash AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
""")

_find_all: Final = Statement(f"""
    SELECT id, prefix, scopes, expires_at, hash FROM api_keys
    WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
    ORDER BY last_used_at DESC NULLS LAST, id DESC LIMIT {KEPT_KEYS}
""")  # noqa: S608 (only our own constants)

# Waits for nobody, and what another process wrote within the minute is as good.
_note_use: Final = Statement("""
    UPDATE api_keys SET last_used_at = now() WHERE id = (
        SELECT id FROM api_keys
        WHERE id = :id AND (last_used_at IS NULL OR last_used_at < now() - interval '55 seconds')
        FOR NO KEY UPDATE SKIP LOCKED)
""")


class InvalidApiKey(Unauthorized):
    """An API key was sent and is not accepted (RFC 6750, section 3.1)."""

    everywhere = True
    slug = "invalid-api-key"
    title = "Invalid API key"
    default_detail = "The API key is not valid here: it is not complete, unknown, revoked, or over."

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": 'Bearer realm="checkout", error="invalid_token"'})


class TooManyUnknownKeys(Unavailable):
    """So many keys were sent that this process does not know that this one was not looked for."""

    everywhere = True
    slug = "too-many-unknown-keys"
    title = "Too many unknown API keys"
    default_detail = "Too many unknown API keys are sent at this moment; this one was not looked for: send it again."


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database said of a hash: whose key it is, or that no key has it, and until when that counts."""

    caller: Caller | None
    ends_at: float
    """By the wall clock; a key that does not end by itself is endless."""
    until: float
    """By the monotonic clock."""


class ApiKeys:
    """Finds out whose key was sent, and remembers it for some seconds. Made before a fork; holds no connection."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """``clock`` gives seconds, and never goes back."""
        self._clock = clock
        self._lock = Lock()
        self._found: dict[bytes, _Known] = {}
        self._refused: dict[bytes, _Known] = {}
        self._noted: dict[UUID, float] = {}
        self._may_look = float(UNKNOWN_AT_ONCE)
        self._counted_at = clock()
        self._learned_at = float("-inf")

    def caller(self, key: str) -> Caller:
        """Whose key it is. Raises InvalidApiKey, TooManyUnknownKeys and DatabaseUnavailableError."""
        if not is_key(key):
            raise InvalidApiKey
        hashed = hash_of(key)
        known = self._found.get(hashed) or self._refused.get(hashed)
        if known is None or self._clock() >= known.until:
            known = self._look(hashed, is_stranger=known is None or known.caller is None)
        if known.caller is None or time() >= known.ends_at:
            raise InvalidApiKey
        return known.caller

    def is_to_be_noted(self, key_id: UUID) -> bool:
        """Whether a use of this key now is to be written down; if it is, the next is so a minute later."""
        now = self._clock()
        with self._lock:
            if now - self._noted.get(key_id, float("-inf")) < NOTED_EVERY:
                return False
            _put(self._noted, key_id, now)
            return True

    def _look(self, hashed: bytes, *, is_stranger: bool) -> _Known:
        """Ask the database. A key that was good before is always looked for, whatever strangers send."""
        if is_stranger and not self._may_look_for_a_stranger():
            return self._learned(hashed)
        # Before it is asked: what is revoked meanwhile is to be known in time.
        until = self._clock() + REMEMBERED_FOR
        rows = execute(_find, {"hash": hashed})
        known = _Known(*_read(rows[0]), until) if rows else _Known(None, float("inf"), until)
        self._remember({hashed: known})
        return known

    def _learned(self, hashed: bytes) -> _Known:
        """What there is of it among all good keys. A process that is new knows none, and strangers may come first.

        Raises TooManyUnknownKeys where it is none of them, or they were read just now.
        """
        with self._lock:
            now = self._clock()
            if now - self._learned_at < LEARNED_EVERY:
                raise TooManyUnknownKeys
            self._learned_at = now
        found = {row.hash: _Known(*_read(row), now + REMEMBERED_FOR) for row in reversed(execute(_find_all))}
        self._remember(found)
        if (known := found.get(hashed)) is None:
            raise TooManyUnknownKeys
        return known

    def _remember(self, looked_up: Mapping[bytes, _Known]) -> None:
        """Keep what the database said; of more than may be kept, the last."""
        with self._lock:
            for hashed, known in looked_up.items():
                self._found.pop(hashed, None)
                self._refused.pop(hashed, None)
                _put(self._refused if known.caller is None else self._found, hashed, known)

    def _may_look_for_a_stranger(self) -> bool:
        """Take one of the looks that there are for strangers; False if there is none."""
        with self._lock:
            now = self._clock()
            earned = (now - self._counted_at) * UNKNOWN_AT_ONCE
            self._may_look, self._counted_at = min(float(UNKNOWN_AT_ONCE), self._may_look + earned), now
            if self._may_look < 1:
                return False
            self._may_look -= 1
            return True


def connect_api_keys(app: Flask) -> None:
    """Give the app its keys. After each request that came with one, its last use is noted, at most once a minute."""
    app.extensions["api_keys"] = ApiKeys()
    app.after_request(_note)


def sent_key(authorization: str | None) -> str | None:
    """The API key in an Authorization header, if there is one. What begins as a key is never read as a token."""
    scheme, _, sent = (authorization or "").partition(" ")
    return sent if sent.startswith(BEGINNING) and scheme.lower() == "bearer" else None


def caller_of_key(key: str) -> Caller:
    """Whose key it is, in the current app. Raises as ``ApiKeys.caller``."""
    found = _keys().caller(key)
    request.environ[KEY_PREFIX] = found.key_prefix
    g.api_key_id = found.user_id
    return found


def _note(answer: Response) -> Response:
    """Note the use of a key. To know it is good to have: whatever goes wrong, the answer stays what it is."""
    key_id: UUID | None = notes_at_work().get("api_key_id")
    if key_id is not None and _keys().is_to_be_noted(key_id):
        try:
            execute(_note_use, {"id": key_id})
        except Exception as error:  # noqa: BLE001 (as the docstring says)
            log.warning("api_key_use_not_noted", key_id=str(key_id), error=str(error))
    return answer


def _read(row: Any) -> tuple[Caller, float]:
    ends_at: datetime | None = row.expires_at
    caller = Caller(row.id, frozenset(row.scopes), key_prefix=row.prefix)
    return caller, float("inf") if ends_at is None else ends_at.timestamp()


def _put(kept: dict[Any, Any], name: object, value: object) -> None:
    """Keep it as the newest, and of what was there no more than leaves it room. Called with the lock held."""
    kept.pop(name, None)
    while len(kept) >= KEPT_KEYS:
        del kept[next(iter(kept))]
    kept[name] = value


def _keys() -> ApiKeys:
    found: ApiKeys = current_app.extensions["api_keys"]
    return found
