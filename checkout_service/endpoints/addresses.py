"""Which addresses events may be sent to: one function judges a URL, one an IP address.

Staff of a shop, and whoever stole one of its keys, choose the URL; our own network must not be reached by it. So a URL
is judged when it is given, and again with what its host resolves to at every attempt, by the same functions. A host is
taken only in spellings that every client reads alike. The networks are those of IANA's special-purpose registries (RFC
6890): what Python calls global has changed from release to release.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address

LONGEST_URL: Final = 2000

URL_PATTERN: Final = r"^[Hh][Tt][Tt][Pp][Ss]?://[!#-;=?-\[\]_a-z~%]+$"
"""What the document says of a URL. ``check_url`` refuses more, and http where private addresses are not allowed."""

PORTS: Final = frozenset({443, 8443})
"""Where nobody sets others."""


class RefusedAddressError(ValueError):
    """Nothing may be sent there; ``reason`` says why, in words for whoever gave the address."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is allowed. ``private`` opens private and loopback networks, plain HTTP and every port."""

    private: bool = False
    ports: frozenset[int] = PORTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a URL leads: ``host`` in lower case, without brackets; ``address`` where the host is one itself."""

    scheme: str
    host: str
    port: int
    address: Address | None


def check_url(url: str, policy: Policy) -> Target:
    """Where the URL leads. Raises RefusedAddressError unless the policy allows it, as far as it can be seen from it."""
    if len(url) > LONGEST_URL:
        raise RefusedAddressError(f"An address has up to {LONGEST_URL} characters.")
    if not _URL.fullmatch(url):
        raise RefusedAddressError(
            "An address is visible ASCII without \\ < > \" ^ ` { | }: a host's name as xn--…, the rest with %XX."
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise RefusedAddressError("This is no address: its host or port cannot be read.") from None
    if parts.scheme not in ({"https", "http"} if policy.private else {"https"}):
        raise RefusedAddressError("The address must begin with https://.")
    if not url[len(parts.scheme) :].startswith("://"):
        raise RefusedAddressError("The address must begin with https://, and name a host.")
    if "@" in parts.netloc:
        raise RefusedAddressError("An address with a user or a password is not taken: the signature says who sends.")
    if "#" in url:
        raise RefusedAddressError("An address with a fragment (#) is not taken: it is not sent.")
    if "[" in parts.netloc and not _BRACKETED.fullmatch(parts.netloc):
        raise RefusedAddressError("Beside an IPv6 address in brackets only a port may stand.")
    if parts.netloc.endswith(":"):
        raise RefusedAddressError("The address names an empty port.")
    if port is None:
        port = 443 if parts.scheme == "https" else 80
    if not policy.private and port not in policy.ports:
        raise RefusedAddressError(f"Port {port} is not among those that are allowed: {_listed(policy.ports)}.")
    if port == 0:
        raise RefusedAddressError("Port 0 is none.")
    host = (parts.hostname or "").lower()
    address = _literal(host, bracketed="[" in parts.netloc)
    if address is None:
        _check_name(host, policy)
    elif not allowed(address, policy):
        raise RefusedAddressError(f"{host} is not a public address.")
    return Target(scheme=parts.scheme, host=host, port=port, address=address)


def allowed(address: Address, policy: Policy) -> bool:
    """Whether anything may be sent to this IP address: of what a name resolves to, each is judged."""
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return False
        embedded = _embedded(address)
        if embedded is not None:
            return allowed(embedded, policy)
    if _in(address, _NEVER):
        return False
    if _in(address, _PRIVATE):
        return policy.private
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return not _in(address, _SPECIAL) and not address.is_multicast


_URL: Final = re.compile(r"[!#-;=?-\[\]_a-z~%]+")

_BRACKETED: Final = re.compile(r"\[[^\[\]]*\](?::[0-9]*)?")

_NAME: Final = re.compile(
    r"(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*"
)

_IPV4: Final = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}")

_NUMBER_LIKE: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A host whose last label looks so is an IPv4 address to browsers and to inet_aton: 127.1, 2130706433, 0x7f.1."""

_OURS: Final = ("localhost", "localdomain", "local", "internal", "intranet", "lan", "home.arpa")
"""Endings of names that no public name has."""

_NAT64: Final = IPv6Network("64:ff9b::/96")


def _networks(*names: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(map(ip_network, names))


_NEVER: Final = _networks(
    "0.0.0.0/8",  # this host
    "169.254.0.0/16",  # link-local: metadata of clouds at 169.254.169.254
    "100.100.100.200/32",  # metadata of Alibaba, in shared address space
    "168.63.129.16/32",  # the wire server of Azure, a public address that is not
    "192.0.0.0/24",  # IETF, and metadata of Oracle
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, and broadcast
    "::/128",  # unspecified
    "fe80::/10",  # link-local
    "fec0::/10",  # site-local of old
    "fd00:ec2::/32",  # metadata of AWS
    "fd20:ce::/32",  # metadata of Google
    "ff00::/8",  # multicast
)
"""Whatever the policy is."""

_PRIVATE: Final = _networks(
    "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"
)

_SPECIAL: Final = _networks(
    "192.0.2.0/24",  # documentation, as two below
    "192.88.99.0/24",  # relays of 6to4
    "198.18.0.0/15",  # benchmarks
    "198.51.100.0/24",
    "203.0.113.0/24",
    "2001::/23",  # IETF: Teredo, ORCHID and others
    "2001:db8::/32",  # documentation
    "2002::/16",  # 6to4
    "3fff::/20",  # documentation
)

_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
"""All else of IPv6 is given to nobody, or special."""


def _literal(host: str, *, bracketed: bool) -> Address | None:
    """The IP address that the host is, or None of a name. Raises RefusedAddressError for a spelling that is odd."""
    if bracketed:
        try:
            return IPv6Address(host)
        except ValueError:
            raise RefusedAddressError("The host in brackets is no IPv6 address.") from None
    if _IPV4.fullmatch(host):
        try:
            return ip_address(host)
        except ValueError:
            raise RefusedAddressError(f"{host} is no IPv4 address.") from None
    if _NUMBER_LIKE.fullmatch(host.removesuffix(".").rpartition(".")[2]):
        raise RefusedAddressError("Write an IPv4 address as four decimal numbers.")
    return None


def _check_name(host: str, policy: Policy) -> None:
    if host.endswith("."):
        raise RefusedAddressError("Write the host's name without a dot at its end.")
    if not _NAME.fullmatch(host):
        raise RefusedAddressError("The address names no host, or one with characters that no name has.")
    if not policy.private and ("." not in host or any(f".{host}".endswith(f".{ending}") for ending in _OURS)):
        raise RefusedAddressError(f"{host} is not a public name.")


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that packets to this one end at, where the network or the system turns them into IPv4."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _in(address: Address, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    return any(network.version == address.version and address in network for network in networks)


def _listed(ports: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(ports)))
