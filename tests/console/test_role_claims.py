"""Whose role is read from which claim, of the ID token or of the UserInfo, and what a person's own name may do."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from checkout_service.app import create_app
from checkout_service.settings.values import WebSettings
from tests.apps import close_app
from tests.console.conftest import console_settings
from tests.console.hostile import app, client, hostile, patience
from tests.console.openid import WITH_PAGE, HostileProvider, come_back, oidc_settings

__all__ = ["app", "client", "hostile", "patience"]  # fixtures


def test_profile_and_roles_come_from_the_user_info_where_the_token_has_none(
    client: FlaskClient, hostile: HostileProvider
) -> None:
    hostile.claims = {"roles": None, "name": None}
    hostile.user = {"sub": "mira", "name": "Mira\u202e\n <b>" + "x" * 100, "roles": "viewer operator", "iss": "x"}
    assert come_back(client, hostile).status_code == 303
    page = client.get("/ops/audit", headers=WITH_PAGE)
    assert "Mira &lt;b&gt;xxx" in page.text
    assert "x" * 61 not in page.text
    assert ", operator; what you have done" in page.text
    (call,) = [headers for path, headers, _ in hostile.calls if path == "/me"]
    assert call["Authorization"] == "Bearer opaque"


def test_a_user_info_of_somebody_else_is_not_used(client: FlaskClient, hostile: HostileProvider) -> None:
    hostile.claims = {"roles": None, "name": None}
    hostile.user = {"sub": "mallory", "name": "Mallory", "roles": ["refunder"]}
    assert come_back(client, hostile).status_code == 303
    page = client.get("/ops", headers=WITH_PAGE)
    assert page.status_code == 403
    assert "oidc:mira, with no role" in page.text


@pytest.mark.parametrize(
    ("name", "claims", "role"),
    [
        ("roles", {"roles": ["viewer", "refunder", "admin"]}, "refunder"),
        ("roles", {"roles": "operator"}, "operator"),
        ("realm_access.roles", {"realm_access": {"roles": ["viewer"]}}, "viewer"),
        ("https://shop.example/roles", {"https://shop.example/roles": ["operator"]}, "operator"),
        ("a.b", {"a.b": ["operator"], "a": {"b": ["refunder"]}}, "operator"),
        ("roles", {"roles": [{"name": "refunder"}, 5, None, ["refunder"]]}, None),
        ("roles", {"roles": {"refunder": True}}, None),
        ("roles", {"roles": ["Refunder", "refunder "]}, None),
        ("roles", {"roles": ["x"] * 1000 + ["refunder"]}, None),
        ("roles.x.y", {"roles": ["refunder"]}, None),
    ],
)
def test_the_claim_of_the_roles(
    settings: WebSettings, hostile: HostileProvider, name: str, claims: dict[str, Any], role: str | None
) -> None:
    own = create_app(console_settings(settings, console_oidc=oidc_settings(hostile.issuer, roles_claim=name)))
    try:
        hostile.claims = {"roles": None} | claims
        client = own.test_client()
        assert come_back(client, hostile).status_code == 303
        page = client.get("/ops/audit", headers=WITH_PAGE)
        assert page.status_code == (200 if role else 403)
        assert f", {role}; what you have done" in page.text if role else "with no role" in page.text
    finally:
        close_app(own)
