"""The settings of ``checkout settlements``: its database, its zone, and keys for reports that no process has."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from checkout_service.command_line.settings_files import split
from checkout_service.providers.registry import account_forms
from checkout_service.settings.provider_accounts import AccountForm
from checkout_service.settings.secret_holders import FILES_OF_COMMAND, FILES_OF_PROCESS, files_with, is_secret, may_hold
from checkout_service.settings.settlements import SettlementsSettings
from checkout_service.settings.values import SettingsError, WebSettings

FORMS: Mapping[str, AccountForm] = {
    "acme": AccountForm(
        needed=("reports_key",),
        optional=("reports_base", "reports_account"),
        shapes={"reports_key": r"rk_\w+"},
        misfit=lambda given: ("reports_account", "goes with no base") if given.get("reports_account") == "x" else None,
    ),
    "other": AccountForm(needed=("reports_user", "reports_password")),
}
URL = "postgresql://checkout_settlements@localhost/shop"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("DATABASE_POOLER", "SETTLEMENTS_TIMEZONE", "SETTLEMENT_MISSING_AFTER_DAYS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SETTLEMENTS_DATABASE_URL", URL)
    return monkeypatch


def faults() -> list[str]:
    """What is wrong, with all or with the settings of one provider."""
    try:
        settings = SettlementsSettings.from_environment(FORMS)
    except SettingsError as error:
        found = str(error).splitlines()
    else:
        assert not settings.accounts.keys() & settings.report_faults.keys()
        found = [fault for faults in settings.report_faults.values() for fault in faults]
    assert "hidden" not in str(found)
    return found


def test_its_address_alone_is_needed(environment: pytest.MonkeyPatch) -> None:
    settings = SettlementsSettings.from_environment(FORMS)
    assert (settings.timezone, settings.missing_after.days, settings.accounts) == ("UTC", 14, {})
    assert URL not in repr(settings)
    environment.delenv("SETTLEMENTS_DATABASE_URL")
    assert [fault.partition(":")[0] for fault in faults()] == ["SETTLEMENTS_DATABASE_URL"]


def test_reports_of_who_is_named_are_set_up_and_no_others(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ACME_REPORTS_KEY", "rk_hidden")
    environment.setenv("ACME_REPORTS_ACCOUNT", "Shop")
    accounts = SettlementsSettings.from_environment(FORMS).accounts
    assert {name: account.options.keys() for name, account in accounts.items()} == {
        "acme": {"reports_key", "reports_account"}
    }
    assert accounts["acme"].option("reports_key") == "rk_hidden"
    assert accounts["acme"].secrets == ()


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"ACME_REPORTS_BASE": "https://a.example"}, "ACME_REPORTS_KEY: Environment variable not set."),
        ({"ACME_REPORTS_KEY": "hidden"}, "ACME_REPORTS_KEY: does not look like one of acme's"),
        ({"ACME_REPORTS_KEY": "'rk_hidden'"}, "ACME_REPORTS_KEY: "),
        ({"ACME_REPORTS_KEY": "rk_hidden", "ACME_REPORTS_BASE": "hidden"}, "ACME_REPORTS_BASE: "),
        ({"ACME_REPORTS_KEY": "rk_hidden", "ACME_REPORTS_ACCOUNT": "x"}, "ACME_REPORTS_ACCOUNT: goes with no base"),
        ({"OTHER_REPORTS_USER": "hidden"}, "OTHER_REPORTS_PASSWORD: Environment variable not set."),
        (
            {"ACME_REPORTS_TOKEN": "hidden"},
            "ACME_REPORTS_TOKEN: is no setting; of these reports there are ACME_REPORTS_ACCOUNT, ACME_REPORTS_BASE, ",
        ),
        ({"SETTLEMENTS_TIMEZONE": "Mars/Olympus"}, "SETTLEMENTS_TIMEZONE: 'Mars/Olympus' is no time zone"),
        ({"SETTLEMENTS_TIMEZONE": "../../etc/passwd"}, "SETTLEMENTS_TIMEZONE: '../../etc/passwd' is no time zone"),
        ({"SETTLEMENTS_TIMEZONE": "Europe"}, "SETTLEMENTS_TIMEZONE: 'Europe' is no time zone"),
        ({"SETTLEMENTS_TIMEZONE": ""}, "SETTLEMENTS_TIMEZONE: '' is no time zone"),
        ({"SETTLEMENT_MISSING_AFTER_DAYS": "0"}, "SETTLEMENT_MISSING_AFTER_DAYS: must be at least 1"),
        ({"SETTLEMENT_MISSING_AFTER_DAYS": "400"}, "SETTLEMENT_MISSING_AFTER_DAYS: must be at most 366"),
        ({"SETTLEMENTS_DATABASE_URL": "hidden"}, "SETTLEMENTS_DATABASE_URL: "),
    ],
)
def test_what_is_wrong_is_named_and_not_shown(
    environment: pytest.MonkeyPatch, given: dict[str, str], fault: str
) -> None:
    for name, value in given.items():
        environment.setenv(name, value)
    (found,) = faults()
    assert found.startswith(fault)


def test_each_fault_is_reported_at_once(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SETTLEMENTS_TIMEZONE", "Nowhere")
    environment.setenv("SETTLEMENT_MISSING_AFTER_DAYS", "0")
    assert [fault.partition(":")[0] for fault in sorted(faults())] == [
        "SETTLEMENTS_TIMEZONE",
        "SETTLEMENT_MISSING_AFTER_DAYS",
    ]


def test_the_reports_of_one_provider_that_are_set_up_wrongly_keep_no_other(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OTHER_REPORTS_USER", "hidden")
    environment.setenv("OTHER_REPORTS_TOKEN", "hidden")
    environment.setenv("ACME_REPORTS_KEY", "rk_hidden")
    settings = SettlementsSettings.from_environment(FORMS)
    assert settings.accounts.keys() == {"acme"}
    assert {
        name: sorted(fault.partition(":")[0] for fault in found) for name, found in settings.report_faults.items()
    } == {"other": ["OTHER_REPORTS_PASSWORD", "OTHER_REPORTS_TOKEN"]}
    alone = SettlementsSettings.from_environment()
    assert (alone.accounts, alone.report_faults) == ({}, {}), "who fetches nothing needs none of them"


def test_the_web_knows_the_zone_and_nothing_of_reports(environment: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DATABASE_URL": URL,
        "REDIS_URL": "redis://localhost/0",
        "JWT_SECRET": "x" * 40,
        "ENVIRONMENT": "test",
        "PAYMENT_PROVIDERS": "mock",
        "SETTLEMENTS_TIMEZONE": "Europe/Berlin",
        "STRIPE_REPORTS_KEY": "rk_hidden",
    }.items():
        environment.setenv(name, value)
    environment.delenv("JWT_JWKS_URL", raising=False)
    settings = WebSettings.from_environment(account_forms())
    assert settings.settlements_timezone == "Europe/Berlin"
    assert "stripe" not in settings.accounts
    assert not [option for account in settings.accounts.values() for option in account.options if "reports" in option]


@pytest.mark.parametrize(
    "setting",
    [
        "SETTLEMENTS_DATABASE_URL",
        "STRIPE_REPORTS_KEY",
        "ADYEN_REPORTS_USER",
        "ADYEN_REPORTS_PASSWORD",
        "PAYPAL_REPORTS_CLIENT_SECRET",
        "MOLLIE_REPORTS_TOKEN",
        "ADYEN_REPORTS_HOST",
    ],
)
def test_what_reports_need_reaches_their_command_alone(setting: str) -> None:
    assert is_secret(setting)
    assert files_with(setting) == ("settlements",)
    assert [process for process in {**FILES_OF_PROCESS, **FILES_OF_COMMAND} if may_hold(process, setting)] == [
        "settlements"
    ]


def test_its_file_holds_all_that_it_reads_of_a_deployment() -> None:
    found = split(
        {
            "SETTLEMENTS_DATABASE_URL": URL,
            "STRIPE_REPORTS_KEY": "rk_1",
            "STRIPE_API_KEY": "sk_1",
            "PGSSLMODE": "verify-full",
            "SETTLEMENTS_TIMEZONE": "Europe/Berlin",
            "SETTLEMENT_MISSING_AFTER_DAYS": "20",
            "DATABASE_SCHEMA": "shop",
        }
    )
    assert found["settlements"].keys() == {"SETTLEMENTS_DATABASE_URL", "STRIPE_REPORTS_KEY", "PGSSLMODE"}
    assert found["settings"].keys() == {"SETTLEMENTS_TIMEZONE", "SETTLEMENT_MISSING_AFTER_DAYS", "DATABASE_SCHEMA"}
    assert "STRIPE_REPORTS_KEY" not in found["web"].keys() | found["worker"].keys()
