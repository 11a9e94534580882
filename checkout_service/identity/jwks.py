"""The public keys of whoever issues our callers' tokens, by a JWKS URL (RFC 7517).

PyJWT's own client holds a lock while it fetches, so a frozen issuer would collect every thread of a web process; and
it refuses a key that the issuer has just changed to, for half a minute after each fetch. Here one background thread
fetches, one document at a time. Callers with a known key never wait. Others do for a bounded time, few at once, and
their slots serve others meanwhile.

Anybody can write a token that names an unknown key, or that is signed with none. So what such tokens may spend is a
budget of the issuer and not of the key: one fetch in ``pause``. A fetch that is due anyway spends none of it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from time import monotonic
from typing import Final

import structlog

from checkout_service.api.problems import Unavailable
from checkout_service.identity.jwks_document import PublicKey, UnusableJwksError, read_jwks
from checkout_service.identity.jwks_fetch import JwksNotFetchedError, fetch_jwks
from checkout_service.server.slots import TooManyWaitingError, released_slot
from checkout_service.threads import BackgroundThread

FRESH_FOR: Final = 300.0
"""Seconds after which keys are fetched again, in the background: so long does a key count that its issuer withdrew."""

KEPT_FOR: Final = 3600.0
"""Seconds for which keys count while the issuer is away. The price: a key that it withdrew counts as long."""

PAUSE: Final = 30.0
"""Seconds between two fetches for the sake of tokens that no known key fits, however many there are."""

RETRY: Final = 5.0
"""Seconds between two fetches while there are no keys: then nobody with a token can be served."""

ANSWER_WITHIN: Final = 1.0
"""Seconds after the start of a fetch until which callers wait for it; it goes on without them."""

LOST_AFTER: Final = 60.0
"""Seconds after which a fetch is not waited for any longer: its thread is gone, or a resolver hangs."""

MOST_WAITING: Final = 16
"""Callers that wait at once, in a process; others are answered at once, so that strangers take no more threads."""

Keys = tuple[PublicKey, ...]

_log = structlog.get_logger()


class JwksUnavailable(Unavailable):
    """Nobody can say at this moment whether a token counts."""

    everywhere = True
    slug = "jwks-unavailable"
    title = "The issuer's keys are unavailable"
    default_detail = "The keys that tokens are checked with cannot be fetched: send the same request again."
    retry_after = int(RETRY)


class Jwks:
    """Keys by their id. Fetches nothing before the first question, so it may be made before a fork."""

    def __init__(
        self,
        url: str,
        *,
        fresh_for: float = FRESH_FOR,
        kept_for: float = KEPT_FOR,
        pause: float = PAUSE,
        retry: float = RETRY,
    ) -> None:
        self._url = url
        self._fresh_for = fresh_for
        self._kept_for = kept_for
        self._pause = pause
        self._retry = retry
        self._keys: dict[str, Keys] = {}
        self._generation = 0
        self._fetched_at = self._tried_at = self._sought_at = float("-inf")
        self._has_failed = False
        self._lock = threading.Lock()
        self._under_way: threading.Event | None = None
        self._waiters = threading.BoundedSemaphore(MOST_WAITING)
        self._thread = BackgroundThread("jwks", self._fetch_again)

    def generation(self) -> int:
        """A number that changes whenever the keys become others; -1 where there are none, or too old ones."""
        age = monotonic() - self._fetched_at
        if age > self._fresh_for:
            self._begin(is_sought=False)
        return -1 if age > self._kept_for else self._generation

    def find(self, kid: object, algorithm: str) -> Keys:
        """The keys of that id for that algorithm; none if the issuer publishes none. Raises JwksUnavailable."""
        return self._found(kid, algorithm) if isinstance(kid, str) and kid else ()

    def find_only(self, algorithm: str) -> Keys:
        """The one key for that algorithm, for a token that names none; nothing where there are several.

        A token may leave the id out where its issuer has one key alone (OpenID Connect Core 1.0, section 10.1). Raises
        JwksUnavailable.
        """
        return self._found(None, algorithm)

    def _found(self, kid: str | None, algorithm: str) -> Keys:
        is_usable = self.generation() >= 0
        if is_usable and (found := self._known(kid, algorithm)):
            return found
        self._wait(self._begin(is_sought=is_usable))
        if self.generation() < 0:
            raise JwksUnavailable
        found = self._known(kid, algorithm)
        if not found and self._has_failed:
            # The last fetch has brought nothing, so nobody knows whether this key is new or made up.
            raise JwksUnavailable
        return found

    def find_again(self, kid: str | None, algorithm: str, *, tried: Keys) -> Keys:
        """The keys of that id (None: the one of ``find_only``) that are not among those ``tried``, none of which made a
        signature: the issuer may have put another key under the same id. Raises JwksUnavailable while a fetch takes
        long.
        """
        self._wait(self._begin(is_sought=True))
        return tuple(key for key in self._known(kid, algorithm) if key not in tried)

    def _known(self, kid: str | None, algorithm: str) -> Keys:
        if kid is None:
            fitting = {key for keys in self._keys.values() for key in keys if algorithm in key.algorithms}
            return tuple(fitting) if len(fitting) == 1 else ()
        return tuple(key for key in self._keys.get(kid, ()) if algorithm in key.algorithms)

    def _begin(self, *, is_sought: bool) -> threading.Event | None:
        """Begin a fetch unless one goes on or it is too early; the end of the one that goes on, or None.

        ``is_sought`` says that it is for a token which no known key fits, and not because the keys are old.
        """
        with self._lock:
            now = monotonic()
            if self._under_way is not None and now - self._tried_at < LOST_AFTER:
                return self._under_way
            if now - self._fetched_at > self._kept_for:
                if now - self._tried_at < self._retry:
                    return None
            elif now - (self._sought_at if is_sought else self._tried_at) < self._pause:
                return None
            elif is_sought:
                self._sought_at = now
            self._tried_at = now
            ended = self._under_way = threading.Event()
        if not self._thread.wake():
            self._end(ended)  # nothing comes that could be waited for
        return ended

    def _wait(self, ended: threading.Event | None) -> None:
        """Wait for a fetch, with the slot released. Raises JwksUnavailable when it takes long, or too many wait."""
        if ended is None or ended.is_set():
            return
        left = self._tried_at + ANSWER_WITHIN - monotonic()
        if left <= 0 or not self._waiters.acquire(blocking=False):
            raise JwksUnavailable
        try:
            with released_slot():
                has_ended = ended.wait(left)
        except TooManyWaitingError:
            has_ended = False
        finally:
            self._waiters.release()
        if not has_ended:
            raise JwksUnavailable

    def _fetch_again(self) -> Iterator[float | None]:
        while True:
            # A thread that starts anew may be woken for nothing.
            if (ended := self._under_way) is not None:
                try:
                    self._fetch()
                finally:
                    self._end(ended)
            yield None

    def _fetch(self) -> None:
        began_at = self._tried_at
        self._has_failed = True
        try:
            keys = read_jwks(fetch_jwks(self._url))
        except (JwksNotFetchedError, UnusableJwksError) as error:
            _log.warning("jwks_not_fetched", url=self._url, error=str(error))
            return
        if keys != self._keys:
            self._keys = keys
            self._generation += 1
        self._fetched_at = began_at
        self._has_failed = False

    def _end(self, ended: threading.Event) -> None:
        with self._lock:
            if self._under_way is ended:
                self._under_way = None
        ended.set()
