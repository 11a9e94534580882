"""/api/listings: what is on sale. For everybody, without a token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from flask import Response, request, url_for

from checkout_service.api.blueprints import Blueprint
from checkout_service.api.callers import public
from checkout_service.api.compressing import compressed
from checkout_service.api.links import leads_to
from checkout_service.api.problems import DatabaseUnavailable, Invalid, NotFound
from checkout_service.api.responses import json_answer
from checkout_service.catalog.filters import ListingFilters, Sort
from checkout_service.catalog.listing_schemas import (
    LISTING_EXAMPLE,
    LISTINGS_EXAMPLE,
    CurrencyQuery,
    ListingPageSchema,
    ListingSchema,
    ListingsQuery,
)
from checkout_service.catalog.queries import listings_by_id
from checkout_service.catalog.searching import find_listings
from checkout_service.cursors import BadCursorError

KEPT: Final = "public, max-age=10"
"""For some seconds any cache may answer in our place: what is available changes meanwhile, and checkout looks anew."""

blueprint = Blueprint("listings", __name__, url_prefix="/api/listings", description="What is on sale, for everybody.")


@blueprint.get("")
@blueprint.doc(operationId="listListings", security=[])
@leads_to("getListing", listing_id="/data/0/id")
@leads_to("addCartItem", body={"listing": "/data/0/id"})
@public
@blueprint.arguments(ListingsQuery, location="query")
@blueprint.response(200, ListingPageSchema, example=LISTINGS_EXAMPLE)
@blueprint.alt_response(304, description="Not modified since the ETag in If-None-Match")
@blueprint.problems(Invalid, DatabaseUnavailable)
@compressed
def list_listings(query: dict[str, Any]) -> Response:
    """List what is on sale

    Takes no token. The listings that all filters let through, in keyset pages: pass next_cursor as cursor to go on,
    with the same filters. Where no filter finds few listings, a page looks through 5,000 of them, so it may hold
    fewer than limit, even none, while has_more says that there may be others. A search finds the best 200; of words
    that stand in very many listings it finds the newest.
    """
    given = {name: query[name] for name in query if name not in {"sort", "limit", "cursor"}}
    filters = ListingFilters(**given, sort=None if query["sort"] is None else Sort(query["sort"]))
    try:
        found = find_listings(filters, limit=query["limit"], cursor=query["cursor"])
    except BadCursorError as error:
        detail = "Not a cursor of this list in this order."
        raise Invalid(errors=[{"pointer": "/cursor", "detail": detail}]) from error
    answer = _kept(
        {
            "data": [listing.as_json() for listing in found.listings],
            "next_cursor": found.next_cursor,
            "has_more": found.next_cursor is not None,
        }
    )
    if found.next_cursor:
        # As they were sent: they are in their one spelling.
        parameters: dict[str, Any] = {**request.args, "cursor": found.next_cursor}
        following = url_for("listings.list_listings", **parameters)
        answer.headers["Link"] = f'<{following}>; rel="next"'
    return answer


@blueprint.get("/<uuid:listing_id>")
@blueprint.doc(operationId="getListing", security=[])
@leads_to("addCartItem", body={"listing": "/id"})
@public
@blueprint.arguments(CurrencyQuery, location="query")
@blueprint.response(200, ListingSchema, example=LISTING_EXAMPLE)
@blueprint.alt_response(304, description="Not modified since the ETag in If-None-Match")
@blueprint.problems(Invalid, NotFound, DatabaseUnavailable)
@compressed
def read_listing(query: dict[str, Any], listing_id: UUID) -> Response:
    """Read a listing

    Takes no token. One that is not on sale is not found, nor is one without a price in the currency that is asked for.
    """
    found = listings_by_id([listing_id], currency=query["currency"])
    if not found:
        raise NotFound("There is no such listing, or it is not on sale.")
    return _kept(found[0].as_json())


def _kept(shown: Mapping[str, Any]) -> Response:
    answer = json_answer(shown, headers={"Cache-Control": KEPT})
    answer.add_etag(weak=True)  # one for both forms: it may go out compressed
    answer.make_conditional(request)
    return answer
