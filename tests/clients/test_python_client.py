"""What is written by hand of the Python client: who calls, errors, pages, and waiting; the service is played."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
import pytest
from checkout_client import (
    CheckoutError,
    Client,
    LostCallError,
    PaymentUnchangedError,
    ProblemError,
    UnexpectedAnswerError,
    calling,
    each,
    each_async,
    wait_for_payment,
    wait_for_payment_async,
    watching,
)
from checkout_client.api import API_VERSION
from checkout_client.api.cart import add_cart_item, empty_cart, get_cart
from checkout_client.api.payments import get_payment, list_payments
from checkout_client.api.refunds import create_refund
from checkout_client.api.webhook_endpoints import get_webhook_endpoint
from checkout_client.models import NewItem, NewRefund, NoAction, ReadPayment

from clients import make

PAYMENT: Final = UUID("37ead6b5-d8a0-5dc2-ba73-81115ccb02a4")

Answer = httpx.Response | Callable[[httpx.Request], httpx.Response]


class Service:
    """Answers in turn, and keeps what it was sent."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        return answer if isinstance(answer, httpx.Response) else answer(request)

    def client(self, **caller: str) -> Client:
        transport = httpx.MockTransport(self)
        return Client("http://127.0.0.1:1", transport=transport, async_transport=transport, **caller)


def example(schema: str) -> dict[str, Any]:
    """Some value that the schema of this name takes."""
    document = json.loads(make.DOCUMENT.read_text(encoding="utf-8"))
    return {name: _example(part) for name, part in document["components"]["schemas"][schema]["properties"].items()}


def _example(schema: dict[str, Any]) -> Any:
    formats = {"uuid": str(uuid4()), "date-time": "2026-11-25T04:05:06Z"}
    kind = schema.get("type", "null")
    if kind == "null" or "null" in kind:
        return None
    plain = {"string": formats.get(schema.get("format", ""), "x"), "boolean": False, "integer": 1, "array": []}
    return schema["enum"][0] if "enum" in schema else plain[kind]


def payment(status: str = "pending", **members: Any) -> httpx.Response:
    value = example("ReadPayment") | {"status": status, "under_way": False, "next_action": {"type": "none"}} | members
    return httpx.Response(200, json=value, headers={"ETag": f'W/"{status}"'})


def problem(status: int, slug: str, headers: dict[str, str] | None = None, **members: Any) -> httpx.Response:
    value = {"type": f"/problems/{slug}", "title": "No", "status": status, "detail": "It is so.", "instance": "/"}
    headers = {"Content-Type": "application/problem+json", **(headers or {})}
    return httpx.Response(status, content=json.dumps(value | {"request_id": "r"} | members), headers=headers)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, by a clock of its own: nothing else takes time."""
    made: list[float] = []

    async def pause(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr(watching, "monotonic", lambda: sum(made))
    for module in (watching, calling):
        monkeypatch.setattr(module, "sleep", made.append)
        monkeypatch.setattr(module, "sleep_async", pause)
    return made


@pytest.mark.parametrize(
    ("caller", "header", "value"),
    [
        ({"token": "a.b.c"}, "Authorization", "Bearer a.b.c"),
        ({"api_key": "csk_1"}, "Authorization", "Bearer csk_1"),
        ({"cart_token": "cct_1"}, "Cart-Token", "cct_1"),
    ],
)
def test_a_caller_is_named_in_its_header_and_the_version_in_another(
    caller: dict[str, str], header: str, value: str
) -> None:
    service = Service(httpx.Response(204))

    empty_cart.sync(client=service.client(**caller))

    (request,) = service.requests
    assert request.headers[header] == value
    assert ({"Authorization", "Cart-Token"} - {header}).isdisjoint(request.headers)
    assert request.headers["API-Version"] == API_VERSION
    assert json.loads(make.DOCUMENT.read_text(encoding="utf-8"))["info"]["version"] == API_VERSION


def test_two_callers_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="one caller"):
        Client("http://127.0.0.1:1", token="a", cart_token="b")


def test_a_key_is_made_for_each_call_and_one_that_is_named_is_sent() -> None:
    service = Service(*(problem(404, "not-found") for _ in range(3)))
    client = service.client(api_key="csk_1")
    for keys in ({}, {}, {"idempotency_key": "mine"}):
        with pytest.raises(ProblemError):
            create_refund.sync(PAYMENT, client=client, body=NewRefund(amount="1.00"), **keys)

    first, second, third = (request.headers["Idempotency-Key"] for request in service.requests)
    assert len({first, second}) == 2
    assert min(len(first), len(second)) == 36
    assert third == "mine"


@pytest.mark.parametrize("name", ["token", "cart_token", "api_key"])
def test_a_caller_with_an_empty_secret_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} is empty"):
        Client("http://127.0.0.1:1", **{name: ""})
    with pytest.raises(ValueError, match="is empty"):
        Client("http://127.0.0.1:1", **({"token": "a", "api_key": "b"} | {name: ""}))


class BreaksOff(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that has a beginning alone."""

    def __iter__(self) -> Iterator[bytes]:
        yield b'{"id": '
        raise httpx.RemoteProtocolError("peer closed connection")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"id": '
        raise httpx.RemoteProtocolError("peer closed connection")


def lost(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("too long", request=request)


def broken(_: httpx.Request) -> httpx.Response:
    return httpx.Response(202, stream=BreaksOff())


def refund(service: Service, *, by_asyncio: bool, **key: str) -> object:
    client, body = service.client(api_key="csk_1"), NewRefund(amount="1.00")
    if by_asyncio:
        return asyncio.run(create_refund.asyncio(PAYMENT, client=client, body=body, **key))
    return create_refund.sync(PAYMENT, client=client, body=body, **key)


def keys_of(service: Service) -> list[str]:
    return [request.headers["Idempotency-Key"] for request in service.requests]


@pytest.mark.parametrize("by_asyncio", [False, True])
def test_a_call_without_an_answer_is_repeated_with_its_key(pauses: list[float], *, by_asyncio: bool) -> None:
    done = httpx.Response(202, json=example("Refund"))
    service = Service(lost, problem(503, "still-in-progress", {"Retry-After": "3"}), done)

    assert refund(service, by_asyncio=by_asyncio) is not None

    first, second, third = keys_of(service)
    assert first == second == third
    assert len({request.content for request in service.requests}) == 1
    assert pauses == [0.5, 3.0]


@pytest.mark.parametrize("by_asyncio", [False, True])
@pytest.mark.parametrize("key", [{}, {"idempotency_key": "mine"}])
def test_a_call_that_is_lost_however_often_it_is_sent_names_its_key(
    pauses: list[float], key: dict[str, str], *, by_asyncio: bool
) -> None:
    service = Service(broken, lost, lost)

    with pytest.raises(LostCallError) as raised:
        refund(service, by_asyncio=by_asyncio, **key)

    assert keys_of(service) == [raised.value.idempotency_key] * 3
    assert raised.value.idempotency_key in {*key.values()} or not key
    assert isinstance(raised.value.__cause__, httpx.ReadTimeout)
    assert pauses == [0.5, 2.0]


@pytest.mark.parametrize(
    ("answers", "sent"),
    [
        ([lambda _: problem(422, "invalid")], 1),
        ([lambda _: problem(503, "no-provider", {"Retry-After": "300"})], 1),
        ([lambda _: httpx.Response(502, text="<h1>Bad gateway</h1>")], 1),
        ([lambda _: problem(503, "draining", {"Retry-After": "1"})] * 3, 3),
    ],
)
@pytest.mark.parametrize("by_asyncio", [False, True])
def test_an_error_names_the_key_of_its_call(
    pauses: list[float], answers: list[Answer], sent: int, *, by_asyncio: bool
) -> None:
    service = Service(*answers)

    with pytest.raises(CheckoutError) as raised:
        refund(service, by_asyncio=by_asyncio)

    assert keys_of(service) == [raised.value.idempotency_key] * sent
    assert len(pauses) == sent - 1


@pytest.mark.parametrize("by_asyncio", [False, True])
def test_a_call_without_a_key_is_sent_once(pauses: list[float], *, by_asyncio: bool) -> None:
    def add(service: Service) -> None:
        client, body = service.client(token="a"), NewItem(listing=PAYMENT, qty=1)
        if by_asyncio:
            asyncio.run(add_cart_item.asyncio(client=client, body=body))
        else:
            add_cart_item.sync(client=client, body=body)

    with pytest.raises(httpx.ReadTimeout):
        add(Service(lost))
    with pytest.raises(ProblemError) as raised:
        add(Service(problem(503, "draining", {"Retry-After": "1"})))
    assert raised.value.idempotency_key is None
    assert pauses == []


def test_a_problem_is_raised_with_members_of_its_own() -> None:
    service = Service(problem(429, "rate-limited", {"Retry-After": "7"}, limit="hour"))

    with pytest.raises(ProblemError, match="429 No: It is so") as raised:
        get_cart.sync(client=service.client())

    assert (raised.value.status, raised.value.slug, raised.value.retry_after) == (429, "rate-limited", 7.0)
    assert raised.value.problem["limit"] == "hour"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(502, text="<h1>Bad gateway</h1>"),
        httpx.Response(500, json={"type": "x"}, headers={"Content-Type": "application/problem+json"}),
        httpx.Response(500, text="{", headers={"Content-Type": "application/problem+json"}),
        httpx.Response(302, headers={"Location": "/log-in"}),
        httpx.Response(206, json={}),
    ],
)
def test_what_is_no_answer_of_the_service_is_raised_as_such(answer: httpx.Response) -> None:
    with pytest.raises(UnexpectedAnswerError) as raised:
        get_cart.sync(client=Service(answer).client())
    assert raised.value.retry_after is None


def test_words_and_members_that_are_newer_than_the_client_are_let_through() -> None:
    service = Service(payment("frozen", colour="blue", next_action={"type": "phone_call", "number": "1"}))

    read = get_payment.sync(PAYMENT, client=service.client(token="a"))

    assert (read.status, read["colour"]) == ("frozen", "blue")
    assert isinstance(read.next_action, NoAction)
    assert read.to_dict()["next_action"] == {"type": "phone_call", "number": "1"}


@pytest.mark.parametrize("reason", [None, "gone", "newer"])
def test_a_word_or_null_is_read(reason: str | None) -> None:
    service = Service(httpx.Response(200, json=example("Endpoint") | {"state_reason": reason}))

    assert get_webhook_endpoint.sync(PAYMENT, client=service.client(api_key="k")).state_reason == reason


def pages() -> Service:
    def page(cursor: str | None, following: str | None) -> Answer:
        def answer(request: httpx.Request) -> httpx.Response:
            assert request.url.params.get("cursor") == cursor
            assert request.url.params["limit"] == "1"
            data = [example("Payment") | {"provider": cursor or "first"}]
            return httpx.Response(200, json={"data": data, "next_cursor": following, "has_more": bool(following)})

        return answer

    return Service(page(None, "a"), page("a", "b"), page("b", None))


def test_all_pages_are_read_as_they_are_needed() -> None:
    service = pages()
    payments = each(list_payments.sync, client=service.client(token="a"), limit=1)

    assert next(payments).provider == "first"
    assert len(service.requests) == 1
    assert [one.provider for one in payments] == ["a", "b"]


def test_all_pages_are_read_by_asyncio() -> None:
    async def read() -> list[str]:
        async with pages().client(token="a") as client:
            return [one.provider async for one in each_async(list_payments.asyncio, client=client, limit=1)]

    assert asyncio.run(read()) == ["first", "a", "b"]


def wait(client: Client, *, by_asyncio: bool, within: float = 600) -> ReadPayment:
    if by_asyncio:
        return asyncio.run(wait_for_payment_async(PAYMENT, client=client, within=within))
    return wait_for_payment(PAYMENT, client=client, within=within)


@pytest.mark.parametrize("by_asyncio", [False, True])
def test_a_payment_is_waited_for_by_its_etag_as_the_service_says(pauses: list[float], *, by_asyncio: bool) -> None:
    service = Service(
        payment("pending"),
        httpx.Response(304, headers={"ETag": 'W/"pending"'}),
        problem(503, "draining", {"Retry-After": "3"}),
        problem(429, "rate-limited"),
        httpx.Response(304, headers={"ETag": 'W/"pending"', "Retry-After": "2"}),
        payment("paid", under_way=True),
        payment("paid"),
    )

    assert wait(service.client(token="a"), by_asyncio=by_asyncio).status == "paid"

    sent = [request.headers.get("If-None-Match") for request in service.requests]
    assert sent == [None, *['W/"pending"'] * 5, 'W/"paid"']
    assert {request.url.params["wait"] for request in service.requests} == {"30"}
    # At once where the service waits itself; a second after an answer that came at once, but the first.
    assert pauses == [0.0, 1.0, 3.0, 1.0, 2.0, 1.0]


@pytest.mark.parametrize("by_asyncio", [False, True])
def test_a_payment_whose_etag_a_proxy_takes_away_is_read_once_a_second(
    pauses: list[float], *, by_asyncio: bool
) -> None:
    answers = [payment("pending"), payment("pending"), payment("processing"), payment("paid")]
    for answer in answers:
        del answer.headers["ETag"]

    assert wait(Service(*answers).client(token="a"), by_asyncio=by_asyncio).status == "paid"

    assert pauses == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("by_asyncio", [False, True])
def test_waiting_ends_in_time_with_what_was_seen_last(pauses: list[float], *, by_asyncio: bool) -> None:
    service = Service(payment("processing"))

    with pytest.raises(PaymentUnchangedError, match="the payment is processing"):
        wait(service.client(token="a"), by_asyncio=by_asyncio, within=0)

    assert (len(service.requests), pauses) == (1, [])
    assert service.requests[0].url.params["wait"] == "0"


def test_waiting_ends_at_an_error_that_does_not_pass(pauses: list[float]) -> None:
    with pytest.raises(ProblemError, match="404"):
        wait(Service(problem(404, "not-found")).client(token="a"), by_asyncio=False)
    assert pauses == []
