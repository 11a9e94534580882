"""List webhook endpoints."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.endpoint_page import EndpointPage
from ...models.list_webhook_endpoints_state import ListWebhookEndpointsState
from ...types import UNSET, Response, Unset


def _request(
    *,
    state: ListWebhookEndpointsState | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: UUID | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, str] = {}
    params: dict[str, Any] = {}

    json_state: str | Unset = UNSET
    if not isinstance(state, Unset):
        json_state = state

    params["state"] = json_state

    params["limit"] = limit

    json_cursor: str | Unset = UNSET
    if not isinstance(cursor, Unset):
        json_cursor = str(cursor)
    params["cursor"] = json_cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/admin/webhook-endpoints",
        "params": params,
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> EndpointPage:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = EndpointPage.from_dict(response.json())

        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    *,
    client: Client,
    state: ListWebhookEndpointsState | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: UUID | Unset = UNSET,
) -> Response[EndpointPage]:
    """As `sync`, with the answer's status and headers."""
    response = call(
        client,
        _request(
            state=state,
            limit=limit,
            cursor=cursor,
        ),
    )
    return Response(response, _read(response))


def sync(
    *,
    client: Client,
    state: ListWebhookEndpointsState | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: UUID | Unset = UNSET,
) -> EndpointPage:
    """List webhook endpoints.

    Takes the scope `webhooks:write`. Newest first, in keyset pages: pass next_cursor as cursor to go on.
    """

    return _read(
        call(
            client,
            _request(
                state=state,
                limit=limit,
                cursor=cursor,
            ),
        )
    )


async def asyncio_detailed(
    *,
    client: Client,
    state: ListWebhookEndpointsState | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: UUID | Unset = UNSET,
) -> Response[EndpointPage]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            state=state,
            limit=limit,
            cursor=cursor,
        ),
    )
    return Response(response, _read(response))


async def asyncio(
    *,
    client: Client,
    state: ListWebhookEndpointsState | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: UUID | Unset = UNSET,
) -> EndpointPage:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                state=state,
                limit=limit,
                cursor=cursor,
            ),
        )
    )
