"""The runbook of docs/availability.md on three servers, command by command, and what it leaves."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.conftest import ROOT
from tests.database.standbys import Cluster, Node, cluster
from tests.threads.scenes import wait_until

NAMES = "ANY 1 (a, b, c)"
FARTHEST = "SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::text"
STREAMING = """
    SELECT array_agg(application_name::text ORDER BY application_name) FROM pg_stat_replication
    WHERE state = 'streaming'
"""
CANCELED = "canceling wait for synchronous replication due to user request"


@pytest.fixture
def three() -> Iterator[tuple[Cluster, Node, Node, Node]]:
    """a leads; every server names all three, itself too, and follows whichever of them leads."""
    with cluster() as made:
        leader = f"host={','.join(str(made.folder / f'{name}.socket') for name in 'abc')} user=postgres"
        a = made.first("a", synchronous_standby_names=NAMES, primary_conninfo=f"{leader} target_session_attrs=primary")
        a.start()
        b, c = (made.copy(name, of=a.sockets) for name in ("b", "c"))
        for standby in (b, c):
            follow(standby)
        wait_until(lambda: a.sql(STREAMING) == [(["b", "c"],)])
        a.sql("CREATE TABLE kept (name text)")
        yield made, a, b, c


def follow(node: Node) -> None:
    signal = node.data / "standby.signal"
    signal.touch()
    owner = node.data.stat()
    os.chown(signal, owner.st_uid, owner.st_gid)
    node.start()


def kept(node: Node) -> list[str]:
    return [name for (name,) in node.sql("SELECT name FROM kept ORDER BY name")]


def test_a_failover_loses_nothing_and_the_old_primary_comes_back(three: tuple[Cluster, Node, Node, Node]) -> None:
    made, a, b, c = three
    a.sql("INSERT INTO kept VALUES ('acknowledged')")
    b.stop()
    c.stop()
    # It names itself, which is harmless: it waits for one of the others all the same.
    assert unconfirmed(a, "INSERT INTO kept VALUES ('on a alone')") == [CANCELED]
    a.kill()

    b.start()
    c.start()
    assert b.sql("SELECT pg_last_wal_receive_lsn() < pg_last_wal_replay_lsn()") == [(True,)], (
        "after a start the first is where streaming began: the farther of both counts"
    )
    # The one that has most: the other can follow it, and it has what was acknowledged by either.
    new, other = sorted((b, c), key=farthest, reverse=True)
    new.promote()
    new.sql("INSERT INTO kept VALUES ('after')")
    assert new.sql(STREAMING) == [([other.name],)], "it found the new primary by itself"
    assert kept(new) == ["acknowledged", "after"]

    # Started by mistake it confirms nothing, since nobody follows it, and the other stays where it is.
    a.start()
    assert unconfirmed(a, "INSERT INTO kept VALUES ('nobody follows')") == [CANCELED]
    assert other.sql("SELECT received_tli FROM pg_stat_wal_receiver") == [(2,)]
    a.kill()

    source = f"host={new.sockets} user=postgres dbname=postgres"
    made.run("pg_rewind", "--target-pgdata", a.data, "--source-server", source)
    follow(a)
    wait_until(lambda: new.sql(STREAMING) == [(["a", other.name],)])
    wait_until(lambda: kept(a) == ["acknowledged", "after"])

    switch_over(made, new, a, other)
    wait_until(lambda: kept(new) == kept(other) == ["acknowledged", "after", "after the switchover"])


def farthest(node: Node) -> int:
    return int(node.sql(f"SELECT ({FARTHEST})::pg_lsn - '0/0'")[0][0])


def switch_over(made: Cluster, leader: Node, standby: Node, other: Node) -> None:
    """A clean shutdown leaves standbys nothing that they have not, so nothing is rewound."""
    leader.stop()
    control = dict(line.split(":", 1) for line in made.run("pg_controldata", leader.data).splitlines())
    assert control["Database cluster state"].strip() == "shut down"
    stopped_at = control["Latest checkpoint location"].strip()
    for each in (standby, other):
        assert each.sql(f"SELECT '{stopped_at}'::pg_lsn < ({FARTHEST})::pg_lsn") == [(True,)]
    standby.promote()
    standby.sql("INSERT INTO kept VALUES ('after the switchover')")
    follow(leader)
    wait_until(lambda: standby.sql(STREAMING) == [(sorted([leader.name, other.name]),)])


def unconfirmed(node: Node, statement: str) -> list[str | None]:
    """The warnings of a commit whose wait is canceled: statement_timeout bounds no wait for a standby."""
    warnings: list[str | None] = []
    with psycopg.connect(host=str(node.sockets), user="postgres", dbname="postgres", autocommit=True) as connection:
        connection.add_notice_handler(lambda notice: warnings.append(notice.message_primary))
        pid = connection.info.backend_pid

        def cancel() -> None:
            waits: tuple[Any, ...] = ("SELECT wait_event FROM pg_stat_activity WHERE pid = %s", pid)
            wait_until(lambda: node.sql(*waits) == [("SyncRep",)])
            node.sql("SELECT pg_cancel_backend(%s)", pid)

        thread = threading.Thread(target=cancel)
        thread.start()
        connection.execute(statement.encode())
        thread.join()
    return warnings


def test_the_page_has_these_commands() -> None:
    page = (ROOT / "docs" / "availability.md").read_text(encoding="utf-8")
    for command in (NAMES, FARTHEST.removesuffix("::text"), "pg_rewind --target-pgdata", "pg_controldata"):
        assert command in page
