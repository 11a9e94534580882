"""The addresses of the cache and of the broker: one text that redis-py and Celery read alike, or that is refused.

Each of the two has options of its own for sockets, databases and TLS, and ignores or breaks on those of the other.
So an address is checked here, and translated for Celery; the cache's client takes it as it is written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from checkout_service.settings.secret_forms import no_address
from checkout_service.settings.urls import AMBIGUOUS, is_clear

CACHES: Final = ("redis", "rediss", "unix")
BROKERS: Final = (*CACHES, "amqp", "amqps")

TLS_OPTIONS: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname", "ssl_cert_reqs")
"""Files of certificates, by redis-py's names. The last two may be given, and only as they are without them."""

ROLE_CHECK: Final = "put HAProxy with a check of the role in front, and name its address (docs/operating.md)"

_TRUE: Final = frozenset({"true", "True", "1"})

_OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "redis": ("db",),
    "rediss": ("db", *TLS_OPTIONS),
    "unix": ("db",),
    "amqp": (),
    "amqps": TLS_OPTIONS,
}


def fault_of_cache(address: str) -> str | None:
    """What is wrong with the address of the cache, in words that show nothing of it; None if nothing is."""
    return _fault(address, CACHES)


def fault_of_broker(address: str) -> str | None:
    """The same of the broker's: one, or several nodes of RabbitMQ with semicolons between them."""
    several = address.split(";")
    if fault := next((fault for one in several if (fault := _fault(one, BROKERS))), None):
        return fault
    schemes = {urlsplit(one).scheme for one in several}
    if len(several) > 1 and schemes & {*CACHES}:
        return f"names several servers that share no queue: {ROLE_CHECK}"
    if len({_virtual_host(one) for one in several}) > 1:
        return "names several virtual hosts, which share no queue: end each with the same one"
    return "names servers with TLS and without: write all as amqps://" if len(schemes) > 1 else None


def celery_url(address: str) -> str:
    """The same servers as Celery reads them, with a socket and the demand for a certificate in its own words."""
    return ";".join(_celery_url(urlsplit(one)) for one in address.split(";")) if address else ""


def tls_options(address: str) -> dict[str, Any] | None:
    """How TLS verifies, by redis-py's names, of the first server; None where the address has none."""
    parts = urlsplit(address.split(";")[0])
    return _tls(parts) if parts.scheme in {"rediss", "amqps"} else None


def _virtual_host(address: str) -> str:
    # As Celery's client takes it of the path, which has one stroke more than the name.
    return unquote(urlsplit(address).path.removeprefix("/")) or "/"


def _celery_url(parts: SplitResult) -> str:
    query = dict(parse_qsl(parts.query))
    user, at, place = parts.netloc.rpartition("@")
    if parts.scheme == "unix":
        return f"redis+socket://{user}{at}{parts.path}?virtual_host={query.get('db', 0)}"
    path = parts.path
    if parts.scheme in {"redis", "rediss"}:
        path = f"/{query.get('db') or parts.path.strip('/') or 0}"
    tls = _tls(parts) | {"ssl_check_hostname": "true"} if parts.scheme in {"rediss", "amqps"} else {}
    return f"{parts.scheme}://{user}{at}{place}{path}" + (f"?{urlencode(tls, quote_via=quote)}" if tls else "")


def _tls(parts: SplitResult) -> dict[str, Any]:
    files = {name: value for name, value in parse_qsl(parts.query) if name in TLS_OPTIONS[:3]}
    return {"ssl_cert_reqs": "required", "ssl_check_hostname": True} | files


def _fault(address: str, schemes: tuple[str, ...]) -> str | None:
    scheme = address.partition("://")[0]
    if scheme.endswith("sentinel"):
        return f"sentinel:// is not spoken here: {ROLE_CHECK}"
    if scheme.endswith("+socket"):
        return "must begin with unix://, for a socket: unix:///run/valkey.sock?db=0"
    if ";" in address and schemes == CACHES:
        return f"names several servers: {ROLE_CHECK}"
    if fault := (None if is_clear(address) else AMBIGUOUS) or no_address(address, *schemes):
        return fault
    parts = urlsplit(address)
    return _fault_of_options(parts) or _fault_of_place(parts)


def _fault_of_options(parts: SplitResult) -> str | None:
    allowed = _OPTIONS[parts.scheme]
    options = parse_qsl(parts.query, keep_blank_values=True)
    given = dict(options)
    # No name is shown: what follows an & within a password would be one.
    if unknown := given.keys() - {*allowed}:
        if unknown <= {*TLS_OPTIONS}:
            return f"has options of TLS, and no TLS: begin with {'amqps' if parts.scheme == 'amqp' else 'rediss'}://"
        return f"has an option that is none of {', '.join(allowed)}" if allowed else "may have no options after a ?"
    if max(Counter(name for name, _ in options).values(), default=0) > 1:
        return "names an option twice"
    # For the clients it is a blank, as in a form, and whoever writes a path means it.
    if "+" in parts.query:
        return "has a + in an option: write it as %2B, and a blank as %20"
    # Word by word as the cache's client takes them.
    if given.get("ssl_cert_reqs", "required") != "required" or given.get("ssl_check_hostname", "1") not in _TRUE:
        return "does not verify who answers: name the CA that signed, or the server's own certificate, as ssl_ca_certs"
    if "ssl_keyfile" in given and "ssl_certfile" not in given:
        return "has ssl_keyfile without ssl_certfile"
    if not all(given.values()):
        return "has an option without a value"
    return None


def _fault_of_place(parts: SplitResult) -> str | None:
    database = dict(parse_qsl(parts.query)).get("db")
    if database is not None and not re.fullmatch(r"[0-9]{1,6}", database):
        return "db is not the number of a database"
    if parts.scheme == "unix":
        if parts.hostname:
            return "names a host: a socket is written unix:///run/valkey.sock, with three strokes"
        return None if unquote(parts.path).strip("/") else "names no socket: write unix:///run/valkey.sock"
    if parts.scheme in CACHES:
        if not re.fullmatch(r"/?|/[0-9]{1,6}", parts.path):
            return "does not end with the number of a database, such as /0"
        if database is not None and parts.path.strip("/"):
            return "names a database twice: after the / and as db"
    return None
