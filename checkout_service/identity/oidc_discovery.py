"""What an OpenID provider says of itself (OpenID Connect Discovery 1.0): fetched when it is needed, and kept.

The document is of the provider, whom we believe in what it says of people. All the same its addresses are looked at:
nothing is sent over a way that others read.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

import httpx
import orjson
import structlog

from checkout_service.breaker import Breaker, BreakerOpenError
from checkout_service.identity.issuer_calls import IssuerCallError, call
from checkout_service.server.slots import TooManyWaitingError, released_slot
from checkout_service.settings.operators import is_safe

WELL_KNOWN: Final = "/.well-known/openid-configuration"

WITHIN: Final = 5.0
"""Seconds for one call in all."""

LARGEST: Final = 256 * 1024
"""Bytes of a document; those of large providers have some 3 KiB."""

FRESH_FOR: Final = 600.0
"""Seconds after which it is fetched again."""

KEPT_FOR: Final = 86_400.0
"""Seconds for which it counts while the provider does not answer."""

PAUSE: Final = 5.0
"""Seconds for which the provider is left alone after it did not answer."""

MOST_CALLS: Final = 4
"""Calls to the provider at once, in a process: anybody may begin to sign in."""

WAIT: Final = 3.0
"""Seconds for which a call waits until another one is over, of ``MOST_WAITING`` at once."""

MOST_WAITING: Final = 16

BASIC: Final = "client_secret_basic"
POST: Final = "client_secret_post"

_log = structlog.get_logger()


class ProviderAwayError(Exception):
    """The provider does not answer, or not with what can be used. The message is for the log and for operators."""

    @property
    def reason(self) -> str:
        """The message: words of ours, and nothing that the provider said."""
        return str(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """What is used of the document."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    end_session_endpoint: str | None
    client_authentication: tuple[str, ...]
    """Of ``client_secret_basic`` and ``client_secret_post`` those that it takes, the first one first."""
    names_itself: bool
    """Whether its answers carry ``iss`` (RFC 9207, section 3)."""


class Discovery:
    """One provider's document. Fetches nothing before the first question, so it may be made before a fork."""

    def __init__(self, issuer: str, *, production: bool) -> None:
        self._issuer = issuer
        self._production = production
        self._found: Discovered | None = None
        self._fetched_at = float("-inf")
        self._breaker = Breaker(pause=PAUSE)
        self._calls = threading.BoundedSemaphore(MOST_CALLS)
        self._waiting = threading.BoundedSemaphore(MOST_WAITING)

    def find(self) -> Discovered:
        """What the provider says of itself. Raises ProviderAwayError."""
        age = monotonic() - self._fetched_at
        found = self._found
        if found is not None and age < FRESH_FOR:
            return found
        try:
            fetched = self._fetch()
        except ProviderAwayError as error:
            _log.warning("openid_provider_away", issuer=self._issuer, error=str(error))
            if found is not None and age < KEPT_FOR:
                return found
            raise
        self._found, self._fetched_at = fetched, monotonic()
        return fetched

    def ask(
        self, url: str, *, headers: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """The status and the JSON object that the provider answers with, in the request's slot that others have
        meanwhile. An answer of 5xx is none. Raises ProviderAwayError.
        """
        if not self._take_call():
            raise ProviderAwayError("too many call it at this moment")
        try:
            with self._breaker.guard(ProviderAwayError):
                try:
                    with released_slot():
                        accepted = {"Accept": "application/json", **(headers or {})}
                        answer = call(url, most=LARGEST, headers=accepted, form=form, within=WITHIN)
                except (IssuerCallError, TooManyWaitingError) as error:
                    raise ProviderAwayError(str(error)) from error
                if answer.status >= httpx.codes.INTERNAL_SERVER_ERROR:
                    raise ProviderAwayError(f"status {answer.status}")
        except BreakerOpenError:
            raise ProviderAwayError("it did not answer a moment ago") from None
        finally:
            self._calls.release()
        return answer.status, _object(answer.content)

    def _take_call(self) -> bool:
        """Whether this caller may call now, or within a moment: others' calls are short, and may be a stranger's."""
        if self._calls.acquire(blocking=False):
            return True
        if not self._waiting.acquire(blocking=False):
            return False
        try:
            with released_slot():
                is_taken = self._calls.acquire(timeout=WAIT)
        except TooManyWaitingError:
            return False  # nothing was taken: who cannot leave its slot waits for nothing
        finally:
            self._waiting.release()
        return is_taken

    def _fetch(self) -> Discovered:
        status, described = self.ask(self._issuer.rstrip("/") + WELL_KNOWN)
        if status != httpx.codes.OK:
            raise ProviderAwayError(f"its {WELL_KNOWN} is answered with status {status}")
        if described.get("issuer") != self._issuer:
            # Section 4.3: exactly alike, else tokens of another tenant, or of another provider, would count.
            raise ProviderAwayError("it names itself otherwise than CONSOLE_OIDC_ISSUER does, character by character")
        known = described.get("token_endpoint_auth_methods_supported", [BASIC])
        methods = tuple(name for name in (BASIC, POST) if isinstance(known, list) and name in known)
        if not methods:
            raise ProviderAwayError(f"it takes neither {BASIC} nor {POST}")
        return Discovered(
            authorization_endpoint=self._address(described, "authorization_endpoint"),
            token_endpoint=self._address(described, "token_endpoint"),
            jwks_uri=self._address(described, "jwks_uri"),
            userinfo_endpoint=self._optional(described, "userinfo_endpoint"),
            end_session_endpoint=self._optional(described, "end_session_endpoint"),
            client_authentication=methods,
            names_itself=described.get("authorization_response_iss_parameter_supported") is True,
        )

    def _optional(self, described: Mapping[str, Any], name: str) -> str | None:
        return self._address(described, name) if name in described else None

    def _address(self, described: Mapping[str, Any], name: str) -> str:
        found = described.get(name)
        if not isinstance(found, str) or not is_safe(found, production=self._production) or "#" in found:
            raise ProviderAwayError(f"its {name} is no address that begins with https://")
        return found


def _object(content: bytes) -> dict[str, Any]:
    """The JSON object; {} for anything else, which then lacks what is looked for."""
    try:
        read = orjson.loads(content)
    except (orjson.JSONDecodeError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}
