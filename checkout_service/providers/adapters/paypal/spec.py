"""What PayPal is: the settings of an account and its webhooks."""

from __future__ import annotations

from datetime import date

from checkout_service.providers.minor_units import NO_OWN_WORD, read_of
from checkout_service.providers.reports import ReportForm
from checkout_service.providers.spec import Dashboard, ProviderSpec, WebhookFormat
from checkout_service.settings.provider_accounts import AccountForm, Package
from checkout_service.settings.secret_forms import MODE_KEY, PUBLISHABLE_KEY, STRIPE_KEY, key_of_any_form

# Of the 24 currencies that an account takes, "zero-digit" marks those without decimals. Cards may be paid in others
# where PayPal allows it, a limited release, whose table marks its own.
MINOR_UNITS = (
    *read_of(
        "developer.paypal.com/docs/reports/reference/paypal-supported-currencies",
        date(2026, 11, 30),
        {"HUF": 0, "JPY": 0, "TWD": 0},
    ),
    *read_of(
        "developer.paypal.com/limited-release/card-currency-brand-table",
        date(2026, 11, 30),
        {"CLP": 0, "COP": 0, "CRC": 0},
    ),
    *read_of(NO_OWN_WORD, date(2026, 11, 30), {"IDR": 2, "ISK": 0, "KWD": 3, "MGA": 2, "MRU": 2}),
    *read_of(NO_OWN_WORD, date(2026, 11, 30), {"UGX": 0, "XCG": 2, "ZWG": 2}),
)


spec = ProviderSpec(
    name="paypal",
    account=AccountForm(
        needed=("client_id", "client_secret"),
        optional=("api_base", "return_url", "cancel_url", "ca_file", "capture"),
        reading=("webhook_id",),
        secrets=False,
        shapes={"webhook_id": r"[0-9A-Z]{8,}(?:\s*,\s*[0-9A-Z]{8,})*", "capture": r"auto|manual"},
        checks=dict.fromkeys(("client_id", "client_secret"), key_of_any_form(STRIPE_KEY, PUBLISHABLE_KEY, MODE_KEY)),
        package=Package(module="cryptography", extra="paypal"),
    ),
    webhooks=WebhookFormat(
        body="json",
        headers=(
            "paypal-transmission-id",
            "paypal-transmission-time",
            "paypal-transmission-sig",
            "paypal-cert-url",
            "paypal-auth-algo",
        ),
        signing=("paypal-transmission-id", "paypal-transmission-time"),
        # Ours first: the names of captures, authorizations and disputes are known here only once they were entered.
        names=(
            *(f"resource.{name}" for name in ("custom_id", "invoice_id", "custom", "invoice_number")),
            *(f"resource.purchase_units.*.{name}" for name in ("custom_id", "invoice_id")),
            *(
                f"resource.disputed_transactions.*.{name}"
                for name in ("custom", "invoice_number", "seller_transaction_id")
            ),
            *(f"resource.{name}" for name in ("id", "capture_id", "dispute_id")),
            *(f"resource.supplementary_data.related_ids.{name}" for name in ("capture_id", "authorization_id")),
            "resource.links.*.href",
        ),
    ),
    several_captures=True,
    provider="checkout_service.providers.adapters.paypal.provider:PayPalProvider",
    evidence="the PayPal Resolution Center",
    # By the id of a capture or an authorization: the activity has no orders.
    dashboard=Dashboard(
        live="https://www.paypal.com/activity/payment/{ref}",
        test="https://www.sandbox.paypal.com/activity/payment/{ref}",
        of="attempt",
        mode_option="api_base",
        default="https://api-m.paypal.com",
        live_pattern=r"^https://api(?:-m)?\.paypal\.com(?:/|$)",
        test_pattern=r"^https://api(?:-m)?\.sandbox\.paypal\.com(?:/|$)",
    ),
    minor_units=MINOR_UNITS,
    reports=ReportForm(
        read="checkout_service.providers.adapters.paypal.reports_stl:read_settlement_report",
        fetch="checkout_service.providers.adapters.paypal.reports_fetch:fetch_transactions",
        account=AccountForm(
            needed=("reports_client_id", "reports_secret"),
            optional=("reports_api_base",),
            secrets=False,
            checks=dict.fromkeys(
                ("reports_client_id", "reports_secret"), key_of_any_form(STRIPE_KEY, PUBLISHABLE_KEY, MODE_KEY)
            ),
        ),
    ),
)
