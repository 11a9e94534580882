"""List payouts."""

from __future__ import annotations

from typing import Any

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.list_payouts_state import ListPayoutsState
from ...models.list_payouts_status import ListPayoutsStatus
from ...models.payout_page import PayoutPage
from ...types import UNSET, Response, Unset


def _request(
    *,
    provider: str | Unset = UNSET,
    state: ListPayoutsState | Unset = UNSET,
    status: ListPayoutsStatus | Unset = UNSET,
    currency: str | Unset = UNSET,
    arrival_since: str | Unset = UNSET,
    arrival_until: str | Unset = UNSET,
    reference: str | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, str] = {}
    params: dict[str, Any] = {}

    params["provider"] = provider

    json_state: str | Unset = UNSET
    if not isinstance(state, Unset):
        json_state = state

    params["state"] = json_state

    json_status: str | Unset = UNSET
    if not isinstance(status, Unset):
        json_status = status

    params["status"] = json_status

    params["currency"] = currency

    params["arrival_since"] = arrival_since

    params["arrival_until"] = arrival_until

    params["reference"] = reference

    params["limit"] = limit

    params["cursor"] = cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/admin/payouts",
        "params": params,
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> PayoutPage:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = PayoutPage.from_dict(response.json())

        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    *,
    client: Client,
    provider: str | Unset = UNSET,
    state: ListPayoutsState | Unset = UNSET,
    status: ListPayoutsStatus | Unset = UNSET,
    currency: str | Unset = UNSET,
    arrival_since: str | Unset = UNSET,
    arrival_until: str | Unset = UNSET,
    reference: str | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> Response[PayoutPage]:
    """As `sync`, with the answer's status and headers."""
    response = call(
        client,
        _request(
            provider=provider,
            state=state,
            status=status,
            currency=currency,
            arrival_since=arrival_since,
            arrival_until=arrival_until,
            reference=reference,
            limit=limit,
            cursor=cursor,
        ),
    )
    return Response(response, _read(response))


def sync(
    *,
    client: Client,
    provider: str | Unset = UNSET,
    state: ListPayoutsState | Unset = UNSET,
    status: ListPayoutsStatus | Unset = UNSET,
    currency: str | Unset = UNSET,
    arrival_since: str | Unset = UNSET,
    arrival_until: str | Unset = UNSET,
    reference: str | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> PayoutPage:
    """List payouts.

    Takes the scope `payouts:read`. Those that all filters let through, the newest first by when they were entered
    here, in keyset pages: pass next_cursor as cursor to go on, with the same filters. A page looks through 20,000
    payouts at most, so it may hold fewer than limit while has_more says that there may be others.
    """

    return _read(
        call(
            client,
            _request(
                provider=provider,
                state=state,
                status=status,
                currency=currency,
                arrival_since=arrival_since,
                arrival_until=arrival_until,
                reference=reference,
                limit=limit,
                cursor=cursor,
            ),
        )
    )


async def asyncio_detailed(
    *,
    client: Client,
    provider: str | Unset = UNSET,
    state: ListPayoutsState | Unset = UNSET,
    status: ListPayoutsStatus | Unset = UNSET,
    currency: str | Unset = UNSET,
    arrival_since: str | Unset = UNSET,
    arrival_until: str | Unset = UNSET,
    reference: str | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> Response[PayoutPage]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            provider=provider,
            state=state,
            status=status,
            currency=currency,
            arrival_since=arrival_since,
            arrival_until=arrival_until,
            reference=reference,
            limit=limit,
            cursor=cursor,
        ),
    )
    return Response(response, _read(response))


async def asyncio(
    *,
    client: Client,
    provider: str | Unset = UNSET,
    state: ListPayoutsState | Unset = UNSET,
    status: ListPayoutsStatus | Unset = UNSET,
    currency: str | Unset = UNSET,
    arrival_since: str | Unset = UNSET,
    arrival_until: str | Unset = UNSET,
    reference: str | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> PayoutPage:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                provider=provider,
                state=state,
                status=status,
                currency=currency,
                arrival_since=arrival_since,
                arrival_until=arrival_until,
                reference=reference,
                limit=limit,
                cursor=cursor,
            ),
        )
    )
