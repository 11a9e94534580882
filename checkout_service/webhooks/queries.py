"""Reads of letters, for operators."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, func, select

from checkout_service.database import execute
from checkout_service.webhooks.models import WebhookDelivery

_columns = (
    WebhookDelivery.id,
    WebhookDelivery.provider,
    WebhookDelivery.state,
    WebhookDelivery.attempts,
    WebhookDelivery.received_at,
    WebhookDelivery.next_attempt_at,
    WebhookDelivery.processed_at,
    WebhookDelivery.provider_ref,
    WebhookDelivery.detail,
)

_one = select(*_columns, WebhookDelivery.headers, WebhookDelivery.body).where(WebhookDelivery.id == bindparam("id"))


def letters(
    *, state: str | None = None, provider: str | None = None, since: timedelta | None = None, limit: int = 50
) -> Sequence[Row[Any]]:
    """Letters, newest first, without their bodies."""
    found = select(*_columns).order_by(WebhookDelivery.received_at.desc(), WebhookDelivery.id.desc()).limit(limit)
    if state is not None:
        found = found.where(WebhookDelivery.state == state)
    if provider is not None:
        found = found.where(WebhookDelivery.provider == provider)
    if since is not None:
        found = found.where(WebhookDelivery.received_at >= func.now() - since)
    return execute(found)


def letter(delivery_id: UUID) -> Row[Any] | None:
    """One letter in full; its body is for operators alone."""
    rows = execute(_one, {"id": delivery_id})
    return rows[0] if rows else None
