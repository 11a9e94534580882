"""Read a listing."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.get_listing_currency import GetListingCurrency
from ...models.listing import Listing
from ...types import UNSET, Response, Unset


def _request(
    listing_id: UUID,
    *,
    currency: GetListingCurrency | Unset = UNSET,
    if_none_match: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, str] = {}
    if not isinstance(if_none_match, Unset):
        headers["If-None-Match"] = if_none_match

    params: dict[str, Any] = {}

    json_currency: str | Unset = UNSET
    if not isinstance(currency, Unset):
        json_currency = currency

    params["currency"] = json_currency

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/listings/{listing_id}".format(
            listing_id=quote(str(listing_id), safe=""),
        ),
        "params": params,
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> Listing:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = Listing.from_dict(response.json())

        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    listing_id: UUID,
    *,
    client: Client,
    currency: GetListingCurrency | Unset = UNSET,
    if_none_match: str | Unset = UNSET,
) -> Response[Listing | None]:
    """As `sync`, with the answer's status and headers; `parsed` is None where it is still as `if_none_match` says."""
    response = call(
        client,
        _request(
            listing_id=listing_id,
            currency=currency,
            if_none_match=if_none_match,
        ),
    )
    return Response(response, None if response.status_code == 304 else _read(response))


def sync(
    listing_id: UUID,
    *,
    client: Client,
    currency: GetListingCurrency | Unset = UNSET,
) -> Listing:
    """Read a listing.

    Takes no token. One that is not on sale is not found, nor is one without a price in the currency that is asked for.
    """

    return _read(
        call(
            client,
            _request(
                listing_id=listing_id,
                currency=currency,
            ),
        )
    )


async def asyncio_detailed(
    listing_id: UUID,
    *,
    client: Client,
    currency: GetListingCurrency | Unset = UNSET,
    if_none_match: str | Unset = UNSET,
) -> Response[Listing | None]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            listing_id=listing_id,
            currency=currency,
            if_none_match=if_none_match,
        ),
    )
    return Response(response, None if response.status_code == 304 else _read(response))


async def asyncio(
    listing_id: UUID,
    *,
    client: Client,
    currency: GetListingCurrency | Unset = UNSET,
) -> Listing:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                listing_id=listing_id,
                currency=currency,
            ),
        )
    )
