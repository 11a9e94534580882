"""Cancel an order."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.canceled_order import CanceledOrder
from ...models.new_cancellation import NewCancellation
from ...types import UNSET, Response, Unset


def _request(
    order_id: UUID,
    *,
    body: NewCancellation | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, str] = {}
    headers["Idempotency-Key"] = str(uuid4()) if isinstance(idempotency_key, Unset) else idempotency_key

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/api/admin/orders/{order_id}/cancel".format(
            order_id=quote(str(order_id), safe=""),
        ),
        "headers": headers,
    }

    if not isinstance(body, Unset):
        _kwargs["json"] = body.to_dict()

    return _kwargs


def _read(response: httpx.Response) -> CanceledOrder:
    raise_for_problem(response)
    if response.status_code == 202:
        response_202 = CanceledOrder.from_dict(response.json())

        return response_202

    raise UnexpectedAnswerError(response)


def sync_detailed(
    order_id: UUID,
    *,
    client: Client,
    body: NewCancellation | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> Response[CanceledOrder]:
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
    body: NewCancellation | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> CanceledOrder:
    """Cancel an order.

    Takes the scope `orders:write`. An order of which something was fulfilled is not canceled. Its pieces go
    back into the stock; what may still be given back of each capture becomes a refund, and what is authorized a void.
    Workers then ask the provider; a refund or a void that fails leaves the reason `cancellation_unpaid` on the payment.
    The same Idempotency-Key with the same request gets the same answer, with `Idempotent-Replayed: true`.
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
    body: NewCancellation | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> Response[CanceledOrder]:
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
    body: NewCancellation | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> CanceledOrder:
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
