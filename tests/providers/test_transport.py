"""The transport: what is tried again and for how long, and how a provider's own words become ours."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest

from checkout_service.providers import transport
from checkout_service.providers.base import (
    Decline,
    ProviderRefusedError,
    ProviderUnavailableError,
    UnreadableError,
)
from checkout_service.providers.transport import Transport, basic, bearer

FINE = httpx.Response(200, json={"fine": True})


class Server:
    """Answers one response after the other, the last for ever, and remembers what was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = list(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def calling(server: Callable[[httpx.Request], httpx.Response], **options: Any) -> Transport:
    made = Transport("http://provider.test/v1/", **options)
    made._client = httpx.Client(transport=httpx.MockTransport(server))
    return made


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(transport, "sleep", slept.append)
    return slept


@pytest.mark.parametrize(
    "failure", [httpx.Response(500), httpx.Response(503), httpx.Response(429), httpx.ConnectError("no")], ids=str
)
def test_what_may_be_done_twice_is_tried_again(failure: Any, pauses: list[float]) -> None:
    for how in ({"method": "GET"}, {"method": "POST", "idempotency_key": "key-1"}):
        server = Server(failure, failure, FINE)

        assert calling(server).call(path="/thing", **how) == {"fine": True}
        assert len(server.requests) == 3
    assert {request.headers["Idempotency-Key"] for request in server.requests} == {"key-1"}
    assert len(pauses) == 4
    assert pauses[1] > 2 * pauses[0]


@pytest.mark.parametrize(
    "lost", [httpx.Response(500), httpx.ReadTimeout("no answer"), httpx.RemoteProtocolError("cut")], ids=str
)
@pytest.mark.parametrize("status", [401, 403])
def test_credentials_that_are_refused_after_a_lost_answer_do_not_tell_that_nothing_was_made(
    lost: Any, status: int, pauses: list[float]
) -> None:
    refusing = httpx.Response(status)
    with pytest.raises(ProviderUnavailableError, match="after a try without an answer"):
        calling(Server(lost, refusing)).call("POST", "/thing", idempotency_key="key-1")

    with pytest.raises(ProviderRefusedError) as caught:
        calling(Server(refusing)).call("POST", "/thing", idempotency_key="key-1")
    assert caught.value.reason is Decline.CREDENTIALS
    with pytest.raises(ProviderRefusedError):
        calling(Server(lost, httpx.Response(422))).call("POST", "/thing", idempotency_key="key-1")


def test_what_may_not_be_done_twice_is_tried_once(pauses: list[float]) -> None:
    server = Server(httpx.Response(500), FINE)

    with pytest.raises(ProviderUnavailableError):
        calling(server).call("POST", "/thing")
    assert len(server.requests) == 1
    assert pauses == []


def test_a_provider_that_stays_away_is_given_up(pauses: list[float]) -> None:
    server = Server(httpx.Response(500))

    with pytest.raises(ProviderUnavailableError):
        calling(server).call("GET", "/thing")
    assert len(server.requests) == transport.TRIES


@pytest.mark.parametrize("status", [400, 402, 404, 409, 302])
def test_an_answer_is_an_answer_and_not_fetched_again(status: int, pauses: list[float]) -> None:
    server = Server(httpx.Response(status))

    with pytest.raises((ProviderRefusedError, ProviderUnavailableError, UnreadableError)):
        calling(server).call("GET", "/thing")
    assert len(server.requests) == 1


def test_a_wait_that_the_provider_asks_for_is_kept_if_there_is_time(pauses: list[float]) -> None:
    assert calling(Server(httpx.Response(429, headers={"Retry-After": "3"}), FINE)).call("GET", "/thing")
    assert pauses == [3.0]

    patient = Server(httpx.Response(503, headers={"Retry-After": "60"}), FINE)
    with pytest.raises(ProviderUnavailableError):
        calling(patient).call("GET", "/thing")
    assert len(patient.requests) == 1


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, Decline.OTHER),
        (401, Decline.CREDENTIALS),
        (403, Decline.CREDENTIALS),
        (422, Decline.OTHER),
    ],
)
def test_a_refusal_has_a_reason_by_its_status(status: int, reason: Decline) -> None:
    with pytest.raises(ProviderRefusedError) as caught:
        calling(Server(httpx.Response(status, text="<html>hunter2"))).call("POST", "/thing")

    assert caught.value.reason is reason
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("status", [404, 410])
def test_that_a_thing_is_unknown_is_believed_with_an_object_alone(status: int) -> None:
    with pytest.raises(ProviderRefusedError) as caught:
        calling(Server(httpx.Response(status, json={"status": status}))).call("GET", "/thing")
    assert caught.value.reason is Decline.UNKNOWN_REFERENCE

    for body in ("<html>no route", "", "[]"):
        with pytest.raises(UnreadableError):
            calling(Server(httpx.Response(status, text=body))).call("GET", "/thing")


def test_a_provider_explains_its_own_errors() -> None:
    def explain(status: int, body: dict[str, Any]) -> Decline | None:
        if body.get("code") == "BUSY":
            raise ProviderUnavailableError("busy", in_progress=True)
        return Decline.SUSPECTED_FRAUD if body.get("code") == "FRAUD" else None

    def error(code: str) -> ProviderRefusedError | ProviderUnavailableError:
        server = Server(httpx.Response(422, json={"code": code}))
        with pytest.raises((ProviderRefusedError, ProviderUnavailableError)) as caught:
            calling(server, explain=explain).call("POST", "/thing")
        return caught.value

    assert error("FRAUD").reason is Decline.SUSPECTED_FRAUD
    assert error("ELSE").reason is Decline.OTHER
    assert error("BUSY").in_progress


def test_headers_may_be_made_anew_for_each_try(pauses: list[float]) -> None:
    tokens = iter(["one", "two"])
    server = Server(httpx.Response(500), FINE)

    calling(server, headers=lambda: bearer(next(tokens)), key_header="Request-Id").call(
        "POST", "/thing", form={"a": "1 2"}, headers={"X-Own": "yes"}, idempotency_key="key-1"
    )

    assert [request.headers["Authorization"] for request in server.requests] == ["Bearer one", "Bearer two"]
    assert server.requests[1].headers["X-Own"] == "yes"
    assert server.requests[1].headers["Request-Id"] == "key-1"
    assert server.requests[1].read() == b"a=1+2"
    assert basic("user", "pässword") == {"Authorization": "Basic dXNlcjpww6Rzc3dvcmQ="}


def test_floats_are_exact_and_an_empty_answer_is_no_error() -> None:
    assert calling(Server(httpx.Response(200, text='{"a":0.1}'))).call("GET", "/") == {"a": Decimal("0.1")}
    assert calling(Server(httpx.Response(204))).call("GET", "/") == {}


@pytest.mark.parametrize("text", ['{"a":NaN}', '{"a":1e999}', '{"a":1,"a":2}'])
def test_an_answer_that_jsonb_could_not_hold_is_unreadable(text: str) -> None:
    with pytest.raises(UnreadableError):
        calling(Server(httpx.Response(200, text=text))).call("GET", "/")


@pytest.mark.parametrize(("text", "value"), [('{"a":"\\u0000"}', "\0"), ('{"a":"\\ud800"}', "\ud800")])
def test_a_character_that_jsonb_could_not_hold_is_left_to_whoever_reads_its_text(text: str, value: str) -> None:
    assert calling(Server(httpx.Response(200, text=text))).call("GET", "/") == {"a": value}


def test_a_key_that_no_header_can_hold_is_unreadable() -> None:
    with pytest.raises(UnreadableError):
        calling(Server(FINE)).call("POST", "/thing", idempotency_key="Größe")


def test_several_calls_that_answer_one_question_share_the_time_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(transport, "monotonic", lambda: now[0])

    def slow(_: httpx.Request) -> httpx.Response:
        now[0] += 0.75 * transport.READ_WITHIN
        return FINE

    api = calling(slow)
    with transport.bounded():
        assert api.call("GET", "/thing") == {"fine": True}
        with pytest.raises(ProviderUnavailableError):
            [api.call("GET", "/thing") for _ in range(3)]
    assert api.call("GET", "/thing") == {"fine": True}
