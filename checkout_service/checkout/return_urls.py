"""Where a provider sends the customer back: addresses of the shop's own pages, as each session's request names them.

A provider's page leads there, so an address of anybody else's would make the shop lead its customers to strangers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from checkout_service.api.problems import Problem
from checkout_service.settings.origins import Origins

PLACEHOLDER: Final = "{payment_id}"
"""What the payment's id is filled in for; it is not known when the request is written."""

# The origin in the one spelling that browsers have, then what RFC 3986 lets stand in path, query and fragment. A user,
# a backslash, whitespace and what is beyond ASCII have no place in it, so every reader takes it for the same address.
_URL: Final = re.compile(
    r"(?P<origin>https?://[a-z0-9.-]+(?::[0-9]{1,5})?)(?:[/?#](?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)?"
)


class ReturnUrlRefused(Problem):
    status = 422
    slug = "return-url-refused"
    title = "Return URL refused"
    default_detail = "A customer cannot be sent back there: see errors."


def check_return_urls(urls: Mapping[str, str | None], origins: Origins | None) -> None:
    """Raise ReturnUrlRefused unless each address, by its member's name, is of one of the origins; None is none."""
    refused = [
        {"pointer": f"/{name}", "detail": fault}
        for name, url in urls.items()
        if url is not None and (fault := _fault(url, origins)) is not None
    ]
    if refused:
        raise ReturnUrlRefused(errors=refused)


def filled_in(url: str | None, payment_id: UUID) -> str | None:
    """The address with the payment's id in it."""
    return None if url is None else url.replace(PLACEHOLDER, str(payment_id))


def _fault(url: str, origins: Origins | None) -> str | None:
    if origins is None:
        return "This shop sends nobody back to addresses that requests name."
    found = _URL.fullmatch(url.replace(PLACEHOLDER, "0"))
    if found is None:
        return "This is no address as https://shop.example/paid/{payment_id} is one."
    # Of the address as it was sent: an id that is filled in makes no origin.
    if found["origin"] not in origins.exact or not url.startswith(found["origin"]):
        return "Its origin is none of those that customers are sent back to."
    return None
