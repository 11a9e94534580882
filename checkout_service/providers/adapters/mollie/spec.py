"""What Mollie is: the settings of an account and its webhooks."""

from __future__ import annotations

from datetime import date
from typing import Final

from checkout_service.providers.minor_units import NO_OWN_WORD, read_of
from checkout_service.providers.reports import ReportForm
from checkout_service.providers.spec import CONTENT_TYPE, Dashboard, ProviderSpec, WebhookFormat
from checkout_service.settings.provider_accounts import AccountForm
from checkout_service.settings.secret_forms import MODE_KEY, PUBLISHABLE_KEY, STRIPE_KEY, key_like, key_of_any_form

SIGNATURE: Final = "x-mollie-signature"

LINKS: Final = (("", "entity"), ("_embedded.entity.", "payment"), ("_embedded.entity.", "self"), ("", "payment"))
"""Links that lead to a payment, or to something of it, in an event or in what it is about."""

# Amounts are texts with the decimals of the currency. HUF has two, though PayPal, where it is paid by that, rounds them
# away. Of the others that were looked up Mollie's page, a list of what it takes, says nothing that was found.
MINOR_UNITS = (
    *read_of("docs.mollie.com/docs/multicurrency", date(2026, 11, 30), {"HUF": 2, "ISK": 0, "JPY": 0}),
    *read_of(NO_OWN_WORD, date(2026, 11, 30), {"CLP": 0, "COP": 2, "IDR": 2, "KWD": 3, "MGA": 2, "MRU": 2}),
    *read_of(NO_OWN_WORD, date(2026, 11, 30), {"TWD": 2, "UGX": 0, "XCG": 2, "ZWG": 2}),
)


spec = ProviderSpec(
    name="mollie",
    account=AccountForm(
        needed=("api_key", "webhook_url", "return_url"),
        optional=("api_base", "capture", "classic_webhooks"),
        # Without the unsigned webhooks nothing else tells of a payment.
        secrets_needed_by={"classic_webhooks": "off"},
        shapes={
            "webhook_url": r"https?://\S+",
            "return_url": r"https?://\S+",
            "capture": r"auto|manual",
            "classic_webhooks": r"on|off",
        },
        # The rule of Mollie's own client (mollie-api-python). OAuth's tokens want another account's name in each call.
        checks={
            "api_key": key_like(r"(?:live|test)_\w+", words="an API key of Mollie, live_… or test_…", kind=MODE_KEY),
            "webhook_secrets": key_of_any_form(MODE_KEY, STRIPE_KEY, PUBLISHABLE_KEY),
        },
    ),
    # A form is the unsigned webhook of one payment, JSON the signed one of a subscription: both come to one address.
    webhooks=WebhookFormat(
        body="form",
        other_body="json",
        headers=(CONTENT_TYPE, SIGNATURE),
        names=(
            "id",
            *(f"_embedded.entity.{name}" for name in ("metadata.payment_id", "metadata.refund_id", "paymentId", "id")),
            # Of a payload that is the thing alone.
            "metadata.payment_id",
            "paymentId",
            "entityId",
            *(f"{holder}_links.{name}.href/payments" for holder, name in LINKS),
            "_links.entity.href",
        ),
    ),
    several_captures=True,
    provider="checkout_service.providers.adapters.mollie.provider:MollieProvider",
    evidence="the Mollie Dashboard, Disputes or Chargebacks",
    # One address for both: the dashboard tells them apart by the payment.
    dashboard=Dashboard(
        live="https://my.mollie.com/dashboard/payments/{ref}",
        test="https://my.mollie.com/dashboard/payments/{ref}",
        of="payment",
        mode_option="api_key",
        live_pattern=r"^live_",
        test_pattern=r"^test_",
    ),
    minor_units=MINOR_UNITS,
    reports=ReportForm(
        read="checkout_service.providers.adapters.mollie.reports:refuse_file",
        fetch="checkout_service.providers.adapters.mollie.reports:fetch_settlements",
        account=AccountForm(
            needed=("reports_token",),
            optional=("reports_api_base",),
            secrets=False,
            # A key of a payment profile, live_…, may not read settlements.
            checks={
                "reports_token": key_like(
                    r"access_\w+",
                    words="an access token of an organization at Mollie, access_…",
                    kind="an OAuth token of Mollie",
                )
            },
        ),
    ),
)
