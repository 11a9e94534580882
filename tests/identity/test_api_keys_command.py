"""``checkout api-keys`` makes, lists and revokes keys: each is shown once, and what is kept opens nothing."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from flask import Flask

from checkout_service.api.scopes import Scope
from checkout_service.identity.key_form import hash_of, is_key, prefix_of
from tests.api_keys import flask_api_keys, id_of, made_key
from tests.conftest import ROOT, Servers, Sql


@pytest.fixture(autouse=True)
def _owner(monkeypatch: pytest.MonkeyPatch, servers: Servers) -> None:
    monkeypatch.setenv("MIGRATION_DATABASE_URL", servers.superuser_url)


def test_the_key_stands_alone_on_the_last_line_and_nowhere_else(app: Flask, sql: Sql) -> None:
    result = flask_api_keys(
        app,
        "create",
        "--scope",
        "events:read",
        "--scope",
        "webhooks:write",
        "--name",
        "warehouse",
        "--operator",
        "mira",
    )

    assert result.exit_code == 0, result.output
    key = result.stdout.rstrip("\n")
    assert is_key(key)
    assert result.output.count(key) == 1
    (row,) = sql("SELECT * FROM api_keys")
    assert (row.name, row.prefix, row.scopes, row.created_by) == (
        *("warehouse", prefix_of(key), ["events:read", "webhooks:write"], "mira"),
    )
    assert (row.hash, row.expires_at, row.revoked_at, row.last_used_at) == (hash_of(key), None, None, None)
    everything = str([tuple(each) for table in ("api_keys", "audit") for each in sql(f"SELECT * FROM {table}")])
    assert prefix_of(key) in everything
    assert key not in everything


def test_tail_gives_the_key_to_a_script(settings: object, servers: Servers) -> None:
    """As a process of its own, with whatever it logs."""
    environment = {
        "DATABASE_URL": servers.web_url,
        "MIGRATION_DATABASE_URL": servers.superuser_url,
        "REDIS_URL": servers.redis_url,
        "JWT_SECRET": "a secret that is known to the tests alone",
        "PATH": "/usr/bin:/bin",
        "ENVIRONMENT": "test",
    }
    command = (
        f"{sys.executable} -m flask --app wsgi api-keys create --scope events:read --scope webhooks:write | tail -1"
    )
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert is_key(done.stdout.removesuffix("\n")), (done.stdout, done.stderr)


@pytest.mark.parametrize("wrong", ["orders", "ORDERS:READ", "", "orders:read webhooks:write", "*"])
def test_an_unknown_scope_is_refused_with_those_that_there_are(app: Flask, sql: Sql, wrong: str) -> None:
    result = flask_api_keys(app, "create", "--scope", "orders:read", "--scope", wrong)

    assert result.exit_code != 0
    assert all(scope in result.output for scope in Scope)
    assert "csk_" not in result.output
    assert sql("SELECT count(*) AS n FROM api_keys")[0].n == 0


@pytest.mark.parametrize(
    "options",
    [(), ("--scope", "ops", "--expires-in-days", "0"), ("--scope", "ops", "--name", "x" * 201)],
    ids=["no scope", "over at once", "long name"],
)
def test_what_makes_no_key_prints_none(app: Flask, sql: Sql, options: tuple[str, ...]) -> None:
    result = flask_api_keys(app, "create", *options)

    assert result.exit_code != 0
    assert "csk_" not in result.output
    assert sql("SELECT count(*) AS n FROM api_keys")[0].n == 0


def test_a_key_may_have_an_end(app: Flask, sql: Sql) -> None:
    made_key(app, "ops", options=("--expires-in-days", "90"))

    (row,) = sql("SELECT expires_at, created_at FROM api_keys")
    assert row.expires_at - row.created_at == timedelta(days=90)


def test_the_list_says_what_each_key_is_and_shows_none(app: Flask, sql: Sql) -> None:
    good = made_key(app, "ops", options=("--name", "the dashboard\x1b[31m"))
    over = made_key(app, "refunds", "captures", options=("--expires-in-days", "1"))
    sql("ALTER TABLE api_keys DISABLE TRIGGER api_keys_guard")
    sql(
        "UPDATE api_keys SET expires_at = '2026-01-02', last_used_at = '2026-01-01' WHERE prefix = :prefix",
        prefix=prefix_of(over),
    )
    sql("ALTER TABLE api_keys ENABLE TRIGGER api_keys_guard")
    revoked = made_key(app, "orders:read")
    assert flask_api_keys(app, "revoke", prefix_of(revoked)).exit_code == 0

    result = flask_api_keys(app, "list")

    lines = dict(zip((revoked, over, good), result.stdout.splitlines(), strict=True))
    for key, line in lines.items():
        assert line.startswith(prefix_of(key))
        assert key not in line
        assert str(id_of(sql, key)) in line
    assert " good " in lines[good]
    assert "last used never" in lines[good]
    assert "the dashboard" in lines[good]
    assert "\x1b" not in lines[good]
    assert "over since 2026-01-02T00:00:00Z" in lines[over]
    assert "last used 2026-01-01T00:00:00Z" in lines[over]
    assert "captures refunds" in lines[over]
    assert " revoked 2" in lines[revoked]


@pytest.mark.parametrize("by", ["prefix", "id", "key"])
def test_a_key_is_revoked_by_its_prefix_or_id_once_and_for_good(app: Flask, sql: Sql, by: str) -> None:
    key, other = made_key(app, "ops"), made_key(app, "ops")
    named = {"prefix": prefix_of(key), "id": str(id_of(sql, key)), "key": key}[by]

    first = flask_api_keys(app, "revoke", named, "--operator", "mira", "--why", "it was in a log")
    at = sql("SELECT revoked_at FROM api_keys WHERE prefix = :prefix", prefix=prefix_of(key))[0].revoked_at
    second = flask_api_keys(app, "revoke", named)

    assert first.exit_code == second.exit_code == 0, first.output + second.output
    assert key not in first.output
    assert "revoked before" in second.output
    rows = {row.prefix: row.revoked_at for row in sql("SELECT prefix, revoked_at FROM api_keys")}
    assert rows == {prefix_of(key): at, prefix_of(other): None}
    assert datetime.now(UTC) - at < timedelta(minutes=5)


@pytest.mark.parametrize("named", ["csk_00000000", "5de70835-9985-4715-9371-947056a822d1", "warehouse", "csk_", "%"])
def test_what_names_no_key_revokes_none(app: Flask, sql: Sql, named: str) -> None:
    made_key(app, "ops")

    assert flask_api_keys(app, "revoke", named).exit_code != 0
    assert sql("SELECT count(*) AS n FROM api_keys WHERE revoked_at IS NOT NULL")[0].n == 0


def test_the_audit_tells_who_made_and_revoked_it(app: Flask, sql: Sql) -> None:
    key = made_key(app, "ops", options=("--operator", "mira", "--why", "for the dashboard", "--name", "dashboard"))
    flask_api_keys(app, "revoke", prefix_of(key), "--operator", "sam", "--why", "done")
    flask_api_keys(app, "revoke", prefix_of(key))

    found = sql("SELECT door, operator, action, subject, why, details FROM audit ORDER BY id")
    details = {"prefix": prefix_of(key), "name": "dashboard", "scopes": ["ops"]}
    key_id = str(id_of(sql, key))
    assert [tuple(row) for row in found] == [
        ("cli", "mira", "create_key", key_id, "for the dashboard", details),
        ("cli", "sam", "revoke_key", key_id, "done", details),
    ]
    assert sql("SELECT count(*) AS n FROM command_runs")[0].n == 0


def test_without_the_owners_way_in_nothing_is_made(
    app: Flask, sql: Sql, monkeypatch: pytest.MonkeyPatch, servers: Servers
) -> None:
    monkeypatch.setenv("MIGRATION_DATABASE_URL", servers.web_url)
    result = flask_api_keys(app, "create", "--scope", "ops")

    assert result.exit_code == 1
    assert "The database refused" in result.output
    assert sql("SELECT count(*) AS n FROM api_keys")[0].n == 0
    monkeypatch.delenv("MIGRATION_DATABASE_URL")
    assert "MIGRATION_DATABASE_URL" in flask_api_keys(app, "create", "--scope", "ops").output


def test_nobody_changes_what_a_key_is_nor_gives_it_back(app: Flask, sql: Sql, servers: Servers) -> None:
    key = made_key(app, "events:read")
    flask_api_keys(app, "revoke", prefix_of(key))
    url = servers.superuser_url.replace("postgresql+psycopg://", "postgresql://", 1)
    with psycopg.connect(url, autocommit=True) as connection:
        for change in (
            *("revoked_at = NULL", "revoked_at = now()", "scopes = '{ops}'", "hash = sha256('x')"),
            *("expires_at = now()", "prefix = 'csk_00000000'", "created_by = 'x'"),
        ):
            with pytest.raises(psycopg.errors.CheckViolation):
                connection.execute(f"UPDATE api_keys SET {change}".encode())


def test_a_key_that_somebody_types_beside_it_is_not_kept(app: Flask, sql: Sql) -> None:
    key = made_key(app, "orders:read")
    assert flask_api_keys(app, "revoke", key, "--why", f"{key} was in a log").exit_code == 0
    made_key(app, "orders:read", options=("--name", f"in place of {key}", "--why", key))

    everything = str([tuple(each) for table in ("api_keys", "audit") for each in sql(f"SELECT * FROM {table}")])
    assert key not in everything
    assert f"in place of {prefix_of(key)}***" in everything
