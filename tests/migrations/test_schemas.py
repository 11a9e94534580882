"""Migrations name no schema: they work wherever the search_path leads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, make_url, text

import checkout_service.tables  # noqa: F401 (fills the metadata)
from checkout_service.database.engine import Base
from tests.conftest import Servers
from tests.migrations.conftest import Alembic, finish, start_upgrade
from tests.migrations.schema import describe, engine_in, tables

ALL_TABLES = set(Base.metadata.tables) | {"alembic_version"}


@pytest.fixture
def shop(fresh_database: str, alembic: Alembic) -> str:
    """The superuser's URL of a database that is migrated in the schema ``shop`` alone."""
    alembic("upgrade", "head", schema="shop")
    return fresh_database


def test_another_schema_gets_everything_and_public_nothing(
    servers: Servers, shop: str, alembic: Alembic, fresh_database: str
) -> None:
    assert tables(shop, "shop") == ALL_TABLES
    assert set(map(len, describe(shop).values())) == {0}

    in_public = describe(servers.superuser_url)
    in_shop = describe(shop, "shop")
    for part, rows in in_shop.items():
        assert [re.sub(r"\bshop\b", "public", row) for row in rows] == in_public[part], part

    alembic("check", schema="shop")


def test_the_schema_belongs_to_the_owner_and_the_login_roles_may_only_use_it(shop: str) -> None:
    engine = create_engine(shop)
    with engine.connect() as connection:
        owner = connection.execute(text("SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'shop'"))
        assert owner.scalar_one() == "checkout_owner"
        for role in ("checkout_web", "checkout_worker"):
            rights = connection.execute(
                text(
                    "SELECT has_schema_privilege(:role, 'shop', 'USAGE'), has_schema_privilege(:role, 'shop', 'CREATE')"
                ),
                {"role": role},
            )
            assert tuple(rights.one()) == (True, False)
    engine.dispose()


def test_two_schemas_of_one_database_do_not_see_each_other(shop: str, alembic: Alembic) -> None:
    before = describe(shop, "shop")
    alembic("upgrade", "head")
    in_public = describe(shop)
    assert tables(shop) == ALL_TABLES
    assert describe(shop, "shop") == before

    alembic("downgrade", "base", schema="shop")
    assert tables(shop, "shop") == {"alembic_version"}
    assert describe(shop) == in_public
    alembic("upgrade", "head", schema="shop")
    assert describe(shop, "shop") == before


@pytest.fixture
def roles(servers: Servers, shop: str) -> Iterator[dict[str, Connection]]:
    """A connection for each login role, in autocommit, with the search_path that leads to ``shop``."""
    database = make_url(shop).database
    urls = {"web": servers.web_url, "worker": servers.worker_url}
    engines = {role: engine_in(_of(url, database), "shop") for role, url in urls.items()}
    connections = {
        role: engine.connect().execution_options(isolation_level="AUTOCOMMIT") for role, engine in engines.items()
    }
    yield connections
    for role, connection in connections.items():
        connection.close()
        engines[role].dispose()


def test_the_roles_work_there_and_each_refund_moves_the_sums(roles: dict[str, Connection]) -> None:
    payment = _paid(roles)
    refund = _request_refund(roles["web"], payment)
    assert _sums(roles["web"], payment) == ("0", "100")

    _run(roles["worker"], "UPDATE refunds SET status = 'succeeded', next_attempt_at = NULL WHERE id = :id", id=refund)
    _fold(roles["worker"], payment)
    assert _sums(roles["web"], payment) == ("100", "0")


@pytest.mark.parametrize("decoy", ["CREATE SCHEMA decoy", "CREATE TEMPORARY TABLE"])
def test_functions_of_the_owner_see_its_tables_whatever_the_caller_puts_in_front(
    shop: str, roles: dict[str, Connection], decoy: str
) -> None:
    payment = _paid(roles)
    web = roles["web"]
    if decoy == "CREATE SCHEMA decoy":
        engine = create_engine(shop, isolation_level="AUTOCOMMIT")
        with engine.connect() as superuser:
            _run(superuser, "CREATE SCHEMA decoy")
            _run(superuser, "GRANT USAGE ON SCHEMA decoy TO PUBLIC")
            _run(superuser, "CREATE TABLE decoy.payments AS SELECT * FROM shop.payments")
            _run(superuser, "GRANT ALL ON decoy.payments TO PUBLIC")
        engine.dispose()
        _run(web, "SET search_path = decoy")
    else:
        _run(web, "CREATE TEMPORARY TABLE payments AS SELECT * FROM shop.payments")

    _request_refund(web, payment, "shop.refunds")

    assert _sums(web, payment) == ("0", "0"), "the decoy is not touched"
    assert _sums(web, payment, "shop.payments") == ("0", "100")


REFUSED = "cannot be the schema: give it a name of a to z"


@pytest.mark.parametrize("name", ["Shop", "pg_shop", "a b", "a,public", 'a"b', "$user", "a" * 64])
def test_a_schema_whose_name_would_need_quotes_is_refused(fresh_database: str, alembic: Alembic, name: str) -> None:
    with pytest.raises(SystemExit, match=REFUSED):
        alembic("upgrade", "head", schema=name)

    assert tables(fresh_database) == set()


def test_a_schema_without_a_name_ends_the_process(fresh_database: str) -> None:
    status, message = finish(start_upgrade(fresh_database, "-x", "schema="))

    assert status != 0
    assert REFUSED in message
    assert tables(fresh_database) == set()


def _of(url: str, database: str | None) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


def _run(connection: Connection, statement: str, **parameters: Any) -> Any:
    result = connection.execute(text(statement), parameters)
    return result.scalar() if result.returns_rows else None


def _paid(roles: dict[str, Connection]) -> Any:
    """The id of a payment of 100.00 USD, opened by the web tier and moved by the worker."""
    user = _run(roles["web"], "INSERT INTO users DEFAULT VALUES RETURNING id")
    payment = _run(
        roles["web"],
        """INSERT INTO payments (user_id, provider, provider_ref, amount, currency)
        VALUES (:user, 'mock', 'mock_pi_1', 100, 'USD') RETURNING id""",
        user=user,
    )
    _run(
        roles["worker"],
        """INSERT INTO payment_attempts (payment_id, provider, status, reported_at, amount_presumed)
        VALUES (:payment, 'mock', 'started', now(), 100)""",
        payment=payment,
    )
    _fold(roles["worker"], payment)
    return payment


def _fold(worker: Connection, payment: Any) -> None:
    _run(worker, "SELECT payments_fold(ARRAY[CAST(:payment AS uuid)])", payment=payment)


def _request_refund(web: Connection, payment: Any, table: str = "refunds") -> Any:
    return _run(
        web,
        f"""INSERT INTO {table} (payment_id, requested_by, idempotency_key, request_hash)
        VALUES (:payment, uuidv7(), 'key', '') RETURNING id""",
        payment=payment,
    )


def _sums(connection: Connection, payment: Any, table: str = "payments") -> tuple[str, str]:
    sums = connection.execute(
        text(f"SELECT amount_refunded::text, amount_refunding::text FROM {table} WHERE id = :id"), {"id": payment}
    ).one()
    return sums[0], sums[1]
