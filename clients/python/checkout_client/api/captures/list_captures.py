"""List a payment's captures."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.captures import Captures
from ...types import UNSET, Response, Unset


def _request(
    payment_id: UUID,
    *,
    if_none_match: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, str] = {}
    if not isinstance(if_none_match, Unset):
        headers["If-None-Match"] = if_none_match

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/admin/payments/{payment_id}/captures".format(
            payment_id=quote(str(payment_id), safe=""),
        ),
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> Captures:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = Captures.from_dict(response.json())

        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    payment_id: UUID,
    *,
    client: Client,
    if_none_match: str | Unset = UNSET,
) -> Response[Captures | None]:
    """As `sync`, with the answer's status and headers; `parsed` is None where it is still as `if_none_match` says."""
    response = call(
        client,
        _request(
            payment_id=payment_id,
            if_none_match=if_none_match,
        ),
    )
    return Response(response, None if response.status_code == 304 else _read(response))


def sync(
    payment_id: UUID,
    *,
    client: Client,
) -> Captures:
    """List a payment's captures.

    Takes the scope `payments:read` or `captures`. What came and what of it may be given back, what was asked for and
    what became of it, and what is still open, with its end.
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
    if_none_match: str | Unset = UNSET,
) -> Response[Captures | None]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            payment_id=payment_id,
            if_none_match=if_none_match,
        ),
    )
    return Response(response, None if response.status_code == 304 else _read(response))


async def asyncio(
    payment_id: UUID,
    *,
    client: Client,
) -> Captures:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                payment_id=payment_id,
            ),
        )
    )
