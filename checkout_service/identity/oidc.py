"""Signs people in at an OpenID provider: the authorization code flow of OpenID Connect Core 1.0, with PKCE (RFC 7636).

Here is what is between us and the provider; what is between us and the browser is the caller's.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from time import time
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx
import jwt
import structlog

from checkout_service.api.problems import Problem
from checkout_service.identity.jwks import Jwks, Keys
from checkout_service.identity.oidc_discovery import BASIC, Discovered, Discovery, ProviderAwayError
from checkout_service.settings.operators import OidcSettings

ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
"""Of ID tokens. Those are never signed with the client secret, nor with nothing."""

SCOPES: Final = "openid profile email"

LEEWAY: Final = 30
"""Seconds by which the provider's clock and ours may differ."""

LONGEST_TOKEN: Final = 32 * 1024
LONGEST_CODE: Final = 4096
LONGEST_SUBJECT: Final = 255
"""Characters (OpenID Connect Core 1.0, section 2)."""

MOST_ROLES: Final = 1000

_log = structlog.get_logger()


class NotSignedInError(Exception):
    """What came back from the provider does not sign anybody in. The message says why, for people, and names nothing
    that anybody sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What one attempt to sign in is bound to."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who signed in; ``roles`` are the words of the claim, whatever they mean."""

    subject: str
    name: str
    roles: frozenset[str] = field(default_factory=frozenset)


class OpenIdProvider:
    """The provider of the settings. Connects to nothing yet, so it may be made before a fork."""

    def __init__(self, settings: OidcSettings, *, production: bool) -> None:
        self._settings = settings
        self._discovery = Discovery(settings.issuer, production=production)
        self._jwks: tuple[str, Jwks] | None = None

    def find(self) -> Discovered:
        """What it says of itself. Raises ProviderAwayError."""
        return self._discovery.find()

    def begin(self, attempt: Attempt) -> str:
        """The address that the browser is sent to. Raises ProviderAwayError."""
        self._keys().generation()  # has them fetched meanwhile: who comes back with a code waits for nothing
        digest = sha256(attempt.verifier.encode()).digest()
        return _with_query(
            self.find().authorization_endpoint,
            {
                "response_type": "code",
                "client_id": self._settings.client_id,
                "redirect_uri": self._settings.redirect_uri,
                "scope": SCOPES,
                "state": attempt.state,
                "nonce": attempt.nonce,
                "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
                "code_challenge_method": "S256",
            },
        )

    def sign_out_address(self, back_to: str) -> str | None:
        """Where a person signs out of the provider too; None where it has no such place, or does not answer."""
        try:
            found = self.find().end_session_endpoint
        except ProviderAwayError:
            return None
        return found and _with_query(
            found, {"client_id": self._settings.client_id, "post_logout_redirect_uri": back_to}
        )

    def check_sender(self, sent: Mapping[str, str]) -> None:
        """Raise NotSignedInError if the answer names another provider (RFC 9207), or none though ours always does."""
        named = sent.get("iss")
        if named is None and self.find().names_itself:
            raise NotSignedInError("The answer does not say which provider it is from.")
        if named is not None and named != self._settings.issuer:
            raise NotSignedInError("The answer is of another provider.")

    def finish(self, attempt: Attempt, code: str) -> Person:
        """Who the code is about. Raises NotSignedInError and ProviderAwayError."""
        if not 0 < len(code) <= LONGEST_CODE or not code.isascii():
            raise NotSignedInError("The answer has no code that can be read.")
        tokens = self._exchange(attempt, code)
        token, access = tokens.get("id_token"), tokens.get("access_token")
        if not isinstance(token, str) or not 0 < len(token) <= LONGEST_TOKEN or not token.isascii():
            raise NotSignedInError("The provider gave no ID token.")
        claims = self._verified(token, attempt)
        return self._person(claims, access if isinstance(access, str) else None)

    def _exchange(self, attempt: Attempt, code: str) -> dict[str, Any]:
        found = self.find()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._settings.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        status, answer = 0, dict[str, Any]()
        for method in found.client_authentication:
            headers, more = self._as_client(method)
            status, answer = self._discovery.ask(found.token_endpoint, headers=headers, form=form | more)
            # A provider may take both ways and this client by one of them. It looks at the code after that.
            if answer.get("error") != "invalid_client":
                break
        if status == httpx.codes.OK:
            return answer
        error = answer.get("error")
        _log.warning("openid_code_refused", status=status, error=error[:64] if isinstance(error, str) else None)
        if error == "invalid_client":
            raise ProviderAwayError("it does not take our client id and secret")
        raise NotSignedInError("The provider does not take its code back: it is too old, or was used.")

    def _as_client(self, method: str) -> tuple[dict[str, str], dict[str, str]]:
        """Headers and fields of the form by which we say who we are."""
        name, secret = self._settings.client_id, self._settings.client_secret.reveal()
        if method == BASIC:
            # RFC 6749, section 2.3.1: both are encoded as in a form before they are joined by the colon.
            joined = f"{quote(name, safe='')}:{quote(secret, safe='')}".encode()
            return {"Authorization": "Basic " + base64.b64encode(joined).decode()}, {}
        return {}, {"client_id": name, "client_secret": secret}

    def _verified(self, token: str, attempt: Attempt) -> dict[str, Any]:
        """The claims of an ID token (OpenID Connect Core 1.0, section 3.1.3.7)."""
        try:
            header = jwt.get_unverified_header(token)
            algorithm = header.get("alg")
            if algorithm not in ALGORITHMS:
                raise NotSignedInError("The ID token is signed in a way that does not count here.")
            claims = self._signed(token, header.get("kid"), algorithm)
        except jwt.PyJWTError as error:
            _log.warning("id_token_refused", reason=type(error).__name__)
            raise NotSignedInError(
                "The ID token does not count: " + _REASONS.get(type(error), "it is spoiled.")
            ) from None
        # Before a signature is checked, a header may hold whatever makes a parser stumble.
        except (ValueError, TypeError, RecursionError, OverflowError) as error:
            raise NotSignedInError("The ID token cannot be read.") from error
        audience, party = claims["aud"], claims.get("azp")
        if (isinstance(audience, list) and len(audience) != 1 and party is None) or (
            party is not None and party != self._settings.client_id
        ):
            raise NotSignedInError("The ID token is for another client.")
        nonce = claims["nonce"]
        sent = nonce.encode("utf-8", "surrogatepass") if isinstance(nonce, str) else b""
        if not hmac.compare_digest(sent, attempt.nonce.encode()):
            raise NotSignedInError("The ID token is of another attempt to sign in.")
        if not isinstance(claims["iat"], (int, float)) or claims["iat"] < time() - OLDEST - LEEWAY:
            raise NotSignedInError("The ID token is too old.")
        return claims

    def _signed(self, token: str, kid: object, algorithm: str) -> dict[str, Any]:
        jwks = self._keys()
        named = None if kid is None else str(kid)
        try:
            keys = jwks.find_only(algorithm) if named is None else jwks.find(kid, algorithm)
            claims = self._signed_by_one(token, keys, algorithm)
            if claims is None and keys:
                # The provider may have put another key under the same id.
                keys = jwks.find_again(named, algorithm, tried=keys)
                claims = self._signed_by_one(token, keys, algorithm)
        except Problem as error:
            raise ProviderAwayError("its keys cannot be fetched") from error
        if claims is None:
            raise jwt.InvalidSignatureError
        return claims

    def _signed_by_one(self, token: str, keys: Keys, algorithm: str) -> dict[str, Any] | None:
        for key in keys:
            with suppress(jwt.InvalidSignatureError):
                return self._decoded(token, key.key, algorithm)
        return None

    def _decoded(self, token: str, key: Any, algorithm: str) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=self._settings.client_id,
            issuer=self._settings.issuer,
            leeway=LEEWAY,
            options={"require": ["iss", "aud", "exp", "iat", "sub", "nonce"]},
        )
        return claims

    def _keys(self) -> Jwks:
        url = self.find().jwks_uri
        if self._jwks is None or self._jwks[0] != url:
            self._jwks = (url, Jwks(url))
        return self._jwks[1]

    def _person(self, claims: dict[str, Any], access: str | None) -> Person:
        """What the ID token leaves out is asked for: profile and roles may be there alone (section 5.4)."""
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
            raise NotSignedInError("The ID token names nobody.")
        claim = self._settings.roles_claim
        if access is not None and (claim_of(claims, claim) is None or not _name(claims)):
            claims = self._user_info(subject, access) | claims
        return Person(subject=subject, name=_name(claims), roles=_words(claim_of(claims, claim)))

    def _user_info(self, subject: str, access: str) -> dict[str, Any]:
        url = self.find().userinfo_endpoint
        if url is None or len(access) > LONGEST_TOKEN or not access.isascii() or not access.isprintable():
            return {}
        status, found = self._discovery.ask(url, headers={"Authorization": f"Bearer {access}"})
        # Section 5.3.2: of another subject it must not be used.
        return found if status == httpx.codes.OK and found.get("sub") == subject else {}


OLDEST: Final = 600
"""Seconds since an ID token was issued: so long an attempt to sign in may take."""

_REASONS: Final[Mapping[type[Exception], str]] = {
    jwt.ExpiredSignatureError: "it has expired.",
    jwt.ImmatureSignatureError: "it is of the future. Compare the clocks.",
    jwt.InvalidAudienceError: "it is for another client.",
    jwt.InvalidIssuerError: "it is of another issuer.",
    jwt.InvalidSignatureError: "it is not signed with a key that its issuer publishes.",
    jwt.MissingRequiredClaimError: "it lacks a claim.",
}


def claim_of(claims: Mapping[str, Any], name: str) -> Any:
    """The claim of that name, or at the end of that path of names with dots between; None if there is none."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for step in name.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _words(claim: Any) -> frozenset[str]:
    """A role, several with blanks between, or a list of them."""
    listed = claim.split()[:MOST_ROLES] if isinstance(claim, str) else claim
    return (
        frozenset(word for word in listed[:MOST_ROLES] if isinstance(word, str))
        if isinstance(listed, list)
        else frozenset()
    )


def _name(claims: Mapping[str, Any]) -> str:
    named = (claims.get(claim) for claim in ("name", "preferred_username", "email"))
    return next((name for name in named if isinstance(name, str) and name.strip()), "")


def _with_query(address: str, query: Mapping[str, str]) -> str:
    return address + ("&" if "?" in address else "?") + urlencode(query)
