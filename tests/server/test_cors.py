"""Every answer to a page of an origin that may come says so, whoever gives it; to others none does; all vary by it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any

import pytest

from checkout_service.api.callers import CALLER_KEY
from checkout_service.server.bodies import LARGEST_BODY, BodyReader
from checkout_service.server.cors import EXPOSED, MAX_AGE, REQUEST_HEADERS, Cors, covers
from checkout_service.server.readers import LARGE, Readers
from checkout_service.server.wsgi_adapter import WAITS_FOR, Probes, Wsgi, WsgiAdapter
from checkout_service.settings.origins import Origins
from checkout_service.telemetry.metrics import requests_total
from tests.flower_pages.stack import eventually
from tests.server import test_long_polls as polls
from tests.server.arriving import Arriving
from tests.server.slots_here import SlotsHere
from tests.server.test_wsgi_adapter import BODY, Client, FromMemory, SlowClient, answering, scope

SHOP = "https://shop.example"
STRANGER = "https://stranger.example"
ORIGINS = Origins(frozenset({SHOP}), frozenset({"preview.example"}))
METHODS = ("GET", "HEAD", "PATCH", "POST")
OK = answering([b"ok"], ("Content-Length", "2"))

Pairs = list[tuple[str, str]]


def adapter(
    app: Wsgi, *, working: int = 1, queue: int = 1, readers: int = 1, probes: Probes | None = None
) -> WsgiAdapter:
    return WsgiAdapter(
        app,
        slots=SlotsHere(working=working, waiting=1, queue=queue),
        body_reader=BodyReader(readers=1, most_bytes=2**20),
        readers=Readers(readers=readers, most_bytes=2**30),
        probes=probes,
        cors=Cors(ORIGINS, methods=METHODS),
    )


def asks(origin: str | None = SHOP, body: bytes = BODY, *, length: int | None = None, **more: str) -> dict[str, Any]:
    return scope(body, length=length) | ({} if origin is None else {"HTTP_ORIGIN": origin}) | more


def preflight(origin: str = SHOP, path: str = "/api/cart/items", **more: Any) -> dict[str, Any]:
    named = {"REQUEST_METHOD": "OPTIONS", "PATH_INFO": path, "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST"}
    return asks(origin, b"") | named | more


def only(client: Client) -> tuple[int, Pairs]:
    ((_, status, headers, _),) = client.answers
    return status, headers


def of_cors(headers: Pairs) -> Pairs:
    return [(name, value) for name, value in headers if name.lower().startswith("access-control-") or name == "Vary"]


READS: Pairs = [
    ("Vary", "Origin"),
    ("Access-Control-Allow-Origin", SHOP),
    ("Access-Control-Expose-Headers", ", ".join(EXPOSED)),
]
REFUSED: Pairs = [("Vary", "Origin")]


def broken(_environ: dict[str, Any], _start_response: Any) -> Iterable[bytes]:
    raise ValueError("broken")


def _of_app(request: dict[str, Any]) -> Client:
    client = Client()
    adapter(OK)(client, request)
    return client


def _not_whole(request: dict[str, Any]) -> Client:
    client = Client()
    adapter(OK)(client, request | {"CONTENT_LENGTH": str(len(BODY) + 1)})
    return client


def _line_full(request: dict[str, Any]) -> Client:
    client = Client()
    adapter(OK, working=0, queue=0)(client, request)
    return client


def _broken(request: dict[str, Any]) -> Client:
    client = Client()
    adapter(broken)(client, request)
    return client


def _large(request: dict[str, Any]) -> Client:
    client = SlowClient()
    client.may_read.set()
    adapter(answering([b"a" * (LARGE + 1)]))(client, request)
    assert client.has_read.wait(20)
    return client


def _reading(request: dict[str, Any], *, readers: int) -> Client:
    """Asks for a large answer while as many as may read one do; they are the same caller's."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ[CALLER_KEY] = "somebody"
        return answering([b"a" * (LARGE + 1)])(environ, start_response)

    front, slow, client = adapter(app, readers=readers), SlowClient(), Client()
    front(slow, request | {"wsgi.input": Arriving(BODY)})
    try:
        front(client, request | {"wsgi.input": Arriving(BODY)})
    finally:
        slow.may_read.set()
        assert slow.has_read.wait(20)
    return client


def _all_read(request: dict[str, Any]) -> Client:
    return _reading(request | {"PATH_INFO": "/api/docs/page.css"}, readers=1)


def _caller_reads(request: dict[str, Any]) -> Client:
    return _reading(request, readers=2)


@pytest.mark.parametrize(
    ("answered", "status"),
    [
        *((_of_app, 201), (_large, 201), (_not_whole, 408), (_broken, 500)),
        *((_line_full, 503), (_all_read, 429), (_caller_reads, 429)),
    ],
)
def test_whoever_gives_an_answer_it_says_who_may_read_it(
    answered: Callable[[dict[str, Any]], Client], status: int
) -> None:
    for origin, shown in ((SHOP, READS), (STRANGER, REFUSED), (None, REFUSED)):
        found, headers = only(answered(asks(origin)))
        assert found == status
        assert of_cors(headers) == shown
    assert len(dict(headers)) == len(headers), "none comes twice"


def test_who_finds_no_place_to_read_is_answered_so_too() -> None:
    front, slow, client = adapter(answering([b"a" * (LARGE + 1)])), SlowClient(), Client()
    front(slow, asks())
    front(client, asks())
    slow.may_read.set()
    assert slow.has_read.wait(20)
    status, headers = only(client)
    assert (status, of_cors(headers)) == (503, READS)


def test_who_waited_too_long_is_answered_so_too(monkeypatch: pytest.MonkeyPatch) -> None:
    late = Client()

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        front(late, asks())
        clock = "checkout_service.server.wsgi_adapter.perf_counter"
        monkeypatch.setattr(clock, lambda: perf_counter() + WAITS_FOR + 1)
        return OK(environ, start_response)

    front = adapter(app)
    front(Client(), asks())
    eventually(lambda: late.answers)  # another thread goes on with what waited
    status, headers = only(late)
    assert (status, of_cors(headers)) == (503, READS)


@pytest.mark.parametrize(("changes", "status"), [(True, 200), (False, 304)])
def test_a_long_poll_is_answered_so_too(*, changes: bool, status: int) -> None:
    things = polls.Things()
    front = WsgiAdapter(
        things.app,
        slots=SlotsHere(working=2, waiting=1, queue=10),
        body_reader=BodyReader(readers=1, most_bytes=1000),
        readers=Readers(readers=1, most_bytes=2**20),
        ends=lambda: things.ends,
        looks={"things": things.look},
        most_polls=10,
        cors=Cors(ORIGINS, methods=METHODS),
    )
    thing = polls.thing_of(things)
    kept = {
        origin: polls.ask(front, thing, 1, wait=300 if changes else 1, HTTP_ORIGIN=origin)
        for origin in (SHOP, STRANGER)
    }
    if changes:
        assert not any(client.answers for client in kept.values())
        things.versions[thing] = 2
    eventually(lambda: all(client.answers for client in kept.values()))
    things.ends = True
    for origin, shown in ((SHOP, READS), (STRANGER, REFUSED)):
        ((found, headers, _),) = kept[origin].answers
        assert (found, of_cors(list(headers.items()))) == (status, shown)


@pytest.mark.parametrize("path", ["/api/cart/items", "/api/there/is/nothing", "/api/docs", "/api/payments/webhooks"])
def test_a_preflight_is_answered_in_no_slot_and_by_nobodys_rights(path: str) -> None:
    client = Client()
    adapter(broken, working=0, queue=0)(client, preflight(path=path))
    ((_, status, headers, body),) = client.answers
    assert (status, body) == (204, b"")
    assert dict(headers) == {
        "X-Request-Id": dict(headers)["X-Request-Id"],
        "Access-Control-Allow-Methods": ", ".join(METHODS),
        "Access-Control-Allow-Headers": ", ".join(REQUEST_HEADERS),
        "Access-Control-Max-Age": MAX_AGE,
        **dict(READS),
    }
    assert len(dict(headers)) == len(headers)


@pytest.mark.parametrize("origin", [STRANGER, "null", "", f"{SHOP}, {SHOP}", f"{SHOP}\n", SHOP + "a" * 30_000])
def test_a_preflight_of_who_is_refused_learns_nothing(origin: str) -> None:
    answers = []
    for path in ("/api/cart/items", "/api/there/is/nothing"):
        client = Client()
        adapter(broken, working=0, queue=0)(client, preflight(origin, path))
        status, headers = only(client)
        answers.append((status, [(name, value) for name, value in headers if name != "X-Request-Id"]))
    assert answers == [(204, REFUSED)] * 2


def test_a_preflights_body_is_left_unread_and_ends_the_connection() -> None:
    client = Client()
    adapter(broken, working=0, queue=0)(client, preflight(CONTENT_LENGTH=str(LARGEST_BODY)))
    status, headers = only(client)
    assert status == 204
    assert ("Connection", "close") in headers


def test_preflights_are_counted_by_whether_they_were_let_in() -> None:
    def counted(route: str) -> float:
        found: float = requests_total.labels("OPTIONS", route, "204")._value.get()
        return found

    before = counted("preflight"), counted("preflight-refused")
    front = adapter(broken)
    for origin in (SHOP, STRANGER, STRANGER):
        front(Client(), preflight(origin))
    assert (counted("preflight"), counted("preflight-refused")) == (before[0] + 1, before[1] + 2)


@pytest.mark.parametrize(
    "request_",
    [
        {"REQUEST_METHOD": "OPTIONS"},
        {"REQUEST_METHOD": "OPTIONS", "HTTP_ORIGIN": SHOP},
        {"REQUEST_METHOD": "OPTIONS", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST"},
        {"REQUEST_METHOD": "POST", "HTTP_ORIGIN": SHOP, "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST"},
    ],
)
def test_what_is_no_preflight_goes_to_the_app(request_: dict[str, str]) -> None:
    client = Client()
    adapter(OK)(client, scope() | request_)
    assert only(client)[0] == 201


@pytest.mark.parametrize(
    "path",
    ["/", "/cart", "/ops/", "/metrics", "/api", "//api/cart", "/api/payments/webhook", "/api/payments/webhook/mock"],
)
def test_what_is_not_the_api_says_nothing_of_it(path: str) -> None:
    assert not covers(path)
    for request_ in (asks(PATH_INFO=path), preflight(path=path), asks(length=99, PATH_INFO=path)):
        client = Client()
        adapter(OK)(client, request_)
        status, headers = only(client)
        assert status in {201, 408}
        assert of_cors(headers) == []


def test_a_probe_says_nothing_of_it() -> None:
    client = Client()
    adapter(OK, probes=FromMemory())(client, preflight(path="/livez"))
    status, headers = only(client)
    assert (status, of_cors(headers)) == (405, [])


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ([], [("Vary", "Origin")]),
        ([("Vary", "")], [("Vary", "Origin")]),
        ([("Vary", "Cookie")], [("Vary", "Cookie, Origin")]),
        ([("vary", "Accept-Encoding, origin")], [("vary", "Accept-Encoding, origin")]),
        ([("Vary", "Cookie"), ("Vary", "Origin")], [("Vary", "Cookie"), ("Vary", "Origin")]),
        ([("Vary", "*")], [("Vary", "*")]),
        (
            [("X", "Vary"), ("Vary", "Cookie"), ("Vary", "A")],
            [("X", "Vary"), ("Vary", "Cookie, Origin"), ("Vary", "A")],
        ),
    ],
)
def test_what_an_answer_varies_by_is_added_to_once(given: Pairs, shown: Pairs) -> None:
    before = [*given]
    for origin in (None, STRANGER):
        client = Client()
        adapter(answering([b"ok"], *given))(client, asks(origin))
        assert only(client)[1] == shown
    assert Cors(ORIGINS, methods=METHODS).answered(asks(), given) == [*shown, *READS[1:]]
    assert given == before, "it may be sent once more"


@pytest.mark.parametrize(
    "origin",
    [
        *("", "null", "*", f"{SHOP},{SHOP}", f"{SHOP}, {STRANGER}", f"{SHOP}\r\nSet-Cookie: a=b", f"{SHOP}\0"),
        *(
            f"{SHOP}/",
            f"{SHOP}:443",
            "HTTPS://SHOP.EXAMPLE",
            "https://a.b.preview.example",
            "https://pr\xe9.preview.example",
        ),
        f"https://{'a' * 30_000}.preview.example",
    ],
)
def test_an_origin_that_no_browser_sends_is_never_sent_back(origin: str) -> None:
    for request_ in (asks(origin), asks(origin, length=99), preflight(origin)):
        client = Client()
        adapter(OK)(client, request_)
        headers = only(client)[1]
        assert of_cors(headers) == REFUSED
        assert origin in {"", "*"} or origin not in str(headers)


def test_no_answer_lets_cookies_come_along() -> None:
    for request_ in (asks(), asks(length=99), preflight(), asks("https://a.preview.example")):
        client = Client()
        adapter(OK)(client, request_)
        names = {name.lower(): value for name, value in only(client)[1]}
        assert names["access-control-allow-origin"] == request_["HTTP_ORIGIN"]
        assert "access-control-allow-credentials" not in names


def test_where_nobody_may_come_nothing_is_added() -> None:
    client = Client()
    front = WsgiAdapter(
        OK,
        slots=SlotsHere(working=1, waiting=1, queue=1),
        body_reader=BodyReader(readers=1, most_bytes=1000),
        readers=Readers(readers=1, most_bytes=2**20),
    )
    front(client, preflight())
    assert only(client) == (201, [("Content-Length", "2")])
