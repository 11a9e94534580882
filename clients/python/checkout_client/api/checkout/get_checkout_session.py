"""Read a checkout session."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.read_session import ReadSession
from ...types import Response


def _request(
    payment_id: UUID,
) -> dict[str, Any]:
    headers: dict[str, str] = {}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/checkout/session/{payment_id}".format(
            payment_id=quote(str(payment_id), safe=""),
        ),
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> ReadSession:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = ReadSession.from_dict(response.json())

        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    payment_id: UUID,
    *,
    client: Client,
) -> Response[ReadSession]:
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
) -> ReadSession:
    """Read a checkout session.

    What was answered when it was opened, its lines, and its payment's status as it is now, so that a client can go on
    where it was. For its customer alone.
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
) -> Response[ReadSession]:
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
) -> ReadSession:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                payment_id=payment_id,
            ),
        )
    )
