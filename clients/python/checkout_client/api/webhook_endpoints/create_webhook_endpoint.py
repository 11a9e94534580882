"""Make a webhook endpoint."""

from __future__ import annotations

from typing import Any

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.endpoint_with_secret import EndpointWithSecret
from ...models.new_endpoint import NewEndpoint
from ...types import Response


def _request(
    *,
    body: NewEndpoint,
) -> dict[str, Any]:
    headers: dict[str, str] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/api/admin/webhook-endpoints",
        "headers": headers,
    }
    _kwargs["json"] = body.to_dict()

    return _kwargs


def _read(response: httpx.Response) -> EndpointWithSecret:
    raise_for_problem(response)
    if response.status_code == 201:
        response_201 = EndpointWithSecret.from_dict(response.json())

        return response_201

    raise UnexpectedAnswerError(response)


def sync_detailed(
    *,
    client: Client,
    body: NewEndpoint,
) -> Response[EndpointWithSecret]:
    """As `sync`, with the answer's status and headers."""
    response = call(
        client,
        _request(
            body=body,
        ),
    )
    return Response(response, _read(response))


def sync(
    *,
    client: Client,
    body: NewEndpoint,
) -> EndpointWithSecret:
    """Make a webhook endpoint.

    Takes the scope `webhooks:write`. It gets events from now on; a replay sends those before. The secret is shown this
    once. Without `types`, or with null, it gets all types. The address must be https and lead to a public host.
    """

    return _read(
        call(
            client,
            _request(
                body=body,
            ),
        )
    )


async def asyncio_detailed(
    *,
    client: Client,
    body: NewEndpoint,
) -> Response[EndpointWithSecret]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            body=body,
        ),
    )
    return Response(response, _read(response))


async def asyncio(
    *,
    client: Client,
    body: NewEndpoint,
) -> EndpointWithSecret:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                body=body,
            ),
        )
    )
