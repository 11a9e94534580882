"""Rotate the secret."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.rotated_secret import RotatedSecret
from ...models.rotation import Rotation
from ...types import UNSET, Response, Unset


def _request(
    endpoint_id: UUID,
    *,
    body: Rotation | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, str] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/api/admin/webhook-endpoints/{endpoint_id}/rotate-secret".format(
            endpoint_id=quote(str(endpoint_id), safe=""),
        ),
        "headers": headers,
    }

    if not isinstance(body, Unset):
        _kwargs["json"] = body.to_dict()

    return _kwargs


def _read(response: httpx.Response) -> RotatedSecret:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = RotatedSecret.from_dict(response.json())

        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    endpoint_id: UUID,
    *,
    client: Client,
    body: Rotation | Unset = UNSET,
) -> Response[RotatedSecret]:
    """As `sync`, with the answer's status and headers."""
    response = call(
        client,
        _request(
            endpoint_id=endpoint_id,
            body=body,
        ),
    )
    return Response(response, _read(response))


def sync(
    endpoint_id: UUID,
    *,
    client: Client,
    body: Rotation | Unset = UNSET,
) -> RotatedSecret:
    """Rotate the secret.

    Takes the scope `webhooks:write`. The new secret signs from now on, and those before go on signing beside it for
    `expires_in` seconds (a day unless you say otherwise, 7 days at most; 0 ends them at once): each event carries a
    signature of each, so its receiver may change over whenever it likes.
    """

    return _read(
        call(
            client,
            _request(
                endpoint_id=endpoint_id,
                body=body,
            ),
        )
    )


async def asyncio_detailed(
    endpoint_id: UUID,
    *,
    client: Client,
    body: Rotation | Unset = UNSET,
) -> Response[RotatedSecret]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            endpoint_id=endpoint_id,
            body=body,
        ),
    )
    return Response(response, _read(response))


async def asyncio(
    endpoint_id: UUID,
    *,
    client: Client,
    body: Rotation | Unset = UNSET,
) -> RotatedSecret:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                endpoint_id=endpoint_id,
                body=body,
            ),
        )
    )
