"""Set how many of a listing the cart holds."""

from __future__ import annotations

from typing import Any

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.cart_item import CartItem
from ...models.new_item import NewItem
from ...types import Response


def _request(
    *,
    body: NewItem,
) -> dict[str, Any]:
    headers: dict[str, str] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/api/cart/items",
        "headers": headers,
    }
    _kwargs["json"] = body.to_dict()

    return _kwargs


def _read(response: httpx.Response) -> CartItem:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = CartItem.from_dict(response.json())

        return response_200

    if response.status_code == 201:
        response_201 = CartItem.from_dict(response.json())

        return response_201

    raise UnexpectedAnswerError(response)


def sync_detailed(
    *,
    client: Client,
    body: NewItem,
) -> Response[CartItem]:
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
    body: NewItem,
) -> CartItem:
    """Set how many of a listing the cart holds.

    A cart has one line for a listing: asking again sets its quantity and does not add to it, so a request may be
    repeated safely. A listing that is unknown or not on sale is not found. The first line sets the cart's currency to
    the listing's own, unless it was chosen before; any other needs a price in that, and costs it.
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
    body: NewItem,
) -> Response[CartItem]:
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
    body: NewItem,
) -> CartItem:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                body=body,
            ),
        )
    )
