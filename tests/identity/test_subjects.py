"""Who a token is about: a UUID is the user's id, of any other subject it is computed, and nothing is looked up."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from hashlib import sha1
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from checkout_service.api.callers import Caller, Subject
from checkout_service.identity.subjects import MAY_CHANGE, BadSubjectError, Named, Subjects
from checkout_service.settings.reader import DEVELOPMENT_NAMESPACE
from tests.conftest import ROOT, Customer, MakeListing, Servers, Sql, Statements
from tests.own_apps import MakeApp, bearer, handmade, payload, signed
from tests.purchases import fill_cart, opened

ISSUER = "https://shop.eu.auth0.example/"
SUBJECTS = Subjects(DEVELOPMENT_NAMESPACE, ISSUER, "sub")
ID = "6a1f0c3f-5f0e-4d7c-8f3b-1d2e4c5a6b7d"


def token(sub: Any) -> dict[str, str]:
    """The header of a token with this subject, whatever it is."""
    return bearer(handmade({"alg": "HS256"}, payload(sub=sub)))


def customer_called(app: Flask, sub: Any) -> Customer:
    headers = token(sub)
    return Customer(id=app.extensions["subjects"].read(sub).user_id, headers=headers, client=app.test_client())


def by_hand(issuer: str, subject: str) -> UUID:
    """RFC 9562, section 5.5, without the standard library's uuid5."""
    named = DEVELOPMENT_NAMESPACE.bytes + f"{issuer}\n{subject}".encode()
    digest = bytearray(sha1(named, usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return UUID(bytes=bytes(digest))


def test_the_id_of_a_text_is_computed_of_the_issuer_and_the_text() -> None:
    assert SUBJECTS.read("auth0|abc") == Named(by_hand(ISSUER, "auth0|abc"), Subject(ISSUER, "auth0|abc"))
    # Written down, so that no release computes another: it would lose all customers.
    assert SUBJECTS.read("auth0|abc").user_id == UUID("d6444c43-6a08-55a5-afcc-801ad19ba7de")
    nobodys = replace(SUBJECTS, issuer="")
    assert nobodys.read("auth0|abc").user_id == by_hand("", "auth0|abc")


@pytest.mark.parametrize("spelling", [ID, ID.upper(), ID[:9].upper() + ID[9:]])
def test_a_uuid_in_any_case_is_the_id_itself(spelling: str) -> None:
    assert SUBJECTS.read(spelling) == Named(UUID(ID), None)


@pytest.mark.parametrize(
    "text",
    [
        "{" + ID + "}",
        "urn:uuid:" + ID,
        ID.replace("-", ""),
        f" {ID}",
        ID.replace("6a1f", "６a1f"),
        ID.replace("-", "_"),
        ID.replace("-", "\u2010"),
    ],
)
def test_another_spelling_of_a_uuid_is_a_text_and_never_that_user(text: str) -> None:
    named = SUBJECTS.read(text)
    assert named == Named(by_hand(ISSUER, text), Subject(ISSUER, text))
    assert named.user_id != UUID(ID)


def test_the_page_tells_programs_of_the_shop_how_to_compute_it() -> None:
    page = (ROOT / "docs" / "identity.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {"PAYMENT_NAMESPACE": str(DEVELOPMENT_NAMESPACE), "JWT_ISSUER": ISSUER}
    exec(code, names)  # noqa: S102 (our own page)
    for subject in ("auth0|abc", "42", "Zo\u00eb", ID, ID.upper(), "{" + ID + "}", ID.replace("-", "")):
        assert names["customer_of"](subject) == SUBJECTS.read(subject).user_id, subject
    for claim in ("email", "preferred_username", "name", "upn", "phone_number", "session_id"):
        assert f"`{claim}`" in page
        assert claim in MAY_CHANGE, "the doctor names it too"


def test_a_whole_number_is_its_digits() -> None:
    for number in (0, 7, 42, 2**53 + 1, 10**254):
        assert SUBJECTS.read(number) == SUBJECTS.read(str(number))


@given(one=st.text(max_size=300), other=st.text(max_size=300))
def test_two_texts_are_two_users_and_neither_is_a_uuid_of_another_kind(one: str, other: str) -> None:
    try:
        named = [SUBJECTS.read(text) for text in (one, other)]
    except BadSubjectError:
        return
    assert (named[0] == named[1]) == (one == other)
    assert [found.user_id.version for found in named if found.subject] == [5] * len([n for n in named if n.subject])


BAD: dict[str, tuple[Any, str]] = {
    "missing": (None, "is missing"),
    "empty": ("", "is empty"),
    "of 256 characters": ("x" * 256, "is longer than 255 characters"),
    "a number of 256 digits": (10**255, "is longer than 255 characters"),
    "with a line feed": ("auth0|a\nb", "holds a control character"),
    "with NUL": ("auth0|a\0b", "holds a control character"),
    "with DEL": ("auth0|a\x7fb", "holds a control character"),
    "with a C1 control": ("auth0|a\x85b", "holds a control character"),
    "half a pair": ("auth0|\ud800", "holds half of a surrogate pair"),
    "true": (True, "is true or false"),
    "false": (False, "is true or false"),
    "a fraction": (4.2, "is a number with a fraction or an exponent"),
    "a whole number as a fraction": (42.0, "is a number with a fraction or an exponent"),
    "a negative number": (-42, "is a negative number"),
    "a list": (["auth0|abc"], "is a list"),
    "an object": ({"sub": "auth0|abc"}, "is an object"),
}


@pytest.mark.parametrize(("sub", "words"), BAD.values(), ids=BAD.keys())
def test_what_nobody_can_be_called_is_refused_with_words(sub: Any, words: str) -> None:
    with pytest.raises(BadSubjectError, match=f"^{words}"):
        SUBJECTS.read(sub)


@pytest.mark.parametrize(("sub", "words"), BAD.values(), ids=BAD.keys())
def test_a_subject_that_nobody_can_have_is_401_and_the_words_say_why(
    app: Flask, sql: Sql, make_listing: MakeListing, sub: Any, words: str
) -> None:
    item = {"listing": str(make_listing()["id"]), "qty": 1}
    answer = app.test_client().post("/api/cart/items", json=item, headers=token(sub))

    assert answer.status_code == 401
    assert answer.json["type"] == "/problems/invalid-token"
    assert f'its claim "sub" {words}' in answer.json["detail"]
    assert "auth0" not in answer.text, "what was sent is not repeated"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="checkout", error="invalid_token"'
    assert sql("SELECT id FROM users UNION ALL SELECT id FROM carts") == []


def test_the_longest_subject_is_counted_in_characters_and_kept_whole(
    app: Flask, sql: Sql, make_listing: MakeListing
) -> None:
    longest = "\U0001f40c" * 255
    fill_cart(customer_called(app, longest), (make_listing(), 1))
    assert sql("SELECT subject FROM users")[0].subject == longest


def test_the_row_keeps_what_an_id_was_computed_of_and_nothing_of_a_uuid(
    make_app: MakeApp, sql: Sql, make_listing: MakeListing
) -> None:
    app, listing = make_app(jwt_issuer=ISSUER), make_listing()
    for sub in ("auth0|abc", 42, ID.upper()):
        headers = bearer(handmade({"alg": "HS256"}, payload(sub=sub, iss=ISSUER)))
        item = {"listing": str(listing["id"]), "qty": 1}
        assert app.test_client().post("/api/cart/items", json=item, headers=headers).status_code == 201

    assert {tuple(row) for row in sql("SELECT id, issuer, subject FROM users")} == {
        (by_hand(ISSUER, "auth0|abc"), ISSUER, "auth0|abc"),
        (by_hand(ISSUER, "42"), ISSUER, "42"),
        (UUID(ID), None, None),
    }


def test_without_an_issuer_the_row_has_an_empty_one(app: Flask, sql: Sql, make_listing: MakeListing) -> None:
    fill_cart(customer_called(app, "auth0|abc"), (make_listing(), 1))
    assert [tuple(row) for row in sql("SELECT id, issuer, subject FROM users")] == [
        (by_hand("", "auth0|abc"), "", "auth0|abc")
    ]


def test_the_number_and_its_digits_are_one_customer(app: Flask, sql: Sql, make_listing: MakeListing) -> None:
    cart = fill_cart(customer_called(app, 42), (make_listing(), 1))
    assert customer_called(app, "42").get("/api/cart").json["id"] == cart
    assert sql("SELECT count(*) FROM users")[0].count == 1


def test_what_looks_alike_is_another_customer(app: Flask, sql: Sql, make_listing: MakeListing) -> None:
    composed = unicodedata.normalize("NFC", "auth0|Zoë")
    alike = [composed, unicodedata.normalize("NFD", composed), composed.upper(), f"{composed} ", f" {composed}"]
    carts = {fill_cart(customer_called(app, sub), (make_listing(), 1)) for sub in alike}
    assert len(carts) == len(alike)
    assert {row.subject for row in sql("SELECT subject FROM users")} == set(alike)


def test_a_customer_by_a_text_sees_their_own_and_nobody_elses(app: Flask, make_listing: MakeListing) -> None:
    ada, other = customer_called(app, "auth0|ada"), customer_called(app, "auth0|other")
    payment = opened(ada, fill_cart(ada, (make_listing(), 1)))["payment_id"]

    assert [row["id"] for row in ada.get("/api/payments").json["data"]] == [payment]
    assert ada.get(f"/api/payments/{payment}").status_code == 200
    assert other.get("/api/payments").json["data"] == []
    for path in (f"/api/payments/{payment}", f"/api/payments/{payment}/refunds", f"/api/checkout/session/{payment}"):
        assert other.get(path).status_code == 404, path
    assert other.post(f"/api/payments/{payment}/cancel").status_code == 404


def test_a_database_that_was_restored_gives_the_same_customer_and_the_same_payment(
    app: Flask, servers: Servers, sql: Sql, make_listing: MakeListing
) -> None:
    """All that was written of customers after the backup is gone; the client retries with its key."""
    listing = make_listing()
    found = []
    for _ in range(2):
        sql("TRUNCATE users CASCADE")
        with redis.Redis.from_url(servers.redis_url) as cache:
            cache.flushdb()
        customer = customer_called(app, "auth0|abc")
        payment = opened(customer, fill_cart(customer, (listing, 1)))["payment_id"]
        found.append((sql("SELECT id FROM users")[0].id, payment))
    assert found[0] == found[1]
    assert found[0][0] == by_hand("", "auth0|abc")


def test_a_first_write_takes_one_statement_by_a_text_too(
    app: Flask, make_listing: MakeListing, statements: Statements
) -> None:
    customer, item = customer_called(app, "auth0|abc"), {"listing": str(make_listing()["id"]), "qty": 1}
    with statements() as seen:
        assert customer.post("/api/cart/items", json=item).status_code == 201
    assert len(seen) == 1
    with statements() as seen:
        assert customer.get("/api/cart").status_code == 200
    assert len(seen) == 1


def test_another_claim_may_name_the_user(make_app: MakeApp, sql: Sql, make_listing: MakeListing) -> None:
    app = make_app(jwt_subject_claim="https://shop.example/customer")
    client, item = app.test_client(), {"listing": str(make_listing()["id"]), "qty": 1}
    claims = {"sub": str(uuid4()), "https://shop.example/customer": "c-1042"}

    assert client.post("/api/cart/items", json=item, headers=signed(**claims)).status_code == 201
    assert [row.subject for row in sql("SELECT subject FROM users")] == ["c-1042"]
    # The claim alone counts: not even is there to be another.
    assert client.get("/api/cart", headers=signed(**claims | {"sub": None})).json["items"]
    answer = client.get("/api/cart", headers=signed())
    assert answer.status_code == 401
    assert 'its claim "https://shop.example/customer" is missing' in answer.json["detail"]


def test_a_subject_that_stands_in_a_row_of_another_namespace_ends_loudly(
    make_app: MakeApp, sql: Sql, make_listing: MakeListing
) -> None:
    item = {"listing": str(make_listing()["id"]), "qty": 1}
    fill_cart(customer_called(make_app(), "auth0|abc"), (make_listing(), 1))
    moved = make_app(payment_namespace=uuid4())

    answer = customer_called(moved, "auth0|abc").post("/api/cart/items", json=item)

    assert answer.status_code == 500
    assert sql("SELECT count(*) FROM users")[0].count == 1
    assert sql("SELECT count(*) FROM cart_items")[0].count == 1


def test_the_audits_name_of_a_caller_begins_with_the_id_and_shows_no_control() -> None:
    user = uuid4()
    assert Caller(user).name == f"user {user}"
    assert Caller(user, subject=Subject(ISSUER, "auth0|ada")).name == f"user {user} (auth0|ada)"
    turned = Caller(user, subject=Subject(ISSUER, "a\u202eb")).name
    assert turned == f"user {user} (a\ufffdb)"
    assert Caller(user, key_prefix="csk_abc").name == "key csk_abc"


def test_a_token_of_staff_by_a_text_has_its_scopes(client: FlaskClient) -> None:
    staff = bearer(handmade({"alg": "HS256"}, payload(sub="auth0|staff", scope="payments:read")))
    assert client.get("/api/admin/payments", headers=staff).status_code == 200
    assert client.get("/api/admin/payments", headers=token("auth0|staff")).status_code == 403
