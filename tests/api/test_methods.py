"""Each path answers HEAD as it does GET, says in Allow what it takes, and is one path: none with a slash behind it."""

from __future__ import annotations

from collections import defaultdict

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.api.every_route import OPERATOR, path_of, routes
from tests.conftest import Customer, MakeListing
from tests.own_apps import signed
from tests.purchases import fill_cart, opened

OF_EACH_ANSWER = {"X-Request-Id", "Date", "Set-Cookie"}
"""Headers that no two answers have alike."""


def paths(app: Flask, known: str) -> dict[str, set[str]]:
    """Each path that there is, with its methods."""
    found: dict[str, set[str]] = defaultdict(set)
    for rule, method in routes(app):
        found[path_of(rule, known)] |= {method, "OPTIONS"} | ({"HEAD"} if method == "GET" else set())
    return found


def sent(app: Flask, path: str, method: str, customer: Customer) -> TestResponse:
    """The answer to whoever may come in there."""
    staff = "captures events:read orders:read orders:write payments:read payouts:read refunds webhooks:write"
    headers = signed(scope=staff) if path.startswith("/api/admin") else dict(customer.headers)
    kept = {"auth": OPERATOR} if path.startswith("/ops") else {"headers": headers}
    return app.test_client().open(path, method=method, **kept)


@pytest.fixture
def payment(customer: Customer, make_listing: MakeListing) -> str:
    found: str = opened(customer, fill_cart(customer, (make_listing(), 1)))["payment_id"]
    return found


def test_options_and_405_say_what_a_path_takes(everything: Flask, customer: Customer, payment: str) -> None:
    seen = 0
    for path, methods in paths(everything, payment).items():
        answer = sent(everything, path, "OPTIONS", customer)
        assert (answer.status_code, answer.data) == (200, b""), path
        assert {each.strip() for each in answer.headers["Allow"].split(",")} == methods, path
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"} - methods:
            refused = sent(everything, path, method, customer)
            assert refused.status_code == 405, (method, path)
            assert {each.strip() for each in refused.headers["Allow"].split(",")} == methods, (method, path)
            seen += 1
    assert seen > 200


def test_head_is_answered_as_get_is_without_the_content(everything: Flask, customer: Customer, payment: str) -> None:
    seen = set()
    for path, methods in paths(everything, payment).items():
        if "GET" not in methods or path == "/metrics":
            continue
        by_get, by_head = (sent(everything, path, method, customer) for method in ("GET", "HEAD"))
        assert by_head.status_code == by_get.status_code, path
        assert by_head.data == b"", path
        kept = [
            {name: value for name, value in answer.headers.items() if name not in OF_EACH_ANSWER}
            for answer in (by_get, by_head)
        ]
        assert kept[0].keys() == kept[1].keys(), path
        for name in ("Content-Type", "Cache-Control", "Vary", "ETag", "API-Version", "Location"):
            assert kept[0].get(name) == kept[1].get(name), (path, name)
        by_get.close()
        by_head.close()
        seen.add(by_get.status_code)
    assert {200, 308, 404} <= seen


def test_a_slash_behind_a_path_makes_it_another_one(everything: Flask, customer: Customer, payment: str) -> None:
    """None is led to the other: a provider follows no redirect, and a client would send its token twice."""
    others = set()
    for path, methods in paths(everything, payment).items():
        if path.endswith("/"):
            continue
        answer = sent(everything, f"{path}/", "GET" if "GET" in methods else min(methods - {"OPTIONS"}), customer)
        if answer.status_code != 404:
            others.add((path, answer.status_code))
    assert others == {("/ops", 308)}
