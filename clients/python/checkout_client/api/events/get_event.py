"""Read an event."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.event import Event
from ...types import Response


def _request(
    event_id: UUID,
) -> dict[str, Any]:
    headers: dict[str, str] = {}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/admin/events/{event_id}".format(
            event_id=quote(str(event_id), safe=""),
        ),
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> Event:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = Event.from_dict(response.json())

        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    event_id: UUID,
    *,
    client: Client,
) -> Response[Event]:
    """As `sync`, with the answer's status and headers."""
    response = call(
        client,
        _request(
            event_id=event_id,
        ),
    )
    return Response(response, _read(response))


def sync(
    event_id: UUID,
    *,
    client: Client,
) -> Event:
    """Read an event.

    Takes the scope `events:read`. For whoever was posted its id alone; an event without a number yet is 404.
    """

    return _read(
        call(
            client,
            _request(
                event_id=event_id,
            ),
        )
    )


async def asyncio_detailed(
    event_id: UUID,
    *,
    client: Client,
) -> Response[Event]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            event_id=event_id,
        ),
    )
    return Response(response, _read(response))


async def asyncio(
    event_id: UUID,
    *,
    client: Client,
) -> Event:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                event_id=event_id,
            ),
        )
    )
