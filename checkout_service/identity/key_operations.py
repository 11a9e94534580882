"""Makes and revokes API keys, as the tables' owner: each in one transaction with its line in the audit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg

from checkout_service.api.scopes import Scope
from checkout_service.database.engine import execute
from checkout_service.database.owner import LOCK_WITHIN, owner_connection
from checkout_service.database.statements import Statement
from checkout_service.identity.key_form import hash_of, new_key, prefix_of
from checkout_service.settings.secret import Secret

_INSERT: Final = """
    INSERT INTO api_keys (name, prefix, hash, scopes, created_by, expires_at)
    VALUES (%(name)s, %(prefix)s, %(hash)s, %(scopes)s, %(operator)s, now() + %(lasts)s::interval)
    RETURNING id, prefix, name, scopes, expires_at
"""

_REVOKE: Final = """
    UPDATE api_keys AS known SET revoked_at = now(), updated_at = now()
    FROM (SELECT id, revoked_at FROM api_keys WHERE prefix = %(named)s OR id::text = %(named)s FOR NO KEY UPDATE) AS old
    WHERE known.id = old.id AND old.revoked_at IS NULL
    RETURNING known.id, known.prefix, known.name, known.scopes
"""

_REVOKED: Final = "SELECT prefix, revoked_at FROM api_keys WHERE prefix = %(named)s OR id::text = %(named)s"

_AUDIT: Final = """
    INSERT INTO audit (key, door, operator, action, subject, why, details)
    VALUES (%(key)s, 'cli', %(operator)s, %(action)s, %(id)s, %(why)s, %(details)s::jsonb)
"""

_newest: Final = Statement("""
    SELECT id, prefix, name, scopes, created_by, created_at, expires_at, revoked_at, last_used_at,
        revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()) AS is_good
    FROM api_keys ORDER BY id DESC LIMIT :limit
""")


class NoSuchKeyError(Exception):
    """No API key has this prefix or id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeKey:
    """A key that was made. ``key`` is the key itself, which nobody can read again; no end for one that lasts."""

    key: str
    id: UUID
    prefix: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedKey:
    """A key that is revoked; ``before`` is when it was so already, or None if it is so by this."""

    prefix: str
    before: datetime | None


def create_key(
    scopes: Sequence[Scope], *, name: str, lasts: timedelta | None, operator: str, why: str, database_url: Secret
) -> MadeKey:
    """Make a key. Without ``lasts`` it does not end by itself. Raises psycopg.Error."""
    key = new_key()
    values = {
        "name": name,
        "prefix": prefix_of(key),
        "hash": hash_of(key),
        "scopes": sorted(map(str, set(scopes))),
        "operator": operator,
        "lasts": lasts,
    }
    with owner_connection(database_url, name="api-keys") as connection:
        row = connection.execute(_INSERT, values).fetchone()
        if row is None:
            raise AssertionError("an INSERT returns its row")
        _write_down(connection, "create_key", row[:4], operator=operator, why=why)
    return MadeKey(key=key, id=row[0], prefix=row[1], expires_at=row[4])


def revoke_key(named: str, *, operator: str, why: str, database_url: Secret) -> RevokedKey:
    """Revoke the key of this prefix or id, for good. Raises NoSuchKeyError and psycopg.Error."""
    with owner_connection(database_url, name="api-keys") as connection:
        connection.execute(f"SET LOCAL lock_timeout = '{LOCK_WITHIN}'".encode())
        row = connection.execute(_REVOKE, {"named": named}).fetchone()
        if row is not None:
            _write_down(connection, "revoke_key", row, operator=operator, why=why)
            return RevokedKey(prefix=row[1], before=None)
        known = connection.execute(_REVOKED, {"named": named}).fetchone()
    if known is None:
        raise NoSuchKeyError
    return RevokedKey(prefix=known[0], before=known[1])


def newest_keys(limit: int) -> Sequence[Any]:
    """The newest keys, without what would open anything. Raises DatabaseUnavailableError."""
    return execute(_newest, {"limit": limit})


def _write_down(
    connection: psycopg.Connection[Any], action: str, key: Sequence[Any], *, operator: str, why: str
) -> None:
    key_id, prefix, name, scopes = key
    connection.execute(
        _AUDIT,
        {
            "key": uuid4(),
            "operator": operator,
            "action": action,
            "id": str(key_id),
            "why": why,
            "details": json.dumps({"prefix": prefix, "name": name, "scopes": scopes}),
        },
    )
