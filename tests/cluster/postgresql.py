"""What happens to PostgreSQL's primary and its standbys."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.cluster.cluster import NAMES, Cluster
from tests.cluster.measure import Scenario
from tests.faults.stack import await_that
from tests.faults.wire import Wire

MOMENT = 0.5
"""Seconds that an answer may take to arrive."""

NOTICED_AFTER = 1.0
"""Seconds until somebody, or something, promotes."""


_HAS = "SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'::pg_lsn"
"""After a start the first of them is where streaming began, which may be behind."""


def _others(cluster: Cluster) -> Iterator[str]:
    yield from (name for name in NAMES if name != cluster.primary)


def promote_best(cluster: Cluster) -> float:
    """The standby that has most becomes the primary; the moment of that."""
    received = {name: cluster.sql_on(name, _HAS)[0][0] for name in _others(cluster)}
    cluster.promote(max(received, key=lambda name: received[name]))
    return time.monotonic()


def crash(cluster: Cluster) -> float:
    """The primary's power goes."""
    cluster.service(cluster.primary, "postgresql").kill(again=False)
    time.sleep(NOTICED_AFTER)
    return promote_best(cluster)


def freeze(cluster: Cluster) -> float:
    """The primary stands without a word; and goes on, beside the new one, 8 s later."""
    old = cluster.service(cluster.primary, "postgresql")
    old.freeze()
    time.sleep(NOTICED_AFTER)
    promoted = promote_best(cluster)
    time.sleep(8)
    old.thaw()
    time.sleep(8)
    return promoted


def switchover(cluster: Cluster) -> float:
    """In good order: the primary ends, which sends all that there is to the standbys, and one is promoted."""
    old = cluster.primary
    cluster.service(old, "postgresql").stop()
    promoted = promote_best(cluster)
    cluster.follow(old)
    return promoted


def read_only(cluster: Cluster) -> float:
    """The primary takes no writes any more and goes on answering; another is promoted."""
    cluster.sql("ALTER SYSTEM SET default_transaction_read_only = on")
    cluster.sql("SELECT pg_reload_conf()")
    time.sleep(NOTICED_AFTER)
    promoted = promote_best(cluster)
    cluster.sql("ALTER SYSTEM RESET default_transaction_read_only")
    cluster.sql("SELECT pg_reload_conf()")
    return promoted


def standbys_away(cluster: Cluster) -> float:
    """Nobody confirms a commit for 15 s. Nothing is acknowledged then, and reads go on."""
    away = [cluster.service(name, "postgresql") for name in _others(cluster)]
    for service in away:
        service.stop()
    began = time.monotonic()
    reads = []
    while time.monotonic() - began < 15:
        reads += [Wire(address).ask("GET", "/api/listings?limit=1").status for address in cluster.addresses]
        time.sleep(0.5)
    ended = time.monotonic()
    for service in away:
        service.start()
    await_that(lambda: len(cluster.streaming()) == len(away), "the standbys stream")
    acknowledged = [moment for moment in cluster.journal.acknowledged if began + MOMENT < moment < ended]
    if acknowledged:
        raise AssertionError(f"{len(acknowledged)} answers acknowledged what no standby has")
    # HAProxy sends everybody to the other list of servers once, which ends what is on its way.
    if reads.count(200) < 0.9 * len(reads):
        raise AssertionError(f"reads did not go on: {reads}")
    return time.monotonic()


def standby_away(cluster: Cluster) -> None:
    """One of two: nobody notices."""
    away = cluster.service(next(_others(cluster)), "postgresql")
    away.kill(again=False)
    time.sleep(10)
    away.start()


def old_primary_back(cluster: Cluster) -> float:
    """The network of the primary's host is cut, so it does not know of the promotion; then it is healed."""
    old = cluster.primary
    others = [cluster.hosts[name] for name in _others(cluster)]
    cluster.hosts[old].cut_from(*others)
    time.sleep(NOTICED_AFTER)
    promoted = promote_best(cluster)
    time.sleep(10)
    cluster.hosts[old].heal()
    time.sleep(5)
    # And started anew, as after the power came back: it has to see that it is none any more.
    service = cluster.service(old, "postgresql")
    service.stop()
    try:
        service.start()
    except RuntimeError as error:
        if "is the primary" not in str(error):
            raise
    else:
        raise AssertionError("the old primary started as a primary")
    service.stop()
    return promoted


def asynchronous(cluster: Cluster) -> float:
    """Commits wait for no standby, and the standbys are 4 s behind when the primary is gone."""
    cluster.sql("ALTER SYSTEM SET synchronous_standby_names = ''")
    cluster.sql("SELECT pg_reload_conf()")
    for name in _others(cluster):
        cluster.sql_on(name, "ALTER SYSTEM SET primary_conninfo = ''")
        cluster.sql_on(name, "SELECT pg_reload_conf()")
    time.sleep(4)
    cluster.service(cluster.primary, "postgresql").kill(again=False)
    return promote_best(cluster)


LAST = Scenario(name="PostgreSQL: crash, asynchronous standby", strike=asynchronous, loses=True, reads_may_be_old=True)
"""After it webhooks wait for payments that are lost, so nothing comes behind it."""

SCENARIOS = (
    Scenario(name="PostgreSQL: crash of the primary", strike=crash),
    Scenario(name="PostgreSQL: freeze of the primary", strike=freeze, answered_within=15.0),
    Scenario(name="PostgreSQL: switchover", strike=switchover),
    Scenario(name="PostgreSQL: primary read-only", strike=read_only),
    Scenario(name="PostgreSQL: one standby away", strike=standby_away),
    Scenario(name="PostgreSQL: both standbys away", strike=standbys_away, answered_within=None),
    Scenario(
        name="PostgreSQL: cut off, old primary back",
        strike=old_primary_back,
        answered_within=None,
        silent_within=6.0,  # callers of the host that is cut off wait 2.5 s for a commit that nobody confirms
        reads_may_be_old=True,
    ),
)
