"""The doctor compares what the server gives with what the processes need, and has the line to copy ready."""

from __future__ import annotations

import shlex

import pytest
from flask import Flask

from checkout_service.database.pools import SENDER_CHILDREN, web_connections, worker_connections
from checkout_service.doctor.connections import UNLIMITED, Limits, Needs, check_connections, judge_needs, judge_shares
from checkout_service.doctor.findings import Level
from checkout_service.local.processes import read_procfile
from checkout_service.settings.process_counts import ProcessCounts, WorkerCounts
from checkout_service.settings.values import SettingsError
from tests.conftest import ROOT, Sql


def test_the_formula_is_that_of_the_page() -> None:
    assert web_connections(children=2, threads=4) == 2 * (4 + 5)
    assert worker_connections(worker=3, housekeeping=3) == 2 * (2 * 3 + 2) + 3
    assert worker_connections(worker=17, housekeeping=4) == 2 * (17 + 4 + 2) + 3
    sender = read_procfile(ROOT / "Procfile")["sender"]
    assert sender[sender.index("-c") + 1] == str(SENDER_CHILDREN)


@pytest.mark.parametrize(
    ("web", "worker", "level"),
    [
        (50, 40, Level.OK),
        (57, 40, Level.WRONG),
        (56, 40, Level.OK),
        (97, UNLIMITED, Level.WRONG),
        (60, UNLIMITED, Level.OK),
        (UNLIMITED, 40, Level.ADVICE),
    ],
)
def test_both_roles_find_room(web: int, worker: int, level: Level) -> None:
    limits = Limits(given=97, web=web, worker=worker)
    (found,) = judge_shares(limits, web_role="checkout_web", worker_role="checkout_worker")
    assert found.level is level
    if level is not Level.OK:
        assert "ALTER ROLE checkout_web CONNECTION LIMIT " in found.remedy


def test_what_the_remedy_says_is_well() -> None:
    (found,) = judge_shares(Limits(given=97, web=80, worker=40), web_role="a_web", worker_role="a_worker")
    words = shlex.split(found.remedy.replace(";", " "))
    assert words[words.index("LIMIT") + 1] == "56"
    assert "ALTER ROLE a_web" in found.remedy


@pytest.mark.parametrize(
    ("limit", "level"),
    [(32, Level.OK), (31, Level.ADVICE), (16, Level.ADVICE), (15, Level.WRONG), (UNLIMITED, Level.OK)],
)
def test_each_role_may_have_what_its_processes_need(limit: int, level: Level) -> None:
    found = list(judge_needs(Limits(given=97, web=limit, worker=limit), Needs(web=16, worker=16)))
    assert [finding.level for finding in found] == [level, level]
    if level is not Level.OK:
        number = 16 if level is Level.WRONG else 32
        assert f"ALTER ROLE checkout_web CONNECTION LIMIT {number};" in found[0].remedy
        assert f"ALTER ROLE checkout_worker CONNECTION LIMIT {number};" in found[1].remedy


def test_the_live_settings_are_read(app: Flask, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "1")
    monkeypatch.setenv("WORKER_CONCURRENCY", "1")
    database = sql("SELECT current_database()")[0][0]
    given = sum(int(sql(f"SHOW {name}")[0][0]) * sign for name, sign in RESERVED.items())
    sql("ALTER ROLE checkout_web CONNECTION LIMIT 20")
    sql("ALTER ROLE checkout_worker CONNECTION LIMIT 22")
    try:
        with app.app_context():
            found = {finding.about: finding for finding in check_connections()}
            assert {finding.level for finding in found.values()} == {Level.OK}
            assert found["connections"].result == f"web 20 and workers 22, of {given}"
            assert found["web's connections"].result == "9 at most on a host like this one, of 20"
            assert found["workers' connections"].result == "11 at most on a host like this one, of 22"
            sql(f"ALTER DATABASE {database} CONNECTION LIMIT 42")
            assert next(check_connections()).level is Level.WRONG
    finally:
        sql(f"ALTER DATABASE {database} CONNECTION LIMIT -1")
        sql("ALTER ROLE checkout_web CONNECTION LIMIT -1")
        sql("ALTER ROLE checkout_worker CONNECTION LIMIT -1")


RESERVED = {"max_connections": 1, "superuser_reserved_connections": -1, "reserved_connections": -1}


def test_counts_of_processes_are_those_of_their_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    monkeypatch.delenv("WORKER_CONCURRENCY", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    assert ProcessCounts.from_environment() == ProcessCounts(web=16, worker=17, housekeeping=4)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert ProcessCounts.from_environment() == ProcessCounts(web=2, worker=3, housekeeping=3)
    for unset in ("", "0"):
        monkeypatch.setenv("WORKER_CONCURRENCY", unset)
        assert WorkerCounts.from_environment() == WorkerCounts(worker=3, housekeeping=3)
    monkeypatch.setenv("WORKER_CONCURRENCY", "8")
    monkeypatch.setenv("WEB_CONCURRENCY", "many")
    assert WorkerCounts.from_environment() == WorkerCounts(worker=8, housekeeping=8)
    with pytest.raises(SettingsError, match="WEB_CONCURRENCY"):
        ProcessCounts.from_environment()
    monkeypatch.setenv("WORKER_CONCURRENCY", "-1")
    with pytest.raises(SettingsError, match="WORKER_CONCURRENCY"):
        ProcessCounts.from_environment()
