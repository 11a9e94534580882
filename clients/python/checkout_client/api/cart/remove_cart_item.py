"""Take a line out of the cart."""

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
    item_id: UUID,
) -> dict[str, Any]:
    headers: dict[str, str] = {}

    _kwargs: dict[str, Any] = {
        "method": "delete",
        "url": "/api/cart/items/{item_id}".format(
            item_id=quote(str(item_id), safe=""),
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
    item_id: UUID,
    *,
    client: Client,
) -> Response[None]:
    """As `sync`, with the answer's status and headers."""
    response = call(
        client,
        _request(
            item_id=item_id,
        ),
    )
    _read(response)
    return Response(response, None)


def sync(
    item_id: UUID,
    *,
    client: Client,
) -> None:
    """Take a line out of the cart.

    The cart stays, empty or not. A line that is not in it is 404.
    """

    _read(
        call(
            client,
            _request(
                item_id=item_id,
            ),
        )
    )


async def asyncio_detailed(
    item_id: UUID,
    *,
    client: Client,
) -> Response[None]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            item_id=item_id,
        ),
    )
    _read(response)
    return Response(response, None)


async def asyncio(
    item_id: UUID,
    *,
    client: Client,
) -> None:
    """As `sync`, for programs that use asyncio."""
    _read(
        await call_async(
            client,
            _request(
                item_id=item_id,
            ),
        )
    )
