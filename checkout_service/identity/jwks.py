"""The public keys of whoever issues our callers' tokens, fetched from a JWKS URL (RFC 7517).

PyJWT's own client holds a lock while it fetches, so a frozen issuer would collect every thread of a web process. Here
one background thread fetches, at most every few seconds; callers with a known key never wait, others a bounded time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.client import HTTPException
from time import monotonic
from typing import Final

import jwt
import structlog

from checkout_service.api.problems import Unavailable
from checkout_service.threads import BackgroundThread

FRESH_FOR: Final = 300.0
"""Seconds after which keys are fetched again, in the background."""

KEPT_FOR: Final = 3600.0
"""Seconds for which keys count while the issuer is away. The price: a key that it withdrew counts as long."""

PAUSE: Final = 5.0
"""Seconds between two fetches, however many tokens name unknown keys."""

ANSWER_WITHIN: Final = 1.0

_log = structlog.get_logger()


class JwksUnavailable(Unavailable):
    """Nobody can say at this moment whether a token counts."""

    slug = "jwks-unavailable"
    title = "The issuer's keys are unavailable"
    default_detail = "The keys that tokens are checked with cannot be fetched: send the same request again."
    retry_after = int(PAUSE)


class Jwks:
    """Keys by their id. Fetches nothing before the first question, so it may be made before a fork."""

    def __init__(
        self, url: str, *, fresh_for: float = FRESH_FOR, kept_for: float = KEPT_FOR, pause: float = PAUSE
    ) -> None:
        self._fresh_for = fresh_for
        self._kept_for = kept_for
        self._pause = pause
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=ANSWER_WITHIN)
        self._keys: dict[str, jwt.PyJWK] = {}
        self._generation = 0
        self._fetched_at = float("-inf")
        self._requested_at = float("-inf")
        self._lock = threading.Lock()
        self._answered = threading.Event()
        self._thread = BackgroundThread("jwks", self._fetch_again)

    def generation(self) -> int:
        """A number that changes whenever the keys become others, or too old to count."""
        age = monotonic() - self._fetched_at
        if age > self._fresh_for:
            self._fetch_in_background()
        return -1 if age > self._kept_for else self._generation

    def find(self, kid: str | None) -> jwt.PyJWK | None:
        """The key of that id, or None if the issuer does not publish it; raises JwksUnavailable."""
        if not kid:
            return None
        if self.generation() < 0 or kid not in self._keys:
            self._fetch_in_background()
            self._answered.wait(max(0.0, self._requested_at + ANSWER_WITHIN - monotonic()))
        if self.generation() < 0:
            raise JwksUnavailable
        key = self._keys.get(kid)
        if key is None and self._fetched_at < self._requested_at:
            # The last fetch has brought nothing, so nobody knows whether this key is new or made up.
            raise JwksUnavailable
        return key

    def _fetch_in_background(self) -> None:
        with self._lock:
            if monotonic() - self._requested_at < self._pause:
                return
            self._requested_at = monotonic()
            self._answered.clear()
        if not self._thread.wake():
            self._answered.set()  # nothing comes that could be waited for

    def _fetch_again(self) -> Iterator[float | None]:
        while True:
            self._fetch()
            yield None

    def _fetch(self) -> None:
        try:
            keys = {key.key_id: key for key in self._client.get_signing_keys() if key.key_id}
        except (jwt.PyJWTError, OSError, HTTPException, ValueError, RecursionError) as error:
            _log.warning("jwks_not_fetched", url=self._client.uri, error=str(error))
        else:
            if {kid: key._jwk_data for kid, key in keys.items()} != {
                kid: key._jwk_data for kid, key in self._keys.items()
            }:
                self._keys = keys
                self._generation += 1
            self._fetched_at = monotonic()
        finally:
            self._answered.set()
