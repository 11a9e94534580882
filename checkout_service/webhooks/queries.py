"""Reads of webhooks, for operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, bindparam, func, select

from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.delivery_states import PENDING, RARE, DeliveryState, listed
from checkout_service.providers.base import IgnoredReason
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

_one = select(*_columns, WebhookDelivery.headers, WebhookDelivery.body, WebhookDelivery.attempt_log).where(
    WebhookDelivery.id == bindparam("id")
)


WINDOW: Final = 10_000
"""Webhooks that one statement looks through: some tens of milliseconds."""

FIRST_WINDOW: Final = 500
"""Webhooks that the first one does."""

FEW: Final = 5_000
"""Webhooks pending that are sorted for a list; when more are, they are nearly all of the newest."""

NEWEST: Final = UUID(int=(1 << 128) - 1)

# The last webhook of a window that was full comes along as its edge, beside no row where none of the window matches.
_WALK: Final = """
    WITH seen AS MATERIALIZED ({window}), edge AS (
        SELECT id FROM seen WHERE (SELECT count(*) FROM seen) >= :window ORDER BY id LIMIT 1
    ), page AS (
        SELECT * FROM seen WHERE (CAST(:state AS text) IS NULL OR state = :state)
            AND (CAST(:provider AS text) IS NULL OR provider = :provider)
            AND (CAST(:detail AS text) IS NULL OR starts_with(detail, :detail))
            AND (CAST(:since AS interval) IS NULL OR received_at >= now() - CAST(:since AS interval))
        ORDER BY id DESC LIMIT :limit
    )
    SELECT {columns}, (SELECT id FROM edge) AS edge FROM (SELECT) AS one LEFT JOIN page ON true ORDER BY page.id DESC
"""

# By their ids as well, with a minute for transactions that took long.
_BOUNDS: Final = f"""id < CAST(:before AS uuid)
    AND id >= coalesce((SELECT uuidv7(-CAST(:since AS interval) - interval '1 minute')), '{UUID(int=0)}')"""


def _walk(where: str, order: str) -> Statement:
    columns = ", ".join(column.key for column in _columns)
    window = f"SELECT {columns} FROM webhook_deliveries WHERE {where} ORDER BY {order} LIMIT :window"  # noqa: S608 (ours)
    listed_columns = ", ".join(f"page.{column.key}" for column in _columns)
    return Statement(_WALK.format(window=window, columns=listed_columns))


_walk_all: Final = _walk(_BOUNDS, "id DESC")
_walks: Final = {state: _walk(f"state = '{state}' AND {_BOUNDS}", "state DESC, id DESC") for state in RARE}
_walk_pending: Final = _walk(f"state IN ({listed(PENDING)}) AND {_BOUNDS}", "next_attempt_at")
_few_pending: Final = Statement(
    f"SELECT 1 FROM webhook_deliveries WHERE state IN ({listed(PENDING)}) LIMIT {FEW} + 1"  # noqa: S608 (our constants)
)


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
class WebhookAttempt:
    """What came of an attempt, and when. ``state`` is None where it was not kept; ``command`` is what asked for it."""

    at: datetime
    state: DeliveryState | None
    detail: str | None
    command: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook(WebhookSummary):
    """A webhook in full. Headers and body are a stranger's, verified or not; they are for operators alone.

    Of one that was erased both are empty. ``attempt_log`` has its last attempts, oldest first; of one that came to its
    end by its first attempt that one alone, and nothing of one that was not tried.
    """

    headers: Mapping[str, Any]
    body: bytes
    attempt_log: Sequence[WebhookAttempt]


def find_webhooks(
    *,
    state: DeliveryState | None = None,
    ignored: IgnoredReason | None = None,
    provider: str | None = None,
    since: timedelta | None = None,
    limit: int = 50,
) -> list[WebhookSummary]:
    """Webhooks, newest first; with ``ignored`` those alone that are, and why. Raises DatabaseUnavailableError, as all
    of these do.

    Ids are in the order of arrival. No statement looks at more than ``WINDOW`` of them, however many do not match.
    """
    detail = None if ignored is None else ignored.detail_prefix
    state = state if ignored is None else DeliveryState.IGNORED
    values: dict[str, Any] = {
        "state": state,
        "detail": detail,
        "provider": provider,
        "since": since,
        "before": NEWEST,
    }
    walk = _walk_of(state)
    # Most often nearly all of the newest match. Those pending come in another order, so all of them are looked at.
    values["window"] = WINDOW if walk is _walk_pending else min(WINDOW, max(FIRST_WINDOW, limit))
    found: list[WebhookSummary] = []
    while True:
        rows = execute(walk, values | {"limit": limit - len(found)})
        found += [WebhookSummary(**_values(row)) for row in rows if row.state is not None]
        edge = rows[-1].edge if rows else None
        if edge is None or len(found) >= limit:
            return found
        values |= {"before": edge, "window": WINDOW}


def _walk_of(state: DeliveryState | None) -> Statement:
    """The index that leads to this state: its own, where few webhooks end in it; else all of them, by their ids."""
    if state in RARE:
        return _walks[state]
    if state in PENDING and len(execute(_few_pending)) <= FEW:
        return _walk_pending
    return _walk_all


def find_webhook(delivery_id: UUID) -> Webhook | None:
    """One webhook in full, or None."""
    rows = execute(_one, {"id": delivery_id})
    if not rows:
        return None
    values = _values(rows[0])
    return Webhook(**values | {"attempt_log": _attempts(values)})


def processable(delivery_id: UUID) -> bool:
    """Whether a task for this webhook would do anything now."""
    found = execute(select(WebhookDelivery.id).where(WebhookDelivery.id == delivery_id, PROCESSABLE))
    return bool(found)


def count_processable(choice: Choice, *, most: int | None = None) -> int:
    """How many webhooks of the choice can be processed (again) now, counted no further than ``most``."""
    if choice.state is not DeliveryState.IGNORED:
        found = select(WebhookDelivery.id).where(*choice.conditions()).limit(most).subquery()
        ((number,),) = execute(select(func.count()).select_from(found))
        return int(number)
    # Of these there may be millions, where others use the account too, and few of them for a reason.
    count, after, full = 0, UUID(int=0), True
    while full and (most is None or count < most):
        looked_at = select(WebhookDelivery.id, and_(*choice.conditions()).label("meant"))
        window = looked_at.where(*choice.in_state, WebhookDelivery.id > after).order_by(WebhookDelivery.id)
        seen = window.limit(WINDOW).cte("seen").prefix_with("MATERIALIZED")
        last = select(seen.c.id).order_by(seen.c.id.desc()).limit(1).scalar_subquery()
        meant = func.count().filter(seen.c.meant)
        ((number, looked_through, last_id),) = execute(select(meant, func.count(), last).select_from(seen))
        count, after, full = count + number, last_id, looked_through == WINDOW
    return count if most is None else min(count, most)


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


def _attempts(values: Mapping[str, Any]) -> list[WebhookAttempt]:
    kept = values["attempt_log"]
    if kept is None and values["processed_at"] is not None and values["attempts"] > 0:
        last = WebhookAttempt(at=values["processed_at"], state=values["state"], detail=values["detail"], command=None)
        return [last]
    return [
        WebhookAttempt(
            at=datetime.fromisoformat(each["at"]).astimezone(UTC),
            state=DeliveryState(each["state"]) if "state" in each else None,
            detail=each.get("detail"),
            command=UUID(each["command"]) if "command" in each else None,
        )
        for each in kept or ()
    ]


def _values(row: Any) -> dict[str, Any]:
    values: dict[str, Any] = row._asdict()
    values.pop("edge", None)
    if values.get("body", b"") is None:
        values["body"] = b""
    return values | {"state": DeliveryState(values["state"])}
