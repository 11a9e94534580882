"""Two deployments and another application live in one database, and do not meet."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from checkout_service.database.schema import HEAD
from checkout_service.doctor.findings import Level
from checkout_service.doctor.rights import (
    SETTLEMENTS,
    SETTLEMENTS_FUNCTIONS,
    WEB,
    WEB_FUNCTIONS,
    WORKER,
    WORKER_FUNCTIONS,
)
from checkout_service.doctor.roles import WHERE, judge, judge_place
from checkout_service.local.demo_catalog import CATALOGUE
from checkout_service.local.purchase import buy
from tests.apps import another_postgres
from tests.command_line.forked import run_all
from tests.conftest import ROOT, Servers
from tests.flower_pages import stack
from tests.migrations.neighbours import DATABASE, OTHERS, Deployment, ours, public
from tests.migrations.schema import describe, tables
from tests.migrations.test_schemas import ALL_TABLES


@dataclass(frozen=True, kw_only=True)
class Shared:
    """A database with another application, in which both deployments were migrated at the same time."""

    deployments: tuple[Deployment, Deployment]
    public_before: list[Any]

    @property
    def public_now(self) -> list[Any]:
        return list(public(self.deployments[0].postgres))


@pytest.fixture(scope="module")
def shared(servers: Servers) -> Iterator[Shared]:
    with another_postgres() as postgres:
        postgres.create_database(DATABASE)
        with psycopg.connect(postgres.url("postgres", DATABASE).replace("+psycopg", ""), autocommit=True) as admin:
            admin.execute(OTHERS.encode())
        before = list(public(postgres))
        deployments = ours(postgres, servers.redis_url)
        started = [deployment.start("upgrade", "head") for deployment in deployments]
        for process in started:
            _, output = process.communicate(timeout=120)
            assert process.returncode == 0, output
        yield Shared(deployments=deployments, public_before=before)


@pytest.fixture(params=[0, 1], ids=["a", "b"])
def one(shared: Shared, request: pytest.FixtureRequest) -> Deployment:
    return shared.deployments[request.param]


def test_what_is_anothers_is_as_it_was(shared: Shared) -> None:
    assert shared.public_now == shared.public_before


def test_all_of_ours_is_in_its_schema_and_as_it_is_elsewhere(one: Deployment, servers: Servers) -> None:
    url = one.url("postgres")
    assert tables(url, one.names.schema) == ALL_TABLES

    elsewhere = describe(servers.superuser_url)
    for part, rows in describe(url, one.names.schema, prefix=one.names.prefix).items():
        here = sorted(
            re.sub(rf"\b{one.names.prefix}_(owner|web|worker|settlements)\b", r"checkout_\1", row).replace(
                one.names.schema, "public"
            )
            for row in rows
        )
        assert here == sorted(elsewhere[part]), part


EVERYTHING = """
    SELECT 'relation', relname::text, relowner::regrole::text || coalesce(relacl::text, '') FROM pg_class
    UNION ALL SELECT 'column', attname::text, attacl::text FROM pg_attribute WHERE attacl IS NOT NULL
    UNION ALL SELECT 'function', proname::text, concat(proowner::regrole, proacl, proconfig,
        CASE WHEN prokind = 'a' THEN '' ELSE pg_get_functiondef(oid) END) FROM pg_proc
    UNION ALL SELECT 'trigger', tgname::text, pg_get_triggerdef(oid) FROM pg_trigger
    UNION ALL SELECT 'type', typname::text, typowner::regrole::text || coalesce(typacl::text, '') FROM pg_type
    UNION ALL SELECT 'schema', nspname::text, nspowner::regrole::text || coalesce(nspacl::text, '') FROM pg_namespace
    UNION ALL SELECT 'comment', objoid::text, description FROM pg_description
    UNION ALL SELECT 'constraint', conname::text, pg_get_constraintdef(oid) FROM pg_constraint
    UNION ALL SELECT 'policy', policyname::text, concat(roles, qual, with_check) FROM pg_policies
    UNION ALL SELECT 'default', defaclrole::regrole::text, defaclacl::text FROM pg_default_acl
    UNION ALL SELECT 'role', rolname::text, rolname::text FROM pg_roles
"""


def test_no_role_of_the_usual_prefix_is_named_anywhere(shared: Shared) -> None:
    with shared.deployments[0].connect("postgres") as admin:
        found = admin.execute(EVERYTHING.encode()).fetchall()

    assert [kind for kind, _, definition in found if "shop_b_worker" in definition], "the query finds names"
    usual = re.compile(r"\bcheckout_(owner|web|worker|settlements)\b")
    assert [(kind, name) for kind, name, definition in found if usual.search(definition)] == []


def test_each_role_may_what_it_must_and_finds_its_own_tables_without_any_option(one: Deployment) -> None:
    for role, rights, functions in (
        (one.names.web, WEB, WEB_FUNCTIONS),
        (one.names.worker, WORKER, WORKER_FUNCTIONS),
        (one.names.settlements, SETTLEMENTS, SETTLEMENTS_FUNCTIONS),
    ):
        with one.connect(role) as connection:
            found = list(judge("role", lambda query: connection.execute(query.encode()).fetchall(),
                               rights=rights, functions=functions))  # fmt: skip
            assert (found[0].level, found[0].result) == (Level.OK, f"{role} may what it must, and no more")
            place = connection.execute(WHERE.encode()).fetchall()
            assert list(judge_place("place", place, schema=one.names.schema)) == []
            assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (HEAD,)


TRIED = (
    "SELECT FROM {other}.users",
    "SELECT FROM {other}.alembic_version",
    "INSERT INTO {other}.guests DEFAULT VALUES",
    "UPDATE {other}.payments SET updated_at = now()",
    "DELETE FROM {other}.webhook_deliveries",
    "BEGIN; LOCK TABLE {other}.alembic_version IN SHARE UPDATE EXCLUSIVE MODE NOWAIT",
    "SELECT {other}.payments_fold('{{}}')",
    "SELECT {other}.hold_release(uuidv7())",
    "SELECT {other}.catalogue_plain('x')",
    "SELECT NULL::{other}.payment_status",
    "CREATE TABLE {other}.intruder ()",
    "DROP TABLE {other}.users CASCADE",
    "DROP SCHEMA {other} CASCADE",
    "SET ROLE {other}_owner",
    "SET ROLE {other}_web",
    "GRANT {other}_owner TO CURRENT_USER",
    "ALTER ROLE {other}_worker SET search_path = public",
)


@pytest.mark.parametrize("role", ["owner", "web", "worker", "settlements"])
@pytest.mark.parametrize("statement", TRIED)
def test_each_role_is_refused_on_the_others(one: Deployment, role: str, statement: str) -> None:
    other = {"shop_a": "shop_b", "shop_b": "shop_a"}[one.names.schema]
    with one.connect("postgres") as connection:
        connection.execute(statement.format(other=one.names.schema).encode() if _reads(statement) else b"SELECT")
        connection.execute(f"SET SESSION AUTHORIZATION {getattr(one.names, role)}".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.format(other=other).encode())


def _reads(statement: str) -> bool:
    """Whether it may be tried as a superuser on one's own, to see that nothing but the right is missing."""
    return statement.startswith("SELECT") and "hold_" not in statement


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT id, user_id FROM payments",
        "SELECT FROM users",
        "SELECT buyer FROM checkout_sessions",
        "SELECT why FROM audit",
        "SELECT id FROM payments FOR KEY SHARE",
        "UPDATE payments SET amount = 1",
        "INSERT INTO captures (payment_id) VALUES (uuidv7())",
        "DELETE FROM balance_entries",
        "UPDATE balance_entries SET net = 0",
        "DELETE FROM settlement_matches",
        "UPDATE settlement_files SET sha256 = ''",
        "INSERT INTO settlement_leases (id) VALUES (uuidv7())",
        "DELETE FROM settlement_leases",
        "TRUNCATE settlement_lines",
        "CREATE TABLE intruder ()",
    ],
)
def test_the_role_of_settlements_sees_no_customer_and_changes_no_payment(one: Deployment, statement: str) -> None:
    with one.connect(one.names.settlements) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())


def test_nobody_else_may_run_what_runs_as_the_owner(one: Deployment) -> None:
    with one.connect("postgres") as admin:
        everybody = admin.execute(
            """SELECT proname FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) AS held
            WHERE pronamespace = to_regnamespace(%s) AND prosecdef AND grantee = 0""",
            (one.names.schema,),
        ).fetchall()
        assert everybody == []


def test_their_migrations_wait_for_nobody_of_the_other(shared: Shared) -> None:
    first, second = shared.deployments
    with first.connect("postgres") as migrating, migrating.transaction():
        migrating.execute(f"LOCK TABLE {first.names.schema}.alembic_version IN SHARE UPDATE EXCLUSIVE MODE".encode())
        process = second.start("upgrade", "head")
        _, output = process.communicate(timeout=60)
        assert process.returncode == 0, output


def test_a_schema_that_is_anothers_is_refused_and_left_as_it_is(shared: Shared) -> None:
    deployment = shared.deployments[0]
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "-c", "migrations/alembic.ini", "-x", "schema=public", "upgrade", "head"],
        env=os.environ | deployment.settings,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )

    assert done.returncode == 1
    assert "the schema public has a table alembic_version that is not of shop_a_owner" in done.stderr
    assert "set DATABASE_SCHEMA" in done.stderr
    assert "Traceback" not in done.stderr
    assert shared.public_now == shared.public_before


COMMANDS = (
    ("catalog", "import", str(CATALOGUE)),
    ("api-keys", "create", "--scope", "ops", "--why", "a test"),
    ("stock", "list"),
    ("payments", "check"),
    ("webhooks", "list"),
    ("webhooks", "partition"),
    ("after-restore", "--events-past", "100", "--orders-past", "100"),
)
"""All that go to the database as the owner, and some that go there as the web tier."""


def test_both_sell_at_the_same_time_and_touch_nothing_of_anybody_else(shared: Shared, tmp_path: Path) -> None:
    def sell(deployment: Deployment) -> None:
        settings = stack.environment(
            Servers(superuser_url="", web_url="", worker_url="", redis_url=""), **deployment.settings
        )
        done = run_all(*(("flask", *arguments) for arguments in COMMANDS), given=settings)
        assert [status for status, _, _ in done] == [0] * len(COMMANDS), done
        logs = tmp_path / deployment.names.prefix
        logs.mkdir()
        with stack.run(logs, settings, "web", "worker"):
            buy(f"http://127.0.0.1:{settings['PORT']}", settings, CATALOGUE, lambda *_: None)
            ((status, report, errors),) = run_all(("flask", "doctor"), given=settings)
        assert status == 1, (report, errors)
        for line in report.splitlines():
            if line[9:].startswith(("migrations", "web role ", "worker role ", "unaccent", "invariants")):
                assert line.startswith("ok"), line

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(sell, shared.deployments))

    for deployment in shared.deployments:
        with deployment.connect("postgres") as admin:
            admin.execute(f"SET search_path = {deployment.names.schema}".encode())
            sold = "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM payments WHERE status = 'paid')"
            assert admin.execute(sold.encode()).fetchone() == (1, 1)
    assert shared.public_now == shared.public_before
