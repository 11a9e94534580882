"""Empty the cart."""

from __future__ import annotations

from typing import Any

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...types import Response


def _request() -> dict[str, Any]:
    headers: dict[str, str] = {}

    _kwargs: dict[str, Any] = {
        "method": "delete",
        "url": "/api/cart",
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> None:
    raise_for_problem(response)
    if response.status_code == 204:
        return None

    raise UnexpectedAnswerError(response)


def sync_detailed(
    *,
    client: Client,
) -> Response[None]:
    """As `sync`, with the answer's status and headers."""
    response = call(client, _request())
    _read(response)
    return Response(response, None)


def sync(
    *,
    client: Client,
) -> None:
    """Empty the cart.

    Takes all lines out. Asking again changes nothing.
    """

    _read(call(client, _request()))


async def asyncio_detailed(
    *,
    client: Client,
) -> Response[None]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(client, _request())
    _read(response)
    return Response(response, None)


async def asyncio(
    *,
    client: Client,
) -> None:
    """As `sync`, for programs that use asyncio."""
    _read(await call_async(client, _request()))
