"""Settings are read once, say everything that is wrong with them, and keep their secrets."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from checkout_service.providers.registry import account_forms
from checkout_service.settings.reader import RENAMED
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import (
    BrokerSettings,
    MigrationSettings,
    ServerSettings,
    SettingsError,
    WebSettings,
    WorkerSettings,
)

PASSWORD = "hunter2-hunter2-hunter2-hunter2-hunter2"

GOOD = {
    "DATABASE_URL": f"postgresql://checkout_web:{PASSWORD}@localhost/shop",
    "WORKER_DATABASE_URL": f"postgresql://checkout_worker:{PASSWORD}@localhost/shop",
    "MIGRATION_DATABASE_URL": f"postgresql://postgres:{PASSWORD}@localhost/shop",
    "REDIS_URL": f"redis://:{PASSWORD}@localhost/0",
    "JWT_SECRET": PASSWORD,
    "MOCK_WEBHOOK_SECRETS": PASSWORD,
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Good settings, and nothing of the machine's own."""
    for name in ("ENVIRONMENT", "CELERY_BROKER_URL", "JWT_JWKS_URL", "JWT_ALGORITHMS", "PAYMENT_PROVIDERS",
                 "DEFAULT_CURRENCY", "WEB_THREADS", "PAGES", "PAGES_SECRET",
                 "PAYMENT_NAMESPACE", "SESSION_TTL_SECONDS"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def faults() -> list[str]:
    with pytest.raises(SettingsError) as caught:
        WebSettings.from_environment(account_forms())
    return sorted({line.split(":")[0] for line in str(caught.value).splitlines()})


def test_good_settings_are_taken(environment: pytest.MonkeyPatch) -> None:
    settings = WebSettings.from_environment(account_forms())
    assert settings.database_url.reveal().startswith("postgresql://checkout_web:")
    assert settings.broker_url == settings.redis_url
    assert settings.jwt_algorithms == ("HS256",)


def test_every_fault_is_reported_at_once(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DATABASE_URL", "mysql://localhost/shop")
    environment.delenv("REDIS_URL")
    environment.delenv("JWT_SECRET")
    environment.setenv("WEB_THREADS", "none")
    environment.setenv("SESSION_TTL_SECONDS", "0")
    environment.setenv("DEFAULT_CURRENCY", "XXX")
    environment.setenv("PAYMENT_PROVIDERS", "mock,paypall")
    assert faults() == [
        "DATABASE_URL",
        "DEFAULT_CURRENCY",
        "JWT_SECRET, JWT_JWKS_URL",
        "PAYMENT_PROVIDERS",
        "REDIS_URL",
        "SESSION_TTL_SECONDS",
        "WEB_THREADS",
    ]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"JWT_JWKS_URL": "https://login.example.test/keys"}, "JWT_SECRET, JWT_JWKS_URL"),
        ({"JWT_ALGORITHMS": "none"}, "JWT_ALGORITHMS"),
        ({"JWT_ALGORITHMS": ""}, "JWT_ALGORITHMS"),
        ({"JWT_ALGORITHMS": "HS256,RS256"}, "JWT_ALGORITHMS"),
        ({"JWT_SECRET": "", "JWT_JWKS_URL": "https://login.example.test/keys", "JWT_ALGORITHMS": "HS256"},
         "JWT_ALGORITHMS"),
        ({"JWT_SECRET": "", "JWT_JWKS_URL": "file:///etc/passwd"}, "JWT_JWKS_URL"),
        ({"ENVIRONMENT": "prod"}, "ENVIRONMENT"),
    ],
)  # fmt: skip
def test_a_key_and_its_algorithms_must_fit(
    environment: pytest.MonkeyPatch, changes: dict[str, str], fault: str
) -> None:
    for name, value in changes.items():
        environment.setenv(name, value)
    assert faults() == [fault]


def test_a_currency_that_was_withdrawn_is_no_default(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DEFAULT_CURRENCY", "BGN")

    with pytest.raises(SettingsError, match="BGN was withdrawn on 2026-01-01: EUR took its place"):
        WebSettings.from_environment(account_forms())
    WorkerSettings.from_environment(account_forms())  # which goes by no default, and has money to enter


def test_production_refuses_the_mock_provider_and_a_weak_secret(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ENVIRONMENT", "production")
    environment.setenv("PAYMENT_PROVIDERS", "mock")
    environment.setenv("JWT_SECRET", "short")
    assert {"PAYMENT_PROVIDERS", "JWT_SECRET"} <= set(faults())


def test_no_fault_repeats_a_secret(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DATABASE_URL", f"mysql://root:{PASSWORD}@localhost:port/shop")
    environment.setenv("REDIS_URL", f"http://:{PASSWORD}@localhost")
    environment.setenv("CELERY_BROKER_URL", f"http://:{PASSWORD}@localhost")
    with pytest.raises(SettingsError) as caught:
        WebSettings.from_environment(account_forms())
    assert PASSWORD not in str(caught.value)
    assert PASSWORD not in repr(caught.value)


def test_no_settings_print_a_secret(environment: pytest.MonkeyPatch) -> None:
    for settings in (
        WebSettings.from_environment(account_forms()),
        WorkerSettings.from_environment(account_forms()),
        MigrationSettings.from_environment(),
    ):
        for shown in (repr(settings), str(settings), f"{settings}", repr(dataclasses.asdict(settings))):
            assert PASSWORD not in shown


def test_the_web_tier_knows_no_webhook_secret(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MOCK_WEBHOOK_SECRETS", "the secret of webhooks")
    settings = WebSettings.from_environment(account_forms())

    bounds = {field.name for field in dataclasses.fields(settings) if "webhook" in field.name}
    # What encrypts the secrets of the shop's endpoints; those of providers, which prove that money came, it has not.
    of_endpoints = {"webhook_secrets_keys", "webhook_allow_private_addresses", "webhook_ports", "webhook_endpoints_max"}
    assert bounds == {"webhooks_max_rows", "webhooks_max_bytes"} | of_endpoints
    assert not [account for account in settings.accounts.values() if account.secrets]
    assert "the secret of webhooks" not in str([_revealed(value) for value in vars(settings).values()])


def _revealed(value: object) -> object:
    return value.reveal() if isinstance(value, Secret) else value


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_a_setting_that_was_renamed_is_refused_with_its_new_name(
    environment: pytest.MonkeyPatch, old: str, new: str
) -> None:
    """Without effect it would switch a limit off, and nobody would know."""
    environment.setenv(old, "1000")

    for read in (
        lambda: WebSettings.from_environment(account_forms()),
        lambda: WorkerSettings.from_environment(account_forms()),
        BrokerSettings.from_environment,
        MigrationSettings.from_environment,
        ServerSettings.from_environment,
    ):
        with pytest.raises(SettingsError, match=f"^{old}: it is called {new} now$"):
            read()


def test_the_limits_on_webhooks_were_renamed() -> None:
    renamed = {"LETTERS_MAX_ROWS": "WEBHOOKS_MAX_ROWS", "LETTERS_MAX_BYTES": "WEBHOOKS_MAX_BYTES"}
    assert renamed.items() <= (RENAMED.items())


def test_settings_are_frozen(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        WebSettings.from_environment(account_forms()).environment = "production"  # type: ignore[misc]  # that is the point


def test_a_secret_never_prints_and_still_compares() -> None:
    secret = Secret(PASSWORD)
    for shown in (repr(secret), str(secret), f"{secret}", "%s" % secret, repr([secret]), repr(copy.copy(secret))):  # noqa: UP031 (all ways of printing)
        assert shown in {"Secret(***)", "[Secret(***)]"}
    assert secret.reveal() == PASSWORD
    assert secret == Secret(PASSWORD)
    assert secret != Secret("another")
    assert secret != PASSWORD
    assert len({secret, Secret(PASSWORD)}) == 1


def test_in_production_no_provider_need_be_on(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PAYMENT_PROVIDERS", "")
    assert faults() == ["PAYMENT_PROVIDERS"]
    environment.setenv("ENVIRONMENT", "production")
    environment.setenv("PAYMENT_NAMESPACE", "7f1d6c52-9b7e-5c1e-8f43-3d6b8a8c2a11")

    assert WebSettings.from_environment(account_forms()).payment_providers == ()
    assert WorkerSettings.from_environment(account_forms()).payment_providers == ()


@pytest.mark.parametrize(("name", "value"), [("PORT", "http"), ("PORT", "70000"), ("WEB_CONCURRENCY", "-1")])
def test_where_to_listen_is_checked(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name}: [^\n]*$"):
        ServerSettings.from_environment()


def test_pages_are_for_trying_things_and_off_in_production(environment: pytest.MonkeyPatch) -> None:
    assert WebSettings.from_environment(account_forms()).pages
    environment.setenv("PAGES", "off")
    assert not WebSettings.from_environment(account_forms()).pages
    environment.delenv("PAGES")
    environment.setenv("ENVIRONMENT", "production")
    environment.setenv("PAYMENT_NAMESPACE", "6f1d6c52-9b7e-5c1e-8f43-3d6b8a8c2a11")
    assert not WebSettings.from_environment(account_forms()).pages
    environment.setenv("PAGES", "on")
    assert WebSettings.from_environment(account_forms()).pages


def test_pages_sign_with_a_key_of_their_own(environment: pytest.MonkeyPatch) -> None:
    derived = WebSettings.from_environment(account_forms()).pages_key
    assert PASSWORD.encode() not in derived
    environment.setenv("PAGES_SECRET", f"{PASSWORD}-too")
    assert WebSettings.from_environment(account_forms()).pages_key != derived
    environment.delenv("JWT_SECRET")
    environment.setenv("JWT_JWKS_URL", "https://issuer.test/keys")
    assert WebSettings.from_environment(account_forms()).pages
    environment.delenv("PAGES_SECRET")
    assert not WebSettings.from_environment(account_forms()).pages, (
        "there is nothing to sign with, and nobody asked for them"
    )
    environment.setenv("PAGES", "on")
    assert faults() == ["PAGES_SECRET"]
    environment.setenv("PAGES_SECRET", "short")
    environment.setenv("ENVIRONMENT", "production")
    environment.setenv("PAYMENT_NAMESPACE", "6f1d6c52-9b7e-5c1e-8f43-3d6b8a8c2a11")
    assert faults() == ["PAGES_SECRET"]


def test_proxies_are_networks_none_or_left_open(environment: pytest.MonkeyPatch) -> None:
    assert WebSettings.from_environment(account_forms()).trusted_proxies is None
    environment.setenv("TRUSTED_PROXIES", "none")
    assert WebSettings.from_environment(account_forms()).trusted_proxies == ()
    environment.setenv("TRUSTED_PROXIES", "10.1.0.0/16, 192.0.2.1 ,fd00::/8,")
    environment.setenv("PROXY_HEADER", "CF-Connecting-IP")
    settings = WebSettings.from_environment(account_forms())
    assert [str(network) for network in settings.trusted_proxies or ()] == ["10.1.0.0/16", "192.0.2.1/32", "fd00::/8"]
    assert settings.proxy_header == "CF-Connecting-IP"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRUSTED_PROXIES", "proxy.internal"),
        ("TRUSTED_PROXIES", "10.1.2.3/16"),
        ("TRUSTED_PROXIES", "none,10.0.0.0/8"),
        ("TRUSTED_PROXIES", "0.0.0.0/0"),
        ("TRUSTED_PROXIES", "::/0"),
        ("TRUSTED_PROXIES", "::ffff:10.0.0.0/104"),
        ("PROXY_HEADER", "Forwarded"),
        ("PROXY_HEADER", "X Forwarded For"),
        ("PROXY_HEADER", "X_Forwarded_For"),
        ("PROXY_HEADER", ""),
    ],
)
def test_proxies_that_anybody_could_play_are_refused(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(name, value)
    assert faults() == [name]


@pytest.mark.parametrize("environment_name", ["test", "production"])
@pytest.mark.parametrize(
    ("token", "fault"),
    [("", False), ("t" * 16, False), ("t" * 15, True), ("with a blank in it", True), ("Größe-Größe-Größe", True)],
)
def test_the_token_of_the_metrics_can_be_sent_and_is_long_in_production(
    environment: pytest.MonkeyPatch, environment_name: str, token: str, fault: bool
) -> None:
    environment.setenv("ENVIRONMENT", environment_name)
    environment.setenv("PAYMENT_NAMESPACE", "6f1d6c52-9b7e-4c1e-8f43-3d6b8a8c2a11")
    environment.setenv("PAYMENT_PROVIDERS", "" if environment_name == "production" else "mock")
    environment.setenv("METRICS_TOKEN", token)
    for read in (WebSettings.from_environment, WorkerSettings.from_environment):
        if fault and (environment_name == "production" or len(token) > 15):
            with pytest.raises(SettingsError, match=r"^METRICS_TOKEN: ") as caught:
                read(account_forms())
            assert token not in str(caught.value)
        else:
            assert read(account_forms()).metrics_token == (Secret(token) if token else None)


def test_the_management_port_is_another_one(environment: pytest.MonkeyPatch) -> None:
    assert ServerSettings.from_environment().management_port == 0
    environment.setenv("PORT", "8000")
    environment.setenv("MANAGEMENT_PORT", "9000")
    assert ServerSettings.from_environment().management_port == 9000
    environment.setenv("MANAGEMENT_PORT", "8000")
    with pytest.raises(SettingsError, match="MANAGEMENT_PORT: must not be PORT"):
        ServerSettings.from_environment()


KEY = "YSBrZXkgdGhhdCBpcyBrbm93biB0byB0aGUgdGVzdHM="


@pytest.mark.parametrize("read", [WebSettings.from_environment, WorkerSettings.from_environment])
def test_web_and_workers_read_alike_what_concerns_webhook_endpoints(
    environment: pytest.MonkeyPatch, read: Callable[[Any], WebSettings | WorkerSettings]
) -> None:
    settings = read(account_forms())
    assert (settings.webhook_secrets_keys, settings.webhook_allow_private_addresses) == ((), False)
    assert settings.webhook_ports == {443, 8443}
    environment.setenv("WEBHOOK_SECRETS_KEY", f"{KEY}, {KEY.lower()}")
    environment.setenv("WEBHOOK_ALLOW_PRIVATE_ADDRESSES", "on")
    environment.setenv("WEBHOOK_PORTS", "443, 9443")
    settings = read(account_forms())
    assert [key.reveal() for key in settings.webhook_secrets_keys] == [KEY, KEY.lower()]
    assert settings.webhook_allow_private_addresses
    assert settings.webhook_ports == {443, 9443}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("WEBHOOK_SECRETS_KEY", value)
            for value in (KEY[:-1], KEY.replace("Y", "+"), "whsec_" + KEY, f"{KEY},x", "a" * 44)
        ),
        *(("WEBHOOK_PORTS", value) for value in ("", "0", "65536", "https", "443;80", "443,", "٤٤٣")),
        ("WEBHOOK_ALLOW_PRIVATE_ADDRESSES", "perhaps"),
    ],
)
def test_what_cannot_be_a_setting_of_endpoints_is_named_and_never_shown(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment.setenv(name, value)
    with pytest.raises(SettingsError, match=rf"^{name}: ") as caught:
        WebSettings.from_environment(account_forms())
    assert name != "WEBHOOK_SECRETS_KEY" or value not in str(caught.value)


def test_production_opens_no_private_address(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ENVIRONMENT", "production")
    environment.setenv("PAYMENT_NAMESPACE", "6f1d6c52-9b7e-4c1e-8f43-3d6b8a8c2a11")
    environment.setenv("PAYMENT_PROVIDERS", "")
    environment.setenv("WEBHOOK_ALLOW_PRIVATE_ADDRESSES", "on")
    with pytest.raises(SettingsError, match=r"^WEBHOOK_ALLOW_PRIVATE_ADDRESSES: "):
        WebSettings.from_environment(account_forms())
