"""Delete a webhook endpoint."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...types import Response


def _request(
    endpoint_id: UUID,
) -> dict[str, Any]:
    headers: dict[str, str] = {}

    _kwargs: dict[str, Any] = {
        "method": "delete",
        "url": "/api/admin/webhook-endpoints/{endpoint_id}".format(
            endpoint_id=quote(str(endpoint_id), safe=""),
        ),
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> None:
    raise_for_problem(response)
    if response.status_code == 204:
        return None

    raise UnexpectedAnswerError(response)


def sync_detailed(
    endpoint_id: UUID,
    *,
    client: Client,
) -> Response[None]:
    """As `sync`, with the answer's status and headers."""
    response = call(
        client,
        _request(
            endpoint_id=endpoint_id,
        ),
    )
    _read(response)
    return Response(response, None)


def sync(
    endpoint_id: UUID,
    *,
    client: Client,
) -> None:
    """Delete a webhook endpoint.

    Takes the scope `webhooks:write`. Nothing more is sent there; an attempt that is under way ends. Its secrets end,
    and its replays stop. It cannot be taken back.
    """

    _read(
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
) -> Response[None]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            endpoint_id=endpoint_id,
        ),
    )
    _read(response)
    return Response(response, None)


async def asyncio(
    endpoint_id: UUID,
    *,
    client: Client,
) -> None:
    """As `sync`, for programs that use asyncio."""
    _read(
        await call_async(
            client,
            _request(
                endpoint_id=endpoint_id,
            ),
        )
    )
