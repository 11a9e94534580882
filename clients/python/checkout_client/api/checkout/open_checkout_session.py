"""Open a checkout session."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.open_session import OpenSession
from ...models.session import Session
from ...types import UNSET, Response, Unset


def _request(
    *,
    body: OpenSession,
    idempotency_key: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, str] = {}
    headers["Idempotency-Key"] = str(uuid4()) if isinstance(idempotency_key, Unset) else idempotency_key

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/api/checkout/session",
        "headers": headers,
    }
    _kwargs["json"] = body.to_dict()

    return _kwargs


def _read(response: httpx.Response) -> Session:
    raise_for_problem(response)
    if response.status_code == 201:
        response_201 = Session.from_dict(response.json())

        return response_201

    raise UnexpectedAnswerError(response)


def sync_detailed(
    *,
    client: Client,
    body: OpenSession,
    idempotency_key: str | Unset = UNSET,
) -> Response[Session]:
    """As `sync`, with the answer's status and headers."""
    response = call(
        client,
        _request(
            idempotency_key=idempotency_key,
            body=body,
        ),
    )
    return Response(response, _read(response))


def sync(
    *,
    client: Client,
    body: OpenSession,
    idempotency_key: str | Unset = UNSET,
) -> Session:
    """Open a checkout session.

    Freezes the cart's lines and prices, holds their pieces where stock is tracked, opens a payment at the provider and
    answers with what the client pays with: `next_action` says how. The same Idempotency-Key with the same request gets
    the same answer, with `Idempotent-Replayed: true`; how the payment is by then, the two reads tell. Older sessions of
    the same cart are canceled, and their pieces taken over, but for those that somebody has begun to pay:
    `also_under_way` names them.
    """

    return _read(
        call(
            client,
            _request(
                idempotency_key=idempotency_key,
                body=body,
            ),
        )
    )


async def asyncio_detailed(
    *,
    client: Client,
    body: OpenSession,
    idempotency_key: str | Unset = UNSET,
) -> Response[Session]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            idempotency_key=idempotency_key,
            body=body,
        ),
    )
    return Response(response, _read(response))


async def asyncio(
    *,
    client: Client,
    body: OpenSession,
    idempotency_key: str | Unset = UNSET,
) -> Session:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                idempotency_key=idempotency_key,
                body=body,
            ),
        )
    )
