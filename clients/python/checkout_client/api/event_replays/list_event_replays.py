"""List replays."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.replay_page import ReplayPage
from ...types import UNSET, Response, Unset


def _request(
    endpoint_id: UUID,
    *,
    limit: int | Unset = 20,
    cursor: UUID | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, str] = {}
    params: dict[str, Any] = {}

    params["limit"] = limit

    json_cursor: str | Unset = UNSET
    if not isinstance(cursor, Unset):
        json_cursor = str(cursor)
    params["cursor"] = json_cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/admin/webhook-endpoints/{endpoint_id}/replays".format(
            endpoint_id=quote(str(endpoint_id), safe=""),
        ),
        "params": params,
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> ReplayPage:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = ReplayPage.from_dict(response.json())

        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    endpoint_id: UUID,
    *,
    client: Client,
    limit: int | Unset = 20,
    cursor: UUID | Unset = UNSET,
) -> Response[ReplayPage]:
    """As `sync`, with the answer's status and headers."""
    response = call(
        client,
        _request(
            endpoint_id=endpoint_id,
            limit=limit,
            cursor=cursor,
        ),
    )
    return Response(response, _read(response))


def sync(
    endpoint_id: UUID,
    *,
    client: Client,
    limit: int | Unset = 20,
    cursor: UUID | Unset = UNSET,
) -> ReplayPage:
    """List replays.

    Takes the scope `webhooks:write`. Newest first, each with how far it is.
    """

    return _read(
        call(
            client,
            _request(
                endpoint_id=endpoint_id,
                limit=limit,
                cursor=cursor,
            ),
        )
    )


async def asyncio_detailed(
    endpoint_id: UUID,
    *,
    client: Client,
    limit: int | Unset = 20,
    cursor: UUID | Unset = UNSET,
) -> Response[ReplayPage]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            endpoint_id=endpoint_id,
            limit=limit,
            cursor=cursor,
        ),
    )
    return Response(response, _read(response))


async def asyncio(
    endpoint_id: UUID,
    *,
    client: Client,
    limit: int | Unset = 20,
    cursor: UUID | Unset = UNSET,
) -> ReplayPage:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                endpoint_id=endpoint_id,
                limit=limit,
                cursor=cursor,
            ),
        )
    )
