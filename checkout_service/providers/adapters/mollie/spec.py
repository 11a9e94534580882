"""What Mollie is: the settings of an account and its webhooks."""

from __future__ import annotations

from datetime import date

from checkout_service.providers.minor_units import NO_OWN_WORD, read_of
from checkout_service.providers.spec import Dashboard, ProviderSpec, WebhookFormat
from checkout_service.settings.provider_accounts import AccountForm
from checkout_service.settings.secret_forms import MODE_KEY, key_like

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
        optional=("api_base", "capture"),
        secrets=False,
        shapes={"webhook_url": r"https?://\S+", "return_url": r"https?://\S+", "capture": r"auto|manual"},
        # The rule of Mollie's own client (mollie-api-python). OAuth's tokens want another account's name in each call.
        checks={
            "api_key": key_like(r"(?:live|test)_\w+", words="an API key of Mollie, live_… or test_…", kind=MODE_KEY)
        },
    ),
    webhooks=WebhookFormat(body="form", names=("id",)),
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
)
