"""Reads of letters, for operators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, bindparam, func, or_, select, tuple_

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

# What the worker's claim by id takes: see worker/letters.py.
_processable = or_(
    WebhookDelivery.state.in_(("failed", "rejected")),
    and_(WebhookDelivery.state == "applied", WebhookDelivery.detail.like("mismatch%")),
    and_(WebhookDelivery.state == "received", WebhookDelivery.attempts == 0),
    and_(WebhookDelivery.state.in_(("received", "parked")), WebhookDelivery.next_attempt_at <= func.now()),
)

_watched = (WebhookDelivery.id, WebhookDelivery.state, WebhookDelivery.updated_at, WebhookDelivery.processed_at)
_standing = select(*_watched).where(WebhookDelivery.id == func.any(bindparam("ids")))

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which letters an operator means: all in a state, perhaps of one provider, perhaps of the last while."""

    state: str
    provider: str | None = None
    since: timedelta | None = None


def database_time() -> datetime:
    """Now, by the clock that letters are dated by."""
    ((now,),) = execute(select(func.now()))
    found: datetime = now
    return found


def count_processable(choice: Choice) -> int:
    """How many letters of the choice can be processed (again) now."""
    ((count,),) = execute(select(func.count()).select_from(WebhookDelivery).where(*_chosen(choice)))
    return int(count)


def processable_page(choice: Choice, *, until: datetime, after: Row[Any] | None, limit: int) -> Sequence[Row[Any]]:
    """The next letters of the choice that came up to a time, oldest first, as ``standing`` gives them."""
    order = (WebhookDelivery.received_at, WebhookDelivery.id)
    page = select(*_watched, WebhookDelivery.received_at).where(*_chosen(choice), WebhookDelivery.received_at <= until)
    if after is not None:
        page = page.where(tuple_(*order) > tuple_(after.received_at, after.id))
    return execute(page.order_by(*order).limit(limit))


def standing(delivery_ids: Sequence[UUID]) -> Sequence[Row[Any]]:
    """Where these letters stand: id, state, updated_at, processed_at; those that are gone are left out."""
    return execute(_standing, {"ids": delivery_ids})


def processable(delivery_id: UUID) -> bool:
    """Whether a task for this letter would do anything now."""
    found = execute(select(WebhookDelivery.id).where(WebhookDelivery.id == delivery_id, _processable))
    return bool(found)


def letter(delivery_id: UUID) -> Row[Any] | None:
    """One letter in full; its body is for operators alone."""
    rows = execute(_one, {"id": delivery_id})
    return rows[0] if rows else None


def _chosen(choice: Choice) -> list[ColumnElement[bool]]:
    chosen = [WebhookDelivery.state == choice.state, _processable]
    if choice.provider is not None:
        chosen.append(WebhookDelivery.provider == choice.provider)
    if choice.since is not None:
        chosen.append(WebhookDelivery.received_at >= func.now() - choice.since)
    return chosen
