"""Which webhooks an operator means, and which of those a worker would take up again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from sqlalchemy import ColumnElement, and_, false, func, literal_column, or_, true

from checkout_service.delivery_states import DeliveryState
from checkout_service.providers.base import IgnoredReason
from checkout_service.webhooks.models import WebhookDelivery

# What the worker takes that is named by its id: see worker/webhooks/statements.py and replays.py. By state, so that a
# choice of one is looked for along the index of that state.
_TAKEN: Final[Mapping[DeliveryState, ColumnElement[bool]]] = {
    DeliveryState.FAILED: true(),
    DeliveryState.REJECTED: true(),
    DeliveryState.IGNORED: true(),
    DeliveryState.APPLIED: and_(WebhookDelivery.mismatch),
    DeliveryState.RECEIVED: or_(WebhookDelivery.attempts == 0, WebhookDelivery.next_attempt_at <= func.now()),
    DeliveryState.PARKED: WebhookDelivery.next_attempt_at <= func.now(),
}

PROCESSABLE: Final = and_(
    or_(*(and_(WebhookDelivery.state == state, taken) for state, taken in _TAKEN.items())),
    WebhookDelivery.erased_at.is_(None),
)
"""Of one that was erased nothing is left to process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """All webhooks in a state, perhaps of one provider or payment, perhaps of a stretch of time.

    ``came_from`` is the first moment of that stretch, ``came_until`` the first one after it; both by ``received_at``.
    Of what is ignored perhaps those alone that are so for a ``reason``; raises ValueError for one of another state.
    """

    state: DeliveryState
    reason: IgnoredReason | None = None
    provider: str | None = None
    provider_ref: str | None = None
    came_from: datetime | None = None
    came_until: datetime | None = None

    def __post_init__(self) -> None:
        if self.reason is not None and self.state is not DeliveryState.IGNORED:
            raise ValueError(f"only what is ignored has a reason, and this is {self.state}")

    @property
    def in_state(self) -> list[ColumnElement[bool]]:
        """What is true of every webhook in the state that is meant."""
        # As words of the statement and no parameters: by those PostgreSQL finds its partial indexes.
        return [WebhookDelivery.state == literal_column(f"'{self.state}'")]

    def conditions(self) -> list[ColumnElement[bool]]:
        """What is true of every webhook that is meant and can be processed (again) now."""
        meant = [*self.in_state, _TAKEN.get(self.state, false()), WebhookDelivery.erased_at.is_(None)]
        if self.reason is not None:
            meant.append(func.starts_with(WebhookDelivery.detail, self.reason.detail_prefix))
        if self.provider is not None:
            meant.append(WebhookDelivery.provider == self.provider)
        if self.provider_ref is not None:
            meant.append(WebhookDelivery.provider_ref == self.provider_ref)
        if self.came_from is not None:
            meant.append(WebhookDelivery.received_at >= self.came_from)
        if self.came_until is not None:
            meant.append(WebhookDelivery.received_at < self.came_until)
        return meant

    def to_details(self) -> dict[str, str]:
        """The choice as a command keeps it."""
        kept: dict[str, str] = {"state": self.state.value}
        for name in ("reason", "provider", "provider_ref"):
            if (value := getattr(self, name)) is not None:
                kept[name] = value
        for name in ("came_from", "came_until"):
            if (moment := getattr(self, name)) is not None:
                kept[name] = moment.isoformat()
        return kept

    @classmethod
    def from_details(cls, kept: Mapping[str, Any]) -> Self:
        """What ``to_details`` gave. Raises ValueError or TypeError for anything else."""
        read: dict[str, Any] = dict(kept)
        for name in {"came_from", "came_until"} & read.keys():
            read[name] = datetime.fromisoformat(read[name])
        if "reason" in read:
            read["reason"] = IgnoredReason(read["reason"])
        return cls(**read | {"state": DeliveryState(read.get("state", ""))})
