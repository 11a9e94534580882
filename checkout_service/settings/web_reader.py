"""Reads what the web tier alone takes: the pages for people, and the operators' console."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from checkout_service.settings.operators import (
    LEAST_SECRET,
    ROLES_CLAIM,
    OidcSettings,
    Role,
    fault_of_claim,
    fault_of_client,
    fault_of_console,
    fault_of_issuer,
    read_roles,
)
from checkout_service.settings.reader import Reader
from checkout_service.settings.secret import Secret
from checkout_service.settings.secret_forms import placeholder


class WebReader(Reader):
    """Reads what the web tier alone takes."""

    def pages(self) -> dict[str, Any]:
        """The pages for people: on where things are tried, off in production unless somebody wants them."""
        secret = self._own_secret("PAGES_SECRET")
        signable = bool(secret or self._env.str("JWT_SECRET", ""))
        on = self._env.bool("PAGES", signable and not self.production)
        if on and not signable:
            self._faults.append("PAGES_SECRET: the pages sign cookies; set it, or PAGES=off")
        return {"pages": on, "pages_secret": Secret(secret) if secret else None}

    def console(self) -> dict[str, Any]:
        """The operators' console: on where somebody can sign in, or where ``CONSOLE=on`` says so."""
        users = self.users("CONSOLE_BASIC_AUTH")
        oidc = self._oidc()
        on = self._env.bool("CONSOLE", bool(users or oidc))
        if on and not (self._env.str("PAGES_SECRET", "") or self._env.str("JWT_SECRET", "")):
            self._faults.append("PAGES_SECRET: the console signs its forms; set it, or CONSOLE=off")
        return {
            "console": on,
            "console_users": users,
            "console_roles": self._roles(users),
            "console_oidc": oidc,
            "flower_url": self.link("FLOWER_URL") or None,
        }

    def _oidc(self) -> OidcSettings | None:
        """The provider where operators sign in; None where none of its settings is set."""
        prefix = "CONSOLE_OIDC_"
        issuer, client, secret = (self._env.str(prefix + name, "") for name in ("ISSUER", "CLIENT_ID", "CLIENT_SECRET"))
        claim = self._checked(
            f"{prefix}ROLES_CLAIM", self._env.str(f"{prefix}ROLES_CLAIM", ROLES_CLAIM), fault_of_claim
        )
        if not claim:
            self._faults.append(f"{prefix}ROLES_CLAIM: is set, and empty: name a claim, or leave it out")
        if not (issuer or client or secret):
            if claim != ROLES_CLAIM:
                self._faults.append(f"{prefix}ROLES_CLAIM: is without effect: {prefix}ISSUER is not set")
            return None
        for name, value in (("ISSUER", issuer), ("CLIENT_ID", client), ("CLIENT_SECRET", secret)):
            if not value:
                self._faults.append(f"{prefix}{name}: is needed beside the others of {prefix}…")
        self._checked(f"{prefix}ISSUER", issuer, partial(fault_of_issuer, production=self.production))
        self._checked(f"{prefix}CLIENT_ID", client, fault_of_client)
        checks = [fault_of_client, *([placeholder] if self.production else [])]
        self._checked(f"{prefix}CLIENT_SECRET", secret, *checks)
        if secret and self.production and len(secret) < LEAST_SECRET:
            self._faults.append(
                f"{prefix}CLIENT_SECRET: shorter than {LEAST_SECRET} characters, which is too weak in production"
            )
        url = self._env.str("CONSOLE_URL", "").rstrip("/")
        if not url:
            self._faults.append(f"CONSOLE_URL: is needed beside {prefix}ISSUER, which sends people back there")
        self._checked("CONSOLE_URL", url, partial(fault_of_console, production=self.production))
        return OidcSettings(
            issuer=issuer, client_id=client, client_secret=Secret(secret), console_url=url, roles_claim=claim
        )

    def _roles(self, users: Collection[str]) -> dict[str, Role | None]:
        """Roles of those who are named; of others see ``console.roles``."""
        listed = self._env.str("CONSOLE_ROLES", "")
        roles, faults = read_roles(listed, users) if listed else ({}, [])
        self._faults.extend(f"CONSOLE_ROLES: {fault}" for fault in faults)
        return roles

    def proxies(self, *, are_kept: bool = True) -> dict[str, Any]:
        """Which proxies are in front, and in which header they say who came to them.

        ``are_kept`` says that the process keeps callers' addresses, which takes a key.
        """
        listed = [text.strip() for text in self._env.str("TRUSTED_PROXIES", "").split(",")]
        listed = [text for text in listed if text]
        header = self._env.str("PROXY_HEADER", "X-Forwarded-For")
        if not re.fullmatch(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*", header):
            self._faults.append("PROXY_HEADER: is not the name of a header")
        if header.lower() == "forwarded":
            # RFC 7239 has quotes, and one that a client leaves open hides what a proxy adds after it.
            self._faults.append("PROXY_HEADER: Forwarded is not read; have the proxy send X-Forwarded-For")
        if are_kept and listed and not (self._env.str("PAGES_SECRET", "") or self._env.str("JWT_SECRET", "")):
            self._faults.append("PAGES_SECRET: callers' addresses are kept as a keyed hash; set it")
        if listed == ["none"]:
            return {"trusted_proxies": (), "proxy_header": header}
        networks = [network for text in listed if (network := self._network(text)) is not None]
        return {"trusted_proxies": tuple(networks) if listed else None, "proxy_header": header}

    def open_sessions(self) -> dict[str, Any]:
        """How many sessions one caller may have open, how often they may ask, how much stock those may hold."""
        return {
            "open_sessions_per_customer": self.number("OPEN_SESSIONS_PER_CUSTOMER", 20, least=0),
            "open_sessions_per_guest": self.number("OPEN_SESSIONS_PER_GUEST", 5, least=0),
            "open_sessions_per_address": self.number("OPEN_SESSIONS_PER_ADDRESS", 100, least=0),
            "guest_carts_per_address_per_minute": self.number("GUEST_CARTS_PER_ADDRESS_PER_MINUTE", 30, least=0),
            "sessions_per_caller_per_minute": self.number("SESSIONS_PER_CALLER_PER_MINUTE", 60, least=0),
            "failed_attempts_per_caller_per_hour": self.number("FAILED_ATTEMPTS_PER_CALLER_PER_HOUR", 20, least=0),
            "failed_attempts_per_address_per_hour": self.number("FAILED_ATTEMPTS_PER_ADDRESS_PER_HOUR", 100, least=0),
            "held_pieces_per_customer": self.number("HELD_PIECES_PER_CUSTOMER", 1000, least=0),
            "held_pieces_per_guest": self.number("HELD_PIECES_PER_GUEST", 100, least=0),
            "held_pieces_per_address": self.number("HELD_PIECES_PER_ADDRESS", 1000, least=0),
        }

    def _network(self, text: str) -> IPv4Network | IPv6Network | None:
        try:
            network = ip_network(text)
        except ValueError:
            self._faults.append(f"TRUSTED_PROXIES: {text!r} is no address and no network, as 10.1.0.0/16 is one")
            return None
        if network.prefixlen == 0:
            self._faults.append(f"TRUSTED_PROXIES: {text!r} is everybody, so every caller could name any address")
        if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped:
            self._faults.append(f"TRUSTED_PROXIES: {text!r}: write a network of IPv4 as such")
        return network
