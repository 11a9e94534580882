"""The settings of Adyen, PayPal and Mollie: what each process needs of them, and what is found wrong at start."""

from __future__ import annotations

import pytest

from checkout_service.providers.factory import make_provider
from checkout_service.providers.registry import account_forms
from checkout_service.settings.values import SettingsError, WebSettings, WorkerSettings

HMAC = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
GOOD = {
    "DATABASE_URL": "postgresql://checkout_web@localhost/shop",
    "WORKER_DATABASE_URL": "postgresql://checkout_worker@localhost/shop",
    "REDIS_URL": "redis://localhost/0",
    "JWT_SECRET": "hunter2-hunter2-hunter2-hunter2-hunter2",
    "PAYMENT_PROVIDERS": "adyen,paypal,mollie",
    "ADYEN_API_KEY": "AQEyhmfxK",
    "ADYEN_MERCHANT_ACCOUNT": "HarbourBooksECOM",
    "ADYEN_WEBHOOK_SECRETS": f"{HMAC}, {HMAC.lower()}",
    "PAYPAL_CLIENT_ID": "AZDxjDScFpQtjWTOUtWKbyN",
    "PAYPAL_CLIENT_SECRET": "EGnHDxD_qRPdaLdZz8iCr8N7",
    "PAYPAL_WEBHOOK_ID": "9XL90610J3647323C, 0EH40505U7160970P",
    "MOLLIE_API_KEY": "test_dHar4XY7LxsDOtmnkVtjNVWXLSlXsM",
    "MOLLIE_WEBHOOK_URL": "https://shop.test/api/payments/webhook/mollie",
    "MOLLIE_RETURN_URL": "https://shop.test/paid",
}
READING = {"ADYEN_WEBHOOK_SECRETS", "PAYPAL_WEBHOOK_ID"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("ENVIRONMENT", "CELERY_BROKER_URL", "JWT_JWKS_URL", "JWT_ALGORITHMS", "MOCK_WEBHOOK_SECRETS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def faults() -> set[str]:
    """Of the worker; no value may stand in a fault."""
    with pytest.raises(SettingsError) as caught:
        WorkerSettings.from_environment(account_forms())
    assert not [value for value in GOOD.values() if value in str(caught.value)]
    return {line.split(":")[0] for line in str(caught.value).splitlines()}


def test_a_worker_reads_the_webhooks_of_each(environment: pytest.MonkeyPatch) -> None:
    accounts = WorkerSettings.from_environment(account_forms()).accounts

    assert set(accounts) == {"adyen", "paypal", "mollie"}
    assert len(accounts["adyen"].secrets) == 2
    assert (accounts["paypal"].secrets, accounts["mollie"].secrets) == ((), ())
    for name, account in accounts.items():
        assert make_provider(name, account).name == name


def test_the_web_tier_opens_payments_and_holds_nothing_to_read_webhooks_with(environment: pytest.MonkeyPatch) -> None:
    for name in READING:
        environment.delenv(name)

    accounts = WebSettings.from_environment(account_forms()).accounts

    assert set(accounts) == {"adyen", "paypal", "mollie"}
    assert not [account for account in accounts.values() if account.secrets or account.option("webhook_id")]


@pytest.mark.parametrize("name", [name for name in GOOD if name.startswith(("ADYEN", "PAYPAL", "MOLLIE"))])
def test_what_is_needed_is_missed_at_start(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.delenv(name)
    assert faults() == {name}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ADYEN_WEBHOOK_SECRETS", "a secret, but not in hexadecimal"),
        ("ADYEN_WEBHOOK_SECRETS", f"{HMAC},{HMAC[:-1]}"),
        ("ADYEN_CAPTURE", "sometimes"),
        ("PAYPAL_CAPTURE", "automatic"),
        ("PAYPAL_WEBHOOK_ID", "https://shop.test/webhook"),
        ("MOLLIE_WEBHOOK_URL", "shop.test/api/payments/webhook/mollie"),
        ("MOLLIE_RETURN_URL", "/paid"),
    ],
)
def test_what_is_not_of_the_providers_form_is_found_at_start(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Otherwise each of its webhooks would be taken for an unverified webhook."""
    environment.setenv(name, value)
    assert faults() == {name}


@pytest.fixture
def with_stripe(environment: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    environment.setenv("PAYMENT_PROVIDERS", "adyen,paypal,mollie,stripe")
    environment.setenv("STRIPE_API_KEY", "sk_test_51NOTAREALKEY")
    environment.setenv("STRIPE_WEBHOOK_SECRETS", "whsec_of_this_test")
    return environment


@pytest.mark.parametrize("value", ["snapshot", "thin", "both"])
def test_which_events_stripe_sends_is_one_of_three(with_stripe: pytest.MonkeyPatch, value: str) -> None:
    with_stripe.setenv("STRIPE_EVENTS", value)
    assert WorkerSettings.from_environment(account_forms()).accounts["stripe"].option("events") == value


@pytest.mark.parametrize("value", ["Thin", "thin,snapshot", "all"])
def test_any_other_word_for_them_is_found_at_start(with_stripe: pytest.MonkeyPatch, value: str) -> None:
    with_stripe.setenv("STRIPE_EVENTS", value)
    assert faults() == {"STRIPE_EVENTS"}


@pytest.mark.parametrize("value", ["auto", "manual"])
def test_how_adyen_captures_is_one_of_two(environment: pytest.MonkeyPatch, value: str) -> None:
    environment.setenv("ADYEN_CAPTURE", value)
    assert WorkerSettings.from_environment(account_forms()).accounts["adyen"].option("capture") == value
