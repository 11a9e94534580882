"""Whatever a stranger sends ends as one of our answers, below 500, and leaves nothing behind."""

from __future__ import annotations

import io
import json
import sys
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

from tests.conftest import Customer, Sql

LISTING = str(uuid4())


def ask(app: Flask, method: str, path: str, *, body: bytes = b"", query: str = "", **environ: str) -> tuple[int, Any]:
    """A request as a server hands it over, without a client that tidies it up first; status and JSON of the answer."""
    response: dict[str, Any] = {}

    def start(status: str, headers: list[tuple[str, str]], _exception: Any = None) -> None:
        response["status"] = int(status.split()[0])
        response["headers"] = dict(headers)

    answer = app(
        {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "localhost",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            **environ,
        },
        start,
    )
    text = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    assert response["headers"]["X-Request-Id"].isascii()
    if response["status"] >= 400:
        assert response["headers"]["Content-Type"] == "application/problem+json"
    return response["status"], json.loads(text) if text else None


BODIES = {
    "deep lists": (b"[" * 30_000, 400),
    "deep objects": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400),
    "a number of 5,000 digits": (b'{"qty":' + b"9" * 5_000 + b"}", 400),
    "a number beyond every quantity": (b'{"listing":"%s","qty":%s}' % (LISTING.encode(), b"9" * 300), 422),
    "infinity": (b'{"listing":"%s","qty":1e400}' % LISTING.encode(), 400),
    "not a number": (b'{"qty":NaN}', 400),
    "a key twice": (b'{"listing":"%s","qty":1,"qty":2}' % LISTING.encode(), 400),
    "a list": (b"[]", 422),
    "null": (b"null", 422),
    "a text": (b'"{}"', 422),
    "nothing": (b"", 400),
    "a byte order mark": (b"\xef\xbb\xbf{}", 400),
    "bytes that are not UTF-8": (b'{"listing":"\xff","qty":1}', 400),
    "UTF-16": ('{"qty":1}'.encode("utf-16"), 400),
    "half of a character": (b'{"listing":"\\ud800","qty":1}', 400),
    "NUL in a text": (b'{"listing":"\\u0000","qty":1}', 422),
    "NUL in a key": (b'{"\\u0000":1}', 422),
    "wrong types": (b'{"listing":[1],"qty":{"a":1}}', 422),
    "a yes for a number": (b'{"listing":"%s","qty":true}' % LISTING.encode(), 422),
    "a fraction": (b'{"listing":"%s","qty":1.5}' % LISTING.encode(), 422),
}


@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=BODIES.keys())
def test_a_hostile_body_is_refused_and_nothing_happens(
    app: Flask, customer: Customer, sql: Sql, body: bytes, status: int
) -> None:
    answered, document = ask(
        app,
        "POST",
        "/api/cart/items",
        body=body,
        CONTENT_TYPE="application/json",
        HTTP_AUTHORIZATION=customer.headers["Authorization"],
    )
    assert answered == status
    assert document["status"] == status
    assert sql("SELECT count(*) AS n FROM users")[0].n == 0


@pytest.mark.parametrize(
    ("length", "status"),
    [
        ("5000", 400),
        ("3", 400),
        ("-3", 400),
        ("abc", 400),
        ("\xb3", 400),
        ("", 400),
        ("9" * 30, 413),
        ("9" * 5000, 400),
    ],
)
def test_a_length_that_lies_is_refused_and_nothing_happens(
    app: Flask, customer: Customer, sql: Sql, length: str, status: int
) -> None:
    answered, _ = ask(
        app,
        "POST",
        "/api/cart/items",
        body=b'{"listing": "x", "qty": 1}',
        CONTENT_TYPE="application/json",
        CONTENT_LENGTH=length,
        HTTP_AUTHORIZATION=customer.headers["Authorization"],
    )
    assert answered == status
    assert sql("SELECT count(*) AS n FROM users")[0].n == 0


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("PATCH", "/api/cart/items/\x00", ""),
        ("GET", "/api/\xff\xfe\x80", ""),
        ("GET", "/" + "a" * 100_000, ""),
        ("GET", "/api/payments", "limit=%00&cursor=%ff%00"),
        ("GET", "/api/payments", "cursor=%ED%A0%80"),
        ("GET", "/api/payments", "limit=" + "9" * 5000),
        ("GET", "/api/payments", "cursor=" + "a" * 1_000_000),
        ("GET", "/problems/\x00", ""),
        ("GET", "/api/docs/../../pyproject.toml", ""),
        ("F\xffO", "/api/cart", ""),
    ],
)
def test_a_hostile_path_query_or_method_is_refused(
    app: Flask, customer: Customer, method: str, path: str, query: str
) -> None:
    status, _ = ask(app, method, path, query=query, HTTP_AUTHORIZATION=customer.headers["Authorization"])
    assert status in {404, 405, 422}


@pytest.mark.parametrize(
    "headers",
    [
        {"HTTP_X_REQUEST_ID": "\xff\xfe"},
        {"HTTP_COOKIE": "\xff=\x00;;;"},
        {"HTTP_IF_NONE_MATCH": '\xff,,,"'},
        {"HTTP_ACCEPT": "\xff/;q=nan"},
        {"HTTP_RANGE": "bytes=\xff-1,,"},
    ],
)
def test_hostile_headers_do_no_harm(app: Flask, customer: Customer, headers: dict[str, str]) -> None:
    status, cart = ask(app, "GET", "/api/cart", HTTP_AUTHORIZATION=customer.headers["Authorization"], **headers)
    assert status == 200
    assert cart["items"] == []


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' * 40_000, b'{"a":' + b"9" * 6_000 + b"}", b"\xff\xfe", b"", b"[]", b"null"]
)
def test_the_receiver_refuses_what_is_no_webhook(app: Flask, sql: Sql, body: bytes) -> None:
    status, _ = ask(app, "POST", "/api/payments/webhook", body=body, CONTENT_TYPE="application/json")
    assert status == 400
    assert sql("SELECT count(*) AS n FROM webhook_deliveries")[0].n == 0
