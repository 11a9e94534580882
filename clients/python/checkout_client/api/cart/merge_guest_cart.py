"""Take a guest's cart over after log-in."""

from __future__ import annotations

from typing import Any

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.merge import Merge
from ...models.merged_cart import MergedCart
from ...types import Response


def _request(
    *,
    body: Merge,
) -> dict[str, Any]:
    headers: dict[str, str] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/api/cart/merge",
        "headers": headers,
    }
    _kwargs["json"] = body.to_dict()

    return _kwargs


def _read(response: httpx.Response) -> MergedCart:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = MergedCart.from_dict(response.json())

        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    *,
    client: Client,
    body: Merge,
) -> Response[MergedCart]:
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
    body: Merge,
) -> MergedCart:
    """Take a guest's cart over after log-in.

    With the customer's token. The guest is the customer's from then on: the customer sees the guest's payments and
    orders among their own. The Cart-Token opens no cart any more; until it ends it reads what its guest paid for and
    bought. Sessions of the guest's cart that nobody has begun to pay are canceled; what somebody has begun to pay goes
    on, and leaves the customer's cart when it is paid. Sent again, it changes nothing, and answers with the cart as it
    is. Quantities stay within the bounds of a cart: `capped` says which did not fit.
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
    body: Merge,
) -> Response[MergedCart]:
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
    body: Merge,
) -> MergedCart:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                body=body,
            ),
        )
    )
