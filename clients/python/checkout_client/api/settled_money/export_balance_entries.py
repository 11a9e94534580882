"""Export balance entries as CSV."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.export_balance_entries_kind import ExportBalanceEntriesKind
from ...models.export_balance_entries_match_state import (
    ExportBalanceEntriesMatchState,
)
from ...models.export_balance_entries_withdrawn import (
    ExportBalanceEntriesWithdrawn,
)
from ...types import UNSET, Response, Unset


def _request(
    *,
    payout_id: UUID | Unset = UNSET,
    payment_id: UUID | Unset = UNSET,
    provider: str | Unset = UNSET,
    kind: ExportBalanceEntriesKind | Unset = UNSET,
    currency: str | Unset = UNSET,
    occurred_since: str | Unset = UNSET,
    occurred_until: str | Unset = UNSET,
    match_state: ExportBalanceEntriesMatchState | Unset = UNSET,
    withdrawn: ExportBalanceEntriesWithdrawn | Unset = "false",
) -> dict[str, Any]:
    headers: dict[str, str] = {}
    params: dict[str, Any] = {}

    json_payout_id: str | Unset = UNSET
    if not isinstance(payout_id, Unset):
        json_payout_id = str(payout_id)
    params["payout_id"] = json_payout_id

    json_payment_id: str | Unset = UNSET
    if not isinstance(payment_id, Unset):
        json_payment_id = str(payment_id)
    params["payment_id"] = json_payment_id

    params["provider"] = provider

    json_kind: str | Unset = UNSET
    if not isinstance(kind, Unset):
        json_kind = kind

    params["kind"] = json_kind

    params["currency"] = currency

    params["occurred_since"] = occurred_since

    params["occurred_until"] = occurred_until

    json_match_state: str | Unset = UNSET
    if not isinstance(match_state, Unset):
        json_match_state = match_state

    params["match_state"] = json_match_state

    json_withdrawn: str | Unset = UNSET
    if not isinstance(withdrawn, Unset):
        json_withdrawn = withdrawn

    params["withdrawn"] = json_withdrawn

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/admin/balance-entries.csv",
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
    payout_id: UUID | Unset = UNSET,
    payment_id: UUID | Unset = UNSET,
    provider: str | Unset = UNSET,
    kind: ExportBalanceEntriesKind | Unset = UNSET,
    currency: str | Unset = UNSET,
    occurred_since: str | Unset = UNSET,
    occurred_until: str | Unset = UNSET,
    match_state: ExportBalanceEntriesMatchState | Unset = UNSET,
    withdrawn: ExportBalanceEntriesWithdrawn | Unset = "false",
) -> Response[str]:
    """As `sync`, with the answer's status and headers."""
    response = call(
        client,
        _request(
            payout_id=payout_id,
            payment_id=payment_id,
            provider=provider,
            kind=kind,
            currency=currency,
            occurred_since=occurred_since,
            occurred_until=occurred_until,
            match_state=match_state,
            withdrawn=withdrawn,
        ),
    )
    return Response(response, _read(response))


def sync(
    *,
    client: Client,
    payout_id: UUID | Unset = UNSET,
    payment_id: UUID | Unset = UNSET,
    provider: str | Unset = UNSET,
    kind: ExportBalanceEntriesKind | Unset = UNSET,
    currency: str | Unset = UNSET,
    occurred_since: str | Unset = UNSET,
    occurred_until: str | Unset = UNSET,
    match_state: ExportBalanceEntriesMatchState | Unset = UNSET,
    withdrawn: ExportBalanceEntriesWithdrawn | Unset = "false",
) -> str:
    """Export balance entries as CSV.

    Takes the scope `payouts:read`. The entries that the filters let through, however many, in the form of the payouts'
    file: `match_states` has those of matches that nobody has settled, `resolved_states` those that a person has, and
    `payment_ids` those of all, with commas between. It is sent while it is read, so its length is not told before. Its
    last row has `end` in place of an id and then the number of rows before it: a file without that row is not whole,
    and is to be asked for again. A caller reads one at a time; who takes less than 1 MiB of it in 30 seconds is cut
    off.
    """

    return _read(
        call(
            client,
            _request(
                payout_id=payout_id,
                payment_id=payment_id,
                provider=provider,
                kind=kind,
                currency=currency,
                occurred_since=occurred_since,
                occurred_until=occurred_until,
                match_state=match_state,
                withdrawn=withdrawn,
            ),
        )
    )


async def asyncio_detailed(
    *,
    client: Client,
    payout_id: UUID | Unset = UNSET,
    payment_id: UUID | Unset = UNSET,
    provider: str | Unset = UNSET,
    kind: ExportBalanceEntriesKind | Unset = UNSET,
    currency: str | Unset = UNSET,
    occurred_since: str | Unset = UNSET,
    occurred_until: str | Unset = UNSET,
    match_state: ExportBalanceEntriesMatchState | Unset = UNSET,
    withdrawn: ExportBalanceEntriesWithdrawn | Unset = "false",
) -> Response[str]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            payout_id=payout_id,
            payment_id=payment_id,
            provider=provider,
            kind=kind,
            currency=currency,
            occurred_since=occurred_since,
            occurred_until=occurred_until,
            match_state=match_state,
            withdrawn=withdrawn,
        ),
    )
    return Response(response, _read(response))


async def asyncio(
    *,
    client: Client,
    payout_id: UUID | Unset = UNSET,
    payment_id: UUID | Unset = UNSET,
    provider: str | Unset = UNSET,
    kind: ExportBalanceEntriesKind | Unset = UNSET,
    currency: str | Unset = UNSET,
    occurred_since: str | Unset = UNSET,
    occurred_until: str | Unset = UNSET,
    match_state: ExportBalanceEntriesMatchState | Unset = UNSET,
    withdrawn: ExportBalanceEntriesWithdrawn | Unset = "false",
) -> str:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                payout_id=payout_id,
                payment_id=payment_id,
                provider=provider,
                kind=kind,
                currency=currency,
                occurred_since=occurred_since,
                occurred_until=occurred_until,
                match_state=match_state,
                withdrawn=withdrawn,
            ),
        )
    )
