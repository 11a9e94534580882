"""Calls to Mollie's API for its reports, with an organization's token: lists, a page after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

from checkout_service.providers.base import UnreadableError
from checkout_service.providers.fields import items, nested
from checkout_service.providers.transport import Transport, bearer
from checkout_service.settings.provider_accounts import Account

API_BASE: Final = "https://api.mollie.com/v2"

PAGE_SIZE: Final = 250
"""The most that Mollie lists at once."""

_LARGEST_PAGE: Final = 8_000_000

_MOST_PAGES: Final = 20_000
"""Five million of a list."""


class ReportsApi:
    """Mollie's API for an organization."""

    def __init__(self, account: Account) -> None:
        token = account.option("reports_token") or ""
        self._api = Transport(account.option("reports_api_base") or API_BASE, headers=bearer(token))

    def call(self, path: str) -> dict[str, Any]:
        """What is at a path. Raises the errors of a call."""
        return self._api.call("GET", path, largest=_LARGEST_PAGE)

    def listed(self, path: str, name: str) -> Iterator[dict[str, Any]]:
        """All that a list holds, as it is ordered there; of what leads on only the id is used, never the address.

        A page begins with the id that it was asked from: so none can be left out, nor come twice. Raises the errors of
        a call.
        """
        begin = ""
        for _ in range(_MOST_PAGES):
            page = self.call(f"{path}?limit={PAGE_SIZE}" + (f"&from={quote(begin, safe='')}" if begin else ""))
            found = items(nested(page, "_embedded"), name)
            if begin and (not found or found[0].get("id") != begin):
                raise UnreadableError(f"a page of {name} does not begin where the last one ended")
            yield from found
            following = _next(page)
            if not following:
                return
            if following == begin or following in {item.get("id") for item in found}:
                raise UnreadableError(f"a page of {name} leads back to itself")
            begin = following
        raise UnreadableError(f"a list of {name} does not end")


def _next(page: dict[str, Any]) -> str:
    """The id that the next page begins with; '' after the last one."""
    links = page.get("_links")
    link = links.get("next") if isinstance(links, dict) else None
    if link is None:
        return ""
    address = link.get("href") if isinstance(link, dict) else None
    try:
        query = urlsplit(address if isinstance(address, str) else "").query
    except ValueError as error:
        raise UnreadableError("a list leads on to no address") from error
    begin = parse_qs(query).get("from", [""])[-1]
    if not begin:
        raise UnreadableError("a list leads on to no id")
    return begin
