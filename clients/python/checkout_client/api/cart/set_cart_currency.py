"""Choose the cart's currency."""

from __future__ import annotations

from typing import Any

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.cart import Cart
from ...models.currency import Currency
from ...types import Response


def _request(
    *,
    body: Currency,
) -> dict[str, Any]:
    headers: dict[str, str] = {}

    _kwargs: dict[str, Any] = {
        "method": "patch",
        "url": "/api/cart",
        "headers": headers,
    }
    _kwargs["json"] = body.to_dict()

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
    body: Currency,
) -> Response[Cart]:
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
    body: Currency,
) -> Cart:
    """Choose the cart's currency.

    While the cart is empty, or where it is the cart's already. Its lines then cost what their listings cost in it.
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
    body: Currency,
) -> Response[Cart]:
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
    body: Currency,
) -> Cart:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                body=body,
            ),
        )
    )
