"""The app itself lets pages of other origins in, behind a server other than ours; ours does it in its place, once."""

from __future__ import annotations

from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from checkout_service.server.bodies import BodyReader
from checkout_service.server.cors import CORS_KEY
from checkout_service.server.readers import Readers
from checkout_service.server.wsgi_adapter import WsgiAdapter
from tests.own_apps import MakeApp, make_app
from tests.server.slots_here import SlotsHere
from tests.server.test_cors import ORIGINS, READS, SHOP, STRANGER, asks, of_cors, only
from tests.server.test_wsgi_adapter import Client

__all__ = ["make_app"]


@pytest.fixture
def other_server(make_app: MakeApp) -> FlaskClient:
    """The app as another server serves it."""
    return make_app(cors_origins=ORIGINS).test_client()


def test_behind_another_server_the_app_says_it_by_itself(other_server: FlaskClient) -> None:
    headers = {"Origin": SHOP}
    for answer, status in (
        (other_server.get("/api/openapi.json", headers=headers), 200),
        (other_server.get("/api/cart", headers=headers), 401),
        (other_server.get(f"/api/{uuid4()}", headers=headers), 404),
        (other_server.put("/api/cart", headers=headers), 405),
        (other_server.options("/api/cart", headers=headers | {"Access-Control-Request-Method": "GET"}), 204),
    ):
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] == SHOP
        (varies,) = answer.headers.getlist("Vary")
        assert varies.removeprefix("Accept-Encoding, ") == "Origin"
        assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Access-Control-Allow-Origin" not in other_server.get("/api/cart", headers={"Origin": STRANGER}).headers
    assert "Vary" not in other_server.get("/livez").headers


def test_the_methods_are_those_of_the_api(other_server: FlaskClient) -> None:
    headers = {"Origin": SHOP, "Access-Control-Request-Method": "GET"}
    allowed = other_server.options("/api/cart", headers=headers).headers["Access-Control-Allow-Methods"]
    assert allowed == "DELETE, GET, HEAD, PATCH, POST"


def test_an_options_that_is_no_preflight_is_answered_as_before(other_server: FlaskClient, make_app: MakeApp) -> None:
    plain = make_app().test_client()
    for path in ("/api/openapi.json", "/api/cart", "/api/payments/webhook"):
        with_origins, without = other_server.options(path), plain.options(path)
        assert with_origins.status_code == without.status_code
        assert with_origins.headers.get("Allow") == without.headers.get("Allow")


def test_our_server_says_it_once(make_app: MakeApp) -> None:
    app: Flask = make_app(cors_origins=ORIGINS)
    front = WsgiAdapter(
        app,
        slots=SlotsHere(working=1, waiting=1, queue=1),
        body_reader=BodyReader(readers=1, most_bytes=1000),
        readers=Readers(readers=1, most_bytes=2**20),
        cors=app.extensions[CORS_KEY],
    )
    client = Client()
    whole = asks(body=b"", PATH_INFO="/api/cart", REQUEST_METHOD="GET", SERVER_NAME="test", SERVER_PORT="80")
    front(client, whole | {"wsgi.url_scheme": "http", "SERVER_PROTOCOL": "HTTP/1.0"})
    status, headers = only(client)
    assert (status, of_cors(headers)) == (401, READS)


def test_without_the_setting_the_app_is_as_it_was(make_app: MakeApp) -> None:
    app = make_app()
    assert app.extensions[CORS_KEY] is None
    answer = app.test_client().get("/api/openapi.json", headers={"Origin": SHOP})
    assert answer.status_code == 200
    assert of_cors(list(answer.headers.items())) == [("Vary", "Accept-Encoding")]
