"""Whether the address of a server can be read in one way only.

A password that holds a mark of addresses (``/ ? # @``) and is not percent-encoded is cut there: the rest is taken for a
host, a port or a database. Then nothing connects, and whatever reports it names that rest, which is a part of the
password. So such an address is refused at start, by a text that holds nothing of it.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, urlsplit

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
