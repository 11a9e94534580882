"""What a secret must look like, and what a wrong one is: said in words that show nothing of it.

A secret that cannot work is found at start and not by the first webhook. What a value is, is told by the beginnings
that providers give to their keys and ids. Pure functions; the specs of providers choose among them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

Check = Callable[[str], str | None]
"""What is wrong with a value, as the rest of a sentence that begins with the setting's name; None if nothing is."""

QUOTES: Final = "\"'`“”‘’"

PEM: Final = "a PEM file"
SSH_KEY: Final = "an SSH key"
DOCUMENT: Final = "a JSON document"
ADDRESS: Final = "an address"
SIGNING_SECRET: Final = "the signing secret of a webhook"  # noqa: S105 (words about one)
PUBLIC_KEY: Final = "the public key of a webhook's signatures"
PRIVATE_KEY: Final = "the private key of a webhook's signatures, which its sender alone may have"
STRIPE_KEY: Final = "an API key of Stripe"
PUBLISHABLE_KEY: Final = "a publishable key of Stripe, which is for browsers"
ENDPOINT: Final = "the id of a webhook's endpoint"
MODE_KEY: Final = "an API key of Mollie, or a client key of Adyen"
HEXADECIMAL: Final = "a key in hexadecimal"
TOKEN: Final = "a token that was issued to somebody"  # noqa: S105 (words about one)

KINDS: Final[tuple[tuple[str, str], ...]] = (
    (r"-----BEGIN.*", PEM),
    (r"(?:ssh|ecdsa)-\S+ .*", SSH_KEY),
    (r"\{.*\}", DOCUMENT),
    (r"[a-z][a-z0-9+.-]*://.*", ADDRESS),
    (r"whsec_.*", SIGNING_SECRET),
    (r"whpk_.*", PUBLIC_KEY),
    (r"whsk_.*", PRIVATE_KEY),
    (r"(?:sk|rk)_.*", STRIPE_KEY),
    (r"pk_.*", PUBLISHABLE_KEY),
    (r"(?:we|ep)_.*", ENDPOINT),
    (r"(?:evt|msg)_.*|WH-.*", "the id of an event"),
    (r"acct_.*", "the id of an account"),
    (r"(?:live|test)_.*", MODE_KEY),
    (r"access_.*", "an OAuth token of Mollie"),
    (r"eyJ[\w-]*\.[\w-]*\.[\w-]*", TOKEN),
    (r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "a UUID"),
    (r"(?:[0-9A-Fa-f]{2}){16,}", HEXADECIMAL),
)
"""What values are that get into a wrong setting, by patterns of which the first that fits the whole value counts."""

NO_KEY_OF_CALLS: Final = frozenset({PEM, SSH_KEY, DOCUMENT, ADDRESS, SIGNING_SECRET, PUBLIC_KEY, PRIVATE_KEY})
"""What is never sent with a call, whatever form a provider gives to its keys."""

_TEMPLATE: Final = re.compile(r"<[\w .-]+>|\$\{.*\}|\$\([\w ./-]+\)|\{\{.*\}\}|%\(\w+\)s|.*…|.*\.\.\.", re.S)
_PLACEHOLDER: Final = re.compile(
    r"(?:change|replace|insert|fill|put)[-_ ]?(?:me|this|it|in|here)\b.*|your[-_ ].*|todo\b.*|fixme\b.*"
    r"|secret|password|passwort|example|dummy|none|null|undefined|[x*.?-]{3,}",
    re.I | re.S,
)


def what_it_is(value: str) -> str | None:
    """What a value is by the way it begins, or None if that says nothing."""
    return next((words for pattern, words in KINDS if re.fullmatch(pattern, value, re.S)), None)


def spoiled(value: str) -> str | None:
    """What a copy took along, or left unfilled: no secret of anybody looks like this, whoever made it."""
    if not value.strip():
        return "is nothing but whitespace"
    if value != value.strip():
        return "has whitespace or a line's end around it"
    if any(ord(character) < 32 or ord(character) == 127 for character in value) and "-----BEGIN" not in value:
        return "has a control character in it"
    if within_quotes(value):
        return "has quotation marks around it"
    if _TEMPLATE.fullmatch(value):
        return "is a placeholder that was never filled in"
    return None


def within_quotes(value: str) -> bool:
    """Whether the value begins and ends with a quotation mark, as in a file that is read by no shell."""
    return len(value) > 1 and value[0] in QUOTES and value[-1] in QUOTES


def placeholder(value: str) -> str | None:
    """Words that stand where a secret should be; where things are tried, a secret of our own may be such a word."""
    return "is a placeholder that was never filled in" if _PLACEHOLDER.fullmatch(value) else None


def shared_secret(value: str) -> str | None:
    """A secret that we and an issuer of tokens share: any text, but no key of another kind.

    A public key is no secret: who has it could sign as the issuer. PyJWT refuses each token then.
    """
    kind = what_it_is(value)
    if kind in {PEM, SSH_KEY, DOCUMENT, ADDRESS, TOKEN}:
        return f"is {kind}, not a secret"
    return None


def encryption_key(value: str) -> str | None:
    """A key of our own that encrypts: 32 random bytes in URL-safe base64, as ``Fernet.generate_key()`` makes one."""
    if re.fullmatch(r"[A-Za-z0-9_-]{43}=", value):
        return None
    kind = what_it_is(value)
    return f"is {kind + ', ' if kind else ''}not 32 bytes in URL-safe base64 (44 characters)"


def key_like(pattern: str, *, words: str, kind: str) -> Check:
    """A check for a key whose provider promises how it looks; ``words`` say what it is, as in "is a UUID, not …".

    ``kind`` is the one of ``KINDS`` that begins like it: such a value is not another key but a spoiled one.
    """

    def check(value: str) -> str | None:
        if fault := _no_key(value):
            return fault
        if re.fullmatch(pattern, value):
            return None
        found = what_it_is(value)
        if found == kind:
            return f"begins like {words}, but is cut short or has other characters in it"
        return f"is {found}, not {words}" if found else f"is not {words}"

    return check


def key_of_any_form(*but: str) -> Check:
    """A check for a key whose provider promises no form: it must be none of ``NO_KEY_OF_CALLS``, and none of ``but``.

    ``but`` are words of ``KINDS``: what that provider's own keys never look like.
    """

    def check(value: str) -> str | None:
        kind = what_it_is(value)
        if kind in NO_KEY_OF_CALLS | {*but}:
            return f"is {kind}, not the key that is meant"
        return _no_key(value)

    return check


def no_address(value: str, *schemes: str) -> str | None:
    """What is wrong with an address that begins with one of the ``schemes`` (``https``), or None."""
    if any(character.isspace() for character in value):
        return "has whitespace in it"
    begins = " or ".join(f"{scheme}://" for scheme in schemes)
    try:
        parts = urlsplit(value)
        named = parts.hostname or parts.scheme == "unix"
        _ = parts.port
    except ValueError:
        # The port is what follows the last colon: so it may be the rest of a password.
        return "is no address: in a password, characters such as / # ? : @ are written as %2F %23 %3F %3A %40"
    if parts.scheme not in schemes:
        return f"must begin with {begins}"
    return None if named else "names no host"


def _no_key(value: str) -> str | None:
    """What no key has that is sent in a header or compared byte by byte."""
    if any(character.isspace() for character in value):
        return "has whitespace in it"
    if not value.isascii():
        return "has a character beyond ASCII in it"
    if value[0] in QUOTES:
        return "has a quotation mark before it"
    return placeholder(value)
