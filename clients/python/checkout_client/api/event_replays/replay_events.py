"""Replay events."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.counted import Counted
from ...models.new_replay import NewReplay
from ...models.replay import Replay
from ...types import UNSET, Response, Unset


def _request(
    endpoint_id: UUID,
    *,
    body: NewReplay,
    idempotency_key: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, str] = {}
    headers["Idempotency-Key"] = str(uuid4()) if isinstance(idempotency_key, Unset) else idempotency_key

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/api/admin/webhook-endpoints/{endpoint_id}/replay".format(
            endpoint_id=quote(str(endpoint_id), safe=""),
        ),
        "headers": headers,
    }
    _kwargs["json"] = body.to_dict()

    return _kwargs


def _read(response: httpx.Response) -> Counted | Replay:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = Counted.from_dict(response.json())

        return response_200

    if response.status_code == 202:
        response_202 = Replay.from_dict(response.json())

        return response_202

    raise UnexpectedAnswerError(response)


def sync_detailed(
    endpoint_id: UUID,
    *,
    client: Client,
    body: NewReplay,
    idempotency_key: str | Unset = UNSET,
) -> Response[Counted | Replay]:
    """As `sync`, with the answer's status and headers."""
    response = call(
        client,
        _request(
            endpoint_id=endpoint_id,
            idempotency_key=idempotency_key,
            body=body,
        ),
    )
    return Response(response, _read(response))


def sync(
    endpoint_id: UUID,
    *,
    client: Client,
    body: NewReplay,
    idempotency_key: str | Unset = UNSET,
) -> Counted | Replay:
    """Replay events.

    Takes the scope `webhooks:write`. The events are sent once more with the same ids, in a lane of their own: in order
    within it, with no promise against those that are sent at the same time for the first time. All since a moment, up
    to where the endpoint is now, or the one of `event_id`. The same Idempotency-Key, if you send one, is the same
    replay.
    """

    return _read(
        call(
            client,
            _request(
                endpoint_id=endpoint_id,
                idempotency_key=idempotency_key,
                body=body,
            ),
        )
    )


async def asyncio_detailed(
    endpoint_id: UUID,
    *,
    client: Client,
    body: NewReplay,
    idempotency_key: str | Unset = UNSET,
) -> Response[Counted | Replay]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            endpoint_id=endpoint_id,
            idempotency_key=idempotency_key,
            body=body,
        ),
    )
    return Response(response, _read(response))


async def asyncio(
    endpoint_id: UUID,
    *,
    client: Client,
    body: NewReplay,
    idempotency_key: str | Unset = UNSET,
) -> Counted | Replay:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                endpoint_id=endpoint_id,
                idempotency_key=idempotency_key,
                body=body,
            ),
        )
    )
