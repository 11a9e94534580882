"""What Mollie is: the settings of an account and its webhooks."""

from __future__ import annotations

from checkout_service.providers.spec import ProviderSpec, WebhookFormat
from checkout_service.settings.provider_accounts import AccountForm

spec = ProviderSpec(
    name="mollie",
    account=AccountForm(
        needed=("api_key", "webhook_url", "return_url"),
        optional=("api_base", "capture"),
        secrets=False,
        shapes={"webhook_url": r"https?://\S+", "return_url": r"https?://\S+", "capture": r"auto|manual"},
    ),
    webhooks=WebhookFormat(body="form"),
    several_captures=True,
    provider="checkout_service.providers.adapters.mollie.provider:MollieProvider",
    evidence="the Mollie Dashboard, Disputes or Chargebacks",
)
