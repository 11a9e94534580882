"""List balance entries."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.entry_page import EntryPage
from ...models.list_balance_entries_kind import ListBalanceEntriesKind
from ...models.list_balance_entries_match_state import (
    ListBalanceEntriesMatchState,
)
from ...models.list_balance_entries_withdrawn import ListBalanceEntriesWithdrawn
from ...types import UNSET, Response, Unset


def _request(
    *,
    payout_id: UUID | Unset = UNSET,
    payment_id: UUID | Unset = UNSET,
    provider: str | Unset = UNSET,
    kind: ListBalanceEntriesKind | Unset = UNSET,
    currency: str | Unset = UNSET,
    occurred_since: str | Unset = UNSET,
    occurred_until: str | Unset = UNSET,
    match_state: ListBalanceEntriesMatchState | Unset = UNSET,
    withdrawn: ListBalanceEntriesWithdrawn | Unset = "false",
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
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

    params["limit"] = limit

    params["cursor"] = cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/admin/balance-entries",
        "params": params,
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> EntryPage:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = EntryPage.from_dict(response.json())

        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    *,
    client: Client,
    payout_id: UUID | Unset = UNSET,
    payment_id: UUID | Unset = UNSET,
    provider: str | Unset = UNSET,
    kind: ListBalanceEntriesKind | Unset = UNSET,
    currency: str | Unset = UNSET,
    occurred_since: str | Unset = UNSET,
    occurred_until: str | Unset = UNSET,
    match_state: ListBalanceEntriesMatchState | Unset = UNSET,
    withdrawn: ListBalanceEntriesWithdrawn | Unset = "false",
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> Response[EntryPage]:
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
            limit=limit,
            cursor=cursor,
        ),
    )
    return Response(response, _read(response))


def sync(
    *,
    client: Client,
    payout_id: UUID | Unset = UNSET,
    payment_id: UUID | Unset = UNSET,
    provider: str | Unset = UNSET,
    kind: ListBalanceEntriesKind | Unset = UNSET,
    currency: str | Unset = UNSET,
    occurred_since: str | Unset = UNSET,
    occurred_until: str | Unset = UNSET,
    match_state: ListBalanceEntriesMatchState | Unset = UNSET,
    withdrawn: ListBalanceEntriesWithdrawn | Unset = "false",
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> EntryPage:
    """List balance entries.

    Takes the scope `payouts:read`. Movements of money that all filters let through, in keyset pages: pass
    next_cursor as cursor to go on, with the same filters. The newest first by `occurred_at`; with payout_id by when
    they were entered, and with a match_state that needs a person by when that was found. A page looks through 20,000
    entries at most, so it may hold fewer than limit while has_more says that there may be others.
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
                limit=limit,
                cursor=cursor,
            ),
        )
    )


async def asyncio_detailed(
    *,
    client: Client,
    payout_id: UUID | Unset = UNSET,
    payment_id: UUID | Unset = UNSET,
    provider: str | Unset = UNSET,
    kind: ListBalanceEntriesKind | Unset = UNSET,
    currency: str | Unset = UNSET,
    occurred_since: str | Unset = UNSET,
    occurred_until: str | Unset = UNSET,
    match_state: ListBalanceEntriesMatchState | Unset = UNSET,
    withdrawn: ListBalanceEntriesWithdrawn | Unset = "false",
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> Response[EntryPage]:
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
            limit=limit,
            cursor=cursor,
        ),
    )
    return Response(response, _read(response))


async def asyncio(
    *,
    client: Client,
    payout_id: UUID | Unset = UNSET,
    payment_id: UUID | Unset = UNSET,
    provider: str | Unset = UNSET,
    kind: ListBalanceEntriesKind | Unset = UNSET,
    currency: str | Unset = UNSET,
    occurred_since: str | Unset = UNSET,
    occurred_until: str | Unset = UNSET,
    match_state: ListBalanceEntriesMatchState | Unset = UNSET,
    withdrawn: ListBalanceEntriesWithdrawn | Unset = "false",
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> EntryPage:
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
                limit=limit,
                cursor=cursor,
            ),
        )
    )
