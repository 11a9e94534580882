"""Migrations go up, down and up again, alone and beside others."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError, ProgrammingError

import checkout_service.tables  # noqa: F401 (fills the metadata)
from checkout_service.database.engine import Base
from checkout_service.database.schema import HEAD
from checkout_service.local.servers import SUPERUSER, Postgres
from tests.conftest import Servers
from tests.migrations.conftest import CONFIG, finish, run_as, start_upgrade
from tests.migrations.schema import describe, tables

Alembic = Callable[..., None]
REVISIONS = [script.revision for script in reversed(list(ScriptDirectory.from_config(Config(CONFIG)).walk_revisions()))]
ROWS_ALONE = {"0016"}
"""Revisions that write rows and leave the tables as they are."""

KEEPS = {"0002": ("types",), "0033": ("columns", "columns' rights")}
"""PostgreSQL cannot take a value out of an enum again. Which refund stands for which is kept for the way forward."""
ROLES = ("checkout_owner", "checkout_web", "checkout_worker")


def test_migrations_are_numbered_one_after_the_other() -> None:
    assert [f"{number:04}" for number in range(1, len(REVISIONS) + 1)] == REVISIONS
    assert REVISIONS[-1] == HEAD, "/readyz goes by the files' names"


def test_migrations_up_down_and_up_again_end_where_they_began(fresh_database: str, alembic: Alembic) -> None:
    alembic("upgrade", "head")
    first = describe(fresh_database)
    assert tables(fresh_database) == set(Base.metadata.tables) | {"alembic_version"}

    alembic("downgrade", "base")
    assert tables(fresh_database) == {"alembic_version"}
    left = describe(fresh_database)
    for part in ("triggers", "functions", "types", "tables' rights", "columns' rights"):
        assert left[part] == [], part
    alembic("upgrade", "head")

    assert describe(fresh_database) == first


def test_models_and_migrations_say_the_same(alembic: Alembic) -> None:
    alembic("upgrade", "head")
    alembic("check")


def test_each_migration_is_reversible_by_itself(fresh_database: str, alembic: Alembic) -> None:
    # Alembic's own table stays, so the comparison starts with it.
    alembic("upgrade", REVISIONS[0])
    alembic("downgrade", "base")
    before = describe(fresh_database)
    for revision in REVISIONS:
        alembic("upgrade", revision)
        after = describe(fresh_database)
        assert (after == before) == (revision in ROWS_ALONE), f"{revision} changes nothing that is compared"
        alembic("downgrade", "-1")
        left = describe(fresh_database)
        before |= {kept: left[kept] for kept in KEEPS.get(revision, ())}
        assert left == before, f"{revision} leaves something behind"
        alembic("upgrade", revision)
        assert describe(fresh_database) == after, f"{revision} is another one the second time"
        before = after


def test_a_lock_that_somebody_holds_ends_the_migration_and_nothing_of_it_stays(
    fresh_database: str, alembic: Alembic
) -> None:
    """Within 5 s: every request of a customer stands behind a migration that waits for a table."""
    alembic("upgrade", REVISIONS[0])
    before = describe(fresh_database)
    engine = create_engine(fresh_database)
    with engine.connect() as customer:
        customer.execute(text("SELECT FROM users"))
        started = monotonic()
        with pytest.raises(OperationalError, match="lock timeout"):
            alembic("downgrade", "base")
        assert 4 < monotonic() - started < 30
    engine.dispose()

    assert describe(fresh_database) == before


def test_a_migration_that_a_customer_meets_halfway_begins_again(fresh_database: str, alembic: Alembic) -> None:
    """0022 locks carts and then their lines; a customer has the lines and comes for the carts. One of them must end."""
    alembic("upgrade", "0021")
    engine = create_engine(fresh_database)
    with engine.connect() as customer, engine.connect() as onlooker:
        # So it is the migration that PostgreSQL ends.
        customer.execute(text("SET LOCAL deadlock_timeout = '60s'"))
        customer.execute(text("SELECT FROM cart_items"))
        migration = start_upgrade(fresh_database)
        while not onlooker.execute(_BLOCKED).scalar_one():
            onlooker.rollback()
            assert migration.poll() is None
            sleep(0.01)
        customer.execute(text("SELECT FROM carts"))
        customer.rollback()
        assert finish(migration) == (0, "")
        ended = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        assert onlooker.execute(text(ended)).scalar_one()
        assert onlooker.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == HEAD
    engine.dispose()


_BLOCKED = text("""
    SELECT count(*) FROM pg_locks
    WHERE NOT granted AND relation = 'cart_items'::regclass AND mode = 'AccessExclusiveLock'
""")


@pytest.mark.parametrize(
    ("revision", "index"),
    [
        ("0008", "webhook_deliveries_rejected_next_attempt_at"),
        ("0009", "payments_open"),
        ("0010", "payments_provider_next_look_up_at"),
    ],
)
def test_a_migration_whose_index_could_not_be_made_runs_again(
    fresh_database: str, alembic: Alembic, revision: str, index: str
) -> None:
    """One that waits for an old transaction fails after 5 s; what was committed before it must not be in the way."""
    alembic("upgrade", REVISIONS[REVISIONS.index(revision) - 1])
    run_as(fresh_database, f"CREATE TABLE {index} ()")
    with pytest.raises(ProgrammingError, match="is not an index"):
        alembic("upgrade", revision)
    run_as(fresh_database, f"DROP TABLE {index}")
    alembic("upgrade", revision)
    again = describe(fresh_database)

    alembic("downgrade", "-1")
    alembic("upgrade", revision)
    assert describe(fresh_database) == again


def test_everything_belongs_to_the_owner(fresh_database: str, alembic: Alembic) -> None:
    alembic("upgrade", "head")
    engine = create_engine(fresh_database)
    with engine.connect() as connection:
        owners = connection.execute(
            text("SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        )
        assert [row.relowner for row in owners] == ["checkout_owner"]
    engine.dispose()


def test_upgrading_twice_changes_nothing(fresh_database: str, alembic: Alembic) -> None:
    alembic("upgrade", "head")
    before = describe(fresh_database)
    alembic("upgrade", "head")

    assert describe(fresh_database) == before


def test_two_upgrades_of_one_database_follow_each_other(fresh_database: str) -> None:
    results = [finish(process) for process in [start_upgrade(fresh_database) for _ in range(2)]]

    assert results == [(0, ""), (0, "")]
    assert tables(fresh_database) == set(Base.metadata.tables) | {"alembic_version"}


LOCK = "LOCK TABLE alembic_version IN SHARE UPDATE EXCLUSIVE MODE"


def test_an_upgrade_waits_for_the_one_at_work(fresh_database: str, alembic: Alembic) -> None:
    alembic("upgrade", REVISIONS[0])
    engine = create_engine(fresh_database)
    with engine.connect() as first:
        first.execute(text(LOCK))
        second = start_upgrade(fresh_database)
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(4)
        assert first.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == REVISIONS[0]
    engine.dispose()

    assert finish(second) == (0, "")


def test_no_lock_that_a_login_role_may_take_holds_up_a_migration(
    servers: Servers, fresh_database: str, alembic: Alembic
) -> None:
    alembic("upgrade", "0006")
    database = make_url(fresh_database).database
    engines = [create_engine(make_url(url).set(database=database)) for url in (servers.web_url, servers.worker_url)]
    with engines[0].connect() as web, engines[1].connect() as worker:
        for stranger in (web, worker):
            stranger.execute(text("SELECT pg_try_advisory_lock(hashtextextended('checkout migrations', 0))"))
            stranger.execute(text("SELECT pg_try_advisory_lock(hashtextextended('catalog import', 0))"))
            stranger.execute(text("LOCK TABLE alembic_version IN ACCESS SHARE MODE"))
            with pytest.raises(ProgrammingError, match="permission denied"), stranger.begin_nested():
                stranger.execute(text(LOCK))
        alembic("upgrade", "0007")
    for engine in engines:
        engine.dispose()


def test_a_migration_that_has_lost_its_lock_is_rolled_back(fresh_database: str, alembic: Alembic) -> None:
    """Another one may have begun since."""
    alembic("upgrade", "0002")
    engine = create_engine(fresh_database)
    with engine.connect() as customer, engine.connect() as operator:
        customer.execute(text("LOCK TABLE carts"))
        migration = start_upgrade(fresh_database)
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        while not operator.execute(text(waiting)).scalar_one():
            sleep(0.05)
            operator.rollback()
        ended = operator.execute(
            text("""SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE datname = current_database() AND query LIKE 'LOCK TABLE alembic_version%'""")
        )
        assert ended.scalar_one() == 1
        customer.rollback()
        status, output = finish(migration)
        assert status != 0
        assert "terminating connection" in output
        assert operator.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "0002"
    engine.dispose()


def test_databases_of_one_cluster_may_be_migrated_for_the_first_time_at_once(virgin: Postgres) -> None:
    with _shops(virgin, "deployer", "one", "two") as (one, two):
        results = [finish(process) for process in [start_upgrade(one), start_upgrade(two)]]

        assert results == [(0, ""), (0, "")]
        for name in ("one", "two"):
            assert tables(virgin.url(SUPERUSER, name)) == set(Base.metadata.tables) | {"alembic_version"}


@pytest.mark.parametrize(("role", "grants"), [(SUPERUSER, False), ("deployer", False), ("deployer", True)])
def test_roles_that_another_migration_makes_at_this_moment_are_waited_for(
    virgin: Postgres, role: str, grants: bool
) -> None:
    with _shops(virgin, role, "one") as (one,):
        engine = create_engine(virgin.url(role, "postgres"))
        with engine.connect() as other:
            for made in ("checkout_owner NOLOGIN", "checkout_web LOGIN", "checkout_worker LOGIN"):
                other.execute(text(f"CREATE ROLE {made}"))
            if grants:
                other.commit()
                other.execute(text(f"GRANT checkout_owner TO {role} WITH SET TRUE"))
            migration = start_upgrade(one)
            _wait_until_blocked_or_done(virgin, migration)
            other.commit()
        engine.dispose()

        assert finish(migration) == (0, "")


def test_roles_that_are_missing_and_may_not_be_made_are_named(virgin: Postgres) -> None:
    admin = virgin.url(SUPERUSER, "postgres")
    run_as(admin, "CREATE ROLE deployer LOGIN", "CREATE DATABASE shop OWNER deployer")
    try:
        status, output = finish(start_upgrade(virgin.url("deployer", "shop")))

        assert status != 0
        assert output.startswith("role checkout_owner is missing and deployer may not create it")
        assert output.count("\n") == 1
        assert tables(virgin.url(SUPERUSER, "shop")) == set()
    finally:
        run_as(admin, "DROP DATABASE shop", "DROP ROLE deployer")


def test_owner_may_migrate_by_itself(virgin: Postgres) -> None:
    admin = virgin.url(SUPERUSER, "postgres")
    run_as(admin, "CREATE ROLE checkout_owner LOGIN", "CREATE ROLE checkout_web LOGIN", "CREATE ROLE checkout_worker")
    run_as(admin, "CREATE DATABASE shop OWNER checkout_owner")
    try:
        assert finish(start_upgrade(virgin.url("checkout_owner", "shop"))) == (0, "")
    finally:
        run_as(admin, "DROP DATABASE shop WITH (FORCE)", *[f"DROP ROLE {role}" for role in ROLES])


def test_url_may_be_written_without_the_driver(
    fresh_database: str, alembic: Alembic, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = make_url(fresh_database).set(drivername="postgresql").render_as_string(hide_password=False)
    monkeypatch.setenv("MIGRATION_DATABASE_URL", plain)
    alembic("upgrade", "head")

    assert "payments" in tables(fresh_database)


@contextmanager
def _shops(virgin: Postgres, role: str, *names: str) -> Iterator[list[str]]:
    """Databases of that role, and its URLs of them; in the end neither they nor our roles are left."""
    admin = virgin.url(SUPERUSER, "postgres")
    if role != SUPERUSER:
        run_as(admin, f"CREATE ROLE {role} LOGIN CREATEROLE")
    run_as(admin, *[f"CREATE DATABASE {name} OWNER {role}" for name in names])
    try:
        yield [virgin.url(role, name) for name in names]
    finally:
        run_as(admin, *[f"DROP DATABASE {name} WITH (FORCE)" for name in names])
        run_as(admin, *[f"DROP ROLE IF EXISTS {each}" for each in (*ROLES, "deployer")])


def _wait_until_blocked_or_done(virgin: Postgres, migration: subprocess.Popen[str]) -> None:
    engine = create_engine(virgin.url(SUPERUSER, "postgres"), isolation_level="AUTOCOMMIT")
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'one' AND wait_event_type = 'Lock'"
    with engine.connect() as connection:
        while migration.poll() is None and not connection.execute(text(blocked)).scalar_one():
            sleep(0.02)
    engine.dispose()


def test_a_server_that_refuses_unaccent_is_named_with_what_to_do_in_one_line(fresh_database: str) -> None:
    """As managed servers do with what is not on their list."""
    run_as(
        fresh_database,
        """CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'extension "unaccent" is not allow-listed' USING ERRCODE = 'feature_not_supported';
        END $$""",
        "CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE EXTENSION') EXECUTE FUNCTION refuse()",
    )

    status, output = finish(start_upgrade(fresh_database))

    assert status != 0
    assert output == (
        'the extension unaccent cannot be created here (extension "unaccent" is not allow-listed): allow it in the '
        "settings of the server, or run CREATE EXTENSION unaccent as a superuser\n"
    )
    assert tables(fresh_database) == set(), "nothing was made"


def test_a_role_that_may_not_install_unaccent_learns_who_may_and_takes_it_from_wherever_it_is(
    fresh_database: str, alembic: Alembic, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrator = f"migrator_{make_url(fresh_database).database}"
    run_as(fresh_database, f"CREATE ROLE {migrator} LOGIN IN ROLE checkout_owner")
    try:
        url = make_url(fresh_database).set(username=migrator)
        monkeypatch.setenv("MIGRATION_DATABASE_URL", url.render_as_string(hide_password=False))
        with pytest.raises(SystemExit, match="run CREATE EXTENSION unaccent as the owner of the database") as ended:
            alembic("upgrade", "head")
        assert "\n" not in str(ended.value.code)
        assert tables(fresh_database) == set(), "nothing was made"
        run_as(
            fresh_database,
            "CREATE SCHEMA elsewhere",
            "CREATE EXTENSION unaccent SCHEMA elsewhere",
            "GRANT USAGE ON SCHEMA elsewhere TO checkout_owner",
            "GRANT USAGE, CREATE ON SCHEMA public TO checkout_owner",
        )
        alembic("upgrade", "head")
        engine = create_engine(fresh_database)
        with engine.connect() as connection:
            connection.execute(text("SET ROLE checkout_web"))
            assert connection.execute(text("SELECT catalogue_words('Łódź, Café')")).scalar_one() == ["cafe", "lodz"]
        engine.dispose()
    finally:
        run_as(fresh_database, f"DROP OWNED BY {migrator}", f"DROP ROLE {migrator}")
