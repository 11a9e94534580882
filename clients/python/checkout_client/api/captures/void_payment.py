"""Release what is authorized."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.void import Void
from ...types import UNSET, Response, Unset


def _request(
    payment_id: UUID,
    *,
    idempotency_key: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, str] = {}
    headers["Idempotency-Key"] = str(uuid4()) if isinstance(idempotency_key, Unset) else idempotency_key

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/api/admin/payments/{payment_id}/void".format(
            payment_id=quote(str(payment_id), safe=""),
        ),
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> Void:
    raise_for_problem(response)
    if response.status_code == 202:
        response_202 = Void.from_dict(response.json())

        return response_202

    raise UnexpectedAnswerError(response)


def sync_detailed(
    payment_id: UUID,
    *,
    client: Client,
    idempotency_key: str | Unset = UNSET,
) -> Response[Void]:
    """As `sync`, with the answer's status and headers."""
    response = call(
        client,
        _request(
            payment_id=payment_id,
            idempotency_key=idempotency_key,
        ),
    )
    return Response(response, _read(response))


def sync(
    payment_id: UUID,
    *,
    client: Client,
    idempotency_key: str | Unset = UNSET,
) -> Void:
    """Release what is authorized.

    Takes the scope `captures`, and no body. All that is authorized and was not captured is given back; a
    capture that is under way comes first. A worker then asks the provider, and GET shows its status.
    """

    return _read(
        call(
            client,
            _request(
                payment_id=payment_id,
                idempotency_key=idempotency_key,
            ),
        )
    )


async def asyncio_detailed(
    payment_id: UUID,
    *,
    client: Client,
    idempotency_key: str | Unset = UNSET,
) -> Response[Void]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            payment_id=payment_id,
            idempotency_key=idempotency_key,
        ),
    )
    return Response(response, _read(response))


async def asyncio(
    payment_id: UUID,
    *,
    client: Client,
    idempotency_key: str | Unset = UNSET,
) -> Void:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                payment_id=payment_id,
                idempotency_key=idempotency_key,
            ),
        )
    )
