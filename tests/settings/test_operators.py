"""Settings of the console's roles and of the provider where operators sign in: each fault is named, all at once."""

from __future__ import annotations

import pytest

from checkout_service.providers.registry import account_forms
from checkout_service.settings.operators import Role
from checkout_service.settings.values import SettingsError, WebSettings

RIGHT = {
    "DATABASE_URL": "postgresql://web@127.0.0.1/shop",
    "REDIS_URL": "redis://127.0.0.1",
    "JWT_SECRET": "an-invented-secret-of-forty-characters-or-so",
    "PAYMENT_NAMESPACE": "6f1d6c52-9b7e-5c1e-8f43-3d6b8a8c2a11",
    "CONSOLE_BASIC_AUTH": "mira:a long password of mira,jon=x:a long password of jon",
    "CONSOLE_OIDC_ISSUER": "https://issuer.example/realms/shop",
    "CONSOLE_OIDC_CLIENT_ID": "checkout-console",
    "CONSOLE_OIDC_CLIENT_SECRET": "GOCSPX-an-invented-secret",
    "CONSOLE_URL": "https://shop.example/ops",
}


def read(monkeypatch: pytest.MonkeyPatch, **given: str) -> WebSettings:
    for name in ("CONSOLE", "CONSOLE_ROLES", "CONSOLE_OIDC_ROLES_CLAIM", "PAGES", "PAGES_SECRET", "JWT_JWKS_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"ENVIRONMENT": "production", "PAYMENT_PROVIDERS": ""} | RIGHT | given).items():
        monkeypatch.setenv(name, value)
    return WebSettings.from_environment(account_forms())


def faults(monkeypatch: pytest.MonkeyPatch, **given: str) -> list[str]:
    with pytest.raises(SettingsError) as found:
        read(monkeypatch, **given)
    return str(found.value).splitlines()


def test_what_is_right_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    roles = "mira=viewer, jon=x=operator,oidc:auth0|5f7c=refunder"
    found = read(monkeypatch, CONSOLE_ROLES=roles, CONSOLE_URL="https://shop.example/ops/")
    assert found.console
    assert found.console_roles == {
        "mira": Role.VIEWER,
        "jon=x": Role.OPERATOR,
        "oidc:auth0|5f7c": Role.REFUNDER,
    }
    oidc = found.console_oidc
    assert oidc
    assert oidc.redirect_uri == "https://shop.example/ops/sign-in/callback"
    assert oidc.origin == "https://shop.example"
    assert oidc.roles_claim == "roles"
    assert "GOCSPX" not in repr(found)


def test_with_a_provider_alone_the_console_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, CONSOLE_BASIC_AUTH="").console
    nothing = {name: "" for name in RIGHT if name.startswith("CONSOLE_OIDC_")}
    assert not read(monkeypatch, CONSOLE_BASIC_AUTH="", **nothing).console


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"CONSOLE_OIDC_ISSUER": "http://issuer.example"}, "CONSOLE_OIDC_ISSUER: must begin with https://"),
        ({"CONSOLE_OIDC_ISSUER": "http://127.0.0.1:9000"}, "CONSOLE_OIDC_ISSUER: must begin with https://"),
        ({"CONSOLE_OIDC_ISSUER": "https://issuer.example/?a=b"}, "CONSOLE_OIDC_ISSUER: goes on with ? or #"),
        ({"CONSOLE_OIDC_ISSUER": "https://a:b@issuer.example"}, "CONSOLE_OIDC_ISSUER: holds a user or a password"),
        ({"CONSOLE_OIDC_ISSUER": ""}, "CONSOLE_OIDC_ISSUER: is needed beside the others"),
        ({"CONSOLE_OIDC_CLIENT_ID": ""}, "CONSOLE_OIDC_CLIENT_ID: is needed beside the others"),
        ({"CONSOLE_OIDC_CLIENT_ID": "a b"}, "CONSOLE_OIDC_CLIENT_ID: must be visible ASCII"),
        ({"CONSOLE_OIDC_CLIENT_SECRET": "short"}, "CONSOLE_OIDC_CLIENT_SECRET: shorter than 16 characters"),
        ({"CONSOLE_OIDC_CLIENT_SECRET": "changeme-changeme"}, "CONSOLE_OIDC_CLIENT_SECRET: is a placeholder"),
        ({"CONSOLE_OIDC_CLIENT_SECRET": '"a quoted one, and long"'}, "CONSOLE_OIDC_CLIENT_SECRET: has quotation"),
        ({"CONSOLE_URL": ""}, "CONSOLE_URL: is needed beside CONSOLE_OIDC_ISSUER"),
        ({"CONSOLE_URL": "http://shop.example/ops"}, "CONSOLE_URL: must begin with https://"),
        ({"CONSOLE_URL": "https://shop.example"}, "CONSOLE_URL: must end with /ops"),
        ({"CONSOLE_OIDC_ROLES_CLAIM": ""}, "CONSOLE_OIDC_ROLES_CLAIM: is set, and empty"),
        ({"CONSOLE_ROLES": "mria=viewer"}, "CONSOLE_ROLES: 'mria' is no user of CONSOLE_BASIC_AUTH"),
        ({"CONSOLE_ROLES": "mira=admin"}, "CONSOLE_ROLES: 'admin' is none of viewer, operator, refunder"),
        ({"CONSOLE_ROLES": "mira"}, "CONSOLE_ROLES: 'mira' is not user=role"),
        ({"CONSOLE_ROLES": "mira=viewer,mira=operator"}, "CONSOLE_ROLES: names 'mira' twice"),
        ({"CONSOLE_ROLES": "oidc:=viewer"}, "CONSOLE_ROLES: 'oidc:' is no user"),
        ({"CONSOLE_ROLES": "'mira=viewer'"}, "CONSOLE_ROLES: has quotation marks"),
    ],
)
def test_what_is_wrong_is_named_by_its_setting(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], fault: str
) -> None:
    found = faults(monkeypatch, **given)
    assert [line for line in found if line.startswith(fault)], found


def test_all_that_is_wrong_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = faults(
        monkeypatch,
        CONSOLE_OIDC_ISSUER="http://issuer.example",
        CONSOLE_OIDC_CLIENT_SECRET="short",
        CONSOLE_URL="https://shop.example",
        CONSOLE_ROLES="mria=viewer,mira=admin",
    )
    assert len(found) == 5
    assert "short" not in "".join(found).replace("shorter", "")


def test_on_this_machine_http_will_do_where_it_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    local = {"CONSOLE_OIDC_ISSUER": "http://127.0.0.1:9000", "CONSOLE_URL": "http://localhost:8000/ops"}
    assert read(monkeypatch, ENVIRONMENT="development", PAYMENT_PROVIDERS="mock", **local).console_oidc
    elsewhere = local | {"CONSOLE_OIDC_ISSUER": "http://issuer.example"}
    found = faults(monkeypatch, ENVIRONMENT="development", PAYMENT_PROVIDERS="mock", **elsewhere)
    assert found == ["CONSOLE_OIDC_ISSUER: must begin with https://, or http://127.0.0.1 where it is tried"]
