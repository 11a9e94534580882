"""The command line takes a customer by what the shop knows them by: the id, or what their tokens call them."""

from __future__ import annotations

import json
from uuid import UUID, uuid4, uuid5

import jwt
import pytest
from flask import Flask

from checkout_service.local.purchase import customer_token
from checkout_service.settings.reader import DEVELOPMENT_NAMESPACE
from tests.conftest import MakeListing, Sql
from tests.identity.test_subjects import ISSUER, customer_called
from tests.own_apps import SECRET, MakeApp, bearer
from tests.purchases import fill_cart

ADA = "auth0|ada"


def id_of(subject: str, issuer: str = "") -> UUID:
    return uuid5(DEVELOPMENT_NAMESPACE, f"{issuer}\n{subject}")


def test_a_token_for_a_subject_lets_that_customer_in(make_app: MakeApp, sql: Sql, make_listing: MakeListing) -> None:
    app = make_app(jwt_issuer=ISSUER, jwt_subject_claim="customer")
    made = app.test_cli_runner().invoke(args=["token", "--subject", ADA])
    assert made.exit_code == 0, made.output
    item = {"listing": str(make_listing()["id"]), "qty": 1}
    answer = app.test_client().post("/api/cart/items", json=item, headers=bearer(made.stdout.strip()))
    assert answer.status_code == 201
    assert [tuple(row) for row in sql("SELECT id, issuer, subject FROM users")] == [(id_of(ADA, ISSUER), ISSUER, ADA)]


def test_a_customer_is_found_by_either_name(app: Flask, make_listing: MakeListing) -> None:
    fill_cart(customer_called(app, ADA), (make_listing(), 1))
    shown = f"{id_of(ADA)}\nsubject {ADA}\nissuer  \n"
    for named in (["--subject", ADA], ["--user", str(id_of(ADA))]):
        assert app.test_cli_runner().invoke(args=["customer", *named]).stdout == shown, named
    # Of somebody who never bought there is no row, and the id is theirs all the same.
    assert app.test_cli_runner().invoke(args=["customer", "--subject", "auth0|new"]).stdout == f"{id_of('auth0|new')}\n"
    user = str(uuid4())
    assert app.test_cli_runner().invoke(args=["customer", "--subject", user.upper()]).stdout == f"{user}\n"


def test_customers_of_an_issuer_of_former_days_are_found_by_naming_it(app: Flask) -> None:
    named = app.test_cli_runner().invoke(args=["customer", "--subject", ADA, "--issuer", ISSUER])
    assert named.stdout == f"{id_of(ADA, ISSUER)}\n"


def test_the_purchase_of_make_run_names_its_customer_by_the_same_claim() -> None:
    user = uuid4()
    environment = {"JWT_SECRET": SECRET, "JWT_SUBJECT_CLAIM": "customer", "JWT_ISSUER": ISSUER}
    claims = jwt.decode(customer_token(user, environment), SECRET, ["HS256"])
    assert (claims["customer"], claims["iss"], "sub" in claims) == (str(user), ISSUER, False)
    assert jwt.decode(customer_token(user, {"JWT_SECRET": SECRET}), SECRET, ["HS256"])["sub"] == str(user)


@pytest.mark.parametrize("command", ["customer", "token", "privacy export", "privacy erase --why asked"])
@pytest.mark.parametrize(
    "wrong",
    [
        [],
        ["--user", str(uuid4()), "--subject", ADA],
        ["--subject", ""],
        ["--subject", "a\nb"],
        ["--subject", "x" * 256],
        ["--user", ADA],
    ],
)
def test_nobody_and_two_and_what_nobody_is_called_are_refused(
    app: Flask, sql: Sql, command: str, wrong: list[str]
) -> None:
    result = app.test_cli_runner().invoke(args=[*command.split(), *wrong])
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert sql("SELECT FROM audit") == []


def test_an_export_by_subject_has_it_among_the_rest(app: Flask, make_listing: MakeListing) -> None:
    fill_cart(customer_called(app, ADA), (make_listing(), 1))
    fill_cart(customer_called(app, "auth0|other"), (make_listing(), 1))

    result = app.test_cli_runner().invoke(args=["privacy", "export", "--subject", ADA])

    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert {row["kind"] for row in rows} == {"user", "cart", "cart_line"}
    (user,) = (row for row in rows if row["kind"] == "user")
    assert (user["id"], user["issuer"], user["subject"]) == (str(id_of(ADA)), "", ADA)
