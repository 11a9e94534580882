"""What Flower shows of the queues, without any worker and with a broker that it cannot look into."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
import redis
from celery import Celery

from checkout_service.local.servers import free_port
from checkout_service.tasks import QueueName
from tests.brokers.rabbit import MISSING, is_installed, start_rabbit
from tests.conftest import Servers
from tests.flower_pages import stack as station
from tests.flower_pages.page import CommandGroup


@contextmanager
def forwarding(path: Path, port: int) -> Iterator[None]:
    """A socket of the file system that leads to a port of this machine."""

    class Forward(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", port)) as there:
                threading.Thread(target=_copy, args=(there, self.request), daemon=True).start()
                _copy(self.request, there)

    with socketserver.ThreadingUnixStreamServer(str(path), Forward) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def _copy(here: socket.socket, there: socket.socket) -> None:
    with suppress(OSError):
        while data := here.recv(65536):
            there.sendall(data)
        there.shutdown(socket.SHUT_WR)


def _lengths(ui: CommandGroup) -> dict[str, int]:
    answer = ui.client.get("/api/queues/length").raise_for_status().json()
    return {queue["name"]: queue["messages"] for queue in answer["active_queues"]}


def test_flower_that_starts_first_sees_what_waits_in_every_queue(servers: Servers, tmp_path: Path) -> None:
    settings = station.environment(servers)
    with closing(Celery(broker=servers.redis_url, set_as_current=False)) as celery:
        celery.conf.task_ignore_result = True
        for number in range(51):
            celery.send_task("webhooks.process", args=[str(number)], queue="webhooks")
        celery.send_task("payments.refund", args=["one"], queue="payments")
    with station.run(tmp_path, settings, "flower"), closing(CommandGroup(settings)) as ui:
        assert _lengths(ui) == {**dict.fromkeys(QueueName, 0), "webhooks": 51, "payments": 1}

        page = ui.client.get("/broker").text
        for queue in QueueName:
            assert f'<tr id="{queue}">' in page
        assert '<tr id="celery">' not in page
        assert "cannot-look" not in page


def test_flower_looks_into_the_database_of_the_address_as_the_user_of_it(servers: Servers, tmp_path: Path) -> None:
    """Flower's own reading of a socket's address would take neither, and show database 0, with nothing in it."""
    port = servers.redis_url.rpartition(":")[2].partition("/")[0]
    socket_path = tmp_path / "broker.sock"
    with redis.Redis(port=int(port)) as admin:
        admin.acl_setuser("flower-user", enabled=True, passwords=["+flower-pass"], keys=["*"], categories=["+@all"])
    try:
        with forwarding(socket_path, int(port)):
            address = f"unix://flower-user:flower-pass@{socket_path}?db=3"
            settings = station.environment(servers, REDIS_URL=address)
            with redis.Redis(port=int(port), db=3) as other:
                other.delete("webhooks")
                other.lpush("webhooks", *range(7))
                with station.run(tmp_path, settings, "flower"), closing(CommandGroup(settings)) as ui:
                    assert _lengths(ui)["webhooks"] == 7
                other.delete("webhooks")
    finally:
        with redis.Redis(port=int(port)) as admin:
            admin.acl_deluser("flower-user")


def test_flower_says_that_it_cannot_look_where_nobody_answers(servers: Servers, tmp_path: Path) -> None:
    settings = station.environment(servers, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    with station.run(tmp_path, settings, "flower"), closing(CommandGroup(settings)) as ui:
        assert "cannot look into the queues: the broker does not answer" in ui.client.get("/broker").text
        assert ui.client.get("/api/queues/length").status_code == 503


@pytest.mark.skipif(not is_installed(), reason=MISSING)
def test_flower_says_that_rabbitmq_has_no_management_plugin(servers: Servers, tmp_path: Path) -> None:
    with start_rabbit() as rabbit:
        # The plugin's port is asked for by its address, since another node of this machine might have it.
        api = f"http://guest:guest@127.0.0.1:{free_port()}/api/"
        settings = station.environment(servers, CELERY_BROKER_URL=rabbit.url, FLOWER_BROKER_API=api)
        with station.run(tmp_path, settings, "flower"), closing(CommandGroup(settings)) as ui:
            page = ui.client.get("/broker")
            assert page.status_code == 200
            # Tornado escapes the apostrophe.
            assert "management API does not answer" in page.text
            assert "rabbitmq-plugins enable rabbitmq_management" in page.text
            assert ui.client.get("/api/queues/length").status_code == 503
