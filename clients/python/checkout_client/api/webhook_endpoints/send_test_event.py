"""Send a test event."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.test_sent import TestSent
from ...types import Response


def _request(
    endpoint_id: UUID,
) -> dict[str, Any]:
    headers: dict[str, str] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/api/admin/webhook-endpoints/{endpoint_id}/test".format(
            endpoint_id=quote(str(endpoint_id), safe=""),
        ),
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> TestSent:
    raise_for_problem(response)
    if response.status_code == 202:
        response_202 = TestSent.from_dict(response.json())

        return response_202

    raise UnexpectedAnswerError(response)


def sync_detailed(
    endpoint_id: UUID,
    *,
    client: Client,
) -> Response[TestSent]:
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
) -> TestSent:
    """Send a test event.

    Takes the scope `webhooks:write`. An event of the type `webhook_endpoint.test` about the endpoint itself, whatever
    types it gets; it has no number and is not in the log. See what became of it in its deliveries, by `event`.
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
) -> Response[TestSent]:
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
) -> TestSent:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                endpoint_id=endpoint_id,
            ),
        )
    )
