"""Read an order."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.whole_order import WholeOrder
from ...types import UNSET, Response, Unset


def _request(
    order_id: UUID,
    *,
    if_none_match: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, str] = {}
    if not isinstance(if_none_match, Unset):
        headers["If-None-Match"] = if_none_match

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/orders/{order_id}".format(
            order_id=quote(str(order_id), safe=""),
        ),
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> WholeOrder:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = WholeOrder.from_dict(response.json())

        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    order_id: UUID,
    *,
    client: Client,
    if_none_match: str | Unset = UNSET,
) -> Response[WholeOrder | None]:
    """As `sync`, with the answer's status and headers; `parsed` is None where it is still as `if_none_match` says."""
    response = call(
        client,
        _request(
            order_id=order_id,
            if_none_match=if_none_match,
        ),
    )
    return Response(response, None if response.status_code == 304 else _read(response))


def sync(
    order_id: UUID,
    *,
    client: Client,
) -> WholeOrder:
    """Read an order.

    Its lines, the part of each vendor, and what was handed over, with its tracking; for its customer alone. Poll it
    with If-None-Match: an unchanged order answers 304 without a body.
    """

    return _read(
        call(
            client,
            _request(
                order_id=order_id,
            ),
        )
    )


async def asyncio_detailed(
    order_id: UUID,
    *,
    client: Client,
    if_none_match: str | Unset = UNSET,
) -> Response[WholeOrder | None]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            order_id=order_id,
            if_none_match=if_none_match,
        ),
    )
    return Response(response, None if response.status_code == 304 else _read(response))


async def asyncio(
    order_id: UUID,
    *,
    client: Client,
) -> WholeOrder:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                order_id=order_id,
            ),
        )
    )
