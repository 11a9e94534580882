"""The doctor says where a commit is: on this server's disk, alone or on standbys as well, as the web's role sees it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from checkout_service.database.statements import Statement
from checkout_service.doctor import durability
from checkout_service.doctor.durability import check_durability, judge_disk, judge_following, standbys_in
from checkout_service.doctor.findings import Finding, Level
from checkout_service.settings.secret import Secret
from tests.apps import MakeApp, make_app
from tests.conftest import ROOT, Servers, Sql
from tests.database.standbys import Cluster, Node, cluster
from tests.flower_pages import stack
from tests.threads.scenes import wait_until

__all__ = ["make_app"]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("", None),
        ("b", "b"),
        ("b, c", "one of b, c"),
        ("ANY 1 (a, b, c)", "one of b, c"),
        ('any 2 ("b", c,"d, or ""e""")', '2 of b, c, d, or "e"'),
        ("FIRST 2 (B, A, c)", "B and c"),
        ("A", "A"),
        ("ANY 1 (a)", "a"),
        ("2 (b, c, d)", "2 of b, c, d"),
        ("*", "one standby"),
        ("ANY 2 (*)", "2 standbys"),
    ],
)
def test_the_setting_in_words(setting: str, words: str | None) -> None:
    standbys = standbys_in(setting, own_name="a")
    assert (standbys and standbys.in_words) == words


def test_a_disk_that_is_not_waited_for_is_named() -> None:
    on = {"fsync": "on", "full_page_writes": "on"}
    assert judge_disk(on, {"checkout_web": "on", "checkout_worker": "remote_apply"}).level is Level.OK
    found = judge_disk(on | {"full_page_writes": "off"}, {"checkout_web": "on", "checkout_worker": "off"})
    assert (found.level, found.result) == (Level.WRONG, "full_page_writes, synchronous_commit of checkout_worker off")


def test_one_that_is_away_is_named_and_what_comes_then() -> None:
    two = standbys_in("ANY 1 (b, c)", own_name="a")
    three = standbys_in("ANY 1 (b, c, d)", own_name="a")
    assert two is not None
    assert three is not None
    found = judge_following(two, ["C"], own_name="a")
    assert (found.level, found.result) == (Level.ADVICE, "on this server and on one of b, c; not streaming: b")
    assert "nothing is committed" in found.remedy
    assert "fewer are left" in judge_following(three, ["b", "c"], own_name="a").remedy


def test_a_server_without_a_name_may_be_the_one_that_is_away() -> None:
    standbys = standbys_in("ANY 1 (a, b)", own_name="")
    assert standbys is not None
    assert "This server has no cluster_name" in judge_following(standbys, ["b"], own_name="").remedy
    assert "cluster_name" not in judge_following(standbys, ["b"], own_name="c").remedy


@pytest.fixture(scope="module")
def nodes(servers: Servers) -> Iterator[Cluster]:
    """Where standbys of the tests' server are made."""
    if "host" not in make_url(servers.web_url).query:
        pytest.skip("NO STANDBY: the tests' PostgreSQL is not ours, so nobody may replicate from it")
    with cluster() as made:
        yield made


@pytest.fixture
def primary(servers: Servers, nodes: Cluster, sql: Sql) -> Iterator[Node]:
    """The tests' server, without fsync, in which the web's commits wait for standbys as in production."""
    database = str(make_url(servers.web_url).database)
    roles = [f"ALTER ROLE {role} IN DATABASE {database}" for role in ("checkout_web", "checkout_worker")]
    for role in roles:
        sql(f"{role} SET synchronous_commit = on")
    node = _TestsServer(name="a", cluster=nodes, sockets_of=servers)
    yield node
    for role in roles:
        sql(f"{role} RESET synchronous_commit")
    node.set(synchronous_standby_names="")


class _TestsServer(Node):
    """Reached by its socket; it is neither started nor stopped here."""

    def __init__(self, *, name: str, cluster: Cluster, sockets_of: Servers) -> None:
        super().__init__(name=name, cluster=cluster)
        self._sockets = Path(str(make_url(sockets_of.web_url).query["host"]))

    @property
    def sockets(self) -> Path:
        return self._sockets


Judge = Callable[[], dict[str, Finding]]


@pytest.fixture
def judge(primary: Node, make_app: MakeApp, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Judge:
    """What is found, by a process that begins now; it connects as checkout_web, who is no superuser."""
    for name, value in stack.environment(servers).items():
        monkeypatch.setenv(name, value)

    def judge() -> dict[str, Finding]:
        with make_app().app_context():
            return {finding.about: finding for finding in check_durability()}

    return judge


def test_without_a_synchronous_standby_it_is_on_this_server_alone(judge: Judge, primary: Node, nodes: Cluster) -> None:
    found = judge()
    assert found["durability"].level is Level.ADVICE
    assert found["durability"].result == "on this server alone"
    # The tests' server does not wait for its disk.
    assert (found["power cuts"].level, found["power cuts"].result) == (Level.WRONG, "fsync, full_page_writes off")

    with _following(nodes, primary, "b"):
        assert judge()["durability"].result == "on this server alone; nothing waits for b"


def test_with_standbys_it_says_on_which(judge: Judge, primary: Node, nodes: Cluster, sql: Sql) -> None:
    with _following(nodes, primary, "b"), _following(nodes, primary, "c") as c:
        primary.set(synchronous_standby_names="ANY 1 (b, c)")
        found = judge()["durability"]
        assert (found.level, found.result) == (Level.OK, "on this server and on one of b, c")
        c.stop()
        wait_until(lambda: primary.sql("SELECT count(*) FROM pg_stat_replication") == [(1,)])
        found = judge()["durability"]
        assert (found.level, found.result) == (
            Level.ADVICE,
            "on this server and on one of b, c; not streaming: c",
        )
        primary.set(synchronous_standby_names="b")
        assert judge()["durability"].result == "on this server and on b; nothing is committed while one is away"

        database = sql("SELECT current_database() AS name")[0].name
        for level, start in (
            ("remote_write", "advice on this server, and in the memory of b: "),
            ("local", "WRONG on this server alone: "),
        ):
            sql(f"ALTER ROLE checkout_worker IN DATABASE {database} SET synchronous_commit = {level}")
            found = judge()["durability"]
            assert f"{found.level} {found.result}" == f"{start}synchronous_commit is {level} for checkout_worker"


def test_a_standby_that_is_named_and_away_is_wrong(judge: Judge, primary: Node) -> None:
    primary.set(synchronous_standby_names="b")
    found = judge()["durability"]
    assert (found.level, found.result) == (Level.WRONG, "no commit is confirmed: it waits for b")
    assert primary.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == [(0,)]


def test_a_commit_that_fails_otherwise_says_nothing_of_standbys(
    judge: Judge, primary: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its remedy would switch replication off."""
    primary.set(synchronous_standby_names="b")
    monkeypatch.setattr(durability, "_commit_something", Statement("SELECT pg_sleep(60)"))
    found = judge()["durability"]
    assert (found.level, found.result) == (Level.UNKNOWN, "no commit could be made: QueryCanceled")
    assert "synchronous_standby_names" not in found.remedy


def test_the_wrong_server_is_named(nodes: Cluster, primary: Node, servers: Servers, make_app: MakeApp) -> None:
    database = str(make_url(servers.web_url).database)
    with _following(nodes, primary, "b") as b:
        address = Secret(b.url("checkout_web", database))
        with make_app(database_url=address).app_context():
            (found,) = check_durability()
        assert (found.level, found.result) == (Level.WRONG, "this server is a standby: it takes no writes")
        done = subprocess.run(
            [sys.executable, "-m", "flask", "--app", "wsgi", "doctor"],
            cwd=ROOT,
            env={**stack.environment(servers, DATABASE_URL=address.reveal()), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert "WRONG    durability             this server is a standby" in done.stdout, done.stdout + done.stderr
    assert "This check broke" not in done.stdout


def test_a_worker_that_cannot_connect_hides_nothing_of_the_web(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_DATABASE_URL", "postgresql://checkout_worker@127.0.0.1:1/nowhere")
    found = judge()
    assert found["workers' commits"].level is Level.UNKNOWN
    assert found["durability"].result == "on this server alone"


@contextmanager
def _following(nodes: Cluster, primary: Node, name: str) -> Iterator[Node]:
    node = nodes.standby(name, of=primary.sockets)
    try:
        streams = ("SELECT count(*) FROM pg_stat_replication WHERE application_name = %s AND state = 'streaming'", name)
        wait_until(lambda: primary.sql(*streams) == [(1,)])
        yield node
    finally:
        node.forget()
        wait_until(lambda: primary.sql(*streams) == [(0,)])
