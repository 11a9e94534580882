"""``checkout token`` prints a token that works, and nothing where it must not."""

from __future__ import annotations

from uuid import uuid4

import jwt
import pytest

from tests.own_apps import SECRET, MakeApp, bearer


def test_it_prints_only_a_token_that_lets_the_user_in(make_app: MakeApp) -> None:
    app = make_app()
    user = uuid4()
    result = app.test_cli_runner().invoke(args=["token", "--user", str(user)])
    assert result.exit_code == 0
    token = result.stdout.removesuffix("\n")
    assert not set(token) & set(" \n")
    assert jwt.decode(token, SECRET, ["HS256"])["sub"] == str(user)
    assert app.test_client().get("/test/private", headers=bearer(token)).status_code == 200


def test_it_carries_the_audience_and_the_issuer_that_are_checked(make_app: MakeApp) -> None:
    app = make_app(jwt_audience="checkout", jwt_issuer="https://login.example.test")
    result = app.test_cli_runner().invoke(args=["token", "--user", str(uuid4())])
    assert app.test_client().get("/test/private", headers=bearer(result.stdout.strip())).status_code == 200


def test_its_life_is_given_in_hours(make_app: MakeApp) -> None:
    result = make_app().test_cli_runner().invoke(args=["token", "--user", str(uuid4()), "--hours", "0.5"])
    claims = jwt.decode(result.stdout.strip(), SECRET, ["HS256"])
    assert claims["exp"] - claims["iat"] == 1800


def test_it_carries_the_scopes_of_its_options(make_app: MakeApp) -> None:
    user = ["token", "--user", str(uuid4())]
    plain = make_app().test_cli_runner().invoke(args=user)
    staff = make_app().test_cli_runner().invoke(args=[*user, "--scope", "refunds", "--scope", "other"])

    assert "scope" not in jwt.decode(plain.stdout.strip(), SECRET, ["HS256"])
    assert jwt.decode(staff.stdout.strip(), SECRET, ["HS256"])["scope"] == "refunds other"


HOURS = ["--user", "6a1f0c3f-5f0e-4d7c-8f3b-1d2e4c5a6b7d", "--hours", "0"]


@pytest.mark.parametrize("wrong", [[], ["--user", "admin"], HOURS])
def test_wrong_options_print_no_token(make_app: MakeApp, wrong: list[str]) -> None:
    result = make_app().test_cli_runner().invoke(args=["token", *wrong])
    assert result.exit_code != 0
    assert "eyJ" not in result.output


def test_it_is_refused_in_production(make_app: MakeApp) -> None:
    result = make_app(environment="production").test_cli_runner().invoke(args=["token", "--user", str(uuid4())])
    assert result.exit_code != 0
    assert "production" in result.output
    assert "eyJ" not in result.output


def test_it_is_refused_where_another_signs_the_tokens(make_app: MakeApp) -> None:
    app = make_app(jwt_secret=None, jwt_jwks_url="https://login.example.test/keys", jwt_algorithms=("RS256",))
    result = app.test_cli_runner().invoke(args=["token", "--user", str(uuid4())])
    assert result.exit_code != 0
    assert "JWT_JWKS_URL" in result.output
    assert "eyJ" not in result.output
