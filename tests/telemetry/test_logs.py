"""Logs say which request did what, and never a secret."""

from __future__ import annotations

import json
import logging
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from checkout_service.identity.key_form import CART_TOKEN, new_key
from checkout_service.telemetry import logs
from checkout_service.telemetry.logs import strike_out_of_text
from tests.conftest import Customer
from tests.own_apps import MakeApp, signed

Lines = Callable[[], list[dict[str, Any]]]

LONG_SECRET = "hunter2-hunter2-hunter2"


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """What was logged since the last time, as in production."""
    logs.configure(production=True)
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    logs.configure(production=False)


def test_each_request_is_one_line_with_its_route_status_and_time(customer: Customer, lines: Lines) -> None:
    customer.get("/api/payments/8a7b8c3e-0000-4000-8000-000000000000?cursor=abc", headers={"X-Request-Id": "abc-1"})
    [line] = [line for line in lines() if line["event"] == "request"]
    assert line["method"] == "GET"
    assert line["route"] == "/api/payments/<uuid:payment_id>"
    assert line["status"] == 422
    assert 0 < line["ms"] < 10_000
    assert line["request_id"] == "abc-1"
    assert line["level"] == "info"
    assert line["timestamp"].endswith("Z")


@pytest.mark.usefixtures("patience")
def test_health_checks_and_scrapes_fill_no_log(customer: Customer, lines: Lines) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        assert customer.get(path).status_code == 200
    assert lines() == []


@pytest.mark.parametrize("given", ["a", "a" * 128, "01J0.trace_1~x/y:z+w=@-", "2f9c1e34-6f1d-4c52-9b7e-5c1e8f433d6b"])
def test_a_harmless_request_id_comes_back(customer: Customer, given: str) -> None:
    assert customer.get("/api/cart", headers={"X-Request-Id": given}).headers["X-Request-Id"] == given
    assert customer.get("/nowhere", headers={"X-Request-Id": given}).json["request_id"] == given


@pytest.mark.parametrize(
    "given",
    [
        *("", " ", "a" * 129, "a b", 'a"b', "<script>", "a\tb", "ä", "a,b", "{}", "a\\n"),
        *("csk_0aB1cD2e", "key:csk_0aB1cD2e", "cct_0aB1cD2e", "eyJh.e30"),  # somebody mixed up their headers
    ],
)
def test_another_request_id_is_replaced_by_a_fresh_one(customer: Customer, given: str) -> None:
    answers = [
        customer.client.get("/livez", environ_overrides={"HTTP_X_REQUEST_ID": given}).headers["X-Request-Id"]
        for _ in range(2)
    ]
    assert all(len(answer) == 32 and answer.isalnum() for answer in answers)
    assert answers[0] != answers[1]


def test_many_lines_of_requests_go_out_in_pieces_that_no_pipe_takes_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr("sys.stderr.write", written.append)
    lines = [logs.RequestLine("PÖST", "/api/payments/webhook", 202, 0.1, f"id-{number}") for number in range(300)]
    logs.write_requests([*lines, logs.RequestLine("GET", "/" + "x" * 9000, 404, 0.1, "long")])

    assert [line.partition("request_id=")[2] for line in "".join(written).splitlines()] == [
        *(f"id-{number}" for number in range(300)),
        "long",
    ]
    *whole, long = written
    assert all(piece.endswith("\n") and len(piece.encode()) <= select.PIPE_BUF for piece in whole)
    assert len(whole) < 30, "and no more pieces than that takes"
    assert long.count("\n") == 1


def test_a_fork_draws_ids_of_its_own() -> None:
    logs.begin(None)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, "".join(logs.begin(None) for _ in range(100)).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        theirs = pipe.read().decode()
    os.waitpid(child, 0)
    ours = [logs.begin(None) for _ in range(100)]
    assert len(set(ours) | {theirs[at : at + 32] for at in range(0, 3200, 32)}) == 200


def test_a_cart_token_is_struck_out_wherever_it_stands() -> None:
    token = new_key(CART_TOKEN)
    for text in (token, f"/api/carts/{token}", f"Cart-Token {token}, twice: {token}"):
        struck = strike_out_of_text(text)
        assert token not in struck
        assert token[4:20] not in struck


def test_a_line_belongs_to_the_request_of_its_own_thread(make_app: MakeApp, lines: Lines) -> None:
    app = make_app()
    logs.configure(production=True)
    both_inside = threading.Barrier(2, timeout=30)

    @app.get("/test/talking")
    def talk() -> str:
        both_inside.wait()
        structlog.get_logger().info("talk")
        logging.getLogger("some.library").warning("talk too")
        return ""

    def ask(name: str) -> None:
        app.test_client().get("/test/talking", headers={**signed(), "X-Request-Id": name})

    threads = [threading.Thread(target=ask, args=(name,)) for name in ("first", "second")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = [(line["event"], line["request_id"]) for line in lines()]
    assert sorted(seen) == sorted(
        (event, name) for event in ("talk", "talk too", "request") for name in ("first", "second")
    )


def test_the_id_of_one_request_is_forgotten_by_the_next(customer: Customer, lines: Lines) -> None:
    customer.get("/api/cart", headers={"X-Request-Id": "first"})
    customer.get("/api/cart")
    assert [line["request_id"] == "first" for line in lines()] == [True, False]


def test_the_standard_librarys_loggers_write_the_same_json(lines: Lines) -> None:
    logs.begin("abc-2")
    logging.getLogger("some.library").warning("disk %s is %d%% full", "a", 90)
    [line] = lines()
    assert line["event"] == "disk a is 90% full"
    assert line["logger"] == "some.library"
    assert line["level"] == "warning"
    assert line["request_id"] == "abc-2"


@pytest.mark.parametrize(
    "key",
    ["authorization", "Authorization", "cookie", "Set-Cookie", "jwt_secret", "MOCK_WEBHOOK_SECRETS", "signature",
     "stripe-signature", "payment_token", "password", "api_key", "apikey"],
)  # fmt: skip
def test_what_is_named_like_a_secret_is_struck_out(lines: Lines, key: str) -> None:
    structlog.get_logger().info(
        "something", **{key: LONG_SECRET}, inside={"deep": [{key: LONG_SECRET}]}, kept="visible"
    )
    [line] = lines()
    assert line[key] == "***"
    assert line["inside"] == {"deep": [{key: "***"}]}
    assert line["kept"] == "visible"


@pytest.mark.parametrize(
    "text",
    [
        f"cannot connect to postgresql+psycopg://checkout_web:{LONG_SECRET}@db.example.test:5432/shop",
        f"redis://:{LONG_SECRET}@cache.example.test/0 is away",
        f"sent Authorization: Bearer {LONG_SECRET}",
        f"sent authorization: basic {LONG_SECRET}",
        f"host=db user=checkout_web password={LONG_SECRET} dbname=shop",
        f'{{"provider_ref": "mock_pi_1", "signature": "{LONG_SECRET}"}}',
        f"{{'secret': '{LONG_SECRET}'}}",
        f"MOCK_API_KEY={LONG_SECRET}",
        f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{LONG_SECRET}",
    ],
)
def test_what_looks_like_a_secret_is_struck_out_of_any_text(lines: Lines, text: str) -> None:
    structlog.get_logger().info(text, also=text, inside=[text])
    logging.getLogger("some.library").error("failed: %s", text)
    try:
        raise RuntimeError(text)  # noqa: TRY301 (to have an exception at hand)
    except RuntimeError:
        structlog.get_logger().exception("crashed")
        logging.getLogger("some.library").exception("crashed too")
    written = lines()
    assert len(written) == 4
    assert LONG_SECRET not in json.dumps(written)
    assert "RuntimeError" in written[2]["exception"]
    assert "RuntimeError" in written[3]["exception"]


@pytest.mark.parametrize("repeated", ["://a:", "@://", "token ", "-eyJaaaaaaaa"])
def test_a_text_that_could_hold_secrets_everywhere_is_read_in_one_go(repeated: str) -> None:
    """From each place on to the end of the text again it would be minutes, in which nobody else has the interpreter."""
    text = repeated * (128 * 1024 // len(repeated))
    struck = strike_out_of_text(f"{text} postgresql://checkout_web:{LONG_SECRET}/@?{LONG_SECRET}@db.example.test/shop")
    assert struck == f"{text} postgresql://checkout_web:***@db.example.test/shop"


def test_ordinary_text_is_left_alone(lines: Lines) -> None:
    text = "GET https://provider.example.test/v1/payments?limit=3 took 12 ms; the tokens of 3 users expired"
    structlog.get_logger().info(text, url="https://example.test/a@b", count=3, share=0.5, none=None, yes=True)
    [line] = lines()
    assert line["event"] == text
    assert (line["url"], line["count"], line["share"], line["none"], line["yes"]) == (
        "https://example.test/a@b", 3, 0.5, None, True
    )  # fmt: skip


def test_values_that_json_does_not_know_are_written_as_text(lines: Lines) -> None:
    structlog.get_logger().info("odd", webhook=b"\xff\x00secret", unknown=object, many={"a"}, lone="\ud800")
    [line] = lines()
    assert line["webhook"] == "<8 bytes>"
    assert "object" in line["unknown"]
    assert line["many"] == ["a"]


def test_a_request_leaves_no_token_in_the_log(customer: Customer, lines: Lines) -> None:
    customer.get("/api/cart")
    customer.get("/api/cart", headers={"Authorization": f"Bearer {LONG_SECRET}"})
    written = json.dumps(lines())
    assert customer.headers["Authorization"].split()[1] not in written
    assert LONG_SECRET not in written


def test_the_console_is_for_people_and_keeps_secrets_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(production=False)
    structlog.get_logger().info("hello", password=LONG_SECRET)
    logging.getLogger("some.library").warning("password=%s", LONG_SECRET)
    written = capsys.readouterr()
    assert "hello" in written.err
    assert "some.library" in written.err
    assert LONG_SECRET not in written.err
    assert written.out == ""


def test_the_worker_can_log_without_flask() -> None:
    code = (
        "import sys; from checkout_service.telemetry import logs, metrics; import structlog;"
        "logs.configure(production=True);"
        "logs.begin('task-1'); structlog.get_logger().info('worked'); assert 'flask' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stderr)["request_id"] == "task-1"


def test_a_reader_of_the_log_that_has_gone_stops_no_request(
    customer: Customer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    closed = (tmp_path / "log").open("w")
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    assert customer.get("/api/cart").status_code == 200
