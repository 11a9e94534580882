"""Ask for a refund."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.new_refund import NewRefund
from ...models.refund import Refund
from ...types import UNSET, Response, Unset


def _request(
    payment_id: UUID,
    *,
    body: NewRefund,
    idempotency_key: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, str] = {}
    headers["Idempotency-Key"] = str(uuid4()) if isinstance(idempotency_key, Unset) else idempotency_key

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/api/payments/{payment_id}/refunds".format(
            payment_id=quote(str(payment_id), safe=""),
        ),
        "headers": headers,
    }
    _kwargs["json"] = body.to_dict()

    return _kwargs


def _read(response: httpx.Response) -> Refund:
    raise_for_problem(response)
    if response.status_code == 202:
        response_202 = Refund.from_dict(response.json())

        return response_202

    raise UnexpectedAnswerError(response)


def sync_detailed(
    payment_id: UUID,
    *,
    client: Client,
    body: NewRefund,
    idempotency_key: str | Unset = UNSET,
) -> Response[Refund]:
    """As `sync`, with the answer's status and headers."""
    response = call(
        client,
        _request(
            payment_id=payment_id,
            idempotency_key=idempotency_key,
            body=body,
        ),
    )
    return Response(response, _read(response))


def sync(
    payment_id: UUID,
    *,
    client: Client,
    body: NewRefund,
    idempotency_key: str | Unset = UNSET,
) -> Refund:
    """Ask for a refund.

    Takes the scope `refunds`; the payment may be anybody's. Partial, or without `amount` all that is left.
    With `lines` it is the price of these pieces of the payment's order, no more of a line than were bought.
    With `capture_id` it is of that capture alone. Money that came by several captures is given back of the oldest that
    has enough, or of several: then `parts` lists them, each a refund of its own in the list of refunds.
    The answer says that the refund is stored. A worker then sends it to the provider, and GET shows its status.
    The same Idempotency-Key with the same request gets the same answer, with `Idempotent-Replayed: true`; a key
    belongs to its caller, whatever the payment.
    """

    return _read(
        call(
            client,
            _request(
                payment_id=payment_id,
                idempotency_key=idempotency_key,
                body=body,
            ),
        )
    )


async def asyncio_detailed(
    payment_id: UUID,
    *,
    client: Client,
    body: NewRefund,
    idempotency_key: str | Unset = UNSET,
) -> Response[Refund]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            payment_id=payment_id,
            idempotency_key=idempotency_key,
            body=body,
        ),
    )
    return Response(response, _read(response))


async def asyncio(
    payment_id: UUID,
    *,
    client: Client,
    body: NewRefund,
    idempotency_key: str | Unset = UNSET,
) -> Refund:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                payment_id=payment_id,
                idempotency_key=idempotency_key,
                body=body,
            ),
        )
    )
