"""PgBouncer in transaction mode: the service leaves nothing on a connection that the next transaction may not have."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
from alembic import command
from alembic.config import Config
from flask import current_app
from sqlalchemy import make_url, text

from checkout_service.database.engine import execute
from checkout_service.doctor.findings import Level
from checkout_service.doctor.roles import check_roles
from checkout_service.local.guard import Guard, Target, stop
from checkout_service.local.servers import free_port
from checkout_service.settings.database_names import DatabaseAddress, DatabaseNames
from checkout_service.settings.secret import Secret
from tests.apps import MakeApp
from tests.conftest import ROOT, Customer, MakeListing, Servers, Sql, with_psycopg
from tests.flower_pages import stack
from tests.flower_pages.stack import eventually
from tests.migrations.conftest import run_as
from tests.payments.test_long_polls import Answer, ask, fresh, started, when_waiting
from tests.webhook_bodies import insert_payment, status_of, webhook

PROGRAM = Path("/usr/sbin/pgbouncer")
BEHIND = 3
HELD = "SELECT usename::text, count(*) FROM pg_stat_activity WHERE usename LIKE 'checkout_w%' GROUP BY usename"
"""Connections to PostgreSQL a role, fewer than the service holds to the pooler: they are shared, and changed."""


@pytest.fixture
def pooled(servers: Servers) -> Iterator[dict[str, str]]:
    """The settings of processes behind a PgBouncer of our own."""
    if not PROGRAM.exists():
        pytest.skip("NO PGBOUNCER: install Debian's pgbouncer to have the service tested behind it")
    server = make_url(servers.web_url)
    if "host" not in server.query:
        pytest.skip("NO PGBOUNCER: the tests' PostgreSQL is not ours, so its accounts cannot be used without passwords")
    sockets = Path(str(server.query["host"]))
    port = free_port()
    # Beside the server's sockets, where its account may read.
    configuration = sockets / "pgbouncer.ini"
    users = sockets / "users.txt"
    users.write_text('"checkout_web" ""\n"checkout_worker" ""\n')
    configuration.write_text(f"""
[databases]
* = host={sockets}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = {BEHIND}
""")
    with closing(Guard()) as guard, (sockets.parent / "pgbouncer.log").open("wb") as log:
        # PgBouncer will not run as root either, and only the sockets' owner may use them.
        arguments = {}
        if os.geteuid() == 0:
            owner = sockets.stat()
            arguments = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
            for file in (configuration, users):
                os.chown(file, owner.st_uid, owner.st_gid)
        process = guard.start(
            [str(PROGRAM), str(configuration)], stage=1, stdout=log, stderr=subprocess.STDOUT, cwd="/", **arguments
        )
        urls = {
            name: with_psycopg(make_url(url).set(host="127.0.0.1", port=port, query={}))
            for name, url in {"DATABASE_URL": servers.web_url, "WORKER_DATABASE_URL": servers.worker_url}.items()
        }
        try:
            eventually(lambda: _answers(urls["DATABASE_URL"]))
            yield urls
        finally:
            stop([Target(pid=process.pid)])
            process.wait()
            guard.forget(process.pid)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url.replace("+psycopg", ""), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def test_it_refuses_what_a_direct_connection_is_opened_with(pooled: dict[str, str]) -> None:
    with pytest.raises(psycopg.OperationalError, match="unsupported startup parameter"):
        psycopg.connect(pooled["DATABASE_URL"].replace("+psycopg", ""), options="-c statement_timeout=1000")


def test_one_of_several_poolers_may_be_away(pooled: dict[str, str], make_app: MakeApp) -> None:
    behind = make_url(pooled["DATABASE_URL"])
    several = f"postgresql://{behind.username}@127.0.0.1:{free_port()},127.0.0.1:{behind.port}/{behind.database}"
    with make_app(database_url=Secret(several), database_pooler="transaction").app_context():
        (row,) = execute(text("SELECT current_user::text, inet_server_port()"))
    assert tuple(row) == (behind.username, None), "PgBouncer goes on by the server's socket"


@pytest.fixture
def shop(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a database with our tables in the schema ``shop``, and a stranger's ``users`` in ``public``."""
    name = f"pooled_{uuid4().hex[:12]}"
    run_as(servers.superuser_url, f"CREATE DATABASE {name}")
    url = with_psycopg(make_url(servers.superuser_url).set(database=name))
    run_as(url, "CREATE TABLE public.users (id int)", "GRANT ALL ON public.users TO PUBLIC")
    monkeypatch.setenv("MIGRATION_DATABASE_URL", url)
    monkeypatch.setenv("DATABASE_SCHEMA", "shop")
    command.upgrade(Config(ROOT / "migrations" / "alembic.ini"), "head")
    yield name
    run_as(servers.superuser_url, f"DROP DATABASE {name} WITH (FORCE)")


def test_the_schema_is_found_without_any_option_and_a_wrong_one_is_named(
    pooled: dict[str, str], shop: str, servers: Servers, make_app: MakeApp
) -> None:
    url = with_psycopg(make_url(pooled["DATABASE_URL"]).set(database=shop))
    address = DatabaseAddress(url, DatabaseNames(schema="shop"))
    with make_app(database_url=address, database_pooler="transaction").app_context():
        (row,) = execute(
            text("SELECT current_schemas(false)::text[], to_regclass('users')::oid = 'shop.users'::regclass")
        )
        assert tuple(row) == (["shop"], True)
        checks = current_app.extensions["readiness"].checks()
        assert (checks["database"], checks["migrations"]) == ("ok", "ok")

    run_as(
        servers.superuser_url,
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{shop}' AND usename = 'checkout_web'",
        f"ALTER ROLE checkout_web IN DATABASE {shop} SET search_path = public",
    )
    run_as(
        with_psycopg(make_url(servers.superuser_url).set(database=shop)),
        "CREATE TABLE public.alembic_version AS SELECT '9999'::text AS version_num",
        "GRANT ALL ON public.alembic_version TO PUBLIC",
    )
    with make_app(database_url=address, database_pooler="transaction").app_context():
        found = eventually(lambda: _when_not_away(current_app.extensions["readiness"].checks()))
        assert found == "connections lead to the schema public, not to shop"
        report = {finding.about: finding for finding in check_roles()}
        assert report["web's schema"].level is Level.WRONG
        assert f'ALTER ROLE checkout_web IN DATABASE "{shop}" SET search_path = shop' in report["web's schema"].remedy


def _when_not_away(checks: dict[str, str]) -> str | None:
    return checks["migrations"] if checks["database"] == "ok" else None


def test_purchases_go_through_while_connections_are_shared(
    pooled: dict[str, str], servers: Servers, sql: Sql, tmp_path: Path, customer: Customer, make_listing: MakeListing
) -> None:
    own_settings = {"DATABASE_POOLER": "transaction", "WORKER_CONCURRENCY": "2", "OPEN_SESSIONS_PER_CUSTOMER": "30"}
    settings = stack.environment(servers, **own_settings, **pooled)
    payments = [insert_payment(sql) for _ in range(300)]
    # This process keeps connections of its own to the same server, beside the pooler.
    own = dict(sql(HELD))
    with (
        stack.run(tmp_path, settings, "web", "worker", "housekeeping", "beat"),
        httpx.Client(
            base_url=f"http://127.0.0.1:{settings['PORT']}", headers=dict(customer.headers), timeout=60
        ) as web,
    ):
        # Enough for all of them at once: two sessions that are opened together each hold their own pieces.
        listing = str(make_listing(stock=1_000)["id"])

        def shop(number: int) -> None:
            headers = {"Content-Type": "application/json"}
            web.post("/api/cart/items", json={"listing": listing, "qty": 1 + number % 9}).raise_for_status()
            cart = web.get("/api/cart").raise_for_status().json()
            answer = web.post("/api/payments/webhook", content=webhook(payments[number]), headers=headers)
            assert answer.status_code == 202, answer.text
            if number % 10 == 0:
                web.post(
                    "/api/checkout/session", json={"cart_id": cart["id"]}, headers={"Idempotency-Key": f"key-{number}"}
                ).raise_for_status()

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(shop, range(len(payments))))
        eventually(lambda: all(status_of(sql, reference) == "paid" for reference in payments[::30]), within=60)
        eventually(lambda: not sql("SELECT FROM webhook_deliveries WHERE state <> 'applied'"), within=60)
        eventually(lambda: web.get("/readyz").json()["missing"] == [])
        assert sql("SELECT count(*) FROM checkout_sessions")[0][0] == 30
        held = {role: count - own.get(role, 0) for role, count in sql(HELD)}
        assert {role: count <= BEHIND for role, count in held.items()} == {
            "checkout_web": True,
            "checkout_worker": True,
        }

    for log in tmp_path.glob("*.log"):
        assert "prepared statement" not in log.read_text(errors="replace")


def test_many_wait_for_a_change_on_a_few_shared_connections(
    pooled: dict[str, str], servers: Servers, sql: Sql, tmp_path: Path
) -> None:
    own = dict(sql(HELD))
    with started(servers, tmp_path, DATABASE_POOLER="transaction", **pooled) as web:
        payments = [fresh(web, sql) for _ in range(50)]

        async def crowd() -> list[Answer]:
            waiting = [asyncio.create_task(ask(web, f"{each.path}?wait=30", each.headers)) for each in payments]
            await when_waiting(web, len(payments))
            await asyncio.to_thread(sql, "UPDATE payments SET version = version + 1")
            return await asyncio.gather(*waiting)

        assert {answer.status for answer in asyncio.run(crowd())} == {200}
        assert dict(sql(HELD))["checkout_web"] - own.get("checkout_web", 0) <= BEHIND

    assert not any("failed" in log.read_text(errors="replace") for log in tmp_path.glob("*.log"))
