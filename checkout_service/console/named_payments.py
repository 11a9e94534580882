"""The payments that a webhook's body names, for operators: of bytes that nobody may have vouched for.

Read by the places that its provider's spec lists, a bounded number of names of a bounded body, and looked up by index.
A stranger may write any name; so the page says that it is unverified.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from checkout_service.console.untrusted import LARGEST_READ
from checkout_service.database.engine import execute
from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.registry import provider_specs
from checkout_service.providers.unverified_names import names_in
from checkout_service.webhooks.queries import Webhook

MOST: Final = 5
"""Payments that are named on the page of one webhook."""

_OWN_ID: Final = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}")
"""Of a payment, as we give it to a provider: by itself, or within a reference."""

_FIND: Final = text(f"""
    SELECT DISTINCT payment.id, payment.status::text AS status FROM (
        SELECT id FROM payments WHERE id = ANY(CAST(:ids AS uuid[]))
        UNION ALL SELECT id FROM payments WHERE provider = :provider AND provider_ref = ANY(:names)
        UNION ALL SELECT payment_id FROM captures WHERE provider = :provider AND capture_ref = ANY(:names)
        UNION ALL SELECT payment_id FROM payment_attempts
            WHERE provider = :provider AND attempt_ref = ANY(:names) AND attempt_ref <> ''
        UNION ALL SELECT payment_id FROM refunds WHERE provider = :provider AND provider_ref = ANY(:names)
        UNION ALL SELECT payment_id FROM disputes
            WHERE provider = :provider AND dispute_ref = ANY(:names) AND dispute_ref <> ''
    ) AS named JOIN payments AS payment ON payment.id = named.id AND payment.provider = :provider
    ORDER BY payment.id DESC LIMIT {MOST}
""")  # noqa: S608 (only our own constants)


class NamedPayment(NamedTuple):
    """A payment of the webhook's provider that its body names."""

    id: UUID
    status: PaymentStatus


def payments_named_in(webhook: Webhook) -> list[NamedPayment]:
    """The payments that the body names, as far as it can be read. Raises DatabaseUnavailableError."""
    spec = provider_specs().get(webhook.provider)
    if spec is None or not webhook.body or len(webhook.body) > LARGEST_READ:
        return []
    names = names_in(spec.webhooks, webhook.body)
    if not names:
        return []
    values: dict[str, Any] = {"provider": webhook.provider, "names": list(names), "ids": _ids(names)}
    return [NamedPayment(row.id, PaymentStatus(row.status)) for row in execute(_FIND, values)]


def _ids(names: tuple[str, ...]) -> list[UUID]:
    return [UUID(found[0]) for name in names if (found := _OWN_ID.search(name))]
