"""Reads who may sign in with a password, at the console and at Flower: ``user:password[,user:password]``.

Both settings have this one reader. Flower would cut a list at its commas by itself, and take what is left.
"""

from __future__ import annotations

from typing import Final

from checkout_service.settings.secret import Secret
from checkout_service.settings.secret_forms import placeholder, within_quotes

LEAST: Final = 16
"""Characters of a password in production."""


def read_users(listed: str, *, production: bool) -> tuple[dict[str, Secret], list[str]]:
    """The passwords by user, and what is wrong: a sentence a fault, which shows no part of the value."""
    if within_quotes(listed):
        return {}, ["has quotation marks around it"]
    users: dict[str, Secret] = {}
    faults: list[str] = []
    pairs = listed.split(",")
    for place, pair in enumerate(pairs, start=1):
        user, _, password = pair.lstrip(" ").partition(":")
        fault = _fault(pair, user, password, production=production)
        if fault is None and user in users:
            fault = "names a user that an earlier one names"
        if fault:
            faults.append(fault if len(pairs) == 1 else f"number {place} of {len(pairs)} {fault}")
        users.setdefault(user, Secret(password))
    return users, faults


def _fault(pair: str, user: str, password: str, *, production: bool) -> str | None:
    if not pair.strip():
        return "is empty: set it to user:password, several with commas between them"
    if ":" not in pair:
        return "has no colon: set it to user:password; a password holds no comma"
    if not user or not password:
        return f"has no {'password' if user else 'user'}: set it to user:password"
    if user != user.strip() or password != password.strip():
        return "has whitespace around its user or its password"
    if not (user + password).isprintable():
        return "has a character in it that does not print"
    if production and len(password) < LEAST:
        return f"has a password shorter than {LEAST} characters, which is too weak in production"
    return placeholder(password) if production else None
