"""What Stripe is: the settings of an account and its webhooks."""

from __future__ import annotations

from checkout_service.providers.spec import ProviderSpec, WebhookFormat
from checkout_service.settings.provider_accounts import AccountForm, Package

spec = ProviderSpec(
    name="stripe",
    account=AccountForm(
        needed=("api_key",),
        optional=("api_base", "capture", "multicapture"),
        shapes={"capture": "automatic|manual", "multicapture": "on|off"},
        package=Package(module="stripe", install="checkout-service[stripe]"),
    ),
    webhooks=WebhookFormat(body="json", headers=("stripe-signature",)),
    provider="checkout_service.providers.adapters.stripe.provider:StripeProvider",
    evidence="the Stripe Dashboard, Disputes",
)
