"""Events with their bodies in the memory, each once for all endpoints of this process that it is for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final
from uuid import UUID
from weakref import WeakValueDictionary

from checkout_service.api_versions import API_VERSIONS, UnknownVersionError
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.events.posted import PostedEvent
from checkout_service.events.queries import BODY

REMEMBERED: Final = 8 * 1024 * 1024
"""Bytes of bodies that are kept for endpoints that are a little behind the first one."""

# Binary: as text, times and ids take Python longer than the body.
_read = Statement(
    f"""
    SELECT event.id, event.type, event.object_type, event.object_id, event.version, event.created_at, {BODY} AS body,
        event.api_version, CAST(CAST(event.xmin AS text) AS bigint) AS row_version, event.trace_context
    FROM unnest(CAST(:ids AS uuid[]), CAST(:order_numbers AS text[])) AS numbers (event_id, order_number)
    JOIN events AS event ON event.id = numbers.event_id
""",  # noqa: S608 (only our own constants)
    binary=True,
    named=False,
)


class Bodies:
    """The events that somebody here still has to send, and some that were read last."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[UUID, PostedEvent] = WeakValueDictionary()
        self._last: OrderedDict[UUID, PostedEvent] = OrderedDict()
        self._size = 0

    def load(self, needed: Mapping[UUID, str | None]) -> dict[UUID, PostedEvent]:
        """The events of these ids, each with what its order is called; without those that the log keeps no more.

        Raises DatabaseUnavailableError, and UnknownVersionError for what a later release has written: its own senders
        know how it is translated.
        """
        found = {key: event for key in needed if (event := self._known.get(key)) is not None}
        missing = [key for key in needed if key not in found]
        if missing:
            rows = execute(_read, {"ids": missing, "order_numbers": [needed[key] for key in missing]})
            for row in rows:
                event = PostedEvent(*row)
                if event.api_version not in API_VERSIONS:
                    raise UnknownVersionError(event.api_version)
                found[event.id] = event
                self._remember(event)
        return found

    def _remember(self, event: PostedEvent) -> None:
        self._known[event.id] = event
        self._last[event.id] = event
        self._size += event.size
        while self._size > REMEMBERED:
            _, oldest = self._last.popitem(last=False)
            self._size -= oldest.size
