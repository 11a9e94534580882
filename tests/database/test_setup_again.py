"""``database init`` where something is there already: passwords, roles, limits and rights of ours and of others."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from checkout_service.local.guard import Guard, Target, stop
from checkout_service.local.servers import free_port
from tests.database.shops import LOGINS, Shop, backends, migrate, superuser_of, without_settlements_role
from tests.flower_pages.stack import eventually

PROGRAM = Path("/usr/sbin/pgbouncer")


def test_a_renewal_that_is_killed_leaves_the_working_password(shop: Shop) -> None:
    assert shop.init().exit_code == 0
    before = shop.settings
    with superuser_of(shop.server) as superuser, superuser.transaction():
        superuser.execute("LOCK TABLE pg_authid IN SHARE ROW EXCLUSIVE MODE")
        process = shop.start("--renew", "web", "--renew", "worker")
        eventually(lambda: shop.settings["WORKER_DATABASE_URL"] != before["WORKER_DATABASE_URL"])
        process.kill()
        process.communicate()
    eventually(lambda: not backends(shop))
    assert stat.S_IMODE((shop.folder / ".checkout.env.former").stat().st_mode) == 0o600

    done = shop.init()
    assert done.exit_code == 0, done.output
    assert "put back DATABASE_URL, WORKER_DATABASE_URL: a renewal had not reached the server" in done.output
    assert shop.settings == before
    assert shop.log_in("DATABASE_URL") == shop.names.web
    assert os.listdir(shop.folder) == ["checkout.env"]


def test_what_was_put_back_stays_where_the_server_refuses_then(shop: Shop) -> None:
    assert shop.init().exit_code == 0
    working = shop.file.read_bytes()
    for renewed in ((), ("--renew", "web")):
        # As a renewal leaves it that was killed between the file and the server.
        (shop.folder / ".checkout.env.former").write_bytes(working)
        password = shop.settings["DATABASE_URL"].partition("@")[0].rpartition(":")[2]
        shop.file.write_bytes(working.replace(password.encode(), b"0" * 43))
        with superuser_of(shop.server, shop.prefix) as superuser:
            superuser.execute(f"ALTER SCHEMA {shop.prefix} RENAME TO away".encode())
            superuser.execute(f"CREATE SCHEMA {shop.prefix}".encode())
        assert shop.init(*renewed).exit_code == 1
        assert shop.file.read_bytes() == working
        with superuser_of(shop.server, shop.prefix) as superuser:
            superuser.execute(f"DROP SCHEMA {shop.prefix}".encode())
            superuser.execute(f"ALTER SCHEMA away RENAME TO {shop.prefix}".encode())
        assert shop.log_in("DATABASE_URL") == shop.names.web


def test_a_renewal_that_was_killed_behind_the_server_keeps_the_new_password(shop: Shop) -> None:
    assert shop.init().exit_code == 0
    before = shop.file.read_bytes()
    assert shop.init("--renew", "web").exit_code == 0
    renewed = shop.settings
    (shop.folder / ".checkout.env.former").write_bytes(before)
    assert shop.init().output == "database init: nothing: all was there\n"
    assert shop.settings == renewed
    assert os.listdir(shop.folder) == ["checkout.env"]


def test_a_renewal_that_is_refused_changes_nothing(shop: Shop) -> None:
    assert shop.init().exit_code == 0
    other = f"admin_of_{shop.prefix}"
    before, verifiers = shop.file.read_bytes(), shop.verifiers()
    with superuser_of(shop.server) as superuser:
        superuser.execute(f"CREATE ROLE {other} LOGIN CREATEROLE PASSWORD 'a'".encode())
    refused = shop.init("--renew", "web", ADMIN_DATABASE_URL=shop.admin(other, "a"))
    assert refused.exit_code == 1
    assert f"The administrator may not give {shop.names.web} a password" in refused.output

    # The server itself refuses at the very end.
    with superuser_of(shop.server, shop.prefix) as superuser:
        superuser.execute(f"DROP SCHEMA {shop.prefix}".encode())
        superuser.execute(f"CREATE SCHEMA {shop.prefix}".encode())
    refused = shop.init("--renew", "web")
    assert refused.exit_code == 1
    assert "may not give rights in the schema" in refused.output
    assert (shop.file.read_bytes(), shop.verifiers()) == (before, verifiers)
    assert os.listdir(shop.folder) == ["checkout.env"]


def test_a_right_that_is_only_warned_of_is_an_error_with_the_command_to_run(shop: Shop) -> None:
    """Who has the right and may not give it is answered with a warning alone."""
    with superuser_of(shop.server) as superuser:
        superuser.execute(f"CREATE DATABASE {shop.prefix} OWNER dba".encode())
    with superuser_of(shop.server, shop.prefix) as superuser:
        superuser.execute(f"CREATE SCHEMA {shop.prefix}".encode())
        superuser.execute(f"GRANT USAGE, CREATE ON SCHEMA {shop.prefix} TO dba".encode())
    done = shop.init()
    assert done.exit_code == 1
    assert f"run GRANT USAGE, CREATE ON SCHEMA {shop.prefix} TO {shop.names.owner} as its owner" in done.output
    assert not shop.file.exists()
    assert shop.verifiers() == {}


ANOTHERS = {
    "has members": "GRANT {role} TO somebody_else",
    "is a member of another role": "GRANT pg_read_all_data TO {role}",
    "has powers": "ALTER ROLE {role} CREATEDB",
    "owns what is not ours": "CREATE TABLE public.theirs_{role} (); ALTER TABLE public.theirs_{role} OWNER TO {role}",
}


@pytest.mark.parametrize("why", ANOTHERS)
def test_a_role_of_another_application_is_not_taken_over(shop: Shop, why: str) -> None:
    role = shop.names.owner
    with superuser_of(shop.server) as superuser:
        if not superuser.execute("SELECT 1 FROM pg_roles WHERE rolname = 'somebody_else'").fetchone():
            superuser.execute("CREATE ROLE somebody_else")
        superuser.execute(f"CREATE ROLE {role} NOLOGIN".encode())
        superuser.execute(ANOTHERS[why].format(role=role).encode())
    done = shop.init(ADMIN_DATABASE_URL=shop.admin("postgres"))
    assert done.exit_code == 1
    assert f"The role {role} {why}: it is of another application. Choose another DATABASE_ROLE_PREFIX" in done.output
    assert shop.verifiers() == {role: None}
    assert not shop.file.exists()


def test_limits_that_are_chosen_count_at_a_rerun_and_those_of_others_are_taken_off(shop: Shop) -> None:
    taker = f"{shop.prefix}_taker"
    assert shop.init("--connections", "45").exit_code == 0
    done = shop.init("--connections", "27")
    assert f"database init: {shop.names.web} may have 15 connections\n" in done.output
    with superuser_of(shop.server) as superuser:
        query = "SELECT rolname, rolconnlimit FROM pg_roles"
        limits = dict(superuser.execute(query).fetchall())
        assert (limits[shop.names.web], limits[shop.names.worker]) == (15, 12)
        superuser.execute(f"CREATE ROLE {taker} LOGIN CONNECTION LIMIT 90".encode())
        superuser.execute(f"ALTER ROLE {shop.names.web} CONNECTION LIMIT -1".encode())
        done = shop.init()
        assert "database init: note: others may have" in done.output
        limits = dict(superuser.execute(query).fetchall())
        superuser.execute(f"DROP ROLE {taker}".encode())
    assert limits[shop.names.web] == 11, "of 20, which it takes at least"


def test_what_a_superuser_has_bounded_otherwise_stays(shop: Shop) -> None:
    admin = shop.admin("postgres")
    assert shop.init(ADMIN_DATABASE_URL=admin).exit_code == 0
    query = "SELECT setconfig FROM pg_db_role_setting JOIN pg_roles ON pg_roles.oid = setrole WHERE rolname = %s"
    web = shop.names.web
    with superuser_of(shop.server) as superuser:
        (made,) = superuser.execute(query, (web,)).fetchall()
        assert "temp_file_limit=1GB" in made[0]
        superuser.execute(f"ALTER ROLE {web} IN DATABASE {shop.prefix} SET temp_file_limit = '5GB'".encode())
        assert shop.init(ADMIN_DATABASE_URL=admin).exit_code == 0
        (kept,) = superuser.execute(query, (web,)).fetchall()
    assert "temp_file_limit=5GB" in kept[0]


def test_roles_that_somebody_else_made_are_used_as_they_are_and_the_fourth_is_made(shop: Shop) -> None:
    """As in an upgrade by an administrator who is no superuser, of a deployment of before."""
    assert shop.init(ADMIN_DATABASE_URL=shop.admin("postgres")).exit_code == 0
    with superuser_of(shop.server) as superuser:
        superuser.execute(f"ALTER DATABASE {shop.prefix} OWNER TO dba".encode())
        superuser.execute(f"ALTER ROLE {shop.names.worker} CONNECTION LIMIT -1".encode())
    without_settlements_role(shop)

    done = shop.init()
    assert done.exit_code == 0, done.output
    assert f"made {shop.names.settlements}" in done.output
    assert f"note: {shop.names.worker} has no limit of connections from here" in done.output
    assert [shop.log_in(setting) for setting in LOGINS]

    # What the administrator may not give there, the release gives.
    assert migrate(shop).returncode == 0
    with psycopg.connect(shop.settings["SETTLEMENTS_DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f"SELECT FROM {shop.prefix}.payouts".encode())


def test_an_address_that_differs_between_environment_and_file_is_refused(shop: Shop) -> None:
    assert shop.init().exit_code == 0
    given = shop.settings["DATABASE_URL"]
    assert shop.init(DATABASE_URL=given).output == "database init: nothing: all was there\n"
    done = shop.init(DATABASE_URL=given.replace("@", "x@"))
    assert done.exit_code == 1
    assert "DATABASE_URL is another one in the environment than in the file" in done.output


def test_roles_log_in_with_settings_of_libpq(shop: Shop) -> None:
    """By trust, which the administrator's address demands, no role may log in here: processes would fail the same."""
    done = shop.init(ADMIN_DATABASE_URL=f"{shop.admin('postgres')}&require_auth=none&gssencmode=disable")
    assert (shop.settings["PGREQUIREAUTH"], shop.settings["PGGSSENCMODE"]) == ("none", "disable")
    assert done.exit_code == 1
    assert f"{shop.names.web} cannot log in by DATABASE_URL" in done.output


def test_behind_a_pooler_roles_log_in_as_processes_do(shop: Shop) -> None:
    if not PROGRAM.exists():
        pytest.skip("NO PGBOUNCER: install Debian's pgbouncer to have the setup tested behind it")
    assert shop.init().exit_code == 0
    with _pgbouncer(shop) as place:
        pooled = {
            setting: re.sub(r"@[^/]*/", f"@{place}/", shop.settings[setting]).partition("?")[0]
            for setting in ("DATABASE_URL", "WORKER_DATABASE_URL", "SETTLEMENTS_DATABASE_URL")
        }
        lines = {**shop.settings, **pooled}
        shop.file.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        refused = shop.init()
        assert refused.exit_code == 1
        assert "this is a pooler" in refused.output, "it takes no options"
        done = shop.init(DATABASE_POOLER="transaction")
        assert (done.exit_code, done.output) == (0, "database init: nothing: all was there\n")


@contextmanager
def _pgbouncer(shop: Shop) -> Iterator[str]:
    """Where it listens; it knows the roles by the passwords of the file."""
    folder, port = shop.server.socket_folder, free_port()
    configuration, users = folder / "pgbouncer.ini", folder / "users.txt"
    passwords = [shop.settings[setting].split("//")[1].partition("@")[0].split(":") for setting in LOGINS]
    users.write_text("".join(f'"{user}" "{password}"\n' for user, password in passwords))
    configuration.write_text(
        f"[databases]\n* = host={folder}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
        f"unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {users}\npool_mode = transaction\n"
    )
    with closing(Guard()) as guard, (folder.parent / "pgbouncer.log").open("wb") as log:
        arguments = {}
        if os.geteuid() == 0:  # as which it will not run
            owner = folder.stat()
            arguments = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
            for file in (configuration, users):
                os.chown(file, owner.st_uid, owner.st_gid)
        process = guard.start(
            [str(PROGRAM), str(configuration)], stage=1, stdout=log, stderr=subprocess.STDOUT, cwd="/", **arguments
        )
        try:
            eventually(lambda: _listens(port))
            yield f"127.0.0.1:{port}"
        finally:
            stop([Target(pid=process.pid)])
            process.wait()
            guard.forget(process.pid)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
