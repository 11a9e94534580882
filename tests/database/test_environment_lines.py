"""The environment file that settings are added to, and the addresses that stand in it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout_service.database.environment_lines import (
    PLAIN,
    EnvironmentLines,
    EnvironmentLinesError,
    environment_lines,
)
from checkout_service.database.role_addresses import UnwritableAddressError, address_for, options_of
from checkout_service.settings.database_addresses import connection_parameters

PASSWORD = "s3"
ADMIN = "postgresql://dba:p@{}/shop"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "A=1\nB=2\n"),
        ("# a comment\n\nC=3", "# a comment\n\nC=3\nA=1\nB=2\n"),
        ("B=old\nC='quoted $x'\nA=\n", "B=2\nC='quoted $x'\nA=1\n"),
        ("#A=0\nexport A=0\n", "#A=0\nexport A=0\nA=1\nB=2\n"),
        ("# not the end\u2028A=0\n", "# not the end\u2028A=0\nA=1\nB=2\n"),
    ],
)
def test_lines_are_set_where_they_are_and_all_others_stay(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "checkout.env"
    path.write_text(before)
    path.chmod(0o644)
    with environment_lines(path) as file:
        file.write({"A": "1", "B": "2"})
    assert path.read_text() == after
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["checkout.env"]


def test_a_link_stays_one_and_what_a_killed_run_left_is_taken_away(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "real.env"
    target.write_text("C=3\n")
    (tmp_path / "there" / ".real.env.draft").write_text("A=half of")
    link = tmp_path / "checkout.env"
    link.symlink_to(target)
    with environment_lines(link) as file:
        file.write({"A": "1"})
    assert link.is_symlink()
    assert target.read_text() == "C=3\nA=1\n"
    assert os.listdir(tmp_path / "there") == ["real.env"]


@pytest.mark.parametrize("value", ["a b", "a&b", "a'b", "$x", "a\nB=2", "~", "a\\", "ä"])
def test_a_value_that_readers_read_otherwise_is_refused_without_showing_it(tmp_path: Path, value: str) -> None:
    path = tmp_path / "checkout.env"
    with environment_lines(path) as file, pytest.raises(EnvironmentLinesError) as caught:
        file.write({"A": value})
    assert not path.exists()
    assert "A would need quotes" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"A=1\nA=2\n", "line 2: sets A once more"),
        (b"A='1'\n", "line 1: has a value with a quotation mark"),
        (b"export A=1\n", "begins with export"),
        ("#\u2028A=1\n".encode(), "line 1: is a comment|line 1: holds"),
        (b"A=\xff\n", "is not UTF-8"),
        (b"#" * 2**21, "has more than"),
    ],
)
def test_a_file_that_cannot_be_read_alike_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "checkout.env"
    path.write_bytes(content)
    with pytest.raises(EnvironmentLinesError, match=message):
        EnvironmentLines(path).settings()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentLinesError, match="cannot be used"), environment_lines(tmp_path / "no" / "file"):
        pass


def _round_trip(admin: str, *, database: str = "shop", secret: str = PASSWORD) -> tuple[dict[str, Any], dict[str, str]]:
    parameters = connection_parameters(admin)
    options, variables = options_of(parameters)
    address = address_for(parameters, user="shop_web", password=secret, database=database, options=options)
    assert PLAIN.fullmatch(address), address
    return connection_parameters(address), variables


@pytest.mark.parametrize(
    "places",
    [
        *("db.example", "db.example:5433", "[::1]:5433", "a:5432,b:5433", "a,b,c", "%2Frun%2Fpostgresql", ""),
        "%2Frun%2Fmy%20sockets:6000",
    ],
)
def test_the_servers_are_the_administrators(places: str) -> None:
    admin = connection_parameters(ADMIN.format(places))
    found, variables = _round_trip(ADMIN.format(places))
    assert variables == {}
    assert {**admin, "user": "shop_web", "password": PASSWORD} == found


def test_one_option_stays_in_the_address_and_several_become_settings() -> None:
    one, variables = _round_trip(ADMIN.format("db") + "?sslmode=verify-full&connect_timeout=3&application_name=me")
    assert (one["sslmode"], variables) == ("verify-full", {})
    assert "application_name" not in one
    several, variables = _round_trip(ADMIN.format("db") + "?sslmode=verify-full&sslrootcert=/etc/ca.pem&sslkey=/my/own")
    assert variables == {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/etc/ca.pem"}
    assert "sslmode" not in several
    with pytest.raises(UnwritableAddressError, match="service"):
        _round_trip(ADMIN.format("db") + "?sslmode=require&service=main")


def test_a_folder_of_sockets_in_an_option_needs_none() -> None:
    found, variables = _round_trip("postgresql://dba@/shop?host=/run/postgresql&port=5433&sslmode=disable")
    assert (found["host"], found["port"], found["sslmode"], variables) == ("/run/postgresql", "5433", "disable", {})


WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)


@given(database=WORDS, password=WORDS)
def test_any_name_of_a_database_and_any_password_are_read_back(database: str, password: str) -> None:
    found, _ = _round_trip(ADMIN.format("db"), database=database, secret=password)
    assert (found["dbname"], found["password"]) == (database, password)
