"""Cancel a payment that is still open."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.payment_with_timeline import PaymentWithTimeline
from ...types import Response


def _request(
    payment_id: UUID,
) -> dict[str, Any]:
    headers: dict[str, str] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/api/payments/{payment_id}/cancel".format(
            payment_id=quote(str(payment_id), safe=""),
        ),
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> PaymentWithTimeline:
    raise_for_problem(response)
    if response.status_code == 202:
        response_202 = PaymentWithTimeline.from_dict(response.json())

        return response_202

    raise UnexpectedAnswerError(response)


def sync_detailed(
    payment_id: UUID,
    *,
    client: Client,
) -> Response[PaymentWithTimeline]:
    """As `sync`, with the answer's status and headers."""
    response = call(
        client,
        _request(
            payment_id=payment_id,
        ),
    )
    return Response(response, _read(response))


def sync(
    payment_id: UUID,
    *,
    client: Client,
) -> PaymentWithTimeline:
    """Cancel a payment that is still open.

    For its customer, and for the scope `refunds`; takes no body. A worker makes sure at the provider
    that it can no longer be paid: GET tells when it is `canceled`, or that money came all the same. Asking again
    changes nothing.
    """

    return _read(
        call(
            client,
            _request(
                payment_id=payment_id,
            ),
        )
    )


async def asyncio_detailed(
    payment_id: UUID,
    *,
    client: Client,
) -> Response[PaymentWithTimeline]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            payment_id=payment_id,
        ),
    )
    return Response(response, _read(response))


async def asyncio(
    payment_id: UUID,
    *,
    client: Client,
) -> PaymentWithTimeline:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                payment_id=payment_id,
            ),
        )
    )
