"""Whether a role can log in by its address, as processes will, and why not in words that hold no part of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import psycopg

from checkout_service.database.role_addresses import VARIABLES
from checkout_service.settings.database_names import DatabaseAddress, DatabaseNames, connection_to

REFUSED: Final = "the password is refused"


def fault_of_login(address: str, names: DatabaseNames, *, settings: Mapping[str, str], pooler: str) -> str | None:
    """Why nobody can log in by the address, or None. ``settings`` are those that libpq will have of its own."""
    own = {option: settings[name] for option, name in VARIABLES.items() if settings.get(name)}
    parameters = own | connection_to(DatabaseAddress(address, names), pooler=pooler) | {"connect_timeout": 10}
    try:
        psycopg.connect(**parameters).close()
    except psycopg.OperationalError as error:
        return why(error)
    return None


def why(error: psycopg.OperationalError) -> str:
    """Why somebody cannot connect, in words of ours: libpq's hold what it took for a host, which may be a password."""
    text = str(error).lower()
    for phrase, meaning in (
        ("password authentication failed", REFUSED),
        ("startup parameter", "this is a pooler: name PostgreSQL itself"),
        ("no password supplied", "a password is needed"),
        ("pg_hba.conf", "pg_hba.conf of the server refuses it"),
        ("too many connections", "the server has no connection left"),
        ("permission denied for database", "it may not connect to the database"),
        ("not permitted to log in", "the role may not log in"),
        ("certificate", "TLS fails: its certificate"),
        ("ssl", "TLS fails"),
        ("refused", "nobody listens there"),
        ("timeout", "no answer in time"),
        ("resolve", "its host is not known"),
    ):
        if phrase in text:
            return meaning
    return "the server cannot be reached, or does not know the user or the database"
