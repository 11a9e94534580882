"""Read anybody's payment."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.whole_payment import WholePayment
from ...types import UNSET, Response, Unset


def _request(
    payment_id: UUID,
    *,
    before: str | Unset = UNSET,
    if_none_match: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, str] = {}
    if not isinstance(if_none_match, Unset):
        headers["If-None-Match"] = if_none_match

    params: dict[str, Any] = {}

    params["before"] = before

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/admin/payments/{payment_id}".format(
            payment_id=quote(str(payment_id), safe=""),
        ),
        "params": params,
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> WholePayment:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = WholePayment.from_dict(response.json())

        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    payment_id: UUID,
    *,
    client: Client,
    before: str | Unset = UNSET,
    if_none_match: str | Unset = UNSET,
) -> Response[WholePayment | None]:
    """As `sync`, with the answer's status and headers; `parsed` is None where it is still as `if_none_match` says."""
    response = call(
        client,
        _request(
            payment_id=payment_id,
            before=before,
            if_none_match=if_none_match,
        ),
    )
    return Response(response, None if response.status_code == 304 else _read(response))


def sync(
    payment_id: UUID,
    *,
    client: Client,
    before: str | Unset = UNSET,
) -> WholePayment:
    """Read anybody's payment.

    Takes the scope `payments:read`. What its customer sees and what staff know: `timeline` has all its entries
    (attempts, captures, refunds, disputes, voids, notices, acceptances, reviews) and the events behind them, the newest
    200; pass earlier_cursor as before for those before. And what was bought, its order, and the webhooks about it.
    """

    return _read(
        call(
            client,
            _request(
                payment_id=payment_id,
                before=before,
            ),
        )
    )


async def asyncio_detailed(
    payment_id: UUID,
    *,
    client: Client,
    before: str | Unset = UNSET,
    if_none_match: str | Unset = UNSET,
) -> Response[WholePayment | None]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            payment_id=payment_id,
            before=before,
            if_none_match=if_none_match,
        ),
    )
    return Response(response, None if response.status_code == 304 else _read(response))


async def asyncio(
    payment_id: UUID,
    *,
    client: Client,
    before: str | Unset = UNSET,
) -> WholePayment:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                payment_id=payment_id,
                before=before,
            ),
        )
    )
