"""What the mock provider is: for trying things, refused in production."""

from __future__ import annotations

from checkout_service.providers.spec import ProviderSpec, WebhookFormat
from checkout_service.settings.provider_accounts import AccountForm

spec = ProviderSpec(
    name="mock",
    account=AccountForm(optional=("api_base", "capture"), production=False, shapes={"capture": r"auto|manual"}),
    webhooks=WebhookFormat(
        body="json",
        names=(
            "provider_ref",
            *(f"raw_data.{name}" for name in ("refund_ref", "capture_ref", "dispute_ref", "attempt")),
        ),
    ),
    several_captures=True,
    provider="checkout_service.providers.adapters.mock.provider:MockProvider",
)
