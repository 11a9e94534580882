"""The list of thin events (docs.stripe.com/api/v2/core/events/list), which is paged by addresses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from checkout_service.providers.adapters.stripe.client import THIN_EVENTS, Calls
from checkout_service.providers.adapters.stripe.thin import PREFIX
from checkout_service.providers.base import UnreadableError
from checkout_service.providers.fields import items

PAGE: Final = 100
"""The most that Stripe answers at once."""

TYPES_AT_ONCE: Final = 20
"""The most kinds of events that one query may name."""

MOST_PAGES: Final = 200
"""Of one query: a list that is longer does not end, for all that we know."""

LONGEST_QUERY: Final = 4000


def thin_page(
    calls: Calls, kinds: Sequence[str], *, since: datetime, until: datetime, after: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """The events of a page, and what leads to the next: which kinds, how many pages of them so far, and the query.

    ``kinds`` are those of events in full. Raises one of the errors of a call.
    """
    place, pages, query = _place(after)
    if query:
        answer = calls.more_thin_events(query)
    else:
        answer = calls.thin_events(
            {
                "types": [PREFIX + kind for kind in kinds[place : place + TYPES_AT_ONCE]],
                "created": {"gte": _second(since), "lt": _second(until)},
                "limit": PAGE,
            }
        )
    further = _query(answer.get("next_page_url"))
    events = items(answer, "data")
    if further:
        if further == query or pages + 1 >= MOST_PAGES:
            raise UnreadableError("Stripe's list of events does not end")
        return events, f"{place}:{pages + 1}:{further}"
    place += TYPES_AT_ONCE
    return events, f"{place}:0:" if place < len(kinds) else None


def _second(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _place(after: str | None) -> tuple[int, int, str]:
    if after is None:
        return 0, 0, ""
    place, pages, query = after.split(":", 2)
    return int(place), int(pages), query


def _query(address: object) -> str:
    """The query of the next page; '' where there is none.

    Only a path of this list is one, as the SDK has it too, and only its query is used: no answer leads our key away.
    """
    if address is None:
        return ""
    if not isinstance(address, str) or not 0 < len(address) <= LONGEST_QUERY or not address.isascii():
        raise UnreadableError("next_page_url is none")
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise UnreadableError("next_page_url is none") from error
    elsewhere = parts.scheme or parts.netloc or parts.path != THIN_EVENTS
    if elsewhere or not parts.query or not parts.query.isprintable() or " " in parts.query:
        raise UnreadableError("next_page_url leads elsewhere")
    return parts.query
