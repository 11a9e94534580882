"""Addresses of databases: what libpq reads is taken as libpq reads it, and the rest is refused in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from checkout_service.local.processes import read_procfile
from checkout_service.settings.database_addresses import AddressError, connection_parameters
from tests.conftest import ROOT
from tests.settings.test_settings import GOOD

TAKEN: Final[dict[str, dict[str, str]]] = {
    "postgresql://web@db/shop": {"host": "db", "user": "web", "dbname": "shop"},
    "postgres://web@db:5433/shop": {"host": "db", "port": "5433", "user": "web", "dbname": "shop"},
    "postgresql+psycopg://web@db/shop": {"host": "db", "user": "web", "dbname": "shop"},
    "postgresql:///shop?host=/run/postgresql&user=web": {"host": "/run/postgresql", "user": "web", "dbname": "shop"},
    "postgresql://web:a/b?c%40d@[2001:db8::1]:5432/shop": {
        "host": "2001:db8::1",
        "port": "5432",
        "user": "web",
        "password": "a/b?c@d",
        "dbname": "shop",
    },
    "postgresql://web@a:1,b:2/shop": {
        "host": "a,b",
        "port": "1,2",
        "user": "web",
        "dbname": "shop",
        "target_session_attrs": "read-write",
    },
    "postgresql://web@a,b/shop?target_session_attrs=primary": {
        "host": "a,b",
        "port": ",",
        "user": "web",
        "dbname": "shop",
        "target_session_attrs": "primary",
    },
    "postgresql://a:1,b:2/shop?target_session_attrs=read-write": {
        "host": "a,b",
        "port": "1,2",
        "dbname": "shop",
        "target_session_attrs": "read-write",
    },
    "postgresql://web@/shop?host=/a,/b&port=5433": {
        "host": "/a,/b",
        "port": "5433",
        "user": "web",
        "dbname": "shop",
        "target_session_attrs": "read-write",
    },
    "host=a,b port=1,2 dbname=shop user=web password='a b@c'": {
        "host": "a,b",
        "port": "1,2",
        "dbname": "shop",
        "user": "web",
        "password": "a b@c",
        "target_session_attrs": "read-write",
    },
    "postgresql://a:5432/shop?user=app%40tenant": {"host": "a", "port": "5432", "dbname": "shop", "user": "app@tenant"},
    "postgresql://web:9a/b#c@db/shop": {"host": "db", "user": "web", "password": "9a/b#c", "dbname": "shop"},
    "host = db dbname=shop target_session_attrs=any": {"host": "db", "dbname": "shop", "target_session_attrs": "any"},
    "hostaddr=10.0.0.1,10.0.0.2 dbname=shop": {
        "hostaddr": "10.0.0.1,10.0.0.2",
        "dbname": "shop",
        "target_session_attrs": "read-write",
    },
}

REFUSED: Final = {
    "postgresql://web:Qz7x@/shop?host=a:1&host=b:2": "twice",
    "postgresql://web:Qz7x@/shop?host=a:1,b:2": "postgresql://USER@a:5432,b:5432/DATABASE",
    "postgresql://web:Qz7x@/shop?host=a:1": "a port within host",
    "host=a:1,b:2 dbname=shop": "a port within host",
    "host=a host=b dbname=shop": "twice",
    "postgresql://web:Qz7x@a,b/shop?port=1,2,3": "as many ports",
    "postgresql://web:Qz7x@a/shop?port=1,2": "as many ports",
    "host=a,b hostaddr=10.0.0.1 dbname=shop": "hostaddr",
    "postgresql://web:Qz7x@a,,b/shop": "no host",
    "postgresql://web:Qz7x@a:0,b/shop": "1 to 65535",
    "postgresql://web:Qz7x@a:65536/shop": "1 to 65535",
    "postgresql://web:Qz7x@a:port/shop": "1 to 65535",
    "postgresql://web:Qz7x@a:1:2/shop": "1 to 65535",
    "postgresql://a,b/shop?target_session_attrs=any": "takes no writes",
    "postgresql://a,b/shop?target_session_attrs=prefer-standby": "takes no writes",
    "postgresql://a/shop?target_session_attrs=read-only": "takes no writes",
    "postgresql://a/shop?target_session_attrs=standby": "takes no writes",
    "postgresql://a/shop?target_session_attrs=Qz7x": "is none of any, ",
    "postgresql://a/shop?sslmode=Qz7x": "sslmode is none of allow, ",
    "postgresql://a/shop?connect_timeout=Qz7x": "connect_timeout is not a number",
    "postgresql://a/shop?Qz7x=1": "is not a database URL",
    "postgresql://a/shop?host": "is not a database URL",
    "postgresql://[::1/shop": "is not a database URL",
    "postgresql://a/%zz": "is not a database URL",
    "postgresql://a/%00": "is not a database URL",
    "postgresql://a/%ff": "is not a database URL",
    "postgresql://web:Qz7x@a@b/shop": "is not a database URL",
    "postgresql://pg.internal:5432/shop?user=app@Qz7x&sslmode=verify-full": "can be read in several ways",
    "postgresql://a:5432/shop?application_name=a@Qz7x": "an @ in its options as %40",
    "postgresql://a:5432/Qz7x@b": "can be read in several ways",
    "postgresql://a:5432/Qz7x@b/shop": "can be read in several ways",
    "postgresql://a:5432/@b": "can be read in several ways",
    "postgresql://a:5432?user=Qz7x@b": "can be read in several ways",
    "postgresql://a:5432#Qz7x@b": "can be read in several ways",
    "postgresql://a:/shop?user=Qz7x@b": "can be read in several ways",
    "postgresql://a/shop?user=Qz7x@b": "can be read in several ways",
    "postgresql://a?user=Qz7x@b": "can be read in several ways",
    "postgresql://a#Qz7x@b": "can be read in several ways",
    "postgresql://:5432/shop?user=Qz7x@b": "can be read in several ways",
    "postgresql://a:1,b:2/shop?user=Qz7x@c": "can be read in several ways",
    "postgresql://a,b:2/shop?user=Qz7x@c": "can be read in several ways",
    "postgresql://[2001:db8::1]:5432/shop?user=Qz7x@b": "can be read in several ways",
    "postgresql://[2001:db8::1]/shop?user=Qz7x@b": "can be read in several ways",
    "postgresql://web@a:5432/shop?application_name=Qz7x@b": "can be read in several ways",
    "postgresql://web:x@a:5432/shop?application_name=Qz7x@b": "can be read in several ways",
    "postgresql://a:5432/shop?user=Qz7x@b@c": "can be read in several ways",
    "postgresql://a:PORT/shop?user=Qz7x@b&sslmode=verify-full": "has a host that is none",
    "postgresql:/a/shop": "is not a database URL",
    "host=a dbname='shop": "is not a database URL",
    "Qz7x": "is not a database URL",
    "POSTGRESQL://a/shop": "must be a postgresql:// URL",
    "mysql://Qz7x@a/shop": "must be a postgresql:// URL",
    "jdbc:postgresql://a/shop": "is not a database URL",
}
"""What each is refused with; the word that stands for a password, or for a part of one, is in none of them."""


@pytest.mark.parametrize("address", TAKEN)
def test_what_libpq_reads_is_taken_as_it_reads_it(address: str) -> None:
    assert connection_parameters(address) == TAKEN[address]


@pytest.mark.parametrize("address", REFUSED)
def test_what_cannot_work_is_refused_in_one_line_that_shows_nothing(address: str) -> None:
    with pytest.raises(AddressError) as refused:
        connection_parameters(address)
    assert REFUSED[address] in str(refused.value)
    assert "Qz7x" not in str(refused.value)
    assert "\n" not in str(refused.value)


@given(text=st.text(st.sampled_from("abz019:/?#@[],;&=%+'\" \\.-_\u00e9\udcff"), max_size=24))
@hypothesis_settings(max_examples=300, deadline=None, derandomize=True)
def test_any_text_at_all_is_read_or_refused(text: str) -> None:
    for address in (text, f"postgresql://{text}", f"postgresql://web:{text}@a,b/shop", f"host={text} dbname=shop"):
        try:
            found: dict[str, Any] = connection_parameters(address)
        except AddressError:
            continue
        assert conninfo_to_dict(make_conninfo(**found)) == found, "libpq takes what was read"


PROGRAMS: Final = {
    "web": ["python", "serve.py", "wsgi:app"],
    "worker": read_procfile(ROOT / "Procfile")["worker"],
    "migrations": ["flask", "--app", "wsgi", "db", "upgrade"],
    "doctor": ["flask", "--app", "wsgi", "doctor"],
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_process_ends_with_one_line_that_names_the_setting(program: str) -> None:
    name = {"worker": "WORKER_DATABASE_URL", "migrations": "MIGRATION_DATABASE_URL"}.get(program, "DATABASE_URL")
    environment = {**GOOD, "PATH": f"{os.path.dirname(sys.executable)}:{os.defpath}", "WORKER_METRICS_PORT": "0"}
    for address, fault in [
        ("postgresql://web:Qz7x@/shop?host=a:1&host=b:2", "twice"),
        ("host=a,b port=1,2,3 password=Qz7x", "as many ports"),
    ]:
        done = subprocess.run(
            PROGRAMS[program],
            cwd=ROOT,
            env=environment | {name: address},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        lines = [line for line in (done.stdout + done.stderr).splitlines() if "DATABASE_URL" in line]
        assert len(lines) == 1, done.stderr
        assert lines[0].startswith(f"{name}: ")
        assert fault in lines[0]
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "Qz7x" not in done.stdout + done.stderr
