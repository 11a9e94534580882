"""A secret that cannot work is found at start, named by its setting and by what it is; never shown."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping

import pytest

from checkout_service.providers.registry import account_forms
from checkout_service.settings.values import FlowerSettings, SettingsError, WebSettings, WorkerSettings

HMAC = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
LONG = "a secret of somebody and of nobody else"
SIGNING = "whsec_" + b64encode(bytes(range(191, 223))).decode()
PUBLIC = "whpk_" + b64encode(bytes(range(32))).decode()
PEM = (
    "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----"
)
URL_SAFE = "whsec_" + urlsafe_b64encode(bytes(range(191, 223))).decode()

GOOD = {
    "DATABASE_URL": "postgresql://checkout_web@localhost/shop",
    "WORKER_DATABASE_URL": "postgresql://checkout_worker@localhost/shop",
    "REDIS_URL": "redis://localhost/0",
    "JWT_SECRET": LONG,
    "PAYMENT_NAMESPACE": "6f1d6c52-9b7e-5c1e-8f43-3d6b8a8c2a11",
    "PAYMENT_PROVIDERS": "standard,stripe,adyen,gocardless,paypal,mollie,mock",
    "MOCK_WEBHOOK_SECRETS": LONG,
    "STANDARD_API_KEY": "a-key-of-their-own",
    "STANDARD_API_BASE": "https://pay.shop.test/v1",
    "STANDARD_WEBHOOK_SECRETS": SIGNING,
    "STRIPE_API_KEY": "sk_test_51NOTAREALKEY",
    "STRIPE_WEBHOOK_SECRETS": "whsec_of_this_test",
    "ADYEN_API_KEY": "AQEyhmfxK0m-{1/x]<9'",
    "ADYEN_MERCHANT_ACCOUNT": "HarbourBooksECOM",
    "ADYEN_WEBHOOK_SECRETS": HMAC,
    "GOCARDLESS_ACCESS_TOKEN": "sandbox_tLxYn3nqVWxcJDRDgmEy8sVx",
    "GOCARDLESS_WEBHOOK_SECRETS": "ED7D658C-D8EB-4941-948B-3973214F2D49",
    "PAYPAL_CLIENT_ID": "AZDxjDScFpQtjWTOUtWKbyN",
    "PAYPAL_CLIENT_SECRET": "EGnHDxD_qRPdaLdZz8iCr8N7",
    "PAYPAL_WEBHOOK_ID": "9XL90610J3647323C",
    "MOLLIE_API_KEY": "test_dHar4XY7LxsDOtmnkVtjNVWXLSlXsM",
    "MOLLIE_WEBHOOK_URL": "https://shop.test/api/payments/webhook/mollie",
    "MOLLIE_RETURN_URL": "https://shop.test/paid",
}
OTHERS = (
    *("ENVIRONMENT", "CELERY_BROKER_URL", "JWT_JWKS_URL", "JWT_ALGORITHMS", "PAGES", "PAGES_SECRET", "CONSOLE"),
    *("CONSOLE_BASIC_AUTH", "FLOWER_BASIC_AUTH", "FLOWER_ADDRESS", "FLOWER_PORT", "FLOWER_URL", "CONSOLE_URL"),
)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in OTHERS:
        monkeypatch.delenv(name, raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


TOKEN_OF_ANOTHER = "live_tLxYn3nqVWxcJDRDgmEy8sVx-V1CWVaGGTvy8kCd"


def faults(given: Mapping[str, str], environment: pytest.MonkeyPatch) -> list[str]:
    """What web and worker say of the environment; no value may stand in it."""
    for name, value in given.items():
        environment.setenv(name, value)
    found: list[str] = []
    for kind in (WebSettings, WorkerSettings):
        try:
            kind.from_environment(account_forms())
        except SettingsError as error:
            found += str(error).splitlines()
    for value in given.values():
        assert not [part for part in value.split(",") if len(part.strip()) > 6 and part.strip() in str(found)]
    return sorted(set(found))


def test_good_secrets_are_taken(environment: pytest.MonkeyPatch) -> None:
    assert faults({}, environment) == []


@pytest.mark.parametrize(
    "secret",
    [
        SIGNING,
        SIGNING.rstrip("="),
        PUBLIC,
        PUBLIC.rstrip("="),
        *("whsec_" + b64encode(b"\xfb" * length).decode() for length in (24, 25, 26, 64)),
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",  # the specification's own example
        f"{SIGNING}, {PUBLIC},{SIGNING.rstrip('=')},",
    ],
)
def test_what_standard_webhooks_promise_is_taken(environment: pytest.MonkeyPatch, secret: str) -> None:
    assert faults({"STANDARD_WEBHOOK_SECRETS": secret}, environment) == []


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (URL_SAFE, "is URL-safe base64: the specification has + and / where this has - and _"),
        (SIGNING.removeprefix("whsec_"), "begins with neither whsec_ nor whpk_"),
        ("sk_live_51NOTAREALKEY", "is an API key of Stripe, not a signing secret"),
        ("we_1NOTAREALENDPOINT", "is the id of a webhook's endpoint, not a signing secret"),
        ("ep_1srOrx2ZWZBpBUvZwXKQmoEYga2", "is the id of a webhook's endpoint, not a signing secret"),
        (HMAC, "is a key in hexadecimal, not a signing secret"),
        ("https://pay.shop.test", "is an address, not a signing secret"),
        (
            "whsk_" + b64encode(bytes(64)).decode(),
            "is the private key of a webhook's signatures, which its sender alone may have, not a signing secret",
        ),
        ("whsec_" + b64encode(bytes(23)).decode(), "is the base64 of 23 bytes, and the specification has 24 to 64"),
        ("whsec_" + b64encode(bytes(65)).decode(), "is the base64 of 65 bytes, and the specification has 24 to 64"),
        ("whsec_", "is the base64 of 0 bytes, and the specification has 24 to 64"),
        ("whpk_" + b64encode(bytes(31)).decode(), "is a public key of 31 bytes, and ed25519 has 32"),
        (SIGNING + "=", "is not whsec_ and base64"),
        (SIGNING.rstrip("=")[:-2], "is not whsec_ and base64"),
        ("whsec_" + "ä" * 32, "is not whsec_ and base64"),
        ("whsec_$ECRET*OF*SOME*BODY*BUT*NO*BASE64", "is not whsec_ and base64"),
        ("whsec_MfKQ9r8G KYqrTwjUPD8ILPZIo2LaLaSw", "has whitespace in it"),
        (f'"{SIGNING}"', "has quotation marks around it"),
        (f'"{SIGNING}', "has a quotation mark at its end"),
        ("<your secret>", "is a placeholder that was never filled in"),
        ("whsec_…", "is a placeholder that was never filled in"),
        ("${STANDARD_SECRET}", "is a placeholder that was never filled in"),
        (f'"{SIGNING},{PUBLIC}"', "has quotation marks around it"),
        (",", "holds no secret"),
        ("", "is set, and empty"),
    ],
)
@pytest.mark.parametrize("kind", ["development", "test"])
def test_what_standard_webhooks_do_not_promise_is_named(
    environment: pytest.MonkeyPatch, secret: str, words: str, kind: str
) -> None:
    given = {"STANDARD_WEBHOOK_SECRETS": secret, "ENVIRONMENT": kind}
    assert faults(given, environment) == [f"STANDARD_WEBHOOK_SECRETS: {words}"]


def test_each_of_a_list_is_judged_by_itself(environment: pytest.MonkeyPatch) -> None:
    given = {"STANDARD_WEBHOOK_SECRETS": f"{SIGNING},{URL_SAFE},{PUBLIC},sk_live_51NOTAREALKEY"}
    assert faults(given, environment) == [
        f"STANDARD_WEBHOOK_SECRETS: number {place} of 4 is {words}"
        for place, words in (
            (2, "URL-safe base64: the specification has + and / where this has - and _"),
            (4, "an API key of Stripe, not a signing secret"),
        )
    ]


def test_production_knows_the_same(environment: pytest.MonkeyPatch) -> None:
    given = {"ENVIRONMENT": "production", "PAYMENT_PROVIDERS": "standard", "STANDARD_WEBHOOK_SECRETS": URL_SAFE}
    assert [fault.split(":")[0] for fault in faults(given, environment)] == ["STANDARD_WEBHOOK_SECRETS"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("STRIPE_WEBHOOK_SECRETS", "we_1NOTAREALENDPOINT", "the id of a webhook's endpoint, not the signing secret"),
        ("STRIPE_WEBHOOK_SECRETS", "sk_test_51NOTAREALKEY", "an API key of Stripe, not the signing secret"),
        ("STRIPE_WEBHOOK_SECRETS", "whsec_", "begins like the signing secret of an endpoint, whsec_…, but"),
        ("STRIPE_API_KEY", "sk_live-a", "begins like a secret or restricted key of Stripe, sk_… or rk_…, but"),
        ("STRIPE_WEBHOOK_SECRETS", "a secret of ours", "has whitespace in it"),
        ("STRIPE_API_KEY", "pk_test_51NOTAREALKEY", "a publishable key of Stripe, which is for browsers, not a secret"),
        ("STRIPE_API_KEY", "whsec_of_this_test", "the signing secret of a webhook, not a secret or restricted key"),
        ("STRIPE_API_KEY", "sk_test_51NOTAREALKEY\n", "has whitespace or a line's end around it"),
        ("STRIPE_API_KEY", "sk_test_51NOT\u200bAREALKEY", "has a character beyond ASCII in it"),
        ("STRIPE_API_KEY", "changeme", "is a placeholder that was never filled in"),
        ("ADYEN_API_KEY", HMAC, "is a key in hexadecimal, not the key that is meant"),
        ("ADYEN_API_KEY", "test_4YKZQ2NOTAREALKEY", "or a client key of Adyen, not the key that is meant"),
        ("ADYEN_WEBHOOK_SECRETS", "AQEyhmfxK0m", "does not look like one of adyen's"),
        ("ADYEN_WEBHOOK_SECRETS", SIGNING, "does not look like one of adyen's: it is the signing secret of a webhook"),
        ("PAYPAL_CLIENT_SECRET", "https://api-m.paypal.com", "is an address, not the key that is meant"),
        ("PAYPAL_CLIENT_ID", " AZDxjDScFpQtjWTOUtWKbyN", "has whitespace or a line's end around it"),
        ("PAYPAL_WEBHOOK_ID", "WH-2WR32451HC0233532-67976317FL4543714", "it is the id of an event"),
        ("MOLLIE_API_KEY", "access_dHar4XY7LxsDOtmnkVtjNVWX", "is an OAuth token of Mollie, not an API key of Mollie"),
        ("MOLLIE_API_KEY", "dHar4XY7LxsDOtmnkVtjNVWXLSlXsM", "is not an API key of Mollie, live_… or test_…"),
        ("GOCARDLESS_ACCESS_TOKEN", "tLxYn3nqVWxcJDRDgmEy8sVx", "is not an access token of GoCardless, live_… or"),
        ("GOCARDLESS_ACCESS_TOKEN", "live_", "begins like an access token of GoCardless, live_… or sandbox_…, but"),
        ("GOCARDLESS_WEBHOOK_SECRETS", "sandbox_tLxYn3nqVWxcJDRDgmEy8sVx", "is the value of GOCARDLESS_ACCESS_TOKEN"),
        ("GOCARDLESS_WEBHOOK_SECRETS", TOKEN_OF_ANOTHER, "is an access token of GoCardless, not the secret"),
        ("GOCARDLESS_API_BASE", "https://api.gocardless.com", "is not where the access token is of: that is https"),
        ("GOCARDLESS_WEBHOOK_SECRETS", PEM, "is a PEM file, not a secret"),
        ("STANDARD_API_KEY", SIGNING, "is the signing secret of a webhook, not the key that is meant"),
        ("STANDARD_API_KEY", "two words", "has whitespace in it"),
        ("STANDARD_API_BASE", "pay.shop.test/v1", "must begin with https:// or http://"),
        ("STRIPE_API_BASE", "https://api.stripe.com\n", "has whitespace or a line's end around it"),
        ("MOCK_WEBHOOK_SECRETS", f"'{LONG}'", "has quotation marks around it"),
        ("JWT_SECRET", PEM, "is a PEM file, not a secret"),
        ("JWT_SECRET", '{"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMko"}', "is a JSON document, not a secret"),
        ("JWT_SECRET", "https://login.example.test/keys", "is an address, not a secret"),
        ("JWT_SECRET", f"{LONG}\n", "has whitespace or a line's end around it"),
        ("PAGES_SECRET", f'"{LONG}"', "has quotation marks around it"),
        ("REDIS_URL", "redis://:pass/word@localhost", "can be read in several ways"),
        ("CELERY_BROKER_URL", "amqp://shop:pass#word@localhost", "can be read in several ways"),
        ("DATABASE_URL", f"{GOOD['DATABASE_URL']}\n", "has whitespace or a line's end around it"),
    ],
)
def test_a_wrong_secret_is_named_by_what_it_is(
    environment: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    (fault,) = faults({name: value}, environment)
    assert fault.startswith(f"{name}: ")
    assert words in fault


@pytest.mark.parametrize("name", ["JWT_SECRET", "PAGES_SECRET"])
def test_production_takes_no_placeholder(environment: pytest.MonkeyPatch, name: str) -> None:
    given = {name: "change-me-change-me-change-me-change-me", "PAYMENT_PROVIDERS": "standard"}
    assert faults(given, environment) == []
    assert faults({"ENVIRONMENT": "production"}, environment) == [f"{name}: is a placeholder that was never filled in"]


def test_jwks_come_by_a_whole_address(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("JWT_SECRET")
    for address in ("https://", "https://login.example.test:port/keys", "https://login.example.test/ keys", "keys"):
        assert [fault.split(":")[0] for fault in faults({"JWT_JWKS_URL": address}, environment)] == ["JWT_JWKS_URL"]
    assert faults({"JWT_JWKS_URL": "http://login.example.test/keys"}, environment) == []
    given = {"ENVIRONMENT": "production", "PAYMENT_PROVIDERS": "standard"}
    assert faults(given, environment) == ["JWT_JWKS_URL: must begin with https://"]


def test_several_brokers_are_each_looked_at(environment: pytest.MonkeyPatch) -> None:
    assert faults({"CELERY_BROKER_URL": "amqp://shop:p@one:5672;amqp://shop:p@two:5672"}, environment) == []
    assert faults({"CELERY_BROKER_URL": "amqp://shop:p@one:5672;http://two"}, environment)


GOOD_PASSWORD = "sixteen-marks-->"


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        (":", "has no user"),
        ("ops:", "has no password"),
        (f":{GOOD_PASSWORD}", "has no user"),
        ("ops", "has no colon"),
        (f"ops:{GOOD_PASSWORD},and more", "number 2 of 2 has no colon: set it to user:password; a password holds no"),
        (f"ops:{GOOD_PASSWORD},", "number 2 of 2 is empty"),
        (f",ops:{GOOD_PASSWORD}", "number 1 of 2 is empty"),
        (f"ops:{GOOD_PASSWORD},ops:{GOOD_PASSWORD}", "number 2 of 2 names a user that an earlier one names"),
        (f"ops :{GOOD_PASSWORD}", "has whitespace around"),
        (f"ops:{GOOD_PASSWORD} ", "has whitespace around"),
        (f"ops:{GOOD_PASSWORD}\n", "has whitespace around"),
        (f"ops:\t{GOOD_PASSWORD}", "has whitespace around"),
        (f"ops:{GOOD_PASSWORD}\x07.", "does not print"),
        (f'"ops:{GOOD_PASSWORD}"', "has quotation marks around it"),
    ],
)
@pytest.mark.parametrize("kind", ["development", "production"])
@pytest.mark.parametrize("name", ["CONSOLE_BASIC_AUTH", "FLOWER_BASIC_AUTH"])
def test_a_part_that_lets_in_nobody_or_anybody_is_refused(
    environment: pytest.MonkeyPatch, name: str, kind: str, listed: str, words: str
) -> None:
    environment.setenv("ENVIRONMENT", kind)
    environment.setenv("PAYMENT_PROVIDERS", "standard")
    environment.setenv(name, listed)

    with pytest.raises(SettingsError) as caught:
        _read(name)

    (fault,) = str(caught.value).splitlines()
    assert fault.startswith(f"{name}: ")
    assert words in fault
    assert GOOD_PASSWORD not in fault


@pytest.mark.parametrize("name", ["CONSOLE_BASIC_AUTH", "FLOWER_BASIC_AUTH"])
def test_production_wants_passwords_of_sixteen_characters(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.setenv("PAYMENT_PROVIDERS", "standard")
    environment.setenv(name, f"jon:{GOOD_PASSWORD}, ops:a")
    assert _read(name).keys() == {"jon", "ops"}
    environment.setenv("ENVIRONMENT", "production")
    with pytest.raises(SettingsError, match=f"^{name}: number 2 of 2 has a password shorter than 16 characters"):
        _read(name)
    environment.setenv(name, f"jon:{GOOD_PASSWORD}, ops:with:colons:in:it")
    assert _read(name).keys() == {"jon", "ops"}


def test_flower_is_never_open(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"^FLOWER_BASIC_AUTH: Environment variable not set\.$"):
        FlowerSettings.from_environment()


def _read(name: str) -> Mapping[str, object]:
    if name == "FLOWER_BASIC_AUTH":
        return FlowerSettings.from_environment().users
    return WebSettings.from_environment(account_forms()).console_users


def test_a_secret_of_gocardless_may_begin_like_a_token(environment: pytest.MonkeyPatch) -> None:
    """Its owner chooses it."""
    for secret in ("live_webhooks-2026-long-enough-secret", "sandbox_webhooks", "live_" + "a" * 40):
        assert not faults({"GOCARDLESS_WEBHOOK_SECRETS": secret}, environment)


def test_an_address_of_the_api_is_of_the_same_world_as_the_token(environment: pytest.MonkeyPatch) -> None:
    live = {"GOCARDLESS_ACCESS_TOKEN": "live_tLxYn3nqVWxcJDRDgmEy8sVx"}
    for base in ("https://api-sandbox.gocardless.com", "http://127.0.0.1:8420"):
        assert not faults({"GOCARDLESS_API_BASE": base}, environment)
    assert not faults(live | {"GOCARDLESS_API_BASE": "https://api.gocardless.com/"}, environment)
    (fault,) = faults(live | {"GOCARDLESS_API_BASE": "https://api-sandbox.gocardless.com/"}, environment)
    assert fault.startswith("GOCARDLESS_API_BASE: ")
