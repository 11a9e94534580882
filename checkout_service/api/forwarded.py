"""Who calls, by address: what the server sees of a connection, or what a proxy in front of it says.

Anybody can write a header such as X-Forwarded-For. A proxy adds the address of whoever came to it at the right, so the
header is read from the right, through the proxies that ``TRUSTED_PROXIES`` names, to the first address that is none of
them. Nothing left of that one is looked at.

Flower reads it as well, and without Flask, which it needs for nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

import structlog

from checkout_service.settings.values import Networks

MOST_HOPS: Final = 32
"""So many addresses of the header are looked at, from the right. No chain of proxies is as long."""

LONGEST: Final = 80
"""Characters of an address with its port, brackets and zone."""

WAYS_ON: Final = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")
"""Headers that proxies add: a request with one of them has hardly come from its sender directly."""

Address = IPv4Address | IPv6Address
Environ = Mapping[str, Any]

_log = structlog.get_logger()


class Addresses:
    """Finds callers' addresses as the settings say. ``proxies`` is None where nobody said which proxies there are."""

    def __init__(self, *, proxies: Networks | None, header: str) -> None:
        self._proxies = proxies
        self._key = _environ_key(header)
        self._given: set[str] = set()

    def of(self, environ: Environ) -> str | None:
        """The caller's address in its one spelling, of IPv6 its /64; None where it is not known. Never raises.

        It is not known where ``TRUSTED_PROXIES`` is unset, and where a trusted proxy sends no header: then all callers
        would be one. A header that cannot be read counts for the proxy that sent it, since any caller can spoil one.
        """
        if self._proxies is None:
            if "HTTP_X_FORWARDED_FOR" in environ and self._is_first("not read"):
                _log.warning("forwarded_header_not_read", why="TRUSTED_PROXIES is unset, so no address is known")
            return None
        nearest = _parsed(environ.get("REMOTE_ADDR"))
        if nearest is None or not self._is_proxy(nearest):
            return _shown(nearest)
        sent = environ.get(self._key)
        if sent is None:
            if self._is_first("missing"):
                _log.warning("forwarded_header_missing", why="a trusted proxy does not send the header of PROXY_HEADER")
            return None
        for text in reversed(str(sent).rsplit(",", MOST_HOPS)[-MOST_HOPS:]):
            found = _parsed(text)
            if found is None:
                break
            nearest = found
            if not self._is_proxy(found):
                break
        return _shown(nearest)

    def presumed(self, environ: Environ) -> str | None:
        """As ``of``; where ``TRUSTED_PROXIES`` is unset, the connection's own address unless a proxy has a hand in it.

        For bounds that are better held by a guess than by nobody, such as on wrong passwords.
        """
        if self._proxies is not None:
            return self.of(environ)
        if self._key in environ or any(key in environ for key in WAYS_ON):
            return None
        return _shown(_parsed(environ.get("REMOTE_ADDR")))

    def scheme(self, environ: Environ) -> str | None:
        """``https`` or ``http`` where a trusted proxy says in X-Forwarded-Proto how it was asked; else None."""
        nearest = _parsed(environ.get("REMOTE_ADDR"))
        if nearest is None or not self._is_proxy(nearest):
            return None
        sent = str(environ.get("HTTP_X_FORWARDED_PROTO", "")).rpartition(",")[2].strip().lower()
        return sent if sent in {"http", "https"} else None

    def _is_proxy(self, address: Address) -> bool:
        return any(address in network for network in self._proxies or ())

    def _is_first(self, warning: str) -> bool:
        """Whether it was not given yet in this process."""
        is_first = warning not in self._given
        self._given.add(warning)
        return is_first


def _parsed(text: str | None) -> Address | None:
    """The address in a header's item: with a port or without, in brackets, quotes, with a zone; None if it is none."""
    text = (text or "").strip(" \t\"'")
    if not text or len(text) > LONGEST:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        # A zone names an interface of the machine that wrote it: not who called.
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def _shown(address: Address | None) -> str | None:
    """One spelling of who that is. Whoever has one address of IPv6 has all of its /64."""
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False))
    return str(address) if address else None


def _environ_key(header: str) -> str:
    return "HTTP_" + header.upper().replace("-", "_")
