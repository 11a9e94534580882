"""What Stripe is: the settings of an account and its webhooks."""

from __future__ import annotations

from datetime import date

from checkout_service.providers.minor_units import read_of
from checkout_service.providers.reports import ReportForm
from checkout_service.providers.spec import Dashboard, ProviderSpec, WebhookFormat
from checkout_service.settings.provider_accounts import AccountForm, Package
from checkout_service.settings.secret_forms import PUBLISHABLE_KEY, SIGNING_SECRET, STRIPE_KEY, key_like

# A currency has two decimals unless the page notes it: "Zero-decimal currencies", "Three-decimal currencies" and
# "Special cases". HUF and TWD are whole in payouts alone. ISK and UGX have none, and are written with two that are 00.
MINOR_UNITS = read_of(
    "docs.stripe.com/currencies",
    date(2026, 11, 30),
    {
        "CLP": 0,
        "COP": 2,
        "HUF": 2,
        "IDR": 2,
        "ISK": 2,
        "KWD": 3,
        "MGA": 0,
        "MRU": 2,
        "TWD": 2,
        "UGX": 2,
        "XCG": 2,
        "ZWG": 2,
    },
)


def _restricted_key(value: str) -> str | None:
    """What is wrong with a key for reports: one that may do all would move money from where it only has to be read."""
    if value.startswith("sk_"):
        return "is a secret key of Stripe, which may move money: make a restricted one that may only read, rk_…"
    return key_like(r"rk_\w+", words="a restricted key of Stripe, rk_…", kind=STRIPE_KEY)(value)


spec = ProviderSpec(
    name="stripe",
    account=AccountForm(
        needed=("api_key",),
        optional=("api_base", "capture", "events", "multicapture", "publishable_key"),
        shapes={"capture": "automatic|manual", "events": "snapshot|thin|both", "multicapture": "on|off"},
        # docs.stripe.com/keys and /webhooks/signature promise the beginnings, and no more.
        checks={
            "api_key": key_like(
                r"(?:sk|rk)_\w+", words="a secret or restricted key of Stripe, sk_… or rk_…", kind=STRIPE_KEY
            ),
            "publishable_key": key_like(r"pk_\w+", words="a publishable key of Stripe, pk_…", kind=PUBLISHABLE_KEY),
            "webhook_secrets": key_like(
                r"whsec_[\w+/=-]{8,}", words="the signing secret of an endpoint, whsec_…", kind=SIGNING_SECRET
            ),
        },
        package=Package(module="stripe", extra="stripe"),
    ),
    webhooks=WebhookFormat(
        body="json",
        headers=("stripe-signature",),
        # An intent, or what names one; a refund or a dispute may name its charge alone, a thin event itself.
        names=(
            "data.object.metadata.payment_id",
            "data.object.payment_intent",
            "data.object.id",
            "data.object.charge",
            "data.object.latest_charge",
            "related_object.id",
        ),
    ),
    provider="checkout_service.providers.adapters.stripe.provider:StripeProvider",
    evidence="the Stripe Dashboard, Disputes",
    dashboard=Dashboard(
        live="https://dashboard.stripe.com/payments/{ref}",
        test="https://dashboard.stripe.com/test/payments/{ref}",
        of="payment",
        mode_option="api_key",
        live_pattern=r"^(?:sk|rk)_live_",
        test_pattern=r"^(?:sk|rk)_test_",
    ),
    minor_units=MINOR_UNITS,
    reports=ReportForm(
        read="checkout_service.providers.adapters.stripe.report_files:read",
        fetch="checkout_service.providers.adapters.stripe.report_api:fetch",
        account=AccountForm(
            needed=("reports_key",),
            optional=("reports_base",),
            secrets=False,
            checks={"reports_key": _restricted_key},
            package=Package(module="stripe", extra="stripe"),
        ),
    ),
)
