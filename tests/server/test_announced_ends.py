"""Where the server closes a connection after an answer, the answer says so; where it does not, none does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from checkout_service.server.bodies import LARGEST_BODY, LARGEST_WEBHOOK, WEBHOOK_PATH, BodyReader
from checkout_service.server.readers import LARGE, Readers
from checkout_service.server.wsgi_adapter import Probes, Wsgi, WsgiAdapter
from checkout_service.telemetry.metrics import webhook_refused_total
from tests.server.arriving import Arriving
from tests.server.slots_here import SlotsHere
from tests.server.test_wsgi_adapter import BODY, Body, Client, answering, scope

CLOSE = ("Connection", "close")
OK = answering([b"ok"], ("Content-Length", "2"))


def answered(
    app: Wsgi,
    request: dict[str, Any],
    *,
    most_bytes: int = 2**20,
    ends: bool = False,
    probes: Probes | None = None,
) -> tuple[int, bool]:
    """The status of the only answer, and whether it says that the connection is closed."""
    client = Client()
    WsgiAdapter(
        app,
        slots=SlotsHere(working=1, waiting=1, queue=1),
        body_reader=BodyReader(readers=1, most_bytes=most_bytes),
        readers=Readers(readers=1, most_bytes=2**20),
        probes=probes,
        ends=lambda: ends,
    )(client, request)
    ((_, status, headers, _),) = client.answers
    assert headers.count(CLOSE) <= 1
    return status, CLOSE in headers


def chunked(body: bytes, path: str = "/api/cart/items") -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "wsgi.input": Arriving(body),
        "HTTP_TRANSFER_ENCODING": "chunked",
    }


def broken(_environ: dict[str, Any], _start_response: Callable[..., Any]) -> Iterable[bytes]:
    raise ValueError("broken")


@pytest.mark.parametrize("request_", [scope(), scope(b""), chunked(b"{}"), chunked(b" " * LARGEST_BODY)])
def test_a_body_that_was_read_leaves_the_connection_open(request_: dict[str, Any]) -> None:
    assert answered(OK, request_) == (201, False)


@pytest.mark.parametrize(
    "request_",
    [
        scope(length=LARGEST_BODY + 2),
        scope(length=10**12),
        scope(length=LARGEST_WEBHOOK + 2) | {"PATH_INFO": WEBHOOK_PATH},
        chunked(b" " * (LARGEST_BODY + 1)),
        chunked(b" " * (LARGEST_WEBHOOK + 1), WEBHOOK_PATH),
    ],
)
def test_a_body_that_was_left_unread_ends_the_connection_whoever_answers(request_: dict[str, Any]) -> None:
    assert answered(OK, request_) == (201, True)


def test_a_body_for_which_there_was_no_room_ends_the_connection() -> None:
    assert answered(OK, scope(), most_bytes=len(BODY) - 1) == (201, True)


def test_a_body_that_came_too_slowly_or_not_whole_ends_the_connection() -> None:
    assert answered(OK, scope(length=len(BODY) + 1)) == (408, True)


def test_an_app_that_broke_ends_the_connection() -> None:
    assert answered(broken, scope()) == (500, True)


@pytest.mark.parametrize(
    ("app", "request_", "status"),
    [
        (OK, scope(), 201),
        (answering([b"a" * (LARGE + 1)]), scope(), 201),
        (answering(Body(b"piece")), scope(b""), 201),
        (broken, scope(), 500),
        (OK, scope(length=99), 408),
    ],
)
def test_every_answer_ends_the_connection_once_the_process_ends(
    app: Wsgi, request_: dict[str, Any], status: int
) -> None:
    assert answered(app, request_ | {"wsgi.input": Arriving(BODY)}, ends=True) == (status, True)


@pytest.mark.parametrize(("app", "length", "reason"), [(broken, None, "internal-error"), (OK, 99, "request-timeout")])
def test_a_webhook_that_the_adapter_refuses_is_counted(app: Wsgi, length: int | None, reason: str) -> None:
    def counted() -> float:
        return webhook_refused_total.labels(reason)._value.get()

    before = counted()
    answered(app, scope(length=length) | {"PATH_INFO": f"{WEBHOOK_PATH}/stripe"})
    assert counted() == before + 1
    answered(app, scope(length=length))
    assert counted() == before + 1


class Memory:
    """Probes that know their answers, as while the process ends."""

    def answer(self, path: str, /) -> tuple[int, dict[str, str], bytes] | None:
        return 200, {"Connection": "close"} if path == "/readyz" else {}, b"{}"


@pytest.mark.parametrize(("body", "closes"), [(b"", False), (b"unread", True)])
def test_a_probe_whose_body_is_left_unread_ends_the_connection(body: bytes, *, closes: bool) -> None:
    request = scope(body) | {"PATH_INFO": "/livez", "REQUEST_METHOD": "GET"}
    assert answered(OK, request, probes=Memory()) == (200, closes)
    assert answered(OK, request | {"PATH_INFO": "/readyz"}, probes=Memory(), ends=True) == (200, True), (
        "and says it once"
    )
