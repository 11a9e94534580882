"""Another application in the schema ``public`` of a database, and two deployments of ours beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from checkout_service.local.servers import Postgres
from checkout_service.settings.database_names import DatabaseNames
from tests.conftest import ROOT

DATABASE: Final = "shared"

OTHERS: Final = """
    CREATE ROLE webshop LOGIN;
    GRANT ALL ON SCHEMA public TO webshop;
    SET ROLE webshop;
    CREATE TYPE order_state AS ENUM ('open', 'done');
    CREATE TABLE users (id serial PRIMARY KEY, email text NOT NULL);
    CREATE TABLE carts (id serial PRIMARY KEY, user_id int REFERENCES users, note text);
    CREATE TABLE orders (id serial PRIMARY KEY, cart_id int REFERENCES carts, state order_state);
    CREATE TABLE payments (id serial PRIMARY KEY, order_id int REFERENCES orders, status text);
    CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
    CREATE FUNCTION payments_fold(ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'not yours'; END $$;
    INSERT INTO users (email) SELECT 'a' || n || '@example.com' FROM generate_series(1, 20) AS n;
    INSERT INTO carts (user_id, note) SELECT id, 'theirs' FROM users;
    INSERT INTO orders (cart_id, state) SELECT id, 'open' FROM carts;
    INSERT INTO payments (order_id, status) SELECT id, 'open' FROM orders;
    INSERT INTO alembic_version VALUES ('9999');
    -- Whoever strays there finds open doors: it would not be noticed by an error.
    GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
    GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC;
    RESET ROLE;
"""
"""An application whose tables have the names of ours, and a version that is ahead of every one of ours."""

LOOK: Final = (
    (
        "SELECT c.oid, c.relname, c.relkind, c.relowner, c.relacl::text, c.relfilenode, c.xmin::text, "
        "pg_relation_size(c.oid) FROM pg_class AS c WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
    ),
    "SELECT oid, proname, proacl::text, prosrc, xmin::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    "SELECT oid, typname, typacl::text FROM pg_type WHERE typnamespace = 'public'::regnamespace ORDER BY 1",
    (
        "SELECT tgrelid, tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
        "WHERE relnamespace = 'public'::regnamespace ORDER BY 1, 2"
    ),
    "SELECT nspowner, nspacl::text FROM pg_namespace WHERE nspname = 'public'",
    *(
        f"SELECT xmin::text, ctid::text, t::text FROM public.{table} AS t ORDER BY 2"
        for table in ("users", "carts", "orders", "payments", "alembic_version")
    ),
)


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One of ours: its names, and where its database is."""

    names: DatabaseNames
    postgres: Postgres
    redis_url: str

    def url(self, role: str) -> str:
        return self.postgres.url(role, DATABASE)

    @property
    def settings(self) -> Mapping[str, str]:
        """What differs from those of the tests' own."""
        return {
            "DATABASE_SCHEMA": self.names.schema,
            "DATABASE_ROLE_PREFIX": self.names.prefix,
            "DATABASE_URL": self.url(self.names.web),
            "WORKER_DATABASE_URL": self.url(self.names.worker),
            "MIGRATION_DATABASE_URL": self.url("postgres"),
            "REDIS_URL": self.redis_url,
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """``python -m alembic …`` with its settings."""
        return subprocess.Popen(
            [sys.executable, "-m", "alembic", "-c", str(ROOT / "migrations" / "alembic.ini"), *arguments],
            env=os.environ | self.settings,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def connect(self, role: str) -> psycopg.Connection[Any]:
        """In autocommit, as this role, without any option: as a person with psql."""
        return psycopg.connect(self.url(role).replace("+psycopg", ""), autocommit=True)


def ours(postgres: Postgres, redis_url: str) -> tuple[Deployment, Deployment]:
    """Two of them, whose tasks do not meet either: each has a number of Redis of its own."""
    first, second = (
        Deployment(
            names=DatabaseNames(schema=name, prefix=name),
            postgres=postgres,
            redis_url=f"{redis_url.rpartition('/')[0]}/{number}",
        )
        for number, name in enumerate(("shop_a", "shop_b"), start=1)
    )
    return first, second


def public(postgres: Postgres) -> Iterator[list[Any]]:
    """All that is in the schema ``public``: where it lies, whose it is, who may use it, and every row."""
    with psycopg.connect(postgres.url("postgres", DATABASE).replace("+psycopg", ""), autocommit=True) as connection:
        for query in LOOK:
            yield connection.execute(query.encode()).fetchall()
