"""The access token of PayPal's API: fetched with the client's credentials, kept while it is good."""

from __future__ import annotations

from threading import Lock
from time import monotonic
from typing import Final

from checkout_service.providers.base import UnreadableError
from checkout_service.providers.transport import Transport, basic, bearer

RENEWED_BEFORE: Final = 60.0
"""Seconds before its end at which a token is no longer used, so that none ends on its way."""

LONGEST: Final = 86_400


class Access:
    """A token that many calls share. Thread-safe."""

    def __init__(self, base: str, client_id: str, client_secret: str) -> None:
        self._api = Transport(base, headers=basic(client_id, client_secret))
        self._headers: dict[str, str] = {}
        self._until = float("-inf")
        self._lock = Lock()

    def headers(self) -> dict[str, str]:
        """The header that lets a call in. Raises what a call raises."""
        with self._lock:
            if monotonic() > self._until:
                self._renew()
            return self._headers

    def forget(self) -> None:
        """Fetch another token for the next call: the provider has refused this one."""
        with self._lock:
            self._until = float("-inf")

    def _renew(self) -> None:
        began = monotonic()
        answer = self._api.call("POST", "/v1/oauth2/token", form={"grant_type": "client_credentials"})
        seconds = answer.get("expires_in")
        if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 < seconds <= LONGEST:
            raise UnreadableError("a token without the seconds that it lasts")
        token = answer.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            raise UnreadableError("an answer without a token")
        self._headers = bearer(token)
        # One that lasts no longer than the margin is used up by the call that fetched it.
        self._until = began + seconds - RENEWED_BEFORE
