"""Read the log of events."""

from __future__ import annotations

from typing import Any

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.event_page import EventPage
from ...types import UNSET, Response, Unset


def _request(
    *,
    after: int | Unset = UNSET,
    types: str | Unset = UNSET,
    object_: str | Unset = UNSET,
    limit: int | Unset = 100,
    wait: int | Unset = 0,
) -> dict[str, Any]:
    headers: dict[str, str] = {}
    params: dict[str, Any] = {}

    params["after"] = after

    params["types"] = types

    params["object"] = object_

    params["limit"] = limit

    params["wait"] = wait

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/admin/events",
        "params": params,
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> EventPage:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = EventPage.from_dict(response.json())

        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    *,
    client: Client,
    after: int | Unset = UNSET,
    types: str | Unset = UNSET,
    object_: str | Unset = UNSET,
    limit: int | Unset = 100,
    wait: int | Unset = 0,
) -> Response[EventPage]:
    """As `sync`, with the answer's status and headers."""
    response = call(
        client,
        _request(
            after=after,
            types=types,
            object_=object_,
            limit=limit,
            wait=wait,
        ),
    )
    return Response(response, _read(response))


def sync(
    *,
    client: Client,
    after: int | Unset = UNSET,
    types: str | Unset = UNSET,
    object_: str | Unset = UNSET,
    limit: int | Unset = 100,
    wait: int | Unset = 0,
) -> EventPage:
    """Read the log of events.

    Takes the scope `events:read`. Events after a number, oldest first; remember `last_seq` when you are done with a
    page, and pass it as `after`. An event gets its number once it is committed, so nothing ever appears behind a number
    that you passed. A page ends after `limit` events, after 1 MiB of objects, or after 10,000 numbers that were looked
    through: then it may be empty, and `last_seq` has moved. With `object` the whole log is looked at.

    With `wait` the answer comes as soon as there is such an event, or empty at the end. Kept are 30 days of events,
    unless the deployment says otherwise: a number from before is 410, one that is not given yet 409.
    """

    return _read(
        call(
            client,
            _request(
                after=after,
                types=types,
                object_=object_,
                limit=limit,
                wait=wait,
            ),
        )
    )


async def asyncio_detailed(
    *,
    client: Client,
    after: int | Unset = UNSET,
    types: str | Unset = UNSET,
    object_: str | Unset = UNSET,
    limit: int | Unset = 100,
    wait: int | Unset = 0,
) -> Response[EventPage]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            after=after,
            types=types,
            object_=object_,
            limit=limit,
            wait=wait,
        ),
    )
    return Response(response, _read(response))


async def asyncio(
    *,
    client: Client,
    after: int | Unset = UNSET,
    types: str | Unset = UNSET,
    object_: str | Unset = UNSET,
    limit: int | Unset = 100,
    wait: int | Unset = 0,
) -> EventPage:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                after=after,
                types=types,
                object_=object_,
                limit=limit,
                wait=wait,
            ),
        )
    )
