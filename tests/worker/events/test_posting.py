"""One attempt: which addresses it may reach, how long it takes, and how much of an answer it reads."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from checkout_service.endpoints.addresses import Policy
from tests.worker.events.conftest import Receiver, refuse
from worker.events.posting import KEPT, READ_UP_TO, RESOLVERS, Answer, Poster

HERE = Policy(private=True)
PUBLIC = Policy(private=False)


def post(url: str, policy: Policy = HERE, *, times: int = 1, answer_within: float = 15.0) -> list[Answer]:
    async def run() -> list[Answer]:
        poster = Poster(policy, most=8, answer_within=answer_within)
        try:
            return [await poster.post(url, headers={"webhook-id": NOBODY}, body=b"{}") for _ in range(times)]
        finally:
            await poster.close()

    return asyncio.run(run())


NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def resolves_to(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Names mean these addresses, one list for each look-up; the names that were looked up."""
    looked_up: list[str] = []

    def begin(*answers: list[str]) -> list[str]:
        def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
            looked_up.append(host)
            found = answers[min(len(looked_up), len(answers)) - 1]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

        monkeypatch.setattr("worker.events.posting.socket.getaddrinfo", getaddrinfo)
        return looked_up

    return begin


def test_a_name_that_leads_into_our_own_network_is_refused_and_nothing_connects(
    receiver: Receiver, resolves_to: Callable[..., list[str]]
) -> None:
    resolves_to(["127.0.0.1", "10.1.2.3", "169.254.169.254"])
    policy = Policy(private=False, ports=frozenset({receiver.port}))
    (answer,) = post(f"https://shop.example.com:{receiver.port}/", policy)
    assert (answer.status, answer.error) == (None, "refused_address")
    assert receiver.connections == 0


def test_a_url_is_judged_at_every_attempt_whatever_was_taken_when_it_was_given(receiver: Receiver) -> None:
    for url in (
        receiver.url(),
        f"https://127.0.0.1:{receiver.port}/",
        "https://[::ffff:127.0.0.1]/",
        "https://2130706433/",
    ):
        assert post(url, PUBLIC)[0].error == "refused_address"
    assert receiver.connections == 0


def test_no_socket_is_made_to_an_address_that_is_refused_though_it_was_looked_up(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.events.posting.check_url", lambda url, policy: None)
    (answer,) = post(receiver.url(), PUBLIC)
    assert answer.error == "refused_address"
    assert receiver.connections == 0


def test_the_connection_goes_to_the_address_that_was_judged_and_the_name_is_looked_up_once(
    receiver: Receiver, resolves_to: Callable[..., list[str]]
) -> None:
    looked_up = resolves_to(["127.0.0.1"], ["10.1.2.3"])
    (answer,) = post(f"http://shop.example.com:{receiver.port}/x")
    assert answer.succeeded
    assert receiver.received[0].headers["host"] == f"shop.example.com:{receiver.port}"
    assert looked_up == ["shop.example.com"]


def test_a_redirect_is_a_failure_and_is_not_followed(receiver: Receiver) -> None:
    receiver.answer = refuse(307, Location="/elsewhere")
    (answer,) = post(receiver.url("/first"))
    assert (answer.status, answer.succeeded) == (307, False)
    assert [each.path for each in receiver.received] == ["/first"]


def test_of_an_answer_sixteen_kib_are_read_and_one_is_kept(receiver: Receiver) -> None:
    sent = 0

    async def endless(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(status=500)
        await response.prepare(request)
        while sent < 64 * 1024 * 1024:
            await response.write(b"x" * 4096)
            sent += 4096
        return response

    receiver.answer = endless
    (answer,) = post(receiver.url())
    assert (answer.status, answer.body) == (500, b"x" * KEPT)
    assert sent < 32 * 1024 * 1024 > READ_UP_TO, "it hung up on what came behind"


def test_a_success_is_one_with_its_status_though_its_body_breaks_off(receiver: Receiver) -> None:
    async def truncated(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        response = web.StreamResponse(status=202, headers={"content-length": "1000"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return response

    receiver.answer = truncated
    (answer,) = post(receiver.url())
    assert (answer.status, answer.succeeded, answer.body) == (202, True, b"")


def test_what_is_not_answered_in_time_has_no_status(receiver: Receiver) -> None:
    async def never(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    receiver.answer = never
    (answer,) = post(receiver.url(), answer_within=0.2)
    assert (answer.status, answer.error) == (None, "timeout")


def test_a_second_try_has_what_the_first_left_of_the_time(receiver: Receiver) -> None:
    async def close_the_first(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        await asyncio.sleep(0.9 if len(receiver.received) == 1 else 1.9)
        if len(receiver.received) == 1 and request.transport is not None:
            request.transport.close()
        return web.Response()

    receiver.answer = close_the_first
    (answer,) = post(receiver.url(), answer_within=2.0)
    assert not answer.succeeded, "it took longer than an attempt"


def test_what_answers_no_http_or_nothing_at_all_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert post(f"http://127.0.0.1:{port}/")[0].error == "connection"
    assert post("http://no-such-host.invalid/")[0].error == "unknown_host"


def test_a_kept_connection_that_was_closed_meanwhile_is_no_failure(receiver: Receiver) -> None:
    async def close_behind(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        response = web.Response()
        await response.prepare(request)
        await response.write_eof()
        # After an answer that announced nothing, as servers do whose patience with idle connections is at its end.
        assert request.transport is not None
        asyncio.get_running_loop().call_soon(request.transport.abort)
        return response

    receiver.answer = close_behind
    assert [answer.status for answer in post(receiver.url(), times=5)] == [200] * 5


def test_an_answer_without_a_request_is_not_that_to_the_next_event() -> None:
    ok, no = (f"HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n".encode() for line in ("200 OK", "500 No"))
    connections, requests = 0, 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections, requests
        connections += 1
        with suppress(asyncio.IncompleteReadError, OSError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(head.count(b"\r\nContent-Length: 2\r\n") * 2)
                requests += 1
                writer.write(ok if requests % 3 else no)
                if requests == 2:
                    asyncio.get_running_loop().call_soon(writer.write, ok)
        writer.close()

    async def run() -> list[int | None]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        poster = Poster(HERE, most=8)
        url, statuses = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", list[int | None]()
        for _ in range(3):
            statuses.append((await poster.post(url, headers={}, body=b"{}")).status)
            for _ in range(20):  # what the server wrote is read by the loop's next rounds
                await asyncio.sleep(0.001)
        await poster.close()
        server.close()
        return statuses

    assert asyncio.run(run()) == [200, 200, 500]
    assert connections == 2, "one is kept until something comes on it that is no answer"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("999999999", 86_400),
        ("soon", None),
        ("-5", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_read_within_bounds(receiver: Receiver, header: str, seconds: int | None) -> None:
    receiver.answer = refuse(503, Retry_After=header)
    (answer,) = post(receiver.url())
    assert answer.retry_after == (None if seconds is None else timedelta(seconds=seconds))


def test_names_that_are_slow_to_look_up_hold_only_each_other(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than there are threads, whose name server does not answer any more: known to be slow since the last time."""
    free = threading.Event()
    names = [f"{number}.dead.example" for number in range(2 * RESOLVERS)]

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        assert host not in names or free.wait(60)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async def run() -> None:
        poster = Poster(HERE, most=100, answer_within=50.0)

        async def send(name: str) -> int | None:
            return (
                await poster.post(f"http://{name}:{receiver.port}/", headers={"webhook-id": NOBODY}, body=b"{}")
            ).status

        dead = [asyncio.create_task(send(name)) for name in names]
        try:
            await asyncio.sleep(0.1)  # they are in the threads, or in the line for one
            assert await asyncio.wait_for(send("quick.example"), 30) == 200
            assert not any(task.done() for task in dead)
        finally:
            free.set()
            await asyncio.gather(*dead)
            await poster.close()

    monkeypatch.setattr("worker.events.posting.socket.getaddrinfo", getaddrinfo)
    monkeypatch.setattr("worker.events.posting._slow_names", OrderedDict.fromkeys(names))
    asyncio.run(run())
