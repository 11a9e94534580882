"""PayPal's transaction search: one window of an account's movements, whole, or an error (Transaction Search API v1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from checkout_service.providers.adapters.paypal.access_token import Access
from checkout_service.providers.adapters.paypal.declines import explain
from checkout_service.providers.base import Decline, ProviderRefusedError, ProviderUnavailableError, UnreadableError
from checkout_service.providers.fields import items, moment_of, nested, text
from checkout_service.providers.transport import Transport
from checkout_service.settings.provider_accounts import Account

API_BASE: Final = "https://api-m.paypal.com"

PAGE_SIZE: Final = 500
MOST_ROWS: Final = 10_000
"""PayPal answers a window of more with an error, and no page at all."""

_LARGEST_PAGE: Final = 8_000_000
_TRIES: Final = 3
"""How often a window is read anew whose rows changed while its pages were read."""


class TooManyRowsError(ProviderRefusedError):
    """The window has more rows than PayPal lists (RESULTSET_TOO_LARGE)."""


class NotLoadedError(ProviderRefusedError):
    """PayPal says INVALID_REQUEST, as it does for a time of which it has not loaded all movements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What was listed: ``rows`` are its ``transaction_info``, all updated within ``begin`` and ``end``, both inclusive.

    ``total`` is how many PayPal counts. ``loaded_until`` is how far PayPal's data go; None where it does not say.
    """

    account: str
    begin: datetime
    end: datetime
    loaded_until: datetime | None
    rows: Sequence[dict[str, Any]]
    total: int


class Search:
    """The transaction search of the account whose credentials these are."""

    def __init__(self, account: Account) -> None:
        base = account.option("reports_api_base") or API_BASE
        self._access = Access(base, account.option("reports_client_id") or "", account.option("reports_secret") or "")
        self._api = Transport(base, headers=self._access.headers, explain=_explain)

    def window(self, begin: datetime, end: datetime) -> Window:
        """All pages of a window. Raises the errors of a call, TooManyRowsError and NotLoadedError among them."""
        for _ in range(_TRIES):
            if (found := self._pages(begin, end)) is not None:
                return found
        raise ProviderUnavailableError("the transactions of a window changed each time that its pages were read")

    def _pages(self, begin: datetime, end: datetime) -> Window | None:
        """None where the pages are not of one state: a movement may be on two of them then, or on none."""
        first = self._page(begin, end, 1)
        total, count = _number(first, "total_items"), _number(first, "total_pages")
        if total > MOST_ROWS or count > MOST_ROWS:
            raise TooManyRowsError("the window has too many rows")
        rows = items(first, "transaction_details")
        for number in range(2, count + 1):
            page = self._page(begin, end, number)
            same = ("account_number", "total_items", "total_pages", "last_refreshed_datetime")
            if any(page.get(name) != first.get(name) for name in same):
                return None
            rows += items(page, "transaction_details")
        if len(rows) != total:
            return None
        ends = [moment_of(first[name]) for name in ("end_date", "last_refreshed_datetime") if first.get(name)]
        refreshed = first.get("last_refreshed_datetime")
        return Window(
            account=text(first, "account_number"),
            begin=begin,
            end=min([end, *ends]),
            loaded_until=moment_of(refreshed) if refreshed else None,
            rows=[nested(row, "transaction_info") for row in rows],
            total=total,
        )

    def _page(self, begin: datetime, end: datetime, number: int) -> dict[str, Any]:
        """A page. Of a movement only what moves money is asked for, and nothing of who paid; no filter, since with
        one PayPal leaves out the balances."""
        query = {
            "start_date": moment_text(begin),
            "end_date": moment_text(end),
            "fields": "transaction_info",
            "page_size": PAGE_SIZE,
            "page": number,
        }
        page = self._call(f"/v1/reporting/transactions?{urlencode(query)}")
        if page.get("page", number) != number:
            raise UnreadableError("another page of transactions than was asked for")
        return page

    def _call(self, path: str) -> dict[str, Any]:
        """A call; once more with a new token where PayPal has withdrawn the one that we had."""
        try:
            return self._api.call("GET", path, largest=_LARGEST_PAGE)
        except ProviderRefusedError as error:
            if error.reason is not Decline.CREDENTIALS:
                raise
            self._access.forget()
            return self._api.call("GET", path, largest=_LARGEST_PAGE)


def moment_text(moment: datetime) -> str:
    """RFC 3339 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _explain(status: int, error: dict[str, Any]) -> Decline | None:
    details = error.get("details")
    issues = [item.get("issue") for item in details if isinstance(item, dict)] if isinstance(details, list) else []
    if status == 400 and "RESULTSET_TOO_LARGE" in {error.get("name"), *map(str, issues)}:
        raise TooManyRowsError("the window has too many rows")
    if status == 400 and error.get("name") == "INVALID_REQUEST":
        raise NotLoadedError("PayPal refuses the window: it may reach into a time that is not loaded yet")
    return explain(status, error)


def _number(page: dict[str, Any], name: str) -> int:
    value = page.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise UnreadableError(f"{name} is no number")
    return value
