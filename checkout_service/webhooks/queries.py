"""Reads of webhooks, for operators."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, func, select, tuple_

from checkout_service.database.engine import execute
from checkout_service.webhooks.models import WebhookDelivery
from checkout_service.webhooks.selection import REPLAYABLE, Choice

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

_watched = (WebhookDelivery.id, WebhookDelivery.state, WebhookDelivery.updated_at, WebhookDelivery.processed_at)
_standing = select(*_watched).where(WebhookDelivery.id == func.any(bindparam("ids")))

_one = select(*_columns, WebhookDelivery.headers, WebhookDelivery.body).where(WebhookDelivery.id == bindparam("id"))


def find_webhooks(
    *, state: str | None = None, provider: str | None = None, since: timedelta | None = None, limit: int = 50
) -> Sequence[Row[Any]]:
    """Webhooks, newest first, without their bodies."""
    found = select(*_columns).order_by(WebhookDelivery.received_at.desc(), WebhookDelivery.id.desc()).limit(limit)
    if state is not None:
        found = found.where(WebhookDelivery.state == state)
    if provider is not None:
        found = found.where(WebhookDelivery.provider == provider)
    if since is not None:
        found = found.where(WebhookDelivery.received_at >= func.now() - since)
    return execute(found)


def database_time() -> datetime:
    """Now, by the clock that webhooks are dated by."""
    ((now,),) = execute(select(func.now()))
    found: datetime = now
    return found


def count_processable(choice: Choice, *, most: int | None = None) -> int:
    """How many webhooks of the choice can be processed (again) now, counted no further than ``most``."""
    found = select(WebhookDelivery.id).where(*choice.conditions()).limit(most).subquery()
    ((count,),) = execute(select(func.count()).select_from(found))
    return int(count)


def processable_page(
    choice: Choice, *, until: datetime, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Row[Any]]:
    """The next webhooks of the choice that came up to a time, oldest first, as ``standing`` gives them."""
    order = (WebhookDelivery.received_at, WebhookDelivery.id)
    page = select(*_watched, WebhookDelivery.received_at).where(
        *choice.conditions(), WebhookDelivery.received_at <= until
    )
    if after is not None:
        page = page.where(tuple_(*order) > tuple_(*after))
    return execute(page.order_by(*order).limit(limit))


def standing(delivery_ids: Sequence[UUID]) -> Sequence[Row[Any]]:
    """Where these webhooks stand: id, state, updated_at, processed_at; those that are gone are left out."""
    return execute(_standing, {"ids": delivery_ids})


def processable(delivery_id: UUID) -> bool:
    """Whether a task for this webhook would do anything now."""
    found = execute(select(WebhookDelivery.id).where(WebhookDelivery.id == delivery_id, REPLAYABLE))
    return bool(found)


def find_webhook(delivery_id: UUID) -> Row[Any] | None:
    """One webhook in full; its body is for operators alone."""
    rows = execute(_one, {"id": delivery_id})
    return rows[0] if rows else None
