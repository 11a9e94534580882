"""The names that a deployment has in its database: its schema, and the roles of its cluster.

Two deployments share a cluster where their roles differ, and a database where their schemas differ too. Released SQL
says the names of the default prefix; ``in_sql`` says them as those of another one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from checkout_service.settings.database_addresses import connection_parameters
from checkout_service.settings.secret import Secret

SCHEMA: Final = "public"
PREFIX: Final = "checkout"

_PLAIN: Final = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")
"""What SQL reads as it is written, and search_path too; names with pg_ in front are PostgreSQL's own."""

_PREFIX: Final = re.compile(r"(?!pg(?:_|$))[a-z_][a-z0-9_]{0,50}")
"""So that ``PREFIX_settlements`` has 63 characters at most, and is none of PostgreSQL's own."""

_ROLE: Final = re.compile(rf"\b{PREFIX}_(owner|web|worker|settlements)\b")
_SEARCH_PATH: Final = re.compile(r"(?:-c\s*|--)search[_-]path\s*=\s*((?:\\.|\S)+)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class DatabaseNames:
    """The schema and what the names of the roles begin with, as ``DATABASE_SCHEMA`` and ``DATABASE_ROLE_PREFIX``."""

    schema: str = SCHEMA
    prefix: str = PREFIX

    @property
    def owner(self) -> str:
        """Who owns everything in the schema; nobody logs in as it."""
        return f"{self.prefix}_owner"

    @property
    def web(self) -> str:
        return f"{self.prefix}_web"

    @property
    def worker(self) -> str:
        return f"{self.prefix}_worker"

    @property
    def settlements(self) -> str:
        """Who writes what providers pay out. It has no right yet: roles need an administrator, and releases do not."""
        return f"{self.prefix}_settlements"

    def in_sql(self, statement: str) -> str:
        """SQL that says the roles' usual names, with the names that they have here."""
        return statement if self.prefix == PREFIX else _ROLE.sub(rf"{self.prefix}_\1", statement)


class DatabaseAddress(Secret):
    """The address of a database, with the names that a deployment has there."""

    __slots__ = ("names",)

    def __init__(self, value: str, names: DatabaseNames) -> None:
        super().__init__(value)
        self.names = names


def names_at(url: Secret) -> DatabaseNames:
    """The names of the deployment whose address this is; the usual ones where it says none."""
    return url.names if isinstance(url, DatabaseAddress) else DatabaseNames()


def connection_to(url: Secret, *, pooler: str = "none") -> dict[str, Any]:
    """What psycopg connects with, so that names lead to the deployment's schema and nowhere else.

    Behind a ``transaction`` pooler nothing is said of it, since PgBouncer takes no options: there it is the default of
    the role in this database, which the migrations set. Raises AddressError.
    """
    parameters = connection_parameters(url.reveal())
    if pooler == "none":
        parameters["options"] = f"{parameters.get('options', '')} -c search_path={names_at(url).schema}".lstrip()
    return parameters


def fault_of_schema(name: str) -> str | None:
    """What is wrong with the name of a schema, or None."""
    if _PLAIN.fullmatch(name) and name != "information_schema":
        return None
    return "give it a name of a to z, 0 to 9 and _, up to 63 of them, not pg_ in front"


def fault_of_prefix(prefix: str) -> str | None:
    """What is wrong with what the roles' names begin with, or None."""
    if _PREFIX.fullmatch(prefix):
        return None
    return "must be a to z, 0 to 9 and _, up to 51 of them, no digit in front and not pg"


def read_names(environment: Mapping[str, str]) -> tuple[DatabaseNames, Sequence[str]]:
    """The names that the environment gives, and what is wrong with them."""
    schema = environment.get("DATABASE_SCHEMA", SCHEMA)
    prefix = environment.get("DATABASE_ROLE_PREFIX", PREFIX)
    faults = []
    if fault := fault_of_schema(schema):
        faults.append(f"DATABASE_SCHEMA: {schema!r} cannot be the schema: {fault}")
    if fault := fault_of_prefix(prefix):
        faults.append(f"DATABASE_ROLE_PREFIX: {fault}")
    return DatabaseNames(schema=schema, prefix=prefix), faults


def fault_of_options(address: str, *, names: DatabaseNames) -> str | None:
    """Whether the options of an address that can be read lead to another schema than ours, in words."""
    options = str(connection_parameters(address).get("options", ""))
    if all(path.strip("\"'") == names.schema for path in _SEARCH_PATH.findall(options)):
        return None
    return "leads to another schema by its options: set DATABASE_SCHEMA instead"
