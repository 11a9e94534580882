"""Stop a replay."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.replay import Replay
from ...types import Response


def _request(
    endpoint_id: UUID,
    replay_id: UUID,
) -> dict[str, Any]:
    headers: dict[str, str] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/api/admin/webhook-endpoints/{endpoint_id}/replays/{replay_id}/stop".format(
            endpoint_id=quote(str(endpoint_id), safe=""),
            replay_id=quote(str(replay_id), safe=""),
        ),
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> Replay:
    raise_for_problem(response)
    if response.status_code == 202:
        response_202 = Replay.from_dict(response.json())

        return response_202

    raise UnexpectedAnswerError(response)


def sync_detailed(
    endpoint_id: UUID,
    replay_id: UUID,
    *,
    client: Client,
) -> Response[Replay]:
    """As `sync`, with the answer's status and headers."""
    response = call(
        client,
        _request(
            endpoint_id=endpoint_id,
            replay_id=replay_id,
        ),
    )
    return Response(response, _read(response))


def sync(
    endpoint_id: UUID,
    replay_id: UUID,
    *,
    client: Client,
) -> Replay:
    """Stop a replay.

    Takes the scope `webhooks:write`. No further event of it is begun. One that ended stays as it is.
    """

    return _read(
        call(
            client,
            _request(
                endpoint_id=endpoint_id,
                replay_id=replay_id,
            ),
        )
    )


async def asyncio_detailed(
    endpoint_id: UUID,
    replay_id: UUID,
    *,
    client: Client,
) -> Response[Replay]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            endpoint_id=endpoint_id,
            replay_id=replay_id,
        ),
    )
    return Response(response, _read(response))


async def asyncio(
    endpoint_id: UUID,
    replay_id: UUID,
    *,
    client: Client,
) -> Replay:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                endpoint_id=endpoint_id,
                replay_id=replay_id,
            ),
        )
    )
