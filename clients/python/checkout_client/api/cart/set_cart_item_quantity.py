"""Set the quantity of a line."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.cart_item import CartItem
from ...models.quantity import Quantity
from ...types import Response


def _request(
    item_id: UUID,
    *,
    body: Quantity,
) -> dict[str, Any]:
    headers: dict[str, str] = {}

    _kwargs: dict[str, Any] = {
        "method": "patch",
        "url": "/api/cart/items/{item_id}".format(
            item_id=quote(str(item_id), safe=""),
        ),
        "headers": headers,
    }
    _kwargs["json"] = body.to_dict()

    return _kwargs


def _read(response: httpx.Response) -> CartItem:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = CartItem.from_dict(response.json())

        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    item_id: UUID,
    *,
    client: Client,
    body: Quantity,
) -> Response[CartItem]:
    """As `sync`, with the answer's status and headers."""
    response = call(
        client,
        _request(
            item_id=item_id,
            body=body,
        ),
    )
    return Response(response, _read(response))


def sync(
    item_id: UUID,
    *,
    client: Client,
    body: Quantity,
) -> CartItem:
    """Set the quantity of a line.

    To take a line out of the cart, delete it: a quantity is at least 1.
    """

    return _read(
        call(
            client,
            _request(
                item_id=item_id,
                body=body,
            ),
        )
    )


async def asyncio_detailed(
    item_id: UUID,
    *,
    client: Client,
    body: Quantity,
) -> Response[CartItem]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            item_id=item_id,
            body=body,
        ),
    )
    return Response(response, _read(response))


async def asyncio(
    item_id: UUID,
    *,
    client: Client,
    body: Quantity,
) -> CartItem:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                item_id=item_id,
                body=body,
            ),
        )
    )
