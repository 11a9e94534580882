"""Read a payment."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.read_payment import ReadPayment
from ...types import UNSET, Response, Unset


def _request(
    payment_id: UUID,
    *,
    before: str | Unset = UNSET,
    wait: int | Unset = 0,
    if_none_match: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, str] = {}
    if not isinstance(if_none_match, Unset):
        headers["If-None-Match"] = if_none_match

    params: dict[str, Any] = {}

    params["before"] = before

    params["wait"] = wait

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/payments/{payment_id}".format(
            payment_id=quote(str(payment_id), safe=""),
        ),
        "params": params,
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> ReadPayment:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = ReadPayment.from_dict(response.json())

        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    payment_id: UUID,
    *,
    client: Client,
    before: str | Unset = UNSET,
    wait: int | Unset = 0,
    if_none_match: str | Unset = UNSET,
) -> Response[ReadPayment | None]:
    """As `sync`, with the answer's status and headers; `parsed` is None where it is still as `if_none_match` says."""
    response = call(
        client,
        _request(
            payment_id=payment_id,
            before=before,
            wait=wait,
            if_none_match=if_none_match,
        ),
    )
    return Response(response, None if response.status_code == 304 else _read(response))


def sync(
    payment_id: UUID,
    *,
    client: Client,
    before: str | Unset = UNSET,
    wait: int | Unset = 0,
) -> ReadPayment:
    """Read a payment.

    Its status, sums and timeline: what the provider reported, and the entries that it came to, the newest 200 of them;
    pass earlier_cursor as before for those before. For its customer, and for the scope `payments:read`. Poll it with
    If-None-Match: an unchanged payment answers 304 without a body, and with `wait` not before that time is over. Its
    customer reads in `next_action` what to do to pay it; such an answer is `no-store`.
    """

    return _read(
        call(
            client,
            _request(
                payment_id=payment_id,
                before=before,
                wait=wait,
            ),
        )
    )


async def asyncio_detailed(
    payment_id: UUID,
    *,
    client: Client,
    before: str | Unset = UNSET,
    wait: int | Unset = 0,
    if_none_match: str | Unset = UNSET,
) -> Response[ReadPayment | None]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            payment_id=payment_id,
            before=before,
            wait=wait,
            if_none_match=if_none_match,
        ),
    )
    return Response(response, None if response.status_code == 304 else _read(response))


async def asyncio(
    payment_id: UUID,
    *,
    client: Client,
    before: str | Unset = UNSET,
    wait: int | Unset = 0,
) -> ReadPayment:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                payment_id=payment_id,
                before=before,
                wait=wait,
            ),
        )
    )
