"""Who comes into Flower: what its setting may hold, what is open, what guessing costs, what its answers carry."""

from __future__ import annotations

import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest

from checkout_service.identity.passwords import FREE
from tests.conftest import ROOT, Servers
from tests.flower_pages import stack as station
from tests.flower_pages.stack import FLOWER_USER

EVERYTHING = (
    *("/", "/workers", "/tasks", "/failed", "/broker", "/task/none", "/worker/none", "/metrics", "/logout", "/login"),
    *("/api/workers", "/api/tasks", "/api/task/types", "/api/task/info/none", "/static/css/flower.css", "/favicon.ico"),
    *("/nothing/here", "/static/", "/static/none.css", "/robots.txt"),
)


@pytest.fixture(scope="module")
def flower(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A Flower that believes this machine what it says of callers' addresses, so that each test may be another one."""
    settings = station.environment(servers, TRUSTED_PROXIES="127.0.0.1/32")
    with (
        station.run(tmp_path_factory.mktemp("flower"), settings, "flower"),
        httpx.Client(base_url=f"http://127.0.0.1:{settings['FLOWER_PORT']}", timeout=60) as client,
    ):
        yield client


_numbers = count(1)


@pytest.fixture
def caller() -> dict[str, str]:
    """The header of an address that no other test has."""
    return {"X-Forwarded-For": f"198.51.100.{next(_numbers)}"}


def test_nothing_is_open_but_the_health_check_which_says_nothing(flower: httpx.Client, caller: dict[str, str]) -> None:
    for path in EVERYTHING:
        for method in ("GET", "POST", "OPTIONS"):
            answer = flower.request(method, path, headers=caller)
            # A POST without Flower's token is refused before anybody is asked for a password.
            assert answer.status_code in {"POST": {401, 403}}.get(method, {401}), (method, path)
            assert answer.text in {"Access denied", ""} or answer.status_code == 403
        assert flower.get(path, headers=caller).headers["WWW-Authenticate"].startswith("Basic ")
    health = flower.get("/healthcheck")
    assert (health.status_code, health.content) == (200, b"")
    metrics = flower.get("/metrics", auth=FLOWER_USER, headers=caller)
    assert metrics.status_code == 200
    assert "flower_events_total" in metrics.text


def test_all_answers_carry_the_headers_of_a_page(flower: httpx.Client, caller: dict[str, str]) -> None:
    answers = [flower.get(path, auth=FLOWER_USER, headers=caller) for path in EVERYTHING]
    answers += [flower.get(path, headers=caller) for path in (*EVERYTHING, "/healthcheck")]
    answers += [flower.post("/tasks/datatable", auth=FLOWER_USER, headers={**caller, "Sec-Fetch-Site": "cross-site"})]
    assert {200, 401, 403, 404} <= {answer.status_code for answer in answers}
    for answer in answers:
        headers, path = answer.headers, answer.request.url.path
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"], path
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        if not path.startswith(("/static/", "/favicon", "/robots")):
            assert headers["Cache-Control"] == "no-store", path


@pytest.mark.parametrize(
    "sent",
    [
        b64encode("ops:pässword".encode()),
        b64encode("ops:pässword".encode("latin-1")),
        b64encode(b"ops"),
        b64encode(b":" + FLOWER_USER[1].encode()),
        b64encode(b"ops:"),
        b"!!!",
    ],
)
def test_whatever_else_is_sent_is_answered_401(flower: httpx.Client, caller: dict[str, str], sent: bytes) -> None:
    for scheme in (b"Basic ", b"basic ", b"Bearer ", b""):
        answer = flower.get("/tasks", headers=[(b"Authorization", scheme + sent), *_raw(caller)])
        assert answer.status_code == 401


def test_after_five_wrong_passwords_the_next_is_not_looked_at(flower: httpx.Client, caller: dict[str, str]) -> None:
    wrong = (FLOWER_USER[0], "guessed")
    paths = ("/api/tasks", "/metrics", "/tasks", "/static/css/flower.css", "/nothing")
    assert [flower.get(path, auth=wrong, headers=caller).status_code for path in paths] == [401] * FREE
    paused = flower.get("/tasks", auth=FLOWER_USER, headers=caller)
    assert (paused.status_code, paused.headers["Retry-After"]) == (429, "1")
    assert paused.headers["Content-Type"] == "application/problem+json"
    assert paused.json()["type"] == "/problems/too-many-wrong-passwords"
    assert paused.headers["X-Frame-Options"] == "DENY"
    elsewhere = {"X-Forwarded-For": f"{caller['X-Forwarded-For']}, 203.0.113.77"}
    assert flower.get("/tasks", auth=FLOWER_USER, headers=elsewhere).status_code == 200


def test_a_stranger_cannot_have_much_kept_before_the_password(flower: httpx.Client) -> None:
    address = (flower.base_url.host, flower.base_url.port)
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(b"POST /api/task/apply/x HTTP/1.1\r\nHost: flower\r\nContent-Length: 2000000\r\n\r\n")
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 400") or answer == b""


def _raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def test_flower_does_not_start_with_what_lets_in_anybody_wherever_that_is(servers: Servers, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "worker.app", "flower"],
        cwd=tmp_path,
        env=station.environment(servers, PYTHONPATH=str(ROOT), FLOWER_BASIC_AUTH=":,ops:a password, with a comma"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "FLOWER_BASIC_AUTH: number 1 of 3 has no user" in done.stderr
    assert "FLOWER_BASIC_AUTH: number 3 of 3 has no colon" in done.stderr
    assert "comma" not in done.stderr.replace("holds no comma", "")
