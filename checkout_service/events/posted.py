"""An event as the API shows it, and as it is posted.

It is posted by the sender to webhook endpoints, and by ``events listen`` to an address of a developer's machine.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from checkout_service.api.responses import show_time
from checkout_service.events.queries import EventRow


class PostedEvent:
    """One event; its bodies are made once."""

    __slots__ = ("__weakref__", "_snapshot", "_thin", "created_at", "id", "size", "text_id")

    def __init__(
        self,
        event_id: UUID,
        event_type: str,
        object_type: str,
        object_id: UUID,
        version: int,
        created_at: datetime,
        body: str,
    ) -> None:
        """As its row has it, ``body`` being JSON."""
        self.id = event_id
        self.text_id = str(event_id)
        self.created_at = created_at
        head = (
            orjson.dumps({"type": event_type, "timestamp": show_time(created_at), "id": self.text_id})[:-1]
            + b',"data":'
        )
        thin = {"type": object_type, "id": str(object_id), "version": version}
        self._snapshot = head + body.encode() + b"}"
        self._thin = head + orjson.dumps(thin) + b"}"
        self.size = len(self._snapshot) + len(self._thin)

    def payload(self, *, thin: bool) -> bytes:
        """What is posted, as JSON."""
        return self._thin if thin else self._snapshot


def show_event(event: EventRow) -> dict[str, Any]:
    """The event as the API shows it, for orjson; its object goes out as it was written, byte for byte."""
    return {
        "id": str(event.id),
        "seq": event.seq or None,
        "type": event.type,
        "object": {"type": event.object_type, "id": str(event.object_id)},
        "version": event.version,
        "created_at": show_time(event.created_at),
        "data": orjson.Fragment(event.body),
    }
