"""What GoCardless is: the settings of an account and its webhooks."""

from __future__ import annotations

import re
from typing import Final

from checkout_service.providers.spec import Dashboard, ProviderSpec, WebhookFormat
from checkout_service.settings.provider_accounts import AccountForm
from checkout_service.settings.secret_forms import MODE_KEY, key_like, shared_secret

_FORM: Final = r"(?:live|sandbox)_[\w-]+"


def webhook_secret(value: str) -> str | None:
    """What is wrong with one secret of a list, or None: GoCardless lets its owner choose any text."""
    if re.fullmatch(_FORM, value):
        return "is an access token of GoCardless, not the secret of a webhook endpoint"
    return shared_secret(value)


spec = ProviderSpec(
    name="gocardless",
    account=AccountForm(
        needed=("access_token",),
        optional=("api_base", "return_url", "fallback"),
        shapes={"return_url": r"https?://\S+", "fallback": r"on|off"},
        checks={
            "access_token": key_like(_FORM, words="an access token of GoCardless, live_… or sandbox_…", kind=MODE_KEY),
            "webhook_secrets": webhook_secret,
        },
    ),
    webhooks=WebhookFormat(
        body="json",
        headers=("webhook-signature",),
        # Our own id of the payment is its reference; the others are GoCardless' names of what an event is about.
        names=(
            "events.*.resource_metadata.payment_id",
            *(f"events.*.links.{name}" for name in ("payment", "refund", "billing_request")),
        ),
    ),
    provider="checkout_service.providers.adapters.gocardless.provider:GoCardlessProvider",
    # Banks decide alone. These are the words of dispute_evidence_at for providers that it does not name.
    evidence="the dashboard of gocardless",
    # By the id of its payment, PM…; a billing request is not found there.
    dashboard=Dashboard(
        live="https://manage.gocardless.com/payments/{ref}",
        test="https://manage-sandbox.gocardless.com/payments/{ref}",
        of="attempt",
        mode_option="access_token",
        live_pattern=r"^live_",
        test_pattern=r"^sandbox_",
    ),
)
