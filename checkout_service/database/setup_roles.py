"""What ``database init`` decides of each role, before anything is changed: made, kept, given a password, or refused."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from checkout_service.database.role_addresses import (
    UnwritableAddressError,
    address_for,
    options_of,
    user_and_password,
)
from checkout_service.settings.database_addresses import AddressError
from checkout_service.settings.database_names import DatabaseNames

SETTINGS: Final[Mapping[str, str]] = {
    "owner": "MIGRATION_DATABASE_URL",
    "web": "DATABASE_URL",
    "worker": "WORKER_DATABASE_URL",
    "settlements": "SETTLEMENTS_DATABASE_URL",
}
"""Where the address of each role stands."""

BYTES: Final = 32
"""Of a password that is made."""

KNOWN: Final = "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)"
_WITHOUT_PASSWORD: Final = "SELECT rolname FROM pg_authid WHERE rolname = ANY(%s) AND rolpassword IS NULL"  # noqa: S105
_MAY_ALTER: Final = "SELECT pg_has_role(%s::text::regrole::oid, 'MEMBER WITH ADMIN OPTION')"

# Of another application is a role that others are in or that is in others, that may more than log in, or that owns
# something which is not ours. Large objects and whatever else has no schema count as well.
_ANOTHERS: Final = """
    SELECT CASE
        WHEN role.rolsuper OR role.rolcreaterole OR role.rolcreatedb OR role.rolreplication OR role.rolbypassrls
            THEN 'has powers'
        WHEN EXISTS (SELECT FROM pg_auth_members WHERE roleid = role.oid AND member <> current_user::regrole)
            THEN 'has members'
        WHEN EXISTS (SELECT FROM pg_auth_members WHERE member = role.oid) THEN 'is a member of another role'
        WHEN EXISTS (
            SELECT FROM pg_shdepend AS owned JOIN pg_database AS here ON here.datname = current_database()
            WHERE owned.refclassid = 'pg_authid'::regclass AND owned.refobjid = role.oid AND owned.deptype = 'o'
                AND CASE
                    WHEN owned.classid IN ('pg_extension'::regclass) THEN false
                    WHEN owned.classid = 'pg_database'::regclass THEN owned.objid <> here.oid
                    WHEN owned.dbid <> here.oid THEN true
                    ELSE (SELECT coalesce(schema, name) IS DISTINCT FROM %(schema)s
                            AND coalesce(schema, name) IS DISTINCT FROM 'checkout_extensions'
                        FROM pg_identify_object(owned.classid, owned.objid, 0))
                END
        ) THEN 'owns what is not ours'
    END
    FROM pg_roles AS role WHERE rolname = %(role)s
"""


class SetupError(Exception):
    """It cannot be done, and nothing was; or what was done is said. No part of an address is in the message."""


@dataclass(frozen=True, kw_only=True)
class Role:
    """A role of the deployment, and what becomes of it."""

    key: str
    """Of SETTINGS."""

    name: str
    setting: str
    address: str
    password: str | None
    """To be set; None where it stays as it is."""

    is_new: bool
    """Whether it was missing when this was decided."""


def decide_roles(
    connection: psycopg.Connection[Any],
    admin: Mapping[str, Any],
    names: DatabaseNames,
    in_file: Mapping[str, str],
    environment: Mapping[str, str],
    *,
    superuser: bool,
    renew: Collection[str],
) -> list[Role]:
    """What becomes of each role. Raises SetupError where one's password is nowhere, before anything is changed."""
    every = [getattr(names, key) for key in SETTINGS]
    there = {name for (name,) in connection.execute(KNOWN, (every,))}
    bare = {name for (name,) in connection.execute(_WITHOUT_PASSWORD, (every,))} if superuser else set()
    try:
        options, _ = options_of(admin)
    except UnwritableAddressError as error:
        raise SetupError(f"{error}.".capitalize()) from None
    found = []
    for key, setting in SETTINGS.items():
        name: str = getattr(names, key)
        known = _known(setting, in_file, environment)
        if key in renew and environment.get(setting) and setting not in in_file:
            raise SetupError(f"{setting} is not in the file: where it is given, it has to be renewed as well.")
        if key in renew and name in there and not _may_alter(connection, name):
            raise SetupError(
                f"The administrator may not give {name} a password: who made the role may, or a superuser."
            )
        if known is not None and key not in renew:
            user, password = _read(setting, known)
            if user != name and key != "owner":
                raise SetupError(f"{setting} is the address of another role than {name}.")
            is_set = user == name and (name not in there or name in bare)
            if is_set and name in bare:
                _refuse_anothers(connection, names, name)
            found.append(
                Role(
                    key=key,
                    name=name,
                    setting=setting,
                    address=known,
                    password=password if is_set else None,
                    is_new=name not in there,
                )
            )
            continue
        if name in there and name not in bare and key not in renew:
            raise SetupError(
                f"The role {name} exists, and its password is nowhere: set {setting}, or have a new one made by "
                f"--renew {key}, after which nobody logs in with the old one."
            )
        if name in bare and key not in renew:
            _refuse_anothers(connection, names, name)
        password = secrets.token_urlsafe(BYTES)
        address = address_for(admin, user=name, password=password, database=str(admin["dbname"]), options=options)
        is_new = name not in there
        found.append(Role(key=key, name=name, setting=setting, address=address, password=password, is_new=is_new))
    return found


def _known(setting: str, in_file: Mapping[str, str], environment: Mapping[str, str]) -> str | None:
    """The address that is given, by the environment before the file. Raises SetupError where they do not agree."""
    given, written = environment.get(setting), in_file.get(setting)
    if given and written and given != written:
        raise SetupError(f"{setting} is another one in the environment than in the file: take one of them away.")
    return given or written or None


def _may_alter(connection: psycopg.Connection[Any], name: str) -> bool:
    return (connection.execute(_MAY_ALTER, (name,)).fetchone() or (False,))[0] is True


def _refuse_anothers(connection: psycopg.Connection[Any], names: DatabaseNames, name: str) -> None:
    """Raise SetupError where a role without a password is somebody else's, who would lose it to us."""
    (why,) = connection.execute(_ANOTHERS, {"role": name, "schema": names.schema}).fetchone() or (None,)
    if why is not None:
        raise SetupError(
            f"The role {name} {why}: it is of another application. Choose another DATABASE_ROLE_PREFIX, or give it a "
            "password yourself and put its address where this finds it."
        )


def _read(setting: str, address: str) -> tuple[str, str]:
    try:
        return user_and_password(address)
    except AddressError as error:
        raise SetupError(f"{setting} {error}.") from None
