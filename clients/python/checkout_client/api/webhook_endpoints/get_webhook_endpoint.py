"""Read a webhook endpoint."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.endpoint import Endpoint
from ...types import Response


def _request(
    endpoint_id: UUID,
) -> dict[str, Any]:
    headers: dict[str, str] = {}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/admin/webhook-endpoints/{endpoint_id}".format(
            endpoint_id=quote(str(endpoint_id), safe=""),
        ),
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> Endpoint:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = Endpoint.from_dict(response.json())

        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    endpoint_id: UUID,
    *,
    client: Client,
) -> Response[Endpoint]:
    """As `sync`, with the answer's status and headers."""
    response = call(
        client,
        _request(
            endpoint_id=endpoint_id,
        ),
    )
    return Response(response, _read(response))


def sync(
    endpoint_id: UUID,
    *,
    client: Client,
) -> Endpoint:
    """Read a webhook endpoint.

    Takes the scope `webhooks:write`. What it gets, its state and why, and how far it is.
    """

    return _read(
        call(
            client,
            _request(
                endpoint_id=endpoint_id,
            ),
        )
    )


async def asyncio_detailed(
    endpoint_id: UUID,
    *,
    client: Client,
) -> Response[Endpoint]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            endpoint_id=endpoint_id,
        ),
    )
    return Response(response, _read(response))


async def asyncio(
    endpoint_id: UUID,
    *,
    client: Client,
) -> Endpoint:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                endpoint_id=endpoint_id,
            ),
        )
    )
