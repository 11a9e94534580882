"""List what is on sale."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.list_listings_currency import ListListingsCurrency
from ...models.list_listings_sort import ListListingsSort
from ...models.listing_page import ListingPage
from ...types import UNSET, Response, Unset


def _request(
    *,
    currency: ListListingsCurrency | Unset = UNSET,
    q: str | Unset = UNSET,
    vendor: UUID | Unset = UNSET,
    school: UUID | Unset = UNSET,
    spec: UUID | Unset = UNSET,
    ids: str | Unset = UNSET,
    price_min: str | Unset = UNSET,
    price_max: str | Unset = UNSET,
    available: bool | Unset = UNSET,
    sort: ListListingsSort | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
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

    params["q"] = q

    json_vendor: str | Unset = UNSET
    if not isinstance(vendor, Unset):
        json_vendor = str(vendor)
    params["vendor"] = json_vendor

    json_school: str | Unset = UNSET
    if not isinstance(school, Unset):
        json_school = str(school)
    params["school"] = json_school

    json_spec: str | Unset = UNSET
    if not isinstance(spec, Unset):
        json_spec = str(spec)
    params["spec"] = json_spec

    params["ids"] = ids

    params["price_min"] = price_min

    params["price_max"] = price_max

    params["available"] = available

    json_sort: str | Unset = UNSET
    if not isinstance(sort, Unset):
        json_sort = sort

    params["sort"] = json_sort

    params["limit"] = limit

    params["cursor"] = cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/listings",
        "params": params,
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> ListingPage:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = ListingPage.from_dict(response.json())

        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    *,
    client: Client,
    currency: ListListingsCurrency | Unset = UNSET,
    q: str | Unset = UNSET,
    vendor: UUID | Unset = UNSET,
    school: UUID | Unset = UNSET,
    spec: UUID | Unset = UNSET,
    ids: str | Unset = UNSET,
    price_min: str | Unset = UNSET,
    price_max: str | Unset = UNSET,
    available: bool | Unset = UNSET,
    sort: ListListingsSort | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
    if_none_match: str | Unset = UNSET,
) -> Response[ListingPage | None]:
    """As `sync`, with the answer's status and headers; `parsed` is None where it is still as `if_none_match` says."""
    response = call(
        client,
        _request(
            currency=currency,
            q=q,
            vendor=vendor,
            school=school,
            spec=spec,
            ids=ids,
            price_min=price_min,
            price_max=price_max,
            available=available,
            sort=sort,
            limit=limit,
            cursor=cursor,
            if_none_match=if_none_match,
        ),
    )
    return Response(response, None if response.status_code == 304 else _read(response))


def sync(
    *,
    client: Client,
    currency: ListListingsCurrency | Unset = UNSET,
    q: str | Unset = UNSET,
    vendor: UUID | Unset = UNSET,
    school: UUID | Unset = UNSET,
    spec: UUID | Unset = UNSET,
    ids: str | Unset = UNSET,
    price_min: str | Unset = UNSET,
    price_max: str | Unset = UNSET,
    available: bool | Unset = UNSET,
    sort: ListListingsSort | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> ListingPage:
    """List what is on sale.

    Takes no token. The listings that all filters let through, in keyset pages: pass next_cursor as cursor to go on,
    with the same filters. Where no filter finds few listings, a page looks through 5,000 of them, so it may hold
    fewer than limit, even none, while has_more says that there may be others. A search finds the best 200; of words
    that stand in very many listings it finds the newest.
    """

    return _read(
        call(
            client,
            _request(
                currency=currency,
                q=q,
                vendor=vendor,
                school=school,
                spec=spec,
                ids=ids,
                price_min=price_min,
                price_max=price_max,
                available=available,
                sort=sort,
                limit=limit,
                cursor=cursor,
            ),
        )
    )


async def asyncio_detailed(
    *,
    client: Client,
    currency: ListListingsCurrency | Unset = UNSET,
    q: str | Unset = UNSET,
    vendor: UUID | Unset = UNSET,
    school: UUID | Unset = UNSET,
    spec: UUID | Unset = UNSET,
    ids: str | Unset = UNSET,
    price_min: str | Unset = UNSET,
    price_max: str | Unset = UNSET,
    available: bool | Unset = UNSET,
    sort: ListListingsSort | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
    if_none_match: str | Unset = UNSET,
) -> Response[ListingPage | None]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            currency=currency,
            q=q,
            vendor=vendor,
            school=school,
            spec=spec,
            ids=ids,
            price_min=price_min,
            price_max=price_max,
            available=available,
            sort=sort,
            limit=limit,
            cursor=cursor,
            if_none_match=if_none_match,
        ),
    )
    return Response(response, None if response.status_code == 304 else _read(response))


async def asyncio(
    *,
    client: Client,
    currency: ListListingsCurrency | Unset = UNSET,
    q: str | Unset = UNSET,
    vendor: UUID | Unset = UNSET,
    school: UUID | Unset = UNSET,
    spec: UUID | Unset = UNSET,
    ids: str | Unset = UNSET,
    price_min: str | Unset = UNSET,
    price_max: str | Unset = UNSET,
    available: bool | Unset = UNSET,
    sort: ListListingsSort | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> ListingPage:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                currency=currency,
                q=q,
                vendor=vendor,
                school=school,
                spec=spec,
                ids=ids,
                price_min=price_min,
                price_max=price_max,
                available=available,
                sort=sort,
                limit=limit,
                cursor=cursor,
            ),
        )
    )
