"""Passwords of operators, at the console and at Flower: who they let in, and a pause after wrong ones.

A pause is an address's and never a user's: a stranger who guesses at an operator's name keeps nobody out who is
elsewhere. It is kept in the process: no server has to answer before a password is looked at, and what guessing costs
stays bounded, so many tries a process.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from time import monotonic
from typing import Final

from checkout_service.settings.secret import Secret

FREE: Final = 5
"""Wrong passwords from one address, after which each is followed by a pause."""

FIRST_PAUSE: Final = 1.0
"""Seconds; twice as many after each further wrong one."""

LONGEST_PAUSE: Final = 30.0

FORGOTTEN_AFTER: Final = 900.0
"""Seconds without a wrong one."""

MOST_ADDRESSES: Final = 10_000
"""So many are remembered; the one that was quiet for the longest goes first."""


class WrongPasswordError(Exception):
    """No user has this password."""


class PausedError(Exception):
    """Too many wrong ones came from this address; nothing was looked at. ``seconds`` says how long it is paused."""

    def __init__(self, seconds: float) -> None:
        super().__init__("too many wrong passwords")
        self.seconds = seconds


@dataclass(slots=True)
class _Guesses:
    wrong: int = 0
    last_at: float = 0.0
    paused_until: float = 0.0


class Passwords:
    """Who may sign in. Thread-safe, and may be made before a fork: each process counts for itself."""

    def __init__(self, users: Mapping[str, Secret]) -> None:
        self._users = users
        # What is remembered of strangers names none of them.
        self._key = secrets.token_bytes(16)
        self._guesses: OrderedDict[bytes, _Guesses] = OrderedDict()
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._users)

    def check(self, user: str, password: str, *, address: str | None) -> None:
        """Return if the user may come in. ``address`` is the caller's, None where it is not known: then there is no
        pause. Raises PausedError, also for the right password, and WrongPasswordError.
        """
        guesser = blake2b(address.encode(), key=self._key, digest_size=16).digest() if address else b""
        now = monotonic()
        if guesser:
            with self._lock:
                known = self._guesses.get(guesser)
                if known and known.paused_until > now:
                    raise PausedError(known.paused_until - now)
        is_right = self._is_right(user, password)
        if guesser:
            with self._lock:
                if is_right:
                    self._guesses.pop(guesser, None)
                else:
                    self._count(guesser, now)
        if not is_right:
            raise WrongPasswordError

    def _is_right(self, user: str, password: str) -> bool:
        """All of them are compared, and none by a plain comparison: the time tells neither names nor passwords."""
        is_right = False
        for name, secret in self._users.items():
            same = [
                hmac.compare_digest(given.encode("utf-8", "surrogatepass"), known.encode("utf-8", "surrogatepass"))
                for given, known in ((user, name), (password, secret.reveal()))
            ]
            is_right |= all(same)
        return is_right

    def _count(self, guesser: bytes, now: float) -> None:
        guesses = self._guesses.setdefault(guesser, _Guesses())
        if now - guesses.last_at > FORGOTTEN_AFTER:
            guesses.wrong = 0
        guesses.wrong += 1
        guesses.last_at = now
        if guesses.wrong >= FREE:
            doubled = min(guesses.wrong - FREE, 10)
            guesses.paused_until = now + min(LONGEST_PAUSE, FIRST_PAUSE * 2**doubled)
        self._guesses.move_to_end(guesser)
        while len(self._guesses) > MOST_ADDRESSES:
            self._guesses.popitem(last=False)
