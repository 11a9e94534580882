"""Reads of webhooks, for operators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, select

from checkout_service.database.engine import execute
from checkout_service.delivery_states import PENDING, DeliveryState
from checkout_service.webhooks.models import WebhookDelivery
from checkout_service.webhooks.selection import PROCESSABLE, Choice

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
    WebhookDelivery.erased_at,
)

_one = select(*_columns, WebhookDelivery.headers, WebhookDelivery.body).where(WebhookDelivery.id == bindparam("id"))


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSummary:
    """A webhook without its headers and body. All times are UTC."""

    id: UUID
    provider: str
    state: DeliveryState
    attempts: int
    received_at: datetime
    next_attempt_at: datetime | None
    processed_at: datetime | None
    provider_ref: str | None
    detail: str | None
    erased_at: datetime | None

    @property
    def pending(self) -> bool:
        """Whether a worker comes to it by itself."""
        return self.state in PENDING


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook(WebhookSummary):
    """A webhook in full. Headers and body are a stranger's, verified or not; they are for operators alone.

    Of one that was erased both are empty.
    """

    headers: Mapping[str, Any]
    body: bytes


def find_webhooks(
    *, state: DeliveryState | None = None, provider: str | None = None, since: timedelta | None = None, limit: int = 50
) -> list[WebhookSummary]:
    """Webhooks, newest first. Raises DatabaseUnavailableError, as all of these do."""
    found = select(*_columns).order_by(WebhookDelivery.received_at.desc(), WebhookDelivery.id.desc()).limit(limit)
    if state is not None:
        found = found.where(WebhookDelivery.state == state)
    if provider is not None:
        found = found.where(WebhookDelivery.provider == provider)
    if since is not None:
        found = found.where(WebhookDelivery.received_at >= func.now() - since)
    return [WebhookSummary(**_values(row)) for row in execute(found)]


def find_webhook(delivery_id: UUID) -> Webhook | None:
    """One webhook in full, or None."""
    rows = execute(_one, {"id": delivery_id})
    return Webhook(**_values(rows[0])) if rows else None


def processable(delivery_id: UUID) -> bool:
    """Whether a task for this webhook would do anything now."""
    found = execute(select(WebhookDelivery.id).where(WebhookDelivery.id == delivery_id, PROCESSABLE))
    return bool(found)


def count_processable(choice: Choice, *, most: int | None = None) -> int:
    """How many webhooks of the choice can be processed (again) now, counted no further than ``most``."""
    found = select(WebhookDelivery.id).where(*choice.conditions()).limit(most).subquery()
    ((count,),) = execute(select(func.count()).select_from(found))
    return int(count)


def processable_ids(choice: Choice, *, below: UUID, after: UUID | None, limit: int) -> list[UUID]:
    """The next webhooks of the choice whose ids are between these two, in the order of ids, so oldest first."""
    page = select(WebhookDelivery.id).where(*choice.conditions(), WebhookDelivery.id < below)
    if after is not None:
        page = page.where(WebhookDelivery.id > after)
    return [row.id for row in execute(page.order_by(WebhookDelivery.id).limit(limit))]


def database_time() -> datetime:
    """Now, by the clock that webhooks are dated by."""
    ((now,),) = execute(select(func.now()))
    found: datetime = now
    return found


def _values(row: Any) -> dict[str, Any]:
    values: dict[str, Any] = row._asdict()
    if values.get("body", b"") is None:
        values["body"] = b""
    return values | {"state": DeliveryState(values["state"])}
