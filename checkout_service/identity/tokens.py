"""Who is calling, by what they send as a bearer: a token, or an API key, which ``api_keys`` looks at. Of a guest that
is a Cart-Token (``cart_tokens``).

Tokens are JSON Web Tokens (RFC 7519) carried as RFC 6750 says. Which algorithms count is configured, never read from
the token, so neither ``none`` nor a public key taken for an HMAC secret gets through.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from threading import Lock
from time import time
from typing import Any, Final

import jwt
from flask import Flask

from checkout_service.api.callers import Caller, require_callers
from checkout_service.api.problems import UNREADABLE_AUTHORIZATION, Unauthorized
from checkout_service.at_work import app_at_work, request_at_work
from checkout_service.identity.api_keys import caller_of_key, connect_api_keys, sent_key
from checkout_service.identity.cart_tokens import connect_cart_tokens, guest_here
from checkout_service.identity.jwks import Jwks
from checkout_service.identity.jwks_document import PublicKey
from checkout_service.identity.subjects import BadSubjectError, Named, Subjects
from checkout_service.settings.values import WebSettings

LONGEST_TOKEN: Final = 8 * 1024
KEPT_TOKENS: Final = 2048


def init_app(app: Flask, settings: WebSettings) -> None:
    """From here on a request needs a token or a key, unless its view is public or finds its caller in another way."""
    app.extensions["tokens"] = Tokens(settings)
    app.extensions["subjects"] = Subjects.of(settings)
    connect_api_keys(app)
    connect_cart_tokens(app, settings)
    require_callers(app, bearer_or_guest)


def bearer_or_guest() -> Caller:
    """Whose token or API key the current request carries; in a view that is for guests too, whose Cart-Token.

    Raises as ``bearer`` and ``cart_tokens.guest_here``.
    """
    return guest_here() or bearer()


def bearer() -> Caller:
    """Whose token or API key the current request carries.

    Raises Unauthorized, JwksUnavailable, TooManyUnknownKeys and DatabaseUnavailableError.
    """
    sent = request_at_work().environ.get("HTTP_AUTHORIZATION")
    if (key := sent_key(sent)) is not None:
        return caller_of_key(key)
    tokens: Tokens = app_at_work().extensions["tokens"]
    return tokens.caller(sent)


class InvalidToken(Unauthorized):
    """A token was sent and is not accepted (RFC 6750, section 3.1)."""

    everywhere = True
    slug = "invalid-token"
    title = "Invalid token"
    default_detail = "The token is not valid here: sign in again."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer realm="checkout", error="invalid_token"'})


class Tokens:
    """Checks tokens as configured, and remembers those that passed until they expire."""

    def __init__(self, settings: WebSettings) -> None:
        self._subjects = Subjects.of(settings)
        self._algorithms = settings.jwt_algorithms
        self._audience = settings.jwt_audience
        self._issuer = settings.jwt_issuer
        self._secret = settings.jwt_secret
        self._jwks = Jwks(settings.jwt_jwks_url) if settings.jwt_jwks_url else None
        self._decoder = jwt.PyJWT(
            {
                "require": ["exp"],
                # Whatever claim it is, we say ourselves what is wrong with it; and RFC 7519 wants a text, where some
                # issuers have a number.
                "verify_sub": False,
                # PyJWT refuses any audience when none is configured; an issuer may well name one all the same.
                "verify_aud": self._audience is not None,
                # RFC 7519 section 4.1.6: iat informs. An issuer whose clock is a second ahead is no stranger.
                "verify_iat": False,
            }
        )
        # A signature costs 60 to 160 µs to check, a look into this dict less than one.
        self._passed: dict[str, tuple[Caller, int, int]] = {}
        self._making_room = Lock()

    def caller(self, authorization: str | None) -> Caller:
        """The caller named by an Authorization header; raises Unauthorized or JwksUnavailable."""
        token = _bearer(authorization)
        known = self._passed.get(token)
        # A key that its issuer withdrew takes its tokens along.
        if known and time() < known[1] and known[2] == self._generation():
            return known[0]
        claims, generation = self._verified(token)
        named = self._named(claims)
        found = Caller(named.user_id, _scopes(claims.get("scope")), subject=named.subject)
        if generation >= 0:
            with self._making_room:
                while len(self._passed) >= KEPT_TOKENS:
                    del self._passed[next(iter(self._passed))]
                self._passed[token] = (found, int(claims["exp"]), generation)
        return found

    def _named(self, claims: dict[str, Any]) -> Named:
        """Who the token is about. Raises InvalidToken, which says what is wrong and never what was sent."""
        try:
            return self._subjects.read(claims.get(self._subjects.claim))
        except BadSubjectError as error:
            raise InvalidToken(
                f'The token names no user: its claim "{self._subjects.claim}" {error}. It is signed and current, so '
                "this is for whoever sets up the identity provider."
            ) from None

    def _generation(self) -> int:
        return self._jwks.generation() if self._jwks else 0

    def _verified(self, token: str) -> tuple[dict[str, Any], int]:
        """The token's claims, and the generation of keys that they were checked with. Raises as ``caller`` does."""
        try:
            if self._jwks is None:
                return self._decoded(token, self._secret.reveal() if self._secret else ""), 0
            return self._by_published_key(token, self._jwks)
        except jwt.ExpiredSignatureError as error:
            raise InvalidToken("The token has expired: sign in again.") from error
        # Before a signature is checked, a header may hold whatever makes a parser stumble.
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise InvalidToken from error

    def _by_published_key(self, token: str, jwks: Jwks) -> tuple[dict[str, Any], int]:
        header = jwt.get_unverified_header(token)
        kid, algorithm = header.get("kid"), header.get("alg")
        if algorithm not in self._algorithms:
            # Before the keys are looked at, so that a token that cannot count costs the issuer no call.
            raise InvalidToken
        # Before the key is found: if the keys change in between, the token is only checked once more.
        generation = jwks.generation()
        keys = jwks.find(kid, algorithm)
        if not keys:
            raise InvalidToken("The token is signed with a key that its issuer does not publish.")
        claims = self._signed_by_one(token, keys)
        if claims is None:
            generation = jwks.generation()
            claims = self._signed_by_one(token, jwks.find_again(str(kid), algorithm, tried=keys))
        if claims is None:
            raise InvalidToken
        return claims, generation

    def _signed_by_one(self, token: str, keys: Sequence[PublicKey]) -> dict[str, Any] | None:
        """The token's claims if one of the keys signed it, else None."""
        for key in keys:
            with suppress(jwt.InvalidSignatureError):
                return self._decoded(token, key.key)
        return None

    def _decoded(self, token: str, key: Any) -> dict[str, Any]:
        return self._decoder.decode(
            token, key, algorithms=list(self._algorithms), audience=self._audience, issuer=self._issuer
        )


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        detail = UNREADABLE_AUTHORIZATION if authorization is not None and not authorization.strip() else None
        raise Unauthorized(detail, headers={"WWW-Authenticate": 'Bearer realm="checkout"'})
    if len(token) > LONGEST_TOKEN or not token.isascii():
        raise InvalidToken
    return token


def _scopes(claim: object) -> frozenset[str]:
    """The scopes in the claim of RFC 8693, section 4.2: words with spaces between. Of any other form, none."""
    return frozenset(claim.split(" ")) - {""} if isinstance(claim, str) else frozenset()
