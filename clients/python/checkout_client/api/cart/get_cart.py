"""Read the cart."""

from __future__ import annotations

from typing import Any

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.cart import Cart
from ...types import Response


def _request() -> dict[str, Any]:
    headers: dict[str, str] = {}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/cart",
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> Cart:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = Cart.from_dict(response.json())

        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    *,
    client: Client,
) -> Response[Cart]:
    """As `sync`, with the answer's status and headers."""
    response = call(client, _request())
    return Response(response, _read(response))


def sync(
    *,
    client: Client,
) -> Cart:
    """Read the cart.

    A line whose listing was taken off sale stays in the cart and in its total, with `available` false. Where the
    lines are of several currencies, `total_amount` and `currency` are null. Neither kind of cart can be checked out.
    A listing's `available` is how many pieces this customer can get at this moment, what their own open session of
    this cart holds among them; null where stock is not tracked. A line may ask for more: checkout refuses it.
    """

    return _read(call(client, _request()))


async def asyncio_detailed(
    *,
    client: Client,
) -> Response[Cart]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(client, _request())
    return Response(response, _read(response))


async def asyncio(
    *,
    client: Client,
) -> Cart:
    """As `sync`, for programs that use asyncio."""
    return _read(await call_async(client, _request()))
