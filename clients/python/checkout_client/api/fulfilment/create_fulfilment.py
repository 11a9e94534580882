"""Fulfil an order."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.fulfilment import Fulfilment
from ...models.new_fulfilment import NewFulfilment
from ...types import UNSET, Response, Unset


def _request(
    order_id: UUID,
    *,
    body: NewFulfilment,
    idempotency_key: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, str] = {}
    headers["Idempotency-Key"] = str(uuid4()) if isinstance(idempotency_key, Unset) else idempotency_key

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/api/admin/orders/{order_id}/fulfilments".format(
            order_id=quote(str(order_id), safe=""),
        ),
        "headers": headers,
    }
    _kwargs["json"] = body.to_dict()

    return _kwargs


def _read(response: httpx.Response) -> Fulfilment:
    raise_for_problem(response)
    if response.status_code == 201:
        response_201 = Fulfilment.from_dict(response.json())

        return response_201

    raise UnexpectedAnswerError(response)


def sync_detailed(
    order_id: UUID,
    *,
    client: Client,
    body: NewFulfilment,
    idempotency_key: str | Unset = UNSET,
) -> Response[Fulfilment]:
    """As `sync`, with the answer's status and headers."""
    response = call(
        client,
        _request(
            order_id=order_id,
            idempotency_key=idempotency_key,
            body=body,
        ),
    )
    return Response(response, _read(response))


def sync(
    order_id: UUID,
    *,
    client: Client,
    body: NewFulfilment,
    idempotency_key: str | Unset = UNSET,
) -> Fulfilment:
    """Fulfil an order.

    Takes the scope `orders:write`. Of the lines that it names, or without `lines` of all that is left. The
    pieces leave the stock: those that are sold and held for this order, and those that it lacked of what is available
    now. Nothing is handed over that does not lie there (409 `out-of-stock`). With `capture` their price is captured,
    where money is only authorized; where an account captures only once, it is all that is open or nothing. It is done
    when the answer comes. The same Idempotency-Key with the same request gets the same answer, with
    `Idempotent-Replayed: true`.
    """

    return _read(
        call(
            client,
            _request(
                order_id=order_id,
                idempotency_key=idempotency_key,
                body=body,
            ),
        )
    )


async def asyncio_detailed(
    order_id: UUID,
    *,
    client: Client,
    body: NewFulfilment,
    idempotency_key: str | Unset = UNSET,
) -> Response[Fulfilment]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            order_id=order_id,
            idempotency_key=idempotency_key,
            body=body,
        ),
    )
    return Response(response, _read(response))


async def asyncio(
    order_id: UUID,
    *,
    client: Client,
    body: NewFulfilment,
    idempotency_key: str | Unset = UNSET,
) -> Fulfilment:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                order_id=order_id,
                idempotency_key=idempotency_key,
                body=body,
            ),
        )
    )
