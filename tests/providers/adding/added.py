"""Writes a provider into a folder, and a distribution around it, as somebody would who adds one."""

from __future__ import annotations

from pathlib import Path

SPEC = '''"""What this provider is."""

from checkout_service.providers.spec import ProviderSpec, WebhookFormat
from checkout_service.settings.provider_accounts import AccountForm

spec = ProviderSpec(
    name="{name}",
    account=AccountForm(needed=("api_key",), shapes={{"api_key": r"key_\\w+"}}),
    webhooks=WebhookFormat(body="json", headers=("{name}-signature",), acknowledgement="thanks"),
    provider="{package}.provider:AddedProvider",
)
'''

PROVIDER = '''"""A provider that signs the bytes of its webhooks."""

from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.base import Opened, ParsedWebhook, ProviderEvent
from checkout_service.providers.fields import json_object, text
from checkout_service.providers.signatures import header, matching, signed_hex


class AddedProvider:
    name = "{name}"
    asks = False

    def __init__(self, account):
        self._keys = account.keys()

    def open(self, opening):
        reference = f"{name}_{{opening.payment_id.hex}}"
        amount, currency = opening.amount, opening.currency
        return Opened(provider_ref=reference, payment_token=reference, amount=amount, currency=currency)

    def verify_and_parse(self, raw_webhook):
        signature = header(raw_webhook, "{name}-signature")
        place = matching(self._keys, lambda key: signed_hex(key, raw_webhook.body), [signature])
        webhook = json_object(raw_webhook.body)
        event = ProviderEvent(
            provider=self.name,
            provider_ref=text(webhook, "reference"),
            event_id=text(webhook, "id"),
            status=PaymentStatus.PAID,
            amount_required=False,
        )
        return ParsedWebhook(events=[event], secret=place)

    def look_up(self, reference):
        return []

    def cancel(self, reference):
        return []

    def refund(self, reference, *, refund_id, amount, reason):
        return []
'''


def write_package(parent: Path, package: str, name: str) -> None:
    """A package with a spec and a provider of that name; ``package`` may have dots, for where it will be imported."""
    folder = parent / package.rpartition(".")[2]
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text('"""A provider."""\n')
    (folder / "spec.py").write_text(SPEC.format(name=name, package=package))
    (folder / "provider.py").write_text(PROVIDER.format(name=name))


def write_distribution(site: Path, distribution: str, **entry_points: str) -> None:
    """What an installer leaves of a distribution that names providers: ``acme="acme_payments.spec:spec"``."""
    info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    named = "".join(f"{name} = {place}\n" for name, place in entry_points.items())
    (info / "entry_points.txt").write_text(f"[checkout_service.providers]\n{named}")
