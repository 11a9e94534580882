"""What Adyen is: the settings of an account and its webhooks."""

from __future__ import annotations

from datetime import date

from checkout_service.providers.adapters.adyen.modes import LIVE_BASE, TEST_BASE
from checkout_service.providers.adapters.adyen.reports_options import ACCOUNTS, FIRST_BATCHES, misfit, not_an_origin
from checkout_service.providers.minor_units import read_of
from checkout_service.providers.reports import ReportForm
from checkout_service.providers.spec import Dashboard, ProviderSpec, WebhookFormat
from checkout_service.settings.provider_accounts import AccountForm
from checkout_service.settings.secret_forms import (
    ENDPOINT,
    HEXADECIMAL,
    MODE_KEY,
    PUBLISHABLE_KEY,
    STRIPE_KEY,
    key_of_any_form,
)

# Of what Adyen's page marks as "differs from standard", and of the table in its own package: what that lacks has two.
MINOR_UNITS = (
    *read_of(
        "docs.adyen.com/development-resources/currency-codes",
        date(2026, 11, 30),
        {"CLP": 2, "COP": 2, "CVE": 0, "IDR": 0, "ISK": 2},
    ),
    *read_of(
        "@adyen/adyen-web 6.45.2",
        date(2026, 11, 30),
        {"HUF": 2, "KWD": 3, "MGA": 2, "MRU": 2, "TWD": 2, "UGX": 0, "XCG": 2, "ZWG": 2},
    ),
)

spec = ProviderSpec(
    name="adyen",
    account=AccountForm(
        needed=("api_key", "merchant_account"),
        optional=("api_base", "return_url", "capture", "multicapture"),
        shapes={
            "webhook_secrets": r"(?:[0-9A-Fa-f]{2}){16,}",
            "capture": r"auto|manual",
            "multicapture": r"on|off",
        },
        # Adyen promises no form of its API keys, but none looks like its HMAC keys or its client keys.
        checks={"api_key": key_of_any_form(STRIPE_KEY, PUBLISHABLE_KEY, ENDPOINT, MODE_KEY, HEXADECIMAL)},
    ),
    webhooks=WebhookFormat(
        body="json",
        # Of webhooks that are no batch of items: see webhooks.py.
        headers=("hmacsignature",),
        acknowledgement="[accepted]",
        names=tuple(
            f"notificationItems.*.NotificationRequestItem.{name}"
            for name in ("merchantReference", "originalReference", "pspReference")
        ),
    ),
    provider="checkout_service.providers.adapters.adyen.provider:AdyenProvider",
    evidence="the Adyen Customer Area, Disputes",
    # By the pspReference of an AUTHORISATION; our own reference finds nothing there.
    dashboard=Dashboard(
        live="https://ca-live.adyen.com/ca/ca/accounts/showTx.shtml?pspReference={ref}&txType=Payment",
        test="https://ca-test.adyen.com/ca/ca/accounts/showTx.shtml?pspReference={ref}&txType=Payment",
        of="attempt",
        mode_option="api_base",
        default="https://checkout-test.adyen.com",
        live_pattern=LIVE_BASE,
        test_pattern=TEST_BASE,
    ),
    looks_up_all=False,
    reports=ReportForm(
        read="checkout_service.providers.adapters.adyen.reports:read_report",
        fetch="checkout_service.providers.adapters.adyen.reports_fetching:fetch_reports",
        account=AccountForm(
            needed=("reports_host", "reports_accounts"),
            optional=("reports_user", "reports_password", "reports_key", "reports_first_batch"),
            secrets=False,
            shapes={"reports_accounts": ACCOUNTS, "reports_first_batch": FIRST_BATCHES},
            checks={
                "reports_host": not_an_origin,
                "reports_key": key_of_any_form(STRIPE_KEY, PUBLISHABLE_KEY, ENDPOINT, MODE_KEY, HEXADECIMAL),
            },
            misfit=misfit,
        ),
    ),
    minor_units=MINOR_UNITS,
)
