"""What happens to whole hosts: their clocks, their network, new processes, a new release."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from tests.cluster.cluster import METRICS_PORTS, NAMES, PROCESSES, Cluster
from tests.cluster.hosts import FAKETIME
from tests.cluster.measure import Scenario
from tests.cluster.postgresql import promote_best
from tests.cluster.services import Service

SKEW: Final = 120
"""Seconds."""

NEAR: Final = 30
"""Seconds by which a loaded machine may be late."""

HOUSEKEEPING: Final = METRICS_PORTS[1]
OWN_SKEW: Final = 'checkout_clock_skew_seconds{process="housekeeping"}'

CLOCK: Final = Path(__file__).parent / "clock"


def cut_from_database(cluster: Cluster) -> None:
    """The web of one host reaches no PostgreSQL. Its callers go elsewhere, or wait until it is over."""
    name = next(name for name in NAMES if name != cluster.primary)
    others = [host for host in cluster.hosts.values() if host.name != name]
    cluster.hosts[name].cut_from(*others, port=5432)
    time.sleep(10)
    cluster.hosts[name].heal()


def cut_off(cluster: Cluster) -> None:
    """A whole host is cut off from the other two: of PostgreSQL a standby, of RabbitMQ the minority."""
    name = next(name for name in reversed(NAMES) if name not in {cluster.primary, cluster.cache_primary})
    others = [host for host in cluster.hosts.values() if host.name != name]
    cluster.hosts[name].cut_from(*others)
    time.sleep(12)
    cluster.hosts[name].heal()


def skewed(cluster: Cluster) -> float:
    """One host's processes are two minutes ahead, another's two minutes behind, and beat is two minutes ahead."""
    for name, by in (("b", SKEW), ("c", -SKEW)):
        for process in PROCESSES[:-1]:
            _shift(cluster.service(name, process), by)
    _shift(cluster.service("a", "beat"), SKEW)
    cluster.await_whole()
    shifted = time.monotonic()
    time.sleep(75)
    # Housekeeping runs everything periodic, so it is where beat's messages are seen.
    seen = {
        series: max((cluster.metric(name, HOUSEKEEPING, series) or 0.0 for name in NAMES), key=abs)
        for series in ('checkout_clock_skew_seconds{process="beat"}',)
    }
    seen |= {name: cluster.metric(name, HOUSEKEEPING, OWN_SKEW) or 0.0 for name in ("b", "c")}
    expected = {'checkout_clock_skew_seconds{process="beat"}': SKEW, "b": SKEW, "c": -SKEW}
    if any(abs(seen[name] - expected[name]) > NEAR for name in expected):
        raise AssertionError(f"clocks that were shifted look so: {seen}")
    return shifted


def _shift(service: Service, seconds: int) -> None:
    service.stop()
    service.extra = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME": f"{seconds:+d}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
        "PYTHONPATH": str(CLOCK),
    }
    service.start()


def two_beats(cluster: Cluster) -> None:
    for name in NAMES[1:]:
        cluster.service(name, "beat").start()
    time.sleep(25)
    if not all(cluster.service(name, "beat").runs for name in NAMES):
        raise AssertionError("a beat has ended")


def rolling_restart(cluster: Cluster) -> None:
    """Every process of ours, host by host."""
    for name in NAMES:
        renew(cluster, name)


def renew(cluster: Cluster, name: str) -> None:
    """New processes on one host: the web replaces its own, each other service ends and begins."""
    cluster.service(name, "web").reload()
    for process in PROCESSES[1:]:
        service = cluster.service(name, process)
        if service.runs:
            service.stop()
            service.start()
    time.sleep(2)
    cluster.await_whole()


def host_dies(cluster: Cluster) -> float:
    """All that runs on the host of the primary ends at once, ours and the servers; a standby is promoted."""
    old = cluster.primary
    for (host, _), service in cluster.supervisor.services.items():
        if host == old and service.runs:
            service.lose_power()
    time.sleep(1)
    promoted = promote_best(cluster)
    if cluster.cache_primary == old:
        cluster.promote_cache(cluster.primary)
    return promoted


SCENARIOS = (
    Scenario(name="a host's web cut from PostgreSQL", strike=cut_from_database, answered_within=15.0),
    Scenario(name="a host cut off from the others", strike=cut_off, answered_within=15.0),
    Scenario(name="a host dies: the primary and all else", strike=host_dies),
    Scenario(name="clocks two minutes ahead and behind", strike=skewed, answered_within=None),
    Scenario(name="two and three beats", strike=two_beats),
    Scenario(
        name="rolling restart", strike=rolling_restart, payments_a_second=10.0, requests=10_000, unanswered_at_most=0
    ),
)
