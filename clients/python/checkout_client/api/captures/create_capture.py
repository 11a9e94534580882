"""Capture what is authorized."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.capture_request import CaptureRequest
from ...models.new_capture import NewCapture
from ...types import UNSET, Response, Unset


def _request(
    payment_id: UUID,
    *,
    body: NewCapture,
    idempotency_key: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, str] = {}
    headers["Idempotency-Key"] = str(uuid4()) if isinstance(idempotency_key, Unset) else idempotency_key

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/api/admin/payments/{payment_id}/captures".format(
            payment_id=quote(str(payment_id), safe=""),
        ),
        "headers": headers,
    }
    _kwargs["json"] = body.to_dict()

    return _kwargs


def _read(response: httpx.Response) -> CaptureRequest:
    raise_for_problem(response)
    if response.status_code == 202:
        response_202 = CaptureRequest.from_dict(response.json())

        return response_202

    raise UnexpectedAnswerError(response)


def sync_detailed(
    payment_id: UUID,
    *,
    client: Client,
    body: NewCapture,
    idempotency_key: str | Unset = UNSET,
) -> Response[CaptureRequest]:
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
    body: NewCapture,
    idempotency_key: str | Unset = UNSET,
) -> CaptureRequest:
    """Capture what is authorized.

    Takes the scope `captures`. Partial, or without `amount` all that is open. The answer says that the
    request is stored, and what it releases: where an account captures only once, a partial capture closes the rest.
    A worker then sends it to the provider, and GET shows its status. The same Idempotency-Key with the same request
    gets the same answer, with `Idempotent-Replayed: true`.
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
    body: NewCapture,
    idempotency_key: str | Unset = UNSET,
) -> Response[CaptureRequest]:
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
    body: NewCapture,
    idempotency_key: str | Unset = UNSET,
) -> CaptureRequest:
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
