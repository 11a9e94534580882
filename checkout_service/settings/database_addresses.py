"""The address of one PostgreSQL server or of several, in the forms that libpq reads: a URI, or words with values.

Everything that connects asks here what to connect with, so web, worker, migrations and commands read an address alike.
What is wrong with one is said by a text that holds nothing of it: a part of the password may stand anywhere.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import quote, unquote

from checkout_service.settings.urls import AMBIGUOUS

SEVERAL: Final = "postgresql://USER@a:5432,b:5432/DATABASE"
"""How several servers are written."""

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_OURS: Final = re.compile(r"(?:postgresql(?:\+psycopg)?|postgres)://")
_USER: Final = re.compile(r"(?P<user>[^:/@]*)(?P<password>:[^@]*)?@")
_PLACE: Final = r"(?:\[[^\[\]/?#@]*\]|[^:/?#@\[\],]*)(?::[0-9]*)?"
_AUTHORITY: Final = re.compile(rf"{_PLACE}(?:,{_PLACE})*[/?#]")
"""Hosts with ports, up to what follows them."""

_HOST: Final = re.compile(r"[^\s&=?#]*")
_TO_ENCODE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9._~%-]")
_WORD: Final = re.compile(r"\s*(?P<name>[^\s=]+)\s*=\s*(?:'(?:[^'\\]|\\.)*'|(?:[^\s\\]|\\.)*)", re.S)

_VALUES: Final[Mapping[str, frozenset[str]]] = {
    "sslmode": frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}),
    "sslnegotiation": frozenset({"postgres", "direct"}),
    "gssencmode": frozenset({"disable", "prefer", "require"}),
    "channel_binding": frozenset({"disable", "prefer", "require"}),
    "load_balance_hosts": frozenset({"disable", "random"}),
    "target_session_attrs": frozenset({"any", "read-write", "read-only", "primary", "standby", "prefer-standby"}),
}
"""Options that libpq compares with words, and only as it connects."""

_NUMBERS: Final = frozenset(
    {
        *("connect_timeout", "tcp_user_timeout"),
        *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
    }
)


class AddressError(ValueError):
    """Such an address cannot be used; the message goes on after the name of its setting, and holds nothing of it."""


def connection_parameters(address: str) -> dict[str, Any]:
    """What psycopg connects with: libpq's own options, by their names. Raises AddressError.

    Where several servers are named, the one that takes writes is asked for, since this service writes everywhere.
    """
    text, names = _uri(address) if _SCHEME.match(address) else (address, [m["name"] for m in _WORD.finditer(address)])
    # By their names: beat, Flower and the process that listens read settings too, and no address of a database.
    psycopg, conninfo = import_module("psycopg"), import_module("psycopg.conninfo")
    try:
        found: dict[str, Any] = conninfo.conninfo_to_dict(text)
    except (psycopg.ProgrammingError, ValueError) as error:  # the second for bytes that are no text
        raise AddressError(f"is not a database URL, or {AMBIGUOUS}") from error
    if fault := next(_faults(found, names), None):
        raise AddressError(fault)
    if _count(found) > 1:
        found.setdefault("target_session_attrs", "read-write")
    return found


def fault_of_database(address: str) -> str | None:
    """What is wrong with the address of a database, or None."""
    try:
        connection_parameters(address)
    except AddressError as error:
        return str(error)
    return None


def _uri(address: str) -> tuple[str, Sequence[str]]:
    """The URI with its user and password encoded, so that libpq finds their end, and the options of its query."""
    scheme = _OURS.match(address)
    if scheme is None:
        raise AddressError("must be a postgresql:// URL")
    rest = address[scheme.end() :]
    user = _USER.match(rest)
    # With an @ only in its path, query or fragment, hosts and ports look like a user with a password.
    if user is not None and _AUTHORITY.match(user[0]):
        raise AddressError(f"is not a database URL, or {AMBIGUOUS}, and an @ in its options as %40")
    if user is not None:
        password = user["password"]
        encoded = _encoded(user["user"]) + ("" if password is None else f":{_encoded(password[1:])}") + "@"
        rest = rest[user.end() :]
    else:
        encoded = ""
    if "@" in rest:
        raise AddressError(f"is not a database URL, or {AMBIGUOUS}")
    names = [unquote(part.partition("=")[0]) for part in rest.partition("?")[2].split("&")]
    return f"postgresql://{encoded}{rest.replace(' ', '%20')}", names


def _encoded(text: str) -> str:
    return _TO_ENCODE.sub(lambda mark: quote(mark[0], safe="", errors="surrogateescape"), text)


def _faults(found: Mapping[str, str], names: Sequence[str]) -> Iterator[str]:
    """What libpq would find only as it connects, or would read in another way than it was meant."""
    if max(Counter(names).values(), default=0) > 1:
        yield f"names an option twice, of which only the last would count: several servers are written {SEVERAL}"
    yield from _faults_of_hosts(found)
    for name, allowed in _VALUES.items():
        if name in found and found[name] not in allowed:
            yield f"{name} is none of {', '.join(sorted(allowed))}"
    for name in sorted(_NUMBERS & found.keys()):
        if not re.fullmatch(r"[0-9]{1,9}", found[name]):
            yield f"{name} is not a number"
    attributes = found.get("target_session_attrs", "")
    if attributes in {"read-only", "standby", "prefer-standby"}:
        yield f"target_session_attrs={attributes} leads to one that takes no writes: write read-write, or leave it out"
    if attributes == "any" and _count(found) > 1:
        yield "target_session_attrs=any may lead to one that takes no writes: write read-write, or leave it out"


def _faults_of_hosts(found: Mapping[str, str]) -> Iterator[str]:
    hosts = _listed(found, "host")
    ports = _listed(found, "port")
    if any(":" in host and not host.startswith(("/", "@")) and not _is_ipv6(host) for host in hosts):
        yield f"has a port within host: write {SEVERAL}, or host=a,b and port=5432,5432"
    if not all(_HOST.fullmatch(host) for host in hosts if not host.startswith(("/", "@"))):
        yield f"has a host that is none, or {AMBIGUOUS}"
    if len(hosts) > 1 and not all(hosts):
        yield f"names no host between two commas, or beside one: several servers are written {SEVERAL}"
    if any(port and not (re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65_536) for port in ports):
        yield f"has a port that is no number of 1 to 65535, or {AMBIGUOUS}"
    if len(ports) > 1 and len(ports) != _count(found):
        yield "does not name as many ports as hosts: name one for all, or one for each"
    addresses = _listed(found, "hostaddr")
    if hosts and addresses and len(hosts) != len(addresses):
        yield "does not name as many addresses (hostaddr) as hosts"


def _count(found: Mapping[str, str]) -> int:
    return max(len(_listed(found, "host")), len(_listed(found, "hostaddr")), 1)


def _listed(found: Mapping[str, str], name: str) -> list[str]:
    return found[name].split(",") if found.get(name) else []


def _is_ipv6(host: str) -> bool:
    try:
        return ip_address(host.partition("%")[0]).version == 6
    except ValueError:
        return False
