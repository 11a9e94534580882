"""The web process: it outlives its children, slow senders and idle connections, and ends in good order."""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import psutil
import psycopg
import pytest

from checkout_service.local.data_folder import ROOT
from checkout_service.local.servers import free_port
from checkout_service.server.bodies import SENT_WITHIN
from checkout_service.server.granian_server import LARGEST_HEAD, READERS_OF_LARGE, _allow_many_files
from checkout_service.server.readers import READ_WITHIN
from tests.children import children_of_web
from tests.journeys.conftest import Town, eventually

SLOW = b"""POST /api/payments/webhook HTTP/1.1\r
Host: test\r
Content-Type: application/json\r
Content-Length: 100\r
\r
{"""


LARGE_ANSWER = "/api/docs/swagger-ui-bundle.js"


class Web:
    """A web process of our own, with one child."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, "serve.py", "wsgi:app"],
            cwd=ROOT,
            env={**environment, "PORT": str(self.port), "WEB_CONCURRENCY": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # nobody reads it: a full pipe would stop the server
            start_new_session=True,
        )

    def is_alive(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/livez", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def children(self) -> list[psutil.Process]:
        return children_of_web(self.process.pid)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=30)

    def read(self, path: str) -> socket.socket:
        """Ask for this on a connection of our own, which takes little of the answer by itself.

        In the first moments of a web process it does: until it has bound what the kernel holds, that takes all of it.
        """
        reader = socket.socket()
        reader.settimeout(5)
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(("127.0.0.1", self.port))
        reader.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        return reader


def full(web: Web, stack: ExitStack) -> httpx.Response:
    """The answer once there are as many readers as there may be; one more comes until then."""

    def refused() -> httpx.Response | None:
        answer = web.get(LARGE_ANSWER)
        if answer.status_code == 503:
            return answer
        stack.enter_context(web.read(LARGE_ANSWER))
        return None

    found: httpx.Response = eventually(refused)
    return found


@pytest.fixture
def web(town: Town) -> Iterator[Web]:
    web = Web(dict(town.environment))
    try:
        eventually(web.is_alive)
        yield web
    finally:
        if web.process.poll() is None:
            os.killpg(web.process.pid, signal.SIGKILL)
        web.process.communicate()


def test_a_killed_child_is_replaced_however_often(web: Web) -> None:
    for _ in range(3):
        (child,) = web.children()
        child.kill()
        eventually(lambda child=child: [new.pid == child.pid for new in web.children()] == [False] and web.is_alive())


def test_slow_senders_and_idle_connections_stop_nobody(web: Web) -> None:
    with ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(web.connect()).sendall(SLOW)
        for _ in range(500):
            idle = stack.enter_context(web.connect())
            idle.sendall(b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n")
            assert idle.recv(15) == b"HTTP/1.1 200 OK"

        eventually(web.is_alive)


@pytest.mark.slow
def test_slow_senders_that_took_every_descriptor_are_hung_up_on(web: Web) -> None:
    """The list of a process's open files takes a descriptor as well; the guard is needed most when there is none."""
    (child,) = web.children()
    _, most = child.rlimit(psutil.RLIMIT_NOFILE)
    child.rlimit(psutil.RLIMIT_NOFILE, (child.num_fds() + 5, most))
    with ExitStack() as stack:
        senders = [stack.enter_context(web.connect()) for _ in range(10)]
        for sender in senders:
            sender.sendall(SLOW)
        assert not web.is_alive(), "this child has descriptors left"

        senders[0].settimeout(SENT_WITHIN + 10)
        with suppress(ConnectionError):
            assert senders[0].recv(1000) == b""
        assert child.is_running()
    eventually(web.is_alive)


@pytest.mark.parametrize(("excess", "status"), [(0, 202), (1, 413), (2_000_000, 413)])
def test_a_chunked_webhook_is_taken_whole_or_not_at_all(web: Web, town: Town, excess: int, status: int) -> None:
    # Blanks at the end, so that a webhook that was cut off would still be an object.
    webhook = b"{}".ljust(256 * 1024 + excess)
    pieces = (webhook[start : start + 10_000] for start in range(0, len(webhook), 10_000))
    ((before,),) = town.sql("SELECT count(*) FROM webhook_deliveries")

    answer = httpx.post(f"http://127.0.0.1:{web.port}/api/payments/webhook", content=pieces, timeout=30)

    assert answer.status_code == status
    ((after,),) = town.sql("SELECT count(*) FROM webhook_deliveries")
    assert after - before == (status == 202)
    if status == 202:
        query = "SELECT octet_length(body) FROM webhook_deliveries WHERE id = %s"
        assert town.sql(query, answer.json()["delivery_id"]) == [(len(webhook),)]


def test_a_request_in_flight_is_answered_before_the_end(web: Web) -> None:
    with web.connect() as sender:
        sender.sendall(SLOW)
        children = web.children()
        eventually(web.is_alive)
        web.process.send_signal(signal.SIGTERM)
        eventually(lambda: not web.is_alive())
        sender.sendall(b" " * 98 + b"}")
        answer = sender.recv(1000)

    assert answer.startswith(b"HTTP/1.1 202 ")
    assert web.process.wait(timeout=60) == 0
    eventually(lambda: not any(child.is_running() for child in children))


def test_webhooks_that_wait_for_the_database_keep_nobody_waiting(web: Web, town: Town) -> None:
    """The threads in which Granian hands requests over work on webhooks too: some are left for whoever comes."""
    owner = town.environment["MIGRATION_DATABASE_URL"].replace("+psycopg", "")
    asks = SLOW.replace(b"100", b"2") + b"}"
    with psycopg.connect(owner) as connection, ExitStack() as stack:
        connection.execute("LOCK TABLE webhook_deliveries IN ACCESS EXCLUSIVE MODE")
        waiting = [stack.enter_context(web.connect()) for _ in range(12)]
        for webhook in waiting:
            webhook.sendall(asks)
        for _ in range(3):
            assert web.is_alive()
            assert web.get("/api/cart").status_code == 401
        answered, _, _ = select.select(waiting, [], [], 0)
        assert not answered, "the others were answered before any of these"
        for webhook in waiting:
            assert webhook.recv(1000).startswith(b"HTTP/1.1 503 ")


def test_slow_readers_of_a_large_answer_hold_neither_its_memory_nor_a_slot(web: Web) -> None:
    whole = web.get(LARGE_ANSWER).content
    assert len(whole) > 2**20
    (child,) = web.children()
    before = child.memory_info().rss
    time.sleep(0.5)
    with ExitStack() as stack:
        readers = [stack.enter_context(web.read(LARGE_ANSWER)) for _ in range(READERS_OF_LARGE // 2)]
        refused = full(web, stack)
        assert refused.json()["type"] == "/problems/too-many-readers"
        answer = httpx.post(f"http://127.0.0.1:{web.port}/api/payments/webhook", json={"of": "nobody"}, timeout=30)
        assert answer.status_code == 202
        assert len(web.get("/api/openapi.json").json()["paths"]) > 5
        assert child.memory_info().rss - before < 64 * 2**20

        received = b""
        while not received.endswith(whole[-1000:]):
            piece = readers[0].recv(2**20)
            assert piece, "hung up on a reader that came to it"
            received += piece
        assert received.partition(b"\r\n\r\n")[2] == whole

    eventually(lambda: web.get(LARGE_ANSWER).content == whole)


@pytest.mark.slow
def test_readers_that_take_a_little_at_a_time_are_hung_up_on(web: Web) -> None:
    time.sleep(0.5)
    with ExitStack() as stack:
        readers = [stack.enter_context(web.read(LARGE_ANSWER)) for _ in range(READERS_OF_LARGE)]
        full(web, stack)
        started = time.monotonic()
        while web.get(LARGE_ANSWER).status_code == 503:
            assert time.monotonic() - started < READ_WITHIN + 15
            for reader in readers:
                with suppress(BlockingIOError, ConnectionError):
                    reader.setblocking(False)
                    reader.recv(1000)
            time.sleep(0.5)

        assert time.monotonic() - started > READ_WITHIN - 10
        eventually(web.is_alive)


def test_children_end_when_their_parent_was_killed(web: Web) -> None:
    children = web.children()

    web.process.kill()
    web.process.wait()

    eventually(lambda: not any(child.is_running() for child in children))


def test_a_head_that_never_ends_is_refused_before_it_fills_the_memory(web: Web) -> None:
    with web.connect() as sender:
        sender.sendall(b"GET /livez HTTP/1.1\r\nHost: test\r\nX-Long: " + b"x" * LARGEST_HEAD)
        assert sender.recv(1000).startswith(b"HTTP/1.1 431 ")

    eventually(web.is_alive)


def test_the_web_has_no_use_for_alembic(town: Town) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, wsgi; sys.exit('alembic' in sys.modules)"],
        check=False, cwd=ROOT, env=dict(town.environment), capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr


def test_a_port_in_use_is_named(town: Town) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = subprocess.run(
            [sys.executable, "serve.py", "wsgi:app"],
            check=False,
            cwd=ROOT,
            env={**town.environment, "PORT": str(port)},
            capture_output=True,
            text=True,
            timeout=120,
        )

    assert result.returncode != 0
    assert f"port {port}" in result.stderr


def test_more_slow_senders_than_readers_stop_no_request_without_a_body(web: Web) -> None:
    with ExitStack() as stack:
        for _ in range(1100):
            stack.enter_context(web.connect()).sendall(SLOW)

        def refused() -> httpx.Response | None:
            try:
                answer = httpx.post(f"http://127.0.0.1:{web.port}/api/payments/webhook", json={}, timeout=30)
            except httpx.TransportError:
                # A busy machine takes a while to start a thread for each of them.
                return None
            return answer if answer.status_code == 503 else None

        answer = eventually(refused)
        assert answer.json()["type"] == "/problems/too-many-bodies"
        assert int(answer.headers["Retry-After"]) >= 1
        eventually(web.is_alive)
        assert httpx.get(f"http://127.0.0.1:{web.port}/api/cart", timeout=30).status_code == 401

    eventually(lambda: not refused())


@pytest.mark.slow
def test_senders_that_trickle_are_hung_up_on_and_others_take_their_place(web: Web, town: Town) -> None:
    ((before,),) = town.sql("SELECT count(*) FROM webhook_deliveries")
    with ExitStack() as stack:
        slow = [stack.enter_context(web.connect()) for _ in range(900)]
        for sender in slow:
            sender.sendall(SLOW)
        started, ended = time.monotonic(), 0.0
        while not ended and time.monotonic() - started < SENT_WITHIN + 15:
            time.sleep(1)
            still = [sender for sender in slow if _trickles(sender)]
            ended = 0.0 if still else time.monotonic() - started

        assert ended > SENT_WITHIN - 5
        answer = httpx.post(f"http://127.0.0.1:{web.port}/api/payments/webhook", json={}, timeout=30)
        assert answer.status_code == 202
    assert town.sql("SELECT count(*) FROM webhook_deliveries") == [(before + 1,)]


def _trickles(sender: socket.socket) -> bool:
    """Send a blank; False once the other side has hung up."""
    try:
        sender.setblocking(False)
        sender.send(b" ")
        return sender.recv(1000, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


@pytest.mark.parametrize("name", ["PORT", "WEB_CONCURRENCY", "WEB_THREADS"])
def test_a_setting_that_is_no_number_is_named(town: Town, name: str) -> None:
    result = subprocess.run(
        [sys.executable, "serve.py", "wsgi:app"],
        check=False,
        cwd=ROOT,
        env={**town.environment, "PORT": str(free_port()), name: "many"},
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert result.returncode == 1
    assert f"{name}: Not a valid integer" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_limit_on_files_that_cannot_be_raised_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)

    _allow_many_files()
