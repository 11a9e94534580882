"""The WSGI adapter answers each request once, whatever the app does, and keeps nothing of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import pytest

from checkout_service.api.callers import CALLER_KEY
from checkout_service.api_versions import API_VERSIONS
from checkout_service.server.bodies import BodyReader
from checkout_service.server.readers import Readers
from checkout_service.server.slots import ENVIRON_KEY, Kind, Share
from checkout_service.server.wsgi_adapter import WAITS_FOR, Probes, Wsgi, WsgiAdapter, kind_of
from checkout_service.telemetry import logs, request_log
from checkout_service.telemetry.metrics import requests_total
from tests.flower_pages.stack import eventually
from tests.server.arriving import Arriving
from tests.server.slots_here import SlotsHere

BODY = b'{"qty": 1}'


@dataclass
class Client:
    """Granian's side of a request: the answers that it was given."""

    answers: list[tuple[str, int, list[tuple[str, str]], Any]] = field(default_factory=list)

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.answers.append(("bytes", status, headers, body))

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Any) -> None:
        pieces = []
        while True:
            try:
                pieces.append(body.__next__())
            except StopIteration:
                break
        body.close()
        self.answers.append(("pieces", status, headers, pieces))


class SlowClient(Client):
    """One who reads nothing until they may."""

    def __init__(self) -> None:
        super().__init__()
        self.may_read, self.has_read = threading.Event(), threading.Event()

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Any) -> None:
        assert self.may_read.wait(30)
        super().response_iter(status, headers, body)
        self.has_read.set()


class Body:
    """What an app answers with, which wants to be closed."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    def close(self) -> None:
        self.closed += 1


def scope(body: bytes = BODY, *, length: int | None = None) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/cart/items",
        "QUERY_STRING": "",
        "wsgi.input": Arriving(body),
        "CONTENT_LENGTH": str(len(body) if length is None else length),
    }


def answering(body: Iterable[bytes], *headers: tuple[str, str]) -> Wsgi:
    def app(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("201 CREATED", list(headers))
        return body

    return app


def wsgi_adapter(
    app: Wsgi,
    *,
    working: int = 1,
    queue: int = 100,
    most_bytes: int = 1000,
    readers: int = 5,
    probes: Probes | None = None,
) -> WsgiAdapter:
    return WsgiAdapter(
        app,
        slots=SlotsHere(working=working, waiting=1, queue=queue),
        body_reader=BodyReader(readers=1, most_bytes=most_bytes),
        readers=Readers(readers=readers, most_bytes=2**20),
        probes=probes,
    )


class FromMemory:
    """Probes of a test."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.ids: list[str] = []

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes] | None:
        self.paths.append(path)
        self.ids.append(logs.request_id())
        return 503, {"Content-Type": "text/x", "Connection": "close"}, b"seen"


def probe(path: str, method: str = "GET") -> dict[str, Any]:
    return scope(b"unread") | {"PATH_INFO": path, "REQUEST_METHOD": method}


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probes_are_answered_while_every_slot_is_taken_and_the_line_is_full(path: str) -> None:
    probes, client = FromMemory(), Client()
    adapter = wsgi_adapter(answering([]), working=0, queue=0, most_bytes=0, probes=probes)
    before = _counted(path)

    for _ in range(100):
        adapter(client, probe(path))

    assert probes.paths == [path] * 100
    assert {(kind, status, body) for kind, status, _, body in client.answers} == {("bytes", 503, b"seen")}
    headers = dict(client.answers[0][2])
    assert headers["Content-Type"] == "text/x"
    assert headers["Connection"] == "close"
    assert headers[request_log.REQUEST_ID] == probes.ids[0]
    assert _counted(path) == before + 100


def test_to_head_a_probe_tells_its_length_alone() -> None:
    client = Client()
    wsgi_adapter(answering([]), working=0, queue=0, probes=FromMemory())(client, probe("/readyz", "HEAD"))
    [(_, status, headers, body)] = client.answers
    assert (status, body) == (503, b"")
    assert ("Content-Length", "4") in headers


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
def test_a_probes_path_refuses_other_methods_in_no_slot(method: str) -> None:
    """They would go first in the line."""
    client = Client()
    wsgi_adapter(answering([]), working=0, queue=0, most_bytes=0, probes=FromMemory())(client, probe("/readyz", method))
    [(_, status, headers, body)] = client.answers
    assert (status, dict(headers)["Allow"]) == (405, "GET, HEAD")
    assert json.loads(body)["type"] == "/problems/method-not-allowed"
    assert json.loads(body)["request_id"] == dict(headers)[request_log.REQUEST_ID]


@pytest.mark.parametrize("path", ["/metrics", "/livez/", "/api/cart"])
def test_what_is_no_probe_goes_to_the_app(path: str) -> None:
    probes, client = FromMemory(), Client()
    app = answering([b"ok"], ("Content-Length", "2"))
    wsgi_adapter(app, probes=probes)(client, probe(path))
    assert [answer[1] for answer in client.answers] == [201]
    assert not probes.paths


def _counted(path: str) -> float:
    return requests_total.labels("GET", path, "503")._value.get()


def test_an_answer_of_known_length_goes_out_whole() -> None:
    client, body, headers = Client(), Body(b"o", b"", b"k"), [("Content-Length", "2"), ("X-One", "1")]

    wsgi_adapter(answering(body, *headers))(client, scope())

    assert client.answers == [("bytes", 201, headers, b"ok")]
    assert body.closed == 1


def test_an_answer_without_a_length_goes_out_whole_too() -> None:
    client, body = Client(), Body(b"o", b"k")

    wsgi_adapter(answering(body, ("Content-Type", "text/plain")))(client, scope())

    assert client.answers == [("bytes", 201, [("Content-Type", "text/plain")], b"ok")]
    assert body.closed == 1


@pytest.mark.parametrize("headers", [[("Content-Length", "100000")], []], ids=["length", "no length"])
def test_a_large_answer_goes_out_in_pieces_while_its_slot_is_free(headers: list[tuple[str, str]]) -> None:
    large = b"abcd" * 25_000

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/large":
            return answering([large], *headers)(environ, start_response)
        return answering([b"ok"], ("Content-Length", "2"))(environ, start_response)

    front = wsgi_adapter(app)
    slow, other = SlowClient(), Client()
    front(slow, scope(b"") | {"PATH_INFO": "/large"})
    front(other, scope())

    assert [answer[:2] for answer in other.answers] == [("bytes", 201)]
    assert not slow.answers
    slow.may_read.set()
    assert slow.has_read.wait(30)
    assert slow.answers == [("pieces", 201, [("Content-Length", "100000")], slow.answers[0][3])]
    assert b"".join(slow.answers[0][3]) == large


def test_a_large_answer_that_has_no_place_is_refused_and_says_so() -> None:
    front = wsgi_adapter(answering([b"x" * 100_000], ("Content-Length", "100000")), readers=1)
    slow, excess = SlowClient(), Client()
    front(slow, scope(b""))
    front(excess, scope(b""))

    ((_, status, headers, body),) = excess.answers
    assert status == 503
    assert dict(headers)["Retry-After"] == "1"
    assert json.loads(body)["type"] == "/problems/too-many-readers"
    slow.may_read.set()
    assert slow.has_read.wait(30)


def test_who_reads_as_much_as_one_may_is_refused_and_others_are_not() -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ[CALLER_KEY] = environ["HTTP_USER_AGENT"]  # the app knows; here by what is at hand
        return answering([b"x" * 100_000], ("Content-Length", "100000"))(environ, start_response)

    front = wsgi_adapter(app, readers=4)
    slow, excess, other = SlowClient(), Client(), SlowClient()
    for client, name in ((slow, "one"), (excess, "one"), (other, "another")):
        front(client, scope(b"") | {"HTTP_USER_AGENT": name})

    ((_, status, headers, body),) = excess.answers
    assert (status, dict(headers)["Retry-After"]) == (429, "1")
    assert json.loads(body)["type"] == "/problems/too-many-at-once"
    for reader in (slow, other):
        reader.may_read.set()
        assert reader.has_read.wait(30)
        assert reader.answers[0][1] == 201


def test_the_app_finds_the_body_and_its_way_out_of_the_slot() -> None:
    seen: list[dict[str, Any]] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        seen.append(environ | {"read": environ["wsgi.input"].read()})
        return answering([], ("Content-Length", "0"))(environ, start_response)

    wsgi_adapter(app)(Client(), scope())

    assert seen[0]["read"] == BODY
    assert isinstance(seen[0][ENVIRON_KEY], Share)


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(1)], ids=["error", "exit"])
def test_an_app_that_breaks_is_a_500_and_takes_neither_slot_nor_room_along(error: BaseException) -> None:
    good = answering([b"ok"], ("Content-Length", "2"))
    breaks = [True]

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if breaks.pop():
            raise error
        return good(environ, start_response)

    front = wsgi_adapter(app, most_bytes=len(BODY))
    first, second = Client(), Client()
    front(first, scope())
    breaks.append(False)
    front(second, scope())

    assert [answer[:2] for answer in first.answers] == [("bytes", 500)]
    assert [answer[:2] for answer in second.answers] == [("bytes", 201)]


@pytest.mark.parametrize(
    ("kind", "paths"),
    [
        (Kind.PROBE, ["/livez", "/readyz"]),
        (Kind.WEBHOOK, ["/api/payments/webhook", "/api/payments/webhook/stripe"]),
        (Kind.API, ["/api/cart", "/api/payments/webhooks", "/api/admin/disputes", "/api/no-such-thing"]),
        (Kind.PAGE, ["/metrics", "/ops/payments", "/pay/1/news", "/api/docs", "/api/docs/page.css", "/livez/"]),
        (Kind.PAGE, ["", "*", "//api/payments/webhook", "/API/payments/webhook", "/api", "/api/openapi.json"]),
    ],
)
def test_what_a_path_takes_of_the_slots(kind: Kind, paths: list[str]) -> None:
    assert [kind_of(path, "q=algebra") for path in paths] == [kind] * len(paths)


def test_a_search_is_a_page_of_its_own_kind() -> None:
    assert [kind_of("/", query) for query in ("", "after=1", "q=algebra", "after=1&q=", "%71=algebra")] == [
        Kind.PAGE, Kind.PAGE, Kind.SEARCH, Kind.SEARCH, Kind.SEARCH,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "path", "queries"),
    [
        (Kind.PAGE, "/api/listings", ["", "limit=5", "limit=5&cursor=x&sort=title", "&"]),
        (Kind.SEARCH, "/api/listings", ["q=navy", "%71=navy", "limit=5&vendor=1", "available=false", "sort=price&x"]),
        (Kind.PAGE, "/api/listings/1", ["", "currency=EUR"]),
        (Kind.PAGE, "/api/listings/", ["q=navy"]),
    ],
)
def test_the_catalogue_is_there_to_be_looked_at_and_what_looks_through_it_is_a_search(
    kind: Kind, path: str, queries: list[str]
) -> None:
    assert [kind_of(path, query) for query in queries] == [kind] * len(queries)


def test_pages_that_wait_take_no_webhook_its_slot() -> None:
    """With four slots two pages are at work; the others of a flood wait, while webhooks and API are served."""
    may_end, served = threading.Event(), list[str]()

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/":
            assert may_end.wait(30)
        served.append(environ["PATH_INFO"])
        return answering([], ("Content-Length", "0"))(environ, start_response)

    front = wsgi_adapter(app, working=4)
    crowd = [threading.Thread(target=front, args=(Client(), scope(b"") | {"PATH_INFO": "/"})) for _ in range(8)]
    for thread in crowd:
        thread.start()
    for path in ("/api/payments/webhook", "/api/cart") * 5:
        front(Client(), scope() | {"PATH_INFO": path})

    assert served == ["/api/payments/webhook", "/api/cart"] * 5
    may_end.set()
    for thread in crowd:
        thread.join(30)
    assert served.count("/") == 8


def test_an_answer_that_breaks_on_the_way_is_closed() -> None:
    class Breaks(Body):
        def __iter__(self) -> Iterator[bytes]:
            yield b"o"
            raise ValueError("broken")

    client, body = Client(), Breaks()

    wsgi_adapter(answering(body, ("Content-Length", "2")))(client, scope())

    assert [answer[:2] for answer in client.answers] == [("bytes", 500)]
    assert body.closed == 1


def test_a_sender_that_is_gone_reaches_no_app() -> None:
    reached: list[str] = []

    def app(environ: dict[str, Any], _start_response: Callable[..., Any]) -> Iterable[bytes]:
        reached.append(environ["PATH_INFO"])
        return []

    client = Client()
    wsgi_adapter(app)(client, scope(length=len(BODY) + 1))

    ((_, status, headers, body),) = client.answers
    assert status == 408
    assert json.loads(body)["request_id"] == dict(headers)["X-Request-Id"]
    assert dict(headers)["API-Version"] == API_VERSIONS.newest
    assert not reached


def test_its_own_answers_to_what_is_not_of_the_api_name_no_version() -> None:
    client = Client()
    wsgi_adapter(answering([]))(client, scope(length=len(BODY) + 1) | {"PATH_INFO": "/cart"})

    ((_, status, headers, _),) = client.answers
    assert (status, "API-Version" in dict(headers)) == (408, False)


def test_who_waited_too_long_or_finds_the_queue_full_is_refused_and_nothing_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reached: list[str] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        reached.append(environ["PATH_INFO"])
        if len(reached) == 1:  # others come while the only slot is taken
            front(late, scope())
            front(excess, scope())
            monkeypatch.setattr(
                "checkout_service.server.wsgi_adapter.perf_counter", lambda: perf_counter() + WAITS_FOR + 1
            )
        return answering([], ("Content-Length", "0"))(environ, start_response)

    front = wsgi_adapter(app, queue=1)
    first, late, excess = Client(), Client(), Client()
    front(first, scope())

    eventually(lambda: late.answers)  # another thread goes on with what waited
    assert len(reached) == 1
    for client in (late, excess):
        ((_, status, headers, body),) = client.answers
        assert status == 503
        assert dict(headers)["Retry-After"] == "1"
        assert json.loads(body)["type"] == "/problems/too-many-waiting"


@pytest.fixture
def counted() -> Callable[[str], float]:
    """How many answers of a route's name there were since the test began."""

    def total(route: str) -> float:
        return sum(
            sample.value
            for metric in requests_total.collect()
            for sample in metric.samples
            if sample.name.endswith("_total") and sample.labels["route"] == route
        )

    before = {route: total(route) for route in ("gone", "refused", "broken")}
    return lambda route: total(route) - before[route]


def _break(_environ: dict[str, Any], _start_response: Any) -> Iterable[bytes]:
    raise ValueError("broken")


def _gone() -> tuple[WsgiAdapter, dict[str, Any]]:
    return wsgi_adapter(answering([])), scope(length=len(BODY) + 1)


def _refused() -> tuple[WsgiAdapter, dict[str, Any]]:
    return wsgi_adapter(answering([]), working=0, queue=0), scope()


def _broken() -> tuple[WsgiAdapter, dict[str, Any]]:
    return wsgi_adapter(_break), scope()


@pytest.mark.parametrize(
    ("make", "route", "status"), [(_gone, "gone", 408), (_refused, "refused", 503), (_broken, "broken", 500)]
)
def test_its_own_answers_have_an_id_a_line_and_a_count_like_any_other(
    make: Callable[[], tuple[WsgiAdapter, dict[str, Any]]],
    route: str,
    status: int,
    counted: Callable[[str], float],
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(production=True)
    front, asks = make()
    client = Client()
    try:
        front(client, asks | {"HTTP_X_REQUEST_ID": "find-me-1", "PATH_INFO": "/api/h\xc3\xa9"})
    finally:
        logs.configure(production=False)

    ((_, answered, headers, body),) = client.answers
    shown = json.loads(body)
    assert answered == shown["status"] == status
    assert dict(headers)["X-Request-Id"] == shown["request_id"] == "find-me-1"
    assert dict(headers)["Content-Type"] == "application/problem+json"
    assert shown["instance"] == "/api/hé"
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (line,) = [line for line in lines if line["event"] == "request"]
    assert (line["route"], line["status"], line["request_id"]) == (route, status, "find-me-1")
    assert {other["request_id"] for other in lines} == {"find-me-1"}
    assert counted(route) == 1


def test_an_app_that_breaks_after_it_began_keeps_its_id_and_its_beginning() -> None:
    def app(environ: dict[str, Any], _start_response: Any) -> Iterable[bytes]:
        request_log.begin(environ)
        raise ValueError("broken")

    client = Client()
    wsgi_adapter(app)(client, scope() | {"HTTP_X_REQUEST_ID": "find-me-2"})

    ((_, _, headers, _),) = client.answers
    assert dict(headers)["X-Request-Id"] == "find-me-2"
