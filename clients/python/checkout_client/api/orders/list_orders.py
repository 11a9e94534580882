"""List orders."""

from __future__ import annotations

from typing import Any

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.order_page import OrderPage
from ...types import UNSET, Response, Unset


def _request(
    *,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
    if_none_match: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, str] = {}
    if not isinstance(if_none_match, Unset):
        headers["If-None-Match"] = if_none_match

    params: dict[str, Any] = {}

    params["limit"] = limit

    params["cursor"] = cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/orders",
        "params": params,
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> OrderPage:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = OrderPage.from_dict(response.json())

        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    *,
    client: Client,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
    if_none_match: str | Unset = UNSET,
) -> Response[OrderPage | None]:
    """As `sync`, with the answer's status and headers; `parsed` is None where it is still as `if_none_match` says."""
    response = call(
        client,
        _request(
            limit=limit,
            cursor=cursor,
            if_none_match=if_none_match,
        ),
    )
    return Response(response, None if response.status_code == 304 else _read(response))


def sync(
    *,
    client: Client,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> OrderPage:
    """List orders.

    The caller's orders, newest first, in keyset pages: pass next_cursor as cursor to go on.
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
    if_none_match: str | Unset = UNSET,
) -> Response[OrderPage | None]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            limit=limit,
            cursor=cursor,
            if_none_match=if_none_match,
        ),
    )
    return Response(response, None if response.status_code == 304 else _read(response))


async def asyncio(
    *,
    client: Client,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> OrderPage:
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
