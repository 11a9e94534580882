"""What a provider of one's own is: the settings of an account and its webhooks."""

from __future__ import annotations

from checkout_service.providers.adapters.standard.secret_form import signing_secret
from checkout_service.providers.spec import ProviderSpec, WebhookFormat
from checkout_service.settings.provider_accounts import AccountForm
from checkout_service.settings.secret_forms import key_of_any_form

spec = ProviderSpec(
    name="standard",
    account=AccountForm(
        needed=("api_key", "api_base"),
        checks={"api_key": key_of_any_form(), "webhook_secrets": signing_secret},
    ),
    webhooks=WebhookFormat(
        body="json",
        headers=("webhook-id", "webhook-timestamp", "webhook-signature"),
        names=(
            "data.payment_id",
            "data.provider_ref",
            *(f"data.{name}" for name in ("refund_ref", "capture_ref", "dispute_ref", "attempt")),
        ),
    ),
    provider="checkout_service.providers.adapters.standard.provider:StandardProvider",
)
