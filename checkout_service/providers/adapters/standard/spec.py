"""What a provider of one's own is: the settings of an account and its webhooks."""

from __future__ import annotations

from checkout_service.providers.spec import ProviderSpec, WebhookFormat
from checkout_service.settings.provider_accounts import AccountForm

spec = ProviderSpec(
    name="standard",
    account=AccountForm(needed=("api_key", "api_base")),
    webhooks=WebhookFormat(body="json", headers=("webhook-id", "webhook-timestamp", "webhook-signature")),
    provider="checkout_service.providers.adapters.standard.provider:StandardProvider",
)
