"""Reads who may do what at the console: roles of people, and the OpenID provider where they sign in."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from checkout_service.settings.origins import LOCAL
from checkout_service.settings.secret import Secret
from checkout_service.settings.secret_forms import no_address, within_quotes

ROLES_CLAIM: Final = "roles"
"""The claim that is read where ``CONSOLE_OIDC_ROLES_CLAIM`` names none."""

PERSON: Final = "oidc:"
"""What the names of those begin with who sign in at the provider. No user with a password has a colon."""

LEAST_SECRET: Final = 16
"""Characters of a client secret in production; the provider makes it, most of them 32 and longer."""

LONGEST: Final = 512


class Role(StrEnum):
    """What an operator may do; who may do more may do all that is before it."""

    VIEWER = "viewer"
    """Reads."""
    OPERATOR = "operator"
    """Gives commands that give no money away."""
    REFUNDER = "refunder"
    """Gives all commands."""

    def covers(self, needed: Role) -> bool:
        """Whether who has this role may do what takes the other."""
        return ORDER.index(self) >= ORDER.index(needed)


ORDER: Final = (Role.VIEWER, Role.OPERATOR, Role.REFUNDER)


@dataclass(frozen=True, kw_only=True)
class OidcSettings:
    """The OpenID provider where operators sign in, as it knows us; ``console_url`` is where we are for a browser."""

    issuer: str
    client_id: str
    client_secret: Secret
    console_url: str
    roles_claim: str = ROLES_CLAIM

    @property
    def origin(self) -> str:
        """Scheme, host and port of the console, as browsers write them."""
        parts = urlsplit(self.console_url)
        return f"{parts.scheme}://{parts.netloc.lower()}"

    @property
    def redirect_uri(self) -> str:
        """Where the provider sends people back to. It is of a setting: a request's Host is what its sender wrote."""
        return f"{self.console_url}/sign-in/callback"


NO_ROLE: Final = "none"
"""What takes every right from who is named, with their next request."""


def read_roles(listed: str, users: Collection[str]) -> tuple[dict[str, Role | None], list[str]]:
    """The roles by name of ``user=role[,user=role]``, None for ``none``; and what is wrong: a sentence a fault.

    A name is one of the ``users`` with a password, or ``oidc:`` and a subject: one that is misspelt would leave the
    user who is meant with all rights.
    """
    if within_quotes(listed.strip()):
        return {}, ["has quotation marks around it"]
    roles: dict[str, Role | None] = {}
    faults: list[str] = []
    for pair in listed.split(","):
        name, _, role = pair.strip().rpartition("=")
        if not name:
            faults.append(f"{pair.strip()!r} is not user=role")
        elif role not in (*ORDER, NO_ROLE):
            faults.append(f"{role!r} is none of {', '.join((*ORDER, NO_ROLE))}")
        elif name in roles:
            faults.append(f"names {name!r} twice")
        elif name not in users and not (name.startswith(PERSON) and len(name) > len(PERSON)):
            faults.append(f"{name!r} is no user of CONSOLE_BASIC_AUTH, nor {PERSON} and a subject")
        else:
            roles[name] = None if role == NO_ROLE else Role(role)
    return roles, faults


def fault_of_issuer(value: str, *, production: bool) -> str | None:
    """What is wrong with an issuer (OpenID Connect Discovery 1.0, section 2): https, no query, no fragment."""
    if fault := _fault_of_place(value, production=production):
        return fault
    return "goes on with ? or #, which no issuer does" if {"?", "#"} & set(value) else None


def fault_of_console(value: str, *, production: bool) -> str | None:
    """What is wrong with the console's address, where people are sent back to."""
    if fault := _fault_of_place(value, production=production):
        return fault
    return None if re.fullmatch(r"[^?#]*/ops", value) else "must end with /ops, which is where the console is"


def fault_of_client(value: str) -> str | None:
    """What is wrong with a client's id or secret: both are visible ASCII (RFC 6749, appendix A)."""
    return None if re.fullmatch(r"[\x21-\x7e]{1,512}", value) else "must be visible ASCII characters, without a space"


def fault_of_claim(value: str) -> str | None:
    """What is wrong with the name of a claim."""
    if not value.strip() or value != value.strip() or not value.isprintable() or len(value) > LONGEST:
        return "must be the name of a claim, such as roles, realm_access.roles or https://shop.example/roles"
    return None


def is_safe(address: str, *, production: bool) -> bool:
    """Whether nobody on the way reads or writes what is sent there: https, or this machine where things are tried."""
    try:
        parts = urlsplit(address)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or not re.fullmatch(r"[\x21-\x7e]{1,2048}", address) or "\\" in address:
        return False
    return parts.scheme == "https" or (not production and parts.scheme == "http" and host in LOCAL)


def _fault_of_place(value: str, *, production: bool) -> str | None:
    if fault := no_address(value, "https", "http"):
        return fault
    if "@" in value:
        return "holds a user or a password"
    if len(value) > LONGEST:
        return f"is longer than {LONGEST} characters"
    if not is_safe(value, production=production):
        return "must begin with https://" + ("" if production else ", or http://127.0.0.1 where it is tried")
    return None
