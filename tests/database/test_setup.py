"""``database init`` and ``check`` on a server that asks for passwords, by an administrator who is no superuser."""

from __future__ import annotations

import ast
import os
import re
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import click.testing
import psycopg
import pytest

from checkout_service.database.setup_cli import database
from tests.conftest import ROOT
from tests.database.shops import (
    LOGINS,
    Shop,
    backends,
    migrate,
    superuser_of,
    without_ours,
    without_settlements_role,
)
from tests.flower_pages.stack import eventually

ROLES = ("web role", "worker role", "settlements role")


def test_everything_is_made_by_who_is_no_superuser_and_a_release_needs_nobody(shop: Shop) -> None:
    shop.file.write_text("# ours\nREDIS_URL=redis://127.0.0.1/0\n")
    done = shop.init()
    assert done.exit_code == 0, done.output
    assert stat.S_IMODE(shop.file.stat().st_mode) == 0o600
    assert shop.file.read_text().startswith("# ours\nREDIS_URL=redis://127.0.0.1/0\n")
    names = shop.names
    assert [shop.log_in(setting) for setting in LOGINS] == [names.web, names.worker, names.owner, names.settlements]
    assert (shop.settings["DATABASE_SCHEMA"], shop.settings["DATABASE_ROLE_PREFIX"]) == (shop.prefix, shop.prefix)

    # A release migrates as the owner, who may make no role, no schema and no extension.
    migrated = migrate(shop)
    assert migrated.returncode == 0, migrated.stderr

    looked = _check(shop)
    found = {line[9:32].strip(): line[:8].strip() for line in looked.stdout.splitlines() if line[:1].strip()}
    assert {found[name] for name in ("database", "migrations", "unaccent", *ROLES)} == {"ok"}
    assert found["connections"] == "ok"
    # The tests' server runs without fsync, which is no good: that alone is wrong.
    assert [name for name, level in found.items() if level == "WRONG"] == ["power cuts"]
    assert looked.returncode == 1


def test_a_deployment_without_the_role_of_payouts_reads_what_to_run_and_migrates_then(shop: Shop) -> None:
    """As one that was made before there was a fourth role."""
    assert shop.init().exit_code == 0
    without_settlements_role(shop)

    refused = migrate(shop)

    assert refused.returncode == 1
    assert f"role {shop.names.settlements} is missing" in refused.stderr
    assert "run checkout database init as an administrator" in refused.stderr
    assert "Traceback" not in refused.stderr
    with superuser_of(shop.server, shop.prefix) as superuser:
        made = "SELECT FROM pg_class WHERE relnamespace = to_regnamespace(%s)"
        assert superuser.execute(made, (shop.prefix,)).fetchall() == [], "nothing is half done"

    done = shop.init()
    assert f"made {shop.names.settlements}" in done.output
    assert migrate(shop).returncode == 0
    assert shop.log_in("SETTLEMENTS_DATABASE_URL") == shop.names.settlements
    with psycopg.connect(shop.settings["SETTLEMENTS_DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f"SELECT FROM {shop.prefix}.payouts".encode())


def test_a_rerun_changes_nothing(shop: Shop) -> None:
    assert shop.init().exit_code == 0
    before, verifiers = shop.file.read_bytes(), shop.verifiers()
    with superuser_of(shop.server) as superuser:
        superuser.execute(f"ALTER ROLE {shop.names.web} CONNECTION LIMIT 7".encode())

    done = shop.init()

    assert (done.exit_code, done.output) == (0, "database init: nothing: all was there\n")
    assert (shop.file.read_bytes(), shop.verifiers()) == (before, verifiers)
    with superuser_of(shop.server) as superuser:
        limit = superuser.execute("SELECT rolconnlimit FROM pg_roles WHERE rolname = %s", (shop.names.web,)).fetchone()
    assert limit == (7,)


def test_no_password_is_in_the_output_nor_in_the_servers_log(shop: Shop) -> None:
    done = shop.init()
    again = shop.init("--renew", "web")
    log = shop.server.server.log.read_text(errors="replace")
    assert f'CREATE ROLE "{shop.names.web}" LOGIN PASSWORD \'SCRAM-SHA-256$' in log, "statements are logged"
    for setting in LOGINS:
        password = shop.settings[setting].split(":")[2].partition("@")[0]
        assert len(password) == 43, "256 bits"
        assert password not in done.output + again.output + log


def test_what_is_not_a_right_is_bounded(shop: Shop) -> None:
    assert shop.init("--connections", "45").exit_code == 0
    with superuser_of(shop.server) as superuser:
        limits = dict(superuser.execute("SELECT rolname, rolconnlimit FROM pg_roles").fetchall())
    names = shop.names
    assert (limits[names.web], limits[names.worker], limits[names.settlements]) == (25, 20, 5)


def test_one_that_is_killed_after_the_file_goes_on_with_the_passwords_that_stand_there(shop: Shop) -> None:
    with superuser_of(shop.server) as superuser, superuser.transaction():
        superuser.execute("LOCK TABLE pg_authid IN SHARE ROW EXCLUSIVE MODE")  # no role can be made
        process = shop.start()
        eventually(shop.file.exists)
        process.kill()
        process.communicate()
    written = shop.file.read_bytes()
    eventually(lambda: not backends(shop))
    assert shop.verifiers() == {}

    assert shop.init().exit_code == 0
    assert shop.file.read_bytes() == written
    assert shop.log_in("DATABASE_URL") == shop.names.web


def test_two_at_once_are_one(shop: Shop) -> None:
    started = [shop.start() for _ in range(3)]
    outputs = [process.communicate(timeout=120)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], outputs
    assert sum("wrote DATABASE_URL" in output or "wrote MIGRATION" in output for output in outputs) == 1
    assert [shop.log_in(setting) for setting in LOGINS]


def test_two_at_once_with_files_of_their_own_do_not_lock_each_other_out(shop: Shop) -> None:
    assert shop.init().exit_code == 0
    other = Shop(server=shop.server, folder=shop.folder / "other", prefix=shop.prefix)
    other.folder.mkdir()
    refused = other.init()
    assert refused.exit_code == 1
    assert f"The role {shop.names.owner} exists, and its password is nowhere" in refused.output
    assert not other.file.exists()
    assert shop.log_in("DATABASE_URL") == shop.names.web


def test_of_two_at_once_with_files_of_their_own_the_first_stays(shop: Shop) -> None:
    with superuser_of(shop.server) as superuser:
        superuser.execute(f"CREATE DATABASE {shop.prefix} OWNER dba".encode())
    shops = [Shop(server=shop.server, folder=shop.folder / name, prefix=shop.prefix) for name in ("a", "b")]
    for one in shops:
        one.folder.mkdir()
    with superuser_of(shop.server) as superuser, superuser.transaction():
        superuser.execute("LOCK TABLE pg_authid IN SHARE ROW EXCLUSIVE MODE")  # both have decided when it goes on
        started = [one.start() for one in shops]
        eventually(lambda: all(one.file.exists() for one in shops))
    outputs = [process.communicate(timeout=120)[0] for process in started]

    assert sorted(process.returncode for process in started) == [0, 1], outputs
    first, second = sorted(zip(started, shops, outputs, strict=True), key=lambda each: each[0].returncode)
    assert [first[1].log_in(setting) for setting in LOGINS]
    assert "was made by somebody else meanwhile" in second[2]


def test_a_renewed_password_ends_the_old_one_and_leaves_the_others(shop: Shop) -> None:
    assert shop.init().exit_code == 0
    before, verifiers = shop.settings, shop.verifiers()
    assert shop.init("--renew", "web").exit_code == 0
    assert {name for name, value in shop.settings.items() if before[name] != value} == {"DATABASE_URL"}
    assert {name for name, value in shop.verifiers().items() if verifiers[name] != value} == {shop.names.web}
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(before["DATABASE_URL"])


def test_a_password_that_is_given_is_the_roles_and_is_not_written(shop: Shop) -> None:
    given = f"postgresql://{shop.names.web}:p%26%C3%A4%27ss@/{shop.prefix}?host={shop.server.socket_folder}"
    assert shop.init(DATABASE_URL=given).exit_code == 0
    assert "DATABASE_URL" not in shop.settings
    psycopg.connect(given).close()
    assert shop.init(DATABASE_URL=given).output == "database init: nothing: all was there\n"


def test_a_password_in_the_file_that_is_not_the_roles_is_named(shop: Shop) -> None:
    assert shop.init().exit_code == 0
    with superuser_of(shop.server) as superuser:
        superuser.execute(f"ALTER ROLE {shop.names.worker} PASSWORD 'another one'".encode())
    done = shop.init()
    assert done.exit_code == 1
    assert (
        f"{shop.names.worker} cannot log in by WORKER_DATABASE_URL: the password is refused; --renew worker makes"
        in done.output
    )


def test_roles_that_migrations_made_without_passwords_get_them_from_asuperuser_of(shop: Shop) -> None:
    with superuser_of(shop.server) as superuser:
        for role in ("web", "worker"):
            superuser.execute(f"CREATE ROLE {shop.prefix}_{role} LOGIN".encode())
    refused = shop.init()
    assert "its password is nowhere" in refused.output, "who is no superuser does not see that there is none"

    done = shop.init(ADMIN_DATABASE_URL=shop.admin("postgres"))
    assert done.exit_code == 0, done.output
    assert [shop.log_in(setting) for setting in LOGINS]


@pytest.mark.parametrize("rights", ["CREATEDB", "CREATEROLE"])
def test_who_may_not_make_what_is_missing_reads_why_and_nothing_is_left(shop: Shop, rights: str) -> None:
    name = f"{shop.prefix}_admin"
    with superuser_of(shop.server) as superuser:
        superuser.execute(f"CREATE ROLE {name} LOGIN {rights} PASSWORD 'a'".encode())
    done = shop.init(ADMIN_DATABASE_URL=shop.admin(name, "a"))
    expected = {
        "CREATEDB": "The administrator may make no roles: it needs CREATEROLE",
        "CREATEROLE": "The database is missing and cannot be made: permission denied to create database",
    }
    assert done.exit_code == 1
    assert expected[rights] in done.output
    assert not shop.file.exists()


def test_the_administrators_address_is_read_from_standard_input_and_never_shown(shop: Shop) -> None:
    done = shop.init("--admin-url-file", "-", stdin=f"{shop.admin('dba', 'wrong')}\n", ADMIN_DATABASE_URL="")
    assert done.exit_code == 1
    assert "The administrator cannot connect: the password is refused." in done.output
    assert "wrong" not in done.output
    address = shop.environment["ADMIN_DATABASE_URL"]
    assert shop.init("--admin-url-file", "-", stdin=f"{address}\n", ADMIN_DATABASE_URL="").exit_code == 0


@pytest.mark.parametrize(("mode", "warns"), [(0o644, True), (0o600, False)])
def test_a_file_of_the_administrators_address_that_everybody_may_read_is_named(
    shop: Shop, tmp_path: Path, mode: int, *, warns: bool
) -> None:
    file = tmp_path / "admin.url"
    file.write_text(shop.environment["ADMIN_DATABASE_URL"])
    file.chmod(mode)
    done = shop.init("--admin-url-file", str(file), ADMIN_DATABASE_URL="")
    assert (done.exit_code, f"{file} may be read by every user" in done.stderr) == (0, warns)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"ADMIN_DATABASE_URL": ""}, "Set ADMIN_DATABASE_URL"),
        ({"ADMIN_DATABASE_URL": "mysql://a:Qz7x@b/c"}, "must be a postgresql:// URL"),
        ({"DATABASE_SCHEMA": "Shop"}, "DATABASE_SCHEMA"),
    ],
)
def test_wrong_use_is_2(shop: Shop, environment: Mapping[str, str], message: str) -> None:
    done = shop.init(**environment)
    assert done.exit_code == 2
    assert message in done.output
    assert "Qz7x" not in done.output


def test_without_a_file_no_password_is_made(shop: Shop) -> None:
    runner = click.testing.CliRunner(env=without_ours(shop.environment))
    done = runner.invoke(database, ["init"])
    assert done.exit_code == 1
    assert "name the file that they are written to by --env-file" in done.output
    assert shop.verifiers() == {}


def test_a_schema_of_another_application_is_refused(shop: Shop) -> None:
    with superuser_of(shop.server) as superuser:
        superuser.execute(f"CREATE DATABASE {shop.prefix} OWNER dba".encode())
    with superuser_of(shop.server, shop.prefix) as superuser:
        superuser.execute("CREATE TABLE public.alembic_version (version_num text)")
    done = shop.init(DATABASE_SCHEMA="public")
    assert done.exit_code == 1
    assert "the schema public has a table alembic_version" in done.output
    assert shop.verifiers() == {}


def test_a_server_that_is_away_and_a_check_without_an_address_end_with_a_line(shop: Shop) -> None:
    done = shop.init(ADMIN_DATABASE_URL="postgresql://a:Qz7x@127.0.0.1:1/b")
    assert (done.exit_code, done.output) == (1, "Error: The administrator cannot connect: nobody listens there.\n")
    checked = click.testing.CliRunner(env=without_ours({})).invoke(database, ["check"])
    assert checked.exit_code == 2
    assert "DATABASE_URL: Environment variable not set." in checked.output


def _check(shop: Shop) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from checkout_service.database.setup_cli import database; database()",
         "check", "--env-file", str(shop.file)],
        env={"PATH": os.environ["PATH"], "WEB_CONCURRENCY": "1", "WORKER_CONCURRENCY": "1"},
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip


def test_sql_for_others_to_run_is_shown_with_the_deployments_names(shop: Shop) -> None:
    assert shop.init().exit_code == 0
    runner = click.testing.CliRunner(env=without_ours(shop.environment))
    shown = runner.invoke(database, ["bounds"]).output
    with superuser_of(shop.server, shop.prefix) as superuser:
        superuser.execute(shown.encode())
        query = "SELECT rolconnlimit FROM pg_roles WHERE rolname = %s"
        assert superuser.execute(query, (shop.names.web,)).fetchone() == (50,)
    shown = runner.invoke(database, ["search"]).output
    assert shown.startswith(f"SET search_path = {shop.prefix};\n")
    assert f"GRANT SELECT ON listing_words TO {shop.names.web}, {shop.names.worker};" in shown


def test_no_message_names_what_only_a_checkout_has() -> None:
    only_there = re.compile(r"(?:^|[\s`'\"(])(?:deploy|migrations|tests|benchmarks)/\w|flask --app")
    assert only_there.search("run deploy/postgresql/bounds.sql once")
    found = []
    for room in ("database", "doctor", "command_line", "settings"):
        for path in (ROOT / "checkout_service" / room).glob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
            found += [
                f"{path.name}: {node.value}"
                for node in ast.walk(tree)
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent
                if only_there.search(node.value)
            ]
    assert found == []
