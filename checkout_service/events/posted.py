"""An event as the API shows it, and as it is posted.

It is posted by the sender to webhook endpoints, and by ``events listen`` to an address of a developer's machine.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from checkout_service.api.responses import show_time
from checkout_service.api_versions import API_VERSIONS
from checkout_service.events.queries import EventRow


class PostedEvent:
    """One event; its bodies are made once.

    ``api_version`` is that in which its object was written, ``row_version`` names what the log's row was then: another
    one, once a person was struck out of it.
    """

    __slots__ = (
        *("__weakref__", "_head", "_snapshots", "_thin", "api_version", "created_at", "id", "row_version"),
        *("size", "text_id", "trace_context", "type"),
    )

    def __init__(
        self,
        event_id: UUID,
        event_type: str,
        object_type: str,
        object_id: UUID,
        version: int,
        created_at: datetime,
        body: str,
        api_version: str = API_VERSIONS.newest,
        row_version: int | None = None,
        trace_context: str | None = None,
    ) -> None:
        """As its row has it, ``body`` being JSON."""
        self.id = event_id
        self.text_id = str(event_id)
        self.created_at = created_at
        self.api_version = api_version
        self.row_version = row_version
        self.trace_context = trace_context
        self.type = event_type
        head = self._head = (
            orjson.dumps({"type": event_type, "timestamp": show_time(created_at), "id": self.text_id})[:-1]
            + b',"data":'
        )
        thin = {"type": object_type, "id": str(object_id), "version": version}
        snapshot = head + body.encode() + b"}"
        self._snapshots = {api_version: snapshot}
        self._thin = head + orjson.dumps(thin) + b"}"
        self.size = len(snapshot) + len(self._thin)

    def payload(self, *, thin: bool, api_version: str = API_VERSIONS.newest) -> bytes:
        """What is posted, as JSON, to who is pinned to this version. Raises UnknownVersionError."""
        if thin:
            return self._thin
        found = self._snapshots.get(api_version)
        return self._translated(api_version) if found is None else found

    def _translated(self, api_version: str) -> bytes:
        written = self._snapshots[self.api_version]
        if not API_VERSIONS.is_translated(written=self.api_version, pinned=api_version):
            self._snapshots[api_version] = written
            return written
        body = orjson.loads(written[len(self._head) : -1])
        shown = API_VERSIONS.translate(body, type=self.type, written=self.api_version, pinned=api_version)
        made = self._head + orjson.dumps(shown) + b"}"
        self._snapshots[api_version] = made
        return made


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
