"""The cookies of operators who sign in at an OpenID provider. Nothing is kept of them here, so each process and each
machine knows them, and a restart ends none.

The session ends eight hours after the sign-in, whatever its operator does, and with their signing out in whatever
browser: that is kept in the cache, and while that is away sessions go on. It says who they are; what they may do is
looked up with each request where ``CONSOLE_ROLES`` names them. A second cookie binds an attempt to sign in to the
browser that began it: whoever has somebody else follow a link into the console signs them in as nobody (RFC 6749,
section 10.12).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from time import time
from typing import Any, Final
from urllib.parse import quote

from cryptography.fernet import Fernet, InvalidToken
from flask import Response, current_app, request
from itsdangerous import BadData, URLSafeSerializer

from checkout_service.cache import cache
from checkout_service.identity.oidc import Attempt, Person
from checkout_service.settings.operators import ORDER, PERSON, Role
from checkout_service.settings.values import WebSettings

SESSION: Final = "__Host-console"
BROWSER: Final = "__Host-console-sign-in"
"""Browsers take them from this host alone, over https alone; over http from 127.0.0.1 and localhost (not Safari)."""

KNOWN: Final = "__Host-console-known"
"""Says of a browser that an operator signed in with it, and not who: strangers cannot use up its attempts."""

LASTS: Final = timedelta(hours=8)

KNOWN_LASTS: Final = timedelta(days=90)

ATTEMPT_LASTS: Final = timedelta(minutes=10)

CLOCKS_DIFFER: Final = 60
"""Seconds between the clocks of two machines."""

LONGEST_NAME: Final = 60
LONGEST_SUBJECT: Final = 128
"""Characters of a subject in the audit: a longer one is shown by its SHA-256."""

HASHED: Final = "sha256:"

LONGEST_PATH: Final = 512
LONGEST_COOKIE: Final = 4096
HOME: Final = "/ops"

_OURS: Final = re.compile(r"/ops(?:[/?][!-~]*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody who signed in; ``role`` is that of the provider's claim."""

    subject: str
    shown: str
    role: Role | None

    @property
    def name(self) -> str:
        """As the audit names them: first what the provider tells them by, then what people call them.

        What stands in the brackets is the person's own choice, and so comes second.
        """
        key = audit_key(self.subject)
        return f"{key} ({self.shown})" if self.shown else key


def audit_key(subject: str) -> str:
    """``oidc:`` and the subject, in characters that cannot be taken for what follows it."""
    written = quote(subject, safe="|@.:~_+-=/")
    if len(written) > LONGEST_SUBJECT or subject.startswith(HASHED):
        written = HASHED + hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()
    return PERSON + written


def session() -> Session | None:
    """Whose session the request at work carries; None where there is none, or one that has ended."""
    read = _read("session", request.cookies.get(SESSION), LASTS)
    if read is None or _has_left(read):
        return None
    try:
        return Session(subject=read["sub"], shown=read["name"], role=Role(read["role"]) if read["role"] else None)
    except (KeyError, ValueError):  # of another release
        return None


def open_session(answer: Response, person: Person) -> Session:
    """Give the browser a session of this person, who has just signed in."""
    opened = Session(subject=person.subject, shown=_shown(person.name), role=highest(person.roles))
    # Not before it was last left, by whichever machine's clock.
    began = max(time(), _left_at(opened.subject) + 0.001)
    content = {"sub": opened.subject, "name": opened.shown, "role": opened.role, "began": began}
    _set(answer, SESSION, _signed("session", content), LASTS)
    return opened


def close_session(answer: Response) -> None:
    """Have the browser forget its session, and its attempts to sign in."""
    for name in (SESSION, BROWSER):
        answer.delete_cookie(name, path="/", secure=True, httponly=True, samesite="Lax")


def end_sessions(subject: str) -> None:
    """End all sessions that this person has by now, in whatever browser, as far as the cache is there to keep it."""
    cache().put(_left(subject), repr(time()).encode(), seconds=int(LASTS.total_seconds()) + CLOCKS_DIFFER)


def know_browser(answer: Response) -> None:
    """Know the browser again when its operator signs in the next time."""
    _set(answer, KNOWN, _signed("known", {"id": known_browser() or secrets.token_hex(16)}), KNOWN_LASTS)


def known_browser() -> str | None:
    """The id of the browser at work, if an operator has signed in with it."""
    read = _read("known", request.cookies.get(KNOWN), KNOWN_LASTS)
    return str(read.get("id", ""))[:32] if read else None


def take_attempt(attempt: Attempt) -> bool:
    """Whether this is the first that came back of the attempt; True too while the cache is away: a code counts once
    at its provider too.
    """
    return cache().claim(_attempt_key(attempt), milliseconds=int(ATTEMPT_LASTS.total_seconds() + CLOCKS_DIFFER) * 1000)


def give_attempt_back(attempt: Attempt) -> None:
    """Let the attempt come back once more: the provider was away."""
    cache().release(_attempt_key(attempt))


def _attempt_key(attempt: Attempt) -> str:
    return "console-attempt:" + hashlib.sha256(attempt.state.encode()).hexdigest()


def _left(subject: str) -> str:
    settings = _settings().console_oidc
    text = f"{settings.issuer if settings else ''}\n{subject}"
    return "console-left:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _left_at(subject: str) -> float:
    """When the person last signed out, in seconds since 1970; 0 where nobody knows of it."""
    with suppress(ValueError):
        return float(cache().get(_left(subject)) or 0)
    return 0.0


def _has_left(read: dict[str, Any]) -> bool:
    return float(read.get("began", read["iat"])) <= _left_at(str(read.get("sub", "")))


def highest(words: Iterable[str]) -> Role | None:
    """The role that may do the most of those in the words; what is none of ours is left out."""
    found = set(words)
    return next((role for role in reversed(ORDER) if role.value in found), None)


def local_path(sent: str | None) -> str:
    """Where to go after the sign-in: a path of the console, whatever was sent."""
    if sent is None or len(sent) > LONGEST_PATH or "//" in sent or not _OURS.fullmatch(sent):
        return HOME
    return sent


def browser_secret() -> str:
    """What ties the browser at work to its attempts to sign in: the one of its cookie, else a new one."""
    return _sent_secret() or secrets.token_urlsafe(32)


def keep_secret(answer: Response, secret: str) -> None:
    """Have the browser send it for as long as an attempt may take from now."""
    _set(answer, BROWSER, secret, ATTEMPT_LASTS)


def begin_attempt(secret: str, *, then: str) -> Attempt:
    """A new attempt of the browser with this secret, which may have others open in other tabs."""
    # Sealed, since the provider sees it: what somebody looked for may be a customer's address.
    content = {"id": secrets.token_urlsafe(16), "then": _seal(secret).encrypt(then.encode()).decode()}
    return _attempt(secret, _signed(f"attempt:{secret}", content))


def find_attempt(state: str | None) -> tuple[Attempt, str] | None:
    """The attempt of this state that the browser at work began within ten minutes, and where to go after it."""
    secret = _sent_secret()
    read = _read(f"attempt:{secret}", state, ATTEMPT_LASTS) if secret else None
    if secret is None or state is None or read is None:
        return None
    try:
        then = _seal(secret).decrypt(str(read.get("then", ""))).decode()
    except InvalidToken:  # of another release
        then = HOME
    return _attempt(secret, state), local_path(then)


def _sent_secret() -> str | None:
    sent = request.cookies.get(BROWSER, "")
    return sent if re.fullmatch(r"[A-Za-z0-9_-]{43}", sent) else None


def _attempt(secret: str, state: str) -> Attempt:
    # Made of the state, under our key, and of what this browser alone has: neither is kept, nor sent before its time.
    nonce, verifier = (_made(f"{purpose}\n{secret}\n{state}") for purpose in ("nonce", "verifier"))
    return Attempt(state=state, nonce=nonce, verifier=verifier)


def _seal(secret: str) -> Fernet:
    key = hmac.new(_settings().console_key, f"then\n{secret}".encode(), hashlib.sha256).digest()
    return Fernet(urlsafe_b64encode(key))


def _made(text: str) -> str:
    return hmac.new(_settings().console_key, text.encode(), hashlib.sha256).hexdigest()


def _shown(name: str) -> str:
    plain = "".join(character if character.isprintable() else " " for character in name[: 10 * LONGEST_NAME])
    return " ".join(plain.split())[:LONGEST_NAME]


def _set(answer: Response, name: str, value: str, lasts: timedelta) -> None:
    answer.set_cookie(name, value, max_age=lasts, path="/", secure=True, httponly=True, samesite="Lax")


def _signed(purpose: str, content: dict[str, Any]) -> str:
    return str(_serializer(purpose).dumps(content | {"iat": int(time())}))


def _read(purpose: str, sent: str | None, lasts: timedelta) -> dict[str, Any] | None:
    """What was signed for this purpose, unless it is too old; None for anything else."""
    if sent is None or len(sent) > LONGEST_COOKIE:
        return None
    try:
        read: dict[str, Any] = _serializer(purpose).loads(sent)
    except BadData:
        return None
    # Not itsdangerous' own times: another machine whose clock is a second ahead has signed nothing wrong.
    age = time() - read.get("iat", 0)
    return read if -CLOCKS_DIFFER < age < lasts.total_seconds() else None


def _serializer(purpose: str) -> URLSafeSerializer:
    options = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    return URLSafeSerializer(_settings().console_key, salt=f"console {purpose}", signer_kwargs=options)


def _settings() -> WebSettings:
    found: WebSettings = current_app.extensions["settings"]
    return found
