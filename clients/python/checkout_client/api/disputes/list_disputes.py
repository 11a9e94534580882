"""List disputes."""

from __future__ import annotations

from typing import Any

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.dispute_page import DisputePage
from ...models.list_disputes_status import ListDisputesStatus
from ...types import UNSET, Response, Unset


def _request(
    *,
    due_before: str | Unset = UNSET,
    status: ListDisputesStatus | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, str] = {}
    params: dict[str, Any] = {}

    params["due_before"] = due_before

    json_status: str | Unset = UNSET
    if not isinstance(status, Unset):
        json_status = status

    params["status"] = json_status

    params["limit"] = limit

    params["cursor"] = cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/admin/disputes",
        "params": params,
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> DisputePage:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = DisputePage.from_dict(response.json())

        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    *,
    client: Client,
    due_before: str | Unset = UNSET,
    status: ListDisputesStatus | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> Response[DisputePage]:
    """As `sync`, with the answer's status and headers."""
    response = call(
        client,
        _request(
            due_before=due_before,
            status=status,
            limit=limit,
            cursor=cursor,
        ),
    )
    return Response(response, _read(response))


def sync(
    *,
    client: Client,
    due_before: str | Unset = UNSET,
    status: ListDisputesStatus | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> DisputePage:
    """List disputes.

    Takes the scope `payments:read`. The newest first; with `due_before` those whose evidence is due soonest.
    Keyset pages: pass next_cursor as cursor to go on, with the same filters. Evidence is sent in the provider's
    dashboard.
    """

    return _read(
        call(
            client,
            _request(
                due_before=due_before,
                status=status,
                limit=limit,
                cursor=cursor,
            ),
        )
    )


async def asyncio_detailed(
    *,
    client: Client,
    due_before: str | Unset = UNSET,
    status: ListDisputesStatus | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> Response[DisputePage]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            due_before=due_before,
            status=status,
            limit=limit,
            cursor=cursor,
        ),
    )
    return Response(response, _read(response))


async def asyncio(
    *,
    client: Client,
    due_before: str | Unset = UNSET,
    status: ListDisputesStatus | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> DisputePage:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                due_before=due_before,
                status=status,
                limit=limit,
                cursor=cursor,
            ),
        )
    )
