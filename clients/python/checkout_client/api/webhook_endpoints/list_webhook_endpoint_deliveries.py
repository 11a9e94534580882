"""List event deliveries."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.delivery_page import DeliveryPage
from ...models.list_webhook_endpoint_deliveries_state import (
    ListWebhookEndpointDeliveriesState,
)
from ...models.list_webhook_endpoint_deliveries_type import (
    ListWebhookEndpointDeliveriesType,
)
from ...types import UNSET, Response, Unset


def _request(
    endpoint_id: UUID,
    *,
    state: ListWebhookEndpointDeliveriesState | Unset = UNSET,
    type_: ListWebhookEndpointDeliveriesType | Unset = UNSET,
    event: UUID | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: UUID | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, str] = {}
    params: dict[str, Any] = {}

    json_state: str | Unset = UNSET
    if not isinstance(state, Unset):
        json_state = state

    params["state"] = json_state

    json_type_: str | Unset = UNSET
    if not isinstance(type_, Unset):
        json_type_ = type_

    params["type"] = json_type_

    json_event: str | Unset = UNSET
    if not isinstance(event, Unset):
        json_event = str(event)
    params["event"] = json_event

    params["limit"] = limit

    json_cursor: str | Unset = UNSET
    if not isinstance(cursor, Unset):
        json_cursor = str(cursor)
    params["cursor"] = json_cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/admin/webhook-endpoints/{endpoint_id}/deliveries".format(
            endpoint_id=quote(str(endpoint_id), safe=""),
        ),
        "params": params,
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> DeliveryPage:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = DeliveryPage.from_dict(response.json())

        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    endpoint_id: UUID,
    *,
    client: Client,
    state: ListWebhookEndpointDeliveriesState | Unset = UNSET,
    type_: ListWebhookEndpointDeliveriesType | Unset = UNSET,
    event: UUID | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: UUID | Unset = UNSET,
) -> Response[DeliveryPage]:
    """As `sync`, with the answer's status and headers."""
    response = call(
        client,
        _request(
            endpoint_id=endpoint_id,
            state=state,
            type_=type_,
            event=event,
            limit=limit,
            cursor=cursor,
        ),
    )
    return Response(response, _read(response))


def sync(
    endpoint_id: UUID,
    *,
    client: Client,
    state: ListWebhookEndpointDeliveriesState | Unset = UNSET,
    type_: ListWebhookEndpointDeliveriesType | Unset = UNSET,
    event: UUID | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: UUID | Unset = UNSET,
) -> DeliveryPage:
    """List event deliveries.

    Takes the scope `webhooks:write`. What waits, what failed and what was taken, the newest first, each with its newest
    attempts. Attempts are kept as long as events are. With `type` a page looks through the newest 10,000 of each kind,
    so it may hold fewer than limit, even none, while has_more says that there may be others.
    """

    return _read(
        call(
            client,
            _request(
                endpoint_id=endpoint_id,
                state=state,
                type_=type_,
                event=event,
                limit=limit,
                cursor=cursor,
            ),
        )
    )


async def asyncio_detailed(
    endpoint_id: UUID,
    *,
    client: Client,
    state: ListWebhookEndpointDeliveriesState | Unset = UNSET,
    type_: ListWebhookEndpointDeliveriesType | Unset = UNSET,
    event: UUID | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: UUID | Unset = UNSET,
) -> Response[DeliveryPage]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            endpoint_id=endpoint_id,
            state=state,
            type_=type_,
            event=event,
            limit=limit,
            cursor=cursor,
        ),
    )
    return Response(response, _read(response))


async def asyncio(
    endpoint_id: UUID,
    *,
    client: Client,
    state: ListWebhookEndpointDeliveriesState | Unset = UNSET,
    type_: ListWebhookEndpointDeliveriesType | Unset = UNSET,
    event: UUID | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: UUID | Unset = UNSET,
) -> DeliveryPage:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                endpoint_id=endpoint_id,
                state=state,
                type_=type_,
                event=event,
                limit=limit,
                cursor=cursor,
            ),
        )
    )
