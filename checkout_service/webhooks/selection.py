"""Which webhooks an operator means, and which of those a worker would take up again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self

from sqlalchemy import ColumnElement, and_, func, or_

from checkout_service.webhooks.models import WebhookDelivery

# What the worker's claim by id takes: see worker/webhooks/claims.py.
REPLAYABLE: Final = or_(
    WebhookDelivery.state.in_(("failed", "rejected")),
    and_(WebhookDelivery.state == "applied", WebhookDelivery.detail.like("mismatch%")),
    and_(WebhookDelivery.state == "received", WebhookDelivery.attempts == 0),
    and_(WebhookDelivery.state.in_(("received", "parked")), WebhookDelivery.next_attempt_at <= func.now()),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """All webhooks in a state, perhaps of one provider or payment, perhaps of the last while or a stretch of time."""

    state: str
    provider: str | None = None
    provider_ref: str | None = None
    since: timedelta | None = None
    came_from: datetime | None = None
    came_until: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """What holds of every webhook that is meant and can be processed (again) now."""
        meant = [WebhookDelivery.state == self.state, REPLAYABLE]
        if self.provider is not None:
            meant.append(WebhookDelivery.provider == self.provider)
        if self.provider_ref is not None:
            meant.append(WebhookDelivery.provider_ref == self.provider_ref)
        if self.since is not None:
            meant.append(WebhookDelivery.received_at >= func.now() - self.since)
        if self.came_from is not None:
            meant.append(WebhookDelivery.received_at >= self.came_from)
        if self.came_until is not None:
            meant.append(WebhookDelivery.received_at < self.came_until)
        return meant

    def written(self) -> dict[str, str]:
        """The choice as an order keeps it; ``since``, which moves with the clock, cannot be kept."""
        if self.since is not None:
            raise ValueError("a choice by age means other webhooks at each moment")
        kept = {"state": self.state}
        for name in ("provider", "provider_ref"):
            if (value := getattr(self, name)) is not None:
                kept[name] = value
        for name in ("came_from", "came_until"):
            if (moment := getattr(self, name)) is not None:
                kept[name] = moment.isoformat()
        return kept

    @classmethod
    def read(cls, kept: dict[str, Any]) -> Self:
        """What ``written`` gave."""
        read: dict[str, Any] = dict(kept)
        for name in {"came_from", "came_until"} & read.keys():
            read[name] = datetime.fromisoformat(read[name])
        return cls(**read)
