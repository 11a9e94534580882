"""Addresses of the roles, made from the administrator's: the same servers and TLS, another user.

They stand in an environment file, so no character of them needs quotes: an address has one option at most, since the
& between two would. Where there are more, those that libpq reads from its own variables become settings of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from checkout_service.settings.database_addresses import connection_parameters

OF_THE_ADMINISTRATOR: Final = frozenset(
    {
        *("user", "password", "passfile", "dbname", "sslcert", "sslkey", "sslpassword", "sslcertmode"),
        *("application_name", "fallback_application_name", "options", "connect_timeout", "client_encoding"),
    }
)
"""What is the administrator's own, or what a single connection wants: nobody else is given it."""

VARIABLES: Final[Mapping[str, str]] = {
    "hostaddr": "PGHOSTADDR",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "sslsni": "PGSSLSNI",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "channel_binding": "PGCHANNELBINDING",
    "gssencmode": "PGGSSENCMODE",
    "krbsrvname": "PGKRBSRVNAME",
    "requirepeer": "PGREQUIREPEER",
    "require_auth": "PGREQUIREAUTH",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
}
"""libpq's own: https://www.postgresql.org/docs/18/libpq-envars.html"""


class UnwritableAddressError(Exception):
    """The administrator's address has an option that the roles' could not be given."""


def options_of(admin: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """The options that are written into each address, and those that become settings, by name.

    Raises UnwritableAddressError.
    """
    several = "," in f"{admin.get('host', '')}{admin.get('hostaddr', '')}"
    options = {
        name: str(value)
        for name, value in admin.items()
        if name not in OF_THE_ADMINISTRATOR | {"host", "port"}
        # What every address of several servers is given by us.
        and not (name == "target_session_attrs" and several and value == "read-write")
    }
    if len(options) <= 1:
        return options, {}
    if unknown := sorted(options.keys() - VARIABLES.keys()):
        raise UnwritableAddressError(
            f"the administrator's address has the option {unknown[0]}, which cannot be written beside others"
        )
    return {}, {VARIABLES[name]: value for name, value in options.items()}


def address_for(
    admin: Mapping[str, Any], *, user: str, password: str, database: str, options: Mapping[str, str]
) -> str:
    """The address of a role in this database."""
    hosts = str(admin.get("host", "")).split(",")
    ports = str(admin.get("port", "")).split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    places = ",".join(f"{_host(host)}{':' if port else ''}{port}" for host, port in zip(hosts, ports, strict=True))
    query = "".join(f"?{name}={_quote(value)}" for name, value in options.items())
    return f"postgresql://{_quote(user)}:{_quote(password)}@{places}/{_quote(database)}{query}"


def user_and_password(address: str) -> tuple[str, str]:
    """Whose address it is, and with which password; empty where it says none. Raises AddressError."""
    found = connection_parameters(address)
    return str(found.get("user", "")), str(found.get("password", ""))


def _host(host: str) -> str:
    # A folder of sockets is written as a host, so that it needs no option.
    return f"[{host}]" if ":" in host and not host.startswith("/") else _quote(host)


def _quote(text: str) -> str:
    return quote(text, safe="").replace("~", "%7E")
