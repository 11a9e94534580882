"""What happens to RabbitMQ and Valkey."""

from __future__ import annotations

import time
from dataclasses import replace

from tests.cluster.cluster import NAMES, Cluster
from tests.cluster.measure import Scenario
from tests.faults.stack import await_that

AWAY = 12.0
"""Seconds."""

APPLIED_WITHIN = 10.0
BETWEEN_NODES = 25672
"""The port by which nodes of RabbitMQ speak to each other."""


def rabbit_killed(cluster: Cluster) -> None:
    cluster.service("a", "rabbitmq").kill(again=False)
    time.sleep(AWAY)
    cluster.service("a", "rabbitmq").start()


def rabbit_frozen(cluster: Cluster) -> None:
    service = cluster.service("b", "rabbitmq")
    service.freeze()
    time.sleep(AWAY)
    service.thaw()


def rabbit_cut(cluster: Cluster) -> None:
    """One node is cut from the other two, and not from its clients: it pauses, as it is the minority."""
    cluster.hosts["c"].cut_from(cluster.hosts["a"], cluster.hosts["b"], port=BETWEEN_NODES)
    time.sleep(AWAY)
    cluster.hosts["c"].heal()


def rabbit_rolling(cluster: Cluster) -> None:
    for name in NAMES:
        service = cluster.service(name, "rabbitmq")
        service.stop()
        service.start()
        await_that(lambda name=name: cluster.broker_answers(name), f"RabbitMQ on {name}")


def rabbit_total(cluster: Cluster) -> None:
    """All three end, and begin again."""
    for name in NAMES:
        cluster.service(name, "rabbitmq").kill(again=False)
    time.sleep(3)
    for name in NAMES:
        cluster.service(name, "rabbitmq").start()
    for name in NAMES:
        await_that(lambda name=name: cluster.broker_answers(name), f"RabbitMQ on {name}")


def worker_cut_from_broker(cluster: Cluster) -> None:
    """The workers of one host reach no RabbitMQ, their own node apart from it."""
    host = cluster.hosts["b"]
    cluster.service("b", "rabbitmq").stop()
    host.cut_from(cluster.hosts["a"], cluster.hosts["c"], port=5672)
    time.sleep(AWAY)
    host.heal()
    cluster.service("b", "rabbitmq").start()


def valkey_killed(cluster: Cluster) -> None:
    cluster.service(cluster.cache_primary, "valkey").kill(again=False)
    time.sleep(2)
    cluster.promote_cache("b" if cluster.cache_primary == "a" else "a")


def valkey_demoted(cluster: Cluster) -> None:
    """Another becomes the primary, and the old one goes on as its replica."""
    cluster.promote_cache("b" if cluster.cache_primary == "a" else "a")


_RABBIT = Scenario(name="", strike=rabbit_killed, applied_within=APPLIED_WITHIN)

SCENARIOS = (
    replace(_RABBIT, name="RabbitMQ: kill of a node", strike=rabbit_killed),
    replace(_RABBIT, name="RabbitMQ: freeze of a node", strike=rabbit_frozen),
    replace(_RABBIT, name="RabbitMQ: partition", strike=rabbit_cut),
    replace(_RABBIT, name="RabbitMQ: rolling restart", strike=rabbit_rolling),
    # Nobody can be quicker than RabbitMQ itself.
    replace(_RABBIT, name="RabbitMQ: all nodes at once", strike=rabbit_total, applied_within=None, afterwards=15.0),
    replace(_RABBIT, name="workers of a host cut from RabbitMQ", strike=worker_cut_from_broker),
    replace(_RABBIT, name="Valkey: kill of the primary", strike=valkey_killed),
    replace(_RABBIT, name="Valkey: demotion of the primary", strike=valkey_demoted),
)
