"""What GoCardless is: the settings of an account and its webhooks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from checkout_service.providers.spec import Dashboard, ProviderSpec, WebhookFormat
from checkout_service.settings.provider_accounts import AccountForm
from checkout_service.settings.secret_forms import MODE_KEY, key_like, shared_secret

_FORM: Final = r"(?:live|sandbox)_[\w-]+"


_TOKEN: Final = r"(?:live|sandbox)_(?=[\w-]*[0-9])(?=[\w-]*[A-Z])(?=[\w-]*[a-z])[\w-]{40}"  # noqa: S105 (a pattern)
"""A token as GoCardless makes one: 40 characters by chance. A text that a person chose may begin alike."""

LIVE_BASE: Final = "https://api.gocardless.com"
SANDBOX_BASE: Final = "https://api-sandbox.gocardless.com"


def base_of(token: str) -> str:
    """The address of the API that a token is of."""
    return SANDBOX_BASE if token.startswith("sandbox_") else LIVE_BASE


def webhook_secret(value: str) -> str | None:
    """What is wrong with one secret of a list, or None: GoCardless lets its owner choose any text."""
    if re.fullmatch(_TOKEN, value):
        return "is an access token of GoCardless, not the secret of a webhook endpoint"
    return shared_secret(value)


def misfit(options: Mapping[str, str]) -> tuple[str, str] | None:
    """The address of the other world than the token's: every call would be refused. One of neither is a stand-in."""
    host, own = urlsplit(options.get("api_base") or "").hostname, base_of(options.get("access_token") or "")
    if host not in {urlsplit(LIVE_BASE).hostname, urlsplit(SANDBOX_BASE).hostname} or host == urlsplit(own).hostname:
        return None
    return "api_base", f"is not where the access token is of: that is {own}"


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
        misfit=misfit,
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
    # Banks decide on direct debits alone. The words are those of dispute_evidence_at for a provider that it does not
    # name.
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
