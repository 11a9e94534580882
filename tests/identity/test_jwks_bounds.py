"""What an issuer, or a stranger with tokens, can cost: so many bytes, seconds, fetches, and no slot."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest
from flask import Flask

from checkout_service.identity import jwks_fetch
from checkout_service.identity.jwks import MOST_WAITING, Jwks, JwksUnavailable
from checkout_service.identity.jwks_fetch import LARGEST, JwksNotFetchedError, fetch_jwks
from checkout_service.server.slots import ENVIRON_KEY, Kind, Slots
from tests.identity.issuer import Issuer
from tests.own_apps import MakeApp, bearer, claims

GZIP = {"Content-Encoding": "gzip"}


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    issuer.add_key("one", "ES256")
    yield issuer
    issuer.go_away()


@pytest.fixture
def issued_app(make_app: MakeApp, issuer: Issuer) -> Flask:
    return make_app(jwt_secret=None, jwt_jwks_url=issuer.url, jwt_algorithms=("RS256", "ES256"))


def _wait_until(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)


def status(app: Flask, token: str) -> int:
    return app.test_client().get("/test/private", headers=bearer(token)).status_code


def test_a_document_may_have_a_mebibyte(issuer: Issuer) -> None:
    issuer.document = b" " * LARGEST
    assert len(fetch_jwks(issuer.url)) == LARGEST
    issuer.document += b" "
    with pytest.raises(JwksNotFetchedError, match="larger than 1048576 bytes"):
        fetch_jwks(issuer.url)


def test_a_server_that_sends_a_byte_now_and_then_is_given_up_in_time(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks_fetch, "WITHIN", 0.5)
    issuer.piece, issuer.pause = 1, 0.1
    started = time.monotonic()
    with pytest.raises(JwksNotFetchedError, match="no whole answer within"):
        fetch_jwks(issuer.url)
    assert time.monotonic() - started < 10, "the whole of it would take longer"


@pytest.mark.parametrize(
    ("code", "headers", "words"),
    [
        (302, {"Location": "http://127.0.0.1:1/keys"}, "status 302"),
        (304, {}, "status 304"),
        (500, {}, "status 500"),
        (200, GZIP, "it is compressed, which was not offered"),
        (200, {"Content-Length": "1000000"}, "RemoteProtocolError|ReadError|no whole answer"),
    ],
)
def test_anything_but_a_whole_plain_answer_is_one_error(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch, code: int, headers: dict[str, str], words: str
) -> None:
    monkeypatch.setattr(jwks_fetch, "WITHIN", 1.0)
    issuer.status, issuer.headers = code, headers
    with pytest.raises(JwksNotFetchedError, match=words):
        fetch_jwks(issuer.url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/keys", "http://no-such-host.invalid/", "http://[", "ftp://x/"])
def test_a_server_that_is_not_there_is_the_same_error(url: str) -> None:
    with pytest.raises(JwksNotFetchedError):
        fetch_jwks(url)


def test_two_keys_of_one_id_both_count(issued_app: Flask, issuer: Issuer) -> None:
    first = issuer.sign(claims(), "one")
    issuer.add_key("one", "ES256")
    second = issuer.sign(claims(), "one")
    issuer.add_key("one", "RS256")
    third = issuer.sign(claims(), "one")
    assert [status(issued_app, token) for token in (first, second, third)] == [200, 200, 200]
    assert issuer.requests == 1


def test_a_key_that_is_replaced_under_its_id_counts_at_once_and_the_old_one_no_longer(
    issued_app: Flask, issuer: Issuer
) -> None:
    old = issuer.sign(claims(), "one")
    assert status(issued_app, old) == 200
    issuer.withdraw("one")
    issuer.add_key("one", "ES256")
    assert status(issued_app, issuer.sign(claims(), "one")) == 200
    assert issuer.requests == 2
    assert status(issued_app, old) == 401
    issuer.withdraw("one")
    issuer.add_key("one", "RS256")
    assert status(issued_app, issuer.sign(claims(), "one")) == 401, "the next fetch is due in half a minute"
    assert issuer.requests == 2


def test_tokens_that_a_stranger_writes_cost_one_fetch_together(issued_app: Flask, issuer: Issuer) -> None:
    good = issuer.sign(claims(), "one")
    assert status(issued_app, good) == 200
    stranger = Issuer()
    stranger.add_key("one", "ES256")
    try:
        for number in range(20):
            assert status(issued_app, stranger.sign(claims(), "one")) == 401
            made_up = jwt.encode(claims(), *stranger._private["one"], headers={"kid": f"made up {number}"})
            assert status(issued_app, made_up) == 401
    finally:
        stranger.go_away()
    assert issuer.requests == 2
    assert status(issued_app, good) == 200


def test_while_the_issuer_is_slow_callers_with_known_keys_go_on_and_few_others_wait(issuer: Issuer) -> None:
    keys = Jwks(issuer.url)
    assert keys.find("one", "ES256")
    issuer.answering.clear()

    with ThreadPoolExecutor(3 * MOST_WAITING) as threads:
        looked_up = [threads.submit(keys.find, f"made up {n}", "ES256") for n in range(3 * MOST_WAITING)]
        for _ in range(20):
            assert keys.find("one", "ES256")
        _wait_until(lambda: sum(each.done() for each in looked_up) == 2 * MOST_WAITING)
        assert all(isinstance(each.exception(), JwksUnavailable) for each in looked_up if each.done())
        issuer.answering.set()
        assert sum(each.exception(30) is None for each in looked_up) == MOST_WAITING, "they were answered"
    assert issuer.requests == 2


def test_who_waits_for_a_fetch_holds_no_slot(issuer: Issuer, issued_app: Flask) -> None:
    keys = Jwks(issuer.url)
    issuer.answering.clear()
    slots = Slots(working=1, waiting=4, queue=4)
    found: list[object] = []

    def work() -> None:
        with issued_app.test_request_context(environ_base={ENVIRON_KEY: slots.share(Kind.API)}):
            found.append(bool(keys.find("one", "ES256")))

    caller = threading.Thread(target=slots.admit, args=(work, Kind.API))
    caller.start()
    _wait_until(lambda: issuer.requests)
    assert slots.admit(lambda: found.append("another"), Kind.API)
    _wait_until(lambda: found == ["another"])
    issuer.answering.set()
    caller.join(30)
    assert found == ["another", True]


def test_an_odd_document_is_one_error_and_one_answer(
    issued_app: Flask, issuer: Issuer, capsys: pytest.CaptureFixture[str]
) -> None:
    issuer.document = b'{"keys": [{"kty": "oct", "kid": "one", "k": "c2VjcmV0", "alg": "HS256"}]}'
    token = issuer.sign(claims(), "one")
    answer = issued_app.test_client().get("/test/private", headers=bearer(token))
    assert (answer.status_code, answer.json["type"]) == (503, "/problems/jwks-unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    logged = capsys.readouterr()
    assert "jwks_not_fetched" in logged.out + logged.err
    assert "c2VjcmV0" not in logged.out + logged.err
