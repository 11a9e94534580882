"""Export payouts as CSV."""

from __future__ import annotations

from typing import Any

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.export_payouts_state import ExportPayoutsState
from ...models.export_payouts_status import ExportPayoutsStatus
from ...types import UNSET, Response, Unset


def _request(
    *,
    provider: str | Unset = UNSET,
    state: ExportPayoutsState | Unset = UNSET,
    status: ExportPayoutsStatus | Unset = UNSET,
    currency: str | Unset = UNSET,
    arrival_since: str | Unset = UNSET,
    arrival_until: str | Unset = UNSET,
    reference: str | Unset = UNSET,
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

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/admin/payouts.csv",
        "params": params,
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> str:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = response.text
        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    *,
    client: Client,
    provider: str | Unset = UNSET,
    state: ExportPayoutsState | Unset = UNSET,
    status: ExportPayoutsStatus | Unset = UNSET,
    currency: str | Unset = UNSET,
    arrival_since: str | Unset = UNSET,
    arrival_until: str | Unset = UNSET,
    reference: str | Unset = UNSET,
) -> Response[str]:
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
        ),
    )
    return Response(response, _read(response))


def sync(
    *,
    client: Client,
    provider: str | Unset = UNSET,
    state: ExportPayoutsState | Unset = UNSET,
    status: ExportPayoutsStatus | Unset = UNSET,
    currency: str | Unset = UNSET,
    arrival_since: str | Unset = UNSET,
    arrival_until: str | Unset = UNSET,
    reference: str | Unset = UNSET,
) -> str:
    """Export payouts as CSV.

    Takes the scope `payouts:read`. The payouts that the filters let through, with the members of the list as
    columns: RFC 4180 in UTF-8, times in UTC, amounts with one decimal point. A cell that a spreadsheet would take for
    a formula begins with an apostrophe, but for amounts. The file is complete: its length is told before its first
    byte.
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
            ),
        )
    )


async def asyncio_detailed(
    *,
    client: Client,
    provider: str | Unset = UNSET,
    state: ExportPayoutsState | Unset = UNSET,
    status: ExportPayoutsStatus | Unset = UNSET,
    currency: str | Unset = UNSET,
    arrival_since: str | Unset = UNSET,
    arrival_until: str | Unset = UNSET,
    reference: str | Unset = UNSET,
) -> Response[str]:
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
        ),
    )
    return Response(response, _read(response))


async def asyncio(
    *,
    client: Client,
    provider: str | Unset = UNSET,
    state: ExportPayoutsState | Unset = UNSET,
    status: ExportPayoutsStatus | Unset = UNSET,
    currency: str | Unset = UNSET,
    arrival_since: str | Unset = UNSET,
    arrival_until: str | Unset = UNSET,
    reference: str | Unset = UNSET,
) -> str:
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
            ),
        )
    )
