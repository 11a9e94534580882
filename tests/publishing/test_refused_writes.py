"""What answers and takes no writes is named, asked by one key a second, and its connections are left for others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from redis import Redis
from redis.exceptions import ConnectionError as AwayError

from checkout_service.cache import Cache
from checkout_service.health import readiness
from checkout_service.local.guard import Guard
from checkout_service.local.servers import Valkey, start_valkey
from checkout_service.publishing.publisher import QueueUnavailableError, TaskQueue
from checkout_service.refused_writes import KEY, refusal
from checkout_service.settings.secret import Secret
from checkout_service.tasks import TaskName
from tests.apps import MakeApp, _leave_pools
from tests.no_writes import KINDS, taking_no_writes

pytestmark = pytest.mark.usefixtures("patience")


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[Valkey]:
    """What a demoted server follows."""
    with closing(Guard()) as guard:
        valkey = start_valkey(tmp_path / "primary", guard=guard, durable=False)
        with valkey.server:
            yield valkey


@pytest.fixture
def server(own_valkey: Valkey) -> Iterator[Redis]:
    with Redis.from_url(own_valkey.url) as client:
        yield client


@pytest.fixture
def web(make_app: MakeApp, own_valkey: Valkey) -> Flask:
    return make_app(redis_url=Secret(own_valkey.url), broker_url=Secret(own_valkey.url))


@pytest.mark.parametrize("kind", KINDS)
def test_readiness_names_it_and_stays_ready(
    kind: str, web: Flask, own_valkey: Valkey, primary: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "WRITTEN_EVERY", 0.0)
    client = web.test_client()
    with taking_no_writes(kind, own_valkey, primary):
        answer = client.get("/readyz")
        assert answer.status_code == 200
        assert answer.json["missing"] == ["broker", "cache"]
        assert (answer.json["checks"]["broker"], answer.json["checks"]["cache"]) == (KINDS[kind], KINDS[kind])
    assert client.get("/readyz").json["missing"] == []


@pytest.mark.parametrize("others", ["", ";redis://127.0.0.1:1/0"], ids=["one", "several"])
def test_a_broker_of_its_own_is_named_alone(
    others: str, make_app: MakeApp, own_valkey: Valkey, primary: Valkey
) -> None:
    web = make_app(broker_url=Secret(own_valkey.url + others))
    with taking_no_writes("demoted", own_valkey, primary):
        assert web.test_client().get("/readyz").json["missing"] == ["broker"]


def test_however_many_ask_one_key_is_written_a_second(
    web: Flask, server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = [100.0]
    monkeypatch.setattr(readiness, "monotonic", lambda: seconds[0])
    client = web.test_client()

    def written() -> int:
        found: Any = server.info("commandstats")
        return int(found.get("cmdstat_set", {}).get("calls", 0))

    before = written()
    for _ in range(20):
        assert client.get("/readyz").json["missing"] == []
    assert written() == before + 1
    seconds[0] += 1.0
    assert client.get("/readyz").json["missing"] == []
    assert written() == before + 2
    assert server.keys() == [KEY.encode()]
    assert 0 < server.ttl(KEY) <= 10


def test_a_role_without_the_key_is_no_refusal_and_a_server_that_is_away_is_an_error(own_valkey: Valkey) -> None:
    with Redis.from_url(own_valkey.url) as server:
        server.acl_setuser("queues", enabled=True, nopass=True, keys=["queue*"], commands=["+@all"])
        with Redis.from_url(own_valkey.url.replace("//", "//queues:any@")) as bounded:
            assert refusal(bounded) is None
        assert refusal(server) is None
    with Redis.from_url("redis://127.0.0.1:1") as away, pytest.raises(AwayError):
        refusal(away)


def _put(url: str) -> tuple[Callable[[], object], Callable[[], object]]:
    cache = Cache(Secret(url), uuid4())
    return lambda: cache.put("name", b"value", seconds=10), cache._redis.close


def _publish(url: str) -> tuple[Callable[[], object], Callable[[], object]]:
    queue = TaskQueue(Secret(url))

    def publish() -> None:
        with suppress(QueueUnavailableError):
            queue.enqueue(TaskName.SWEEP_WEBHOOKS)

    return publish, lambda: _leave_pools(queue._celery)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [_put, _publish], ids=["the cache", "the publisher"])
def test_its_connections_are_left(
    make: Callable[[str], tuple[Callable[[], object], Callable[[], object]]],
    kind: str,
    own_valkey: Valkey,
    primary: Valkey,
    server: Redis,
) -> None:
    def connections() -> set[str]:
        return {client["id"] for client in server.client_list() if client["flags"] == "N"} - {str(server.client_id())}

    write, close = make(own_valkey.url)
    try:
        write()
        before = connections()
        assert before
        with taking_no_writes(kind, own_valkey, primary):
            write()
            assert not connections() & before
    finally:
        close()
