"""Whether the address of a server can be read in one way only.

A password that holds a mark of addresses (``/ ? # @``) and is not percent-encoded is cut there: the rest is taken for a
host, a port or a database. Then nothing connects, and whatever reports it names that rest, which is a part of the
password. So such an address is refused at start, by a text that holds nothing of it.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

AMBIGUOUS: Final = (
    "can be read in several ways. Write the marks / ? # @ : [ ] % and blanks in its user and password as %2F %3F %23 "
    "%40 %3A %5B %5D %25 %20"
)

_IN_QUERY: Final = frozenset({"username", "password"})

_CUTS: Final = re.compile(r"[/?#\[\]\s\\]")


def is_clear(url: str) -> bool:
    """Whether an address of Redis or RabbitMQ has its user and password before its only ``@``, if it has any.

    In its query they may not stand: what follows an ``&`` within them would be an option, and be named as unknown.
    """
    user, at, _ = url.partition("://")[2].rpartition("@")
    if "@" in user or _CUTS.search(user):
        return False
    try:
        parts = urlsplit(url)
        if parts.port == 0 or ("@" in parts.netloc) != bool(at) or parts.fragment:
            return False
    except ValueError:  # for a port that is no number, and for half an address of IPv6
        return False
    return _IN_QUERY.isdisjoint(name for name, _ in parse_qsl(parts.query, keep_blank_values=True))


def read_database_url(url: str) -> URL | None:
    """The address of a database as SQLAlchemy reads it; None where that may not be what was meant."""
    try:
        found = make_url(url)
        # As libpq is going to read it, which knows all options and refuses others by their name.
        conninfo_to_dict(with_psycopg(found).replace("+psycopg", "", 1))
    except (ArgumentError, ProgrammingError, ValueError):  # the last for a port that is no number
        return None
    has_user = found.username is not None or found.password is not None
    return found if url.count("@") == has_user else None


def with_psycopg(url: URL) -> str:
    """The URL with the driver named, so that any spelling of it reaches psycopg 3."""
    # SQLAlchemy leaves a blank as it is, which libpq refuses.
    return url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False).replace(" ", "%20")
