"""Which claim names a user, and who issues tokens: what they are compared with is kept, so it has its bounds."""

from __future__ import annotations

import pytest

from checkout_service.settings.values import WebSettings
from tests.settings.test_settings import account_forms, environment, faults

__all__ = ["environment"]  # fixtures


def test_the_subject_names_the_user_unless_another_claim_is_set(environment: pytest.MonkeyPatch) -> None:
    assert WebSettings.from_environment(account_forms()).jwt_subject_claim == "sub"
    environment.setenv("JWT_SUBJECT_CLAIM", "https://shop.example/customer")
    environment.setenv("JWT_ISSUER", "https://shop.eu.auth0.example/")
    settings = WebSettings.from_environment(account_forms())
    assert settings.jwt_subject_claim == "https://shop.example/customer"
    assert settings.jwt_issuer == "https://shop.eu.auth0.example/", "byte by byte, with its slash"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("JWT_SUBJECT_CLAIM", claim) for claim in ("", "iss", "aud", "exp", "nbf", "iat", "jti", "scope", "a\tb")],
        ("JWT_SUBJECT_CLAIM", "x" * 256),
        ("JWT_ISSUER", "https://login.example.test/\n"),
        ("JWT_ISSUER", "https://login.example.test/" + "x" * 250),
        ("JWT_ISSUER", "https://login.example.test/\udcff"),
    ],
)
def test_what_can_name_nobody_is_refused(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(name, value)
    assert faults() == [name]
