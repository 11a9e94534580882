"""Read a payout."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.whole_payout import WholePayout
from ...types import Response


def _request(
    payout_id: UUID,
) -> dict[str, Any]:
    headers: dict[str, str] = {}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/admin/payouts/{payout_id}".format(
            payout_id=quote(str(payout_id), safe=""),
        ),
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> WholePayout:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = WholePayout.from_dict(response.json())

        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    payout_id: UUID,
    *,
    client: Client,
) -> Response[WholePayout]:
    """As `sync`, with the answer's status and headers."""
    response = call(
        client,
        _request(
            payout_id=payout_id,
        ),
    )
    return Response(response, _read(response))


def sync(
    payout_id: UUID,
    *,
    client: Client,
) -> WholePayout:
    """Read a payout.

    Takes the scope `payouts:read`. The payout with its sums by kind, what of it needs a person, the bank's entries
    that brought it, and the files that told of it.
    """

    return _read(
        call(
            client,
            _request(
                payout_id=payout_id,
            ),
        )
    )


async def asyncio_detailed(
    payout_id: UUID,
    *,
    client: Client,
) -> Response[WholePayout]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            payout_id=payout_id,
        ),
    )
    return Response(response, _read(response))


async def asyncio(
    payout_id: UUID,
    *,
    client: Client,
) -> WholePayout:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                payout_id=payout_id,
            ),
        )
    )
