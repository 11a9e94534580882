"""Reads the origins whose pages may use the API in a browser: ``https://shop.example,https://*.preview.example``.

An origin is a scheme, a host and a port (RFC 6454), in the one spelling that browsers send (RFC 6454, section 6.2).
So a request's Origin is compared as it is, with names that are known: no pattern is ever run over what a stranger sent.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Final

from checkout_service.settings.secret_forms import within_quotes

LONGEST: Final = 8 + 253 + 6
"""Characters of an origin: https://, a name of DNS, and a port."""

LOCAL: Final = frozenset({"localhost", "127.0.0.1"})
"""Hosts that a page may come from without TLS: nobody is between it and its browser."""

EXAMPLE: Final = "https://shop.example"

_SCHEME: Final = "https://"
_PORT_OF: Final = {"https": "443", "http": "80"}
_MARKS: Final = frozenset(string.ascii_lowercase + string.digits + "-")
_LONGEST_LABEL: Final = 63
_LONGEST_NAME: Final = 253


class _OriginError(ValueError):
    """What is wrong with an origin: the rest of a sentence."""


@dataclass(frozen=True, slots=True)
class Origins:
    """Origins by name, and those of which any one label may stand first: ``under`` has what follows it."""

    exact: frozenset[str]
    under: frozenset[str] = frozenset()

    def admits(self, origin: str) -> bool:
        """Whether this is one of them, as a browser writes it. Takes no longer for one that is not."""
        if origin in self.exact:
            return True
        if not self.under or len(origin) > LONGEST or not origin.startswith(_SCHEME):
            return False
        label, _, rest = origin[len(_SCHEME) :].partition(".")
        return rest in self.under and _is_label(label)

    @property
    def local(self) -> frozenset[str]:
        """Those that each customer's own machine has."""
        return frozenset(origin for origin in self.exact if origin.split("/")[2].partition(":")[0] in LOCAL)

    def __str__(self) -> str:
        return ", ".join([*sorted(self.exact), *(f"{_SCHEME}*.{rest}" for rest in sorted(self.under))])


def read_origins(listed: str) -> tuple[Origins | None, list[str]]:
    """The origins of a comma list, None where it names none, and what is wrong: a sentence a fault."""
    if within_quotes(listed.strip()):
        return None, ["has quotation marks around it"]
    items = [item for text in listed.split(",") if (item := text.strip())]
    exact, under, faults = set[str](), set[str](), list[str]()
    for place, item in enumerate(items, start=1):
        try:
            scheme, host, port = _parts(item)
        except _OriginError as error:
            faults.append(f"number {place} of {len(items)} {error}" if len(items) > 1 else str(error))
            continue
        if host.startswith("*."):
            under.add(host[2:] + port)
        else:
            exact.add(f"{scheme}://{host}{port}")
    if listed and not items:
        faults.append(f"names no origin, as {EXAMPLE} is one")
    return (Origins(frozenset(exact), frozenset(under)) if exact or under else None), faults


def _parts(text: str) -> tuple[str, str, str]:
    """Scheme, host, and the port with its colon unless it is the scheme's own. Raises _OriginError."""
    if text == "*":
        raise _OriginError(
            "is *, which is every page there is: name the origins, or one label by https://*.preview.example"
        )
    if text.lower() == "null":
        raise _OriginError("is null, which any page can have itself sent as, from a sandboxed frame: it names nobody")
    if any(mark <= " " or mark == "\x7f" for mark in text):
        raise _OriginError("has whitespace or a control character in it")
    if not text.isascii():
        raise _OriginError("has a character beyond ASCII in it: write the name as browsers send it, with xn--")
    scheme, _, rest = text.partition("://")
    scheme = scheme.lower()
    if not rest or scheme not in _PORT_OF:
        raise _OriginError(f"must begin with https:// and name a host, as {EXAMPLE} does")
    if "@" in rest:
        raise _OriginError("holds a user or a password: an origin is scheme, host and port")
    if not {"/", "\\", "?", "#"}.isdisjoint(rest):
        raise _OriginError("goes on behind the host: an origin has no path and no / at its end, no ? and no #")
    host, colon, port = rest.partition(":")
    host = host.lower()
    if colon and not (port.isdigit() and port[0] != "0" and len(port) <= 5 and int(port) <= 65_535):
        raise _OriginError("has a port that is none, or an address of IPv6: name the host")
    _check_host(host)
    if host.startswith("*.") and scheme != "https":
        raise _OriginError("has a * and no https")
    if scheme == "http" and host not in LOCAL:
        raise _OriginError(
            "is http: only localhost and 127.0.0.1 may be, since anybody on the way can write such a page"
        )
    return scheme, host, "" if port in {"", _PORT_OF[scheme]} else f":{port}"


def _check_host(host: str) -> None:
    """Raise _OriginError unless browsers write a host so."""
    name = host.removeprefix("*.")
    labels = name.split(".")
    if "*" in name:
        raise _OriginError("has a * elsewhere than for the whole first label, as in https://*.preview.example")
    if labels[-1].isdigit() or labels[-1].startswith("0x"):
        # Browsers take a name that ends so for an address, however it is written, and send that.
        _check_address(host)
    elif len(name) > _LONGEST_NAME or not all(map(_is_label, labels)):
        raise _OriginError(
            "has a host that is no name of DNS: a to z, digits and - between dots, with no dot at its end"
        )
    elif name != host and len(labels) < 2:
        raise _OriginError("has a * for all names under a top-level domain, which are strangers'")


def _check_address(host: str) -> None:
    try:
        IPv4Address(host)
    except AddressValueError as error:
        raise _OriginError("has a host that is no name and no address of IPv4 as browsers write one") from error


def _is_label(text: str) -> bool:
    """Whether it is one label of a name, in lower case (RFC 1123, section 2.1)."""
    return 0 < len(text) <= _LONGEST_LABEL and text[0] != "-" != text[-1] and _MARKS.issuperset(text)
