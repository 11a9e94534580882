"""List payments."""

from __future__ import annotations

from typing import Any

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.payment_page import PaymentPage
from ...types import UNSET, Response, Unset


def _request(
    *,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, str] = {}
    params: dict[str, Any] = {}

    params["limit"] = limit

    params["cursor"] = cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/payments",
        "params": params,
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> PaymentPage:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = PaymentPage.from_dict(response.json())

        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    *,
    client: Client,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> Response[PaymentPage]:
    """As `sync`, with the answer's status and headers."""
    response = call(
        client,
        _request(
            limit=limit,
            cursor=cursor,
        ),
    )
    return Response(response, _read(response))


def sync(
    *,
    client: Client,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> PaymentPage:
    """List payments.

    The caller's payments, newest first, in keyset pages: pass next_cursor as cursor to go on.
    """

    return _read(
        call(
            client,
            _request(
                limit=limit,
                cursor=cursor,
            ),
        )
    )


async def asyncio_detailed(
    *,
    client: Client,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> Response[PaymentPage]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            limit=limit,
            cursor=cursor,
        ),
    )
    return Response(response, _read(response))


async def asyncio(
    *,
    client: Client,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> PaymentPage:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                limit=limit,
                cursor=cursor,
            ),
        )
    )
