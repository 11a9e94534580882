"""Accept what came."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.acceptance import Acceptance
from ...models.new_acceptance import NewAcceptance
from ...types import UNSET, Response, Unset


def _request(
    payment_id: UUID,
    *,
    body: NewAcceptance,
    idempotency_key: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, str] = {}
    headers["Idempotency-Key"] = str(uuid4()) if isinstance(idempotency_key, Unset) else idempotency_key

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/api/admin/payments/{payment_id}/acceptances".format(
            payment_id=quote(str(payment_id), safe=""),
        ),
        "headers": headers,
    }
    _kwargs["json"] = body.to_dict()

    return _kwargs


def _read(response: httpx.Response) -> Acceptance:
    raise_for_problem(response)
    if response.status_code == 202:
        response_202 = Acceptance.from_dict(response.json())

        return response_202

    raise UnexpectedAnswerError(response)


def sync_detailed(
    payment_id: UUID,
    *,
    client: Client,
    body: NewAcceptance,
    idempotency_key: str | Unset = UNSET,
) -> Response[Acceptance]:
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
    body: NewAcceptance,
    idempotency_key: str | Unset = UNSET,
) -> Acceptance:
    """Accept what came.

    Takes the scope `refunds`. The payment is then due this amount in place of its own, which stays what it
    is; the newest acceptance counts. A worker does it, and the payment's `amount_accepted` shows it. The same
    Idempotency-Key gets the same acceptance, with `Idempotent-Replayed: true`, and tells how far it is.
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
    body: NewAcceptance,
    idempotency_key: str | Unset = UNSET,
) -> Response[Acceptance]:
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
    body: NewAcceptance,
    idempotency_key: str | Unset = UNSET,
) -> Acceptance:
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
