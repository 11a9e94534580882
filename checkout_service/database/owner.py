"""A connection as the tables' owner, for commands that write the catalogue or say what lies there.

The web's engine may write neither, and gives up after seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg

from checkout_service.settings.database_names import connection_to, names_at
from checkout_service.settings.secret import Secret

LOCK_WITHIN: Final = "10s"
"""How long a statement waits for a row that somebody else holds. Nobody holds one for longer than some seconds."""


STEP: Final = 1000
"""Listings whose stock one transaction changes: customers who want pieces of them wait for so many, not for a file."""


class OwnersConnection(psycopg.Connection[Any]):
    """A connection of somebody who may act as the tables' owner."""

    owner: str
    """The owner's name."""


@contextmanager
def owner_steps(url: Secret, *, name: str) -> Iterator[OwnersConnection]:
    """A connection for several transactions, each of them ``as_owner``. Raises as ``owner_connection``."""
    with OwnersConnection.connect(**_parameters(url, name), autocommit=True) as connection:
        connection.owner = names_at(url).owner
        yield connection


@contextmanager
def as_owner(connection: OwnersConnection) -> Iterator[psycopg.Cursor[Any]]:
    """A transaction as the owner, on a connection of ``owner_steps``; committed when its block ends."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL ROLE {connection.owner}".encode())
        yield cursor


def owner_connection(url: Secret, *, name: str) -> psycopg.Connection[Any]:
    """A connection of its own, in a transaction as the owner, that is committed when its block ends.

    ``name`` is what the server lists it under. Raises psycopg.Error.
    """
    connection = psycopg.connect(**_parameters(url, name))
    try:
        connection.execute(f"SET LOCAL ROLE {names_at(url).owner}".encode())
    except psycopg.Error:
        connection.close()
        raise
    return connection


def _parameters(url: Secret, name: str) -> dict[str, Any]:
    return connection_to(url) | {"application_name": name, "connect_timeout": 5}
