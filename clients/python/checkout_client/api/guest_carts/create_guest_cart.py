"""Make a cart for a guest."""

from __future__ import annotations

from typing import Any

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.guest_cart import GuestCart
from ...models.new_cart import NewCart
from ...types import UNSET, Response, Unset


def _request(
    *,
    body: NewCart | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, str] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/api/carts",
        "headers": headers,
    }

    if not isinstance(body, Unset):
        _kwargs["json"] = body.to_dict()

    return _kwargs


def _read(response: httpx.Response) -> GuestCart:
    raise_for_problem(response)
    if response.status_code == 201:
        response_201 = GuestCart.from_dict(response.json())

        return response_201

    raise UnexpectedAnswerError(response)


def sync_detailed(
    *,
    client: Client,
    body: NewCart | Unset = UNSET,
) -> Response[GuestCart]:
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
    body: NewCart | Unset = UNSET,
) -> GuestCart:
    """Make a cart for a guest.

    For whoever has not signed in: the answer's `cart_token` is a secret that opens this cart, and the payments and
    orders that come of it, in the header `Cart-Token` in place of Authorization. It ends some time after its last use,
    30 days where the deployment says nothing else. Whoever loses it loses the cart. With an Authorization header this
    is a 409.
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
    body: NewCart | Unset = UNSET,
) -> Response[GuestCart]:
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
    body: NewCart | Unset = UNSET,
) -> GuestCart:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                body=body,
            ),
        )
    )
