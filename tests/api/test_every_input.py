"""Whatever stands in a path, a query or a form: what PostgreSQL cannot keep is refused, and nothing is a 500."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from checkout_service.api.query_parameters import parameters_of
from checkout_service.pages import forms
from tests.api.every_route import OPERATOR, path_of, routes
from tests.conftest import ROOT, Customer, MakeListing, Sql
from tests.purchases import fill_cart, opened
from tests.refunding import staff_of
from tests.webhook_bodies import insert_webhook

FIELDS: Final = {
    "/ops": (
        *("key", "why", "reason", "version", "amount", "state", "provider", "since", "until", "find", "csrf"),
        *("carrier", "tracking", "capture", "type", "failed", "reference", "authorization", "next"),
    ),
    "/": ("listing", "qty", "q", "after", "cart", "total", "key", "remove", "step", "set", "until", "csrf"),
}
"""The fields that forms have, of the console and of the shop."""

QUERIES: Final = {
    "/ops": (
        *("before", "after", "beyond", "task", "find", "flagged", "type", "failed"),
        *(
            "state",
            "status",
            "provider",
            "since",
            "until",
            "number",
            "customer",
            "amount",
            "vendor",
            "q",
            "code",
            "next",
        ),
    ),
    "/api": (),  # its routes say themselves what they take
    "/": ("q", "after", "cursor", "until", "wait"),
}

HOSTILE: Final = {
    "half a character": "%ED%A0%80%FF",
    "a noncharacter and other digits": "%EF%BF%BF%D9%A1",
    "the oldest day": "0001-01-01",
    "the newest moment": "9999-12-31T23:59:59-14:00",
    "a cursor of the oldest day": "MDAwMS0wMS0wMVQwMDowMDowMCswMDowMCAwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDA",
    "a long number": "9" * 5_000,
}


@pytest.fixture
def known(customer: Customer, make_listing: MakeListing) -> str:
    """The id of a payment that there is."""
    return str(opened(customer, fill_cart(customer, (make_listing(), 1)))["payment_id"])


def test_a_nul_in_a_form_is_422_on_every_page_that_takes_one(everything: Flask, known: str, sql: Sql) -> None:
    delivery = str(insert_webhook(sql, b"{}"))
    client, seen = everything.test_client(), 0
    client.get("/cart")  # who has no cookie is another guest with each request
    good = _good_form(everything, client)
    for rule, method in routes(everything):
        if method != "POST" or rule.rule.startswith("/api/"):
            continue
        path = path_of(rule, delivery if "webhooks" in rule.rule else known)
        for field in _of_room(FIELDS, path):
            for faulty in ({field: "a\0b"}, {f"{field}\0": "a"}):
                answer = client.post(path, data={**good(path), **faulty}, auth=_auth(path))
                assert answer.status_code == 422, (path, faulty, answer.text)
                assert f"/{field}" in {error["pointer"] for error in answer.json["errors"]}
                seen += 1
    assert seen > 150
    assert sql("SELECT (SELECT count(*) FROM audit) + (SELECT count(*) FROM refunds) AS n")[0].n == 0


@pytest.mark.parametrize("name", ["half a character", "the oldest day", "the newest moment", "a long number"])
def test_no_value_of_a_form_is_a_500(everything: Flask, known: str, sql: Sql, name: str) -> None:
    value = HOSTILE[name]
    delivery = str(insert_webhook(sql, b"{}"))
    client = everything.test_client()
    client.get("/cart")
    good = _good_form(everything, client)
    for rule, method in routes(everything):
        if method != "POST" or rule.rule.startswith("/api/"):
            continue
        path = path_of(rule, delivery if "webhooks" in rule.rule else known)
        for field in _of_room(FIELDS, path):
            form = "&".join(
                f"{written}={value if written == field else given}"
                for written, given in ({field: ""} | good(path)).items()
            )
            answer = client.post(path, data=form, content_type="application/x-www-form-urlencoded", auth=_auth(path))
            assert answer.status_code < 500, (path, field, answer.text)


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_value_of_a_query_or_a_path_is_a_500(
    everything: Flask, customer: Customer, known: str, sql: Sql, value: str
) -> None:
    insert_webhook(sql, b"{}")
    client, staff = (
        everything.test_client(),
        staff_of(customer, scope="refunds payments:read payouts:read ops webhooks:write events:read"),
    )
    for rule, method in routes(everything):
        if method != "GET":
            continue
        path = path_of(rule, known)
        bearer = (staff if rule.rule.startswith("/api/admin") else customer).headers
        bearer = {} if rule.rule.startswith("/ops") else bearer
        taken = parameters_of(everything, rule.endpoint) if path.startswith("/api/") else None
        addresses = [f"{path}?{name}={value}" for name in (_of_room(QUERIES, path) if taken is None else taken)]
        addresses += [re.sub(r"<[^>]+>", value[:5_000], rule.rule)] if rule.arguments else []
        for address in addresses:
            answer = client.get(address, headers=bearer, auth=_auth(path))
            answer.close()
            assert answer.status_code < 500, (address, answer.text)
            assert answer.status_code != 403, "what may not be read proves nothing"


def test_these_are_all_fields_and_parameters_that_views_read() -> None:
    read: set[str] = set()
    for page in (ROOT / "checkout_service").rglob("*.py"):
        read |= set(re.findall(r"request\.(?:form|args)\.get\(\"(\w+)\"", page.read_text(encoding="utf-8")))
    assert read <= {name for names in [*FIELDS.values(), *QUERIES.values()] for name in names}


def _of_room(names: Mapping[str, Sequence[str]], path: str) -> Sequence[str]:
    return next(found for prefix, found in names.items() if path.startswith(prefix))


def _auth(path: str) -> tuple[str, str] | None:
    return OPERATOR if path.startswith("/ops") else None


def _good_form(app: Flask, client: FlaskClient) -> Callable[[str], dict[str, str]]:
    """What makes the form for a path, with its token, as it would be taken."""
    cookie = client.get_cookie("guest")
    assert cookie
    with app.app_context():
        guest = cookie.value.partition(".")[0]
        tokens = {True: forms.token(f"console:{OPERATOR[0]}"), False: forms.token(guest)}

    def make(path: str) -> dict[str, str]:
        given = {"csrf": tokens[path.startswith("/ops")], "key": str(uuid4()), "why": "a test"}
        if path.startswith("/ops"):
            return given | {"reason": "mismatch", "amount": "1.00", "state": "failed"}
        return given | {"listing": str(uuid4()), "qty": "1", "cart": str(uuid4()), "total": "1.00"}

    return make
