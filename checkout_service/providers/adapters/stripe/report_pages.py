"""Pages of Stripe's lists, read to their end or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from checkout_service.providers.adapters.stripe.client import Calls, Services
from checkout_service.providers.base import UnreadableError
from checkout_service.providers.fields import items, text
from checkout_service.providers.reports import UnreadableReportError
from checkout_service.providers.transport import TooLargeError

PAGE: Final = 100
"""The most that Stripe answers at once."""

List = Callable[[Services, dict[str, Any]], Any]


class Pages:
    """Pages of Stripe's lists, which are counted: by ids, the newest first (docs.stripe.com/api/pagination)."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.read = 0

    def objects(self, ask: List, query: Mapping[str, Any], most: int) -> Iterator[dict[str, Any]]:
        """Each object of a list. Raises UnreadableReportError for one that has a gap, goes round or does not end.

        A page that is larger than is read is requested again with fewer objects.
        """
        after, limit, came = "", PAGE, set[str]()
        with readable():
            for _ in range(most):
                page, limit = self._page(ask, {**query, **({"starting_after": after} if after else {})}, limit)
                found = items(page, "data")
                further = page.get("has_more")
                if not isinstance(further, bool):
                    raise UnreadableReportError("Stripe's list does not say whether there is more of it")
                yield from found
                if not further:
                    return
                if not found:
                    raise UnreadableReportError("a page of Stripe's list is empty, and it says that there is more")
                after = text(found[-1], "id")
                if after in came:
                    raise UnreadableReportError("Stripe's list goes round")
                came.add(after)
        raise UnreadableReportError(f"Stripe's list has more than {most} pages")

    def one(self, ask: Callable[[Services], Any]) -> dict[str, Any]:
        """An object that is no list. Raises UnreadableReportError, and the errors of a provider."""
        self.read += 1
        with readable():
            return self._calls.ask(ask)

    def _page(self, ask: List, query: Mapping[str, Any], limit: int) -> tuple[dict[str, Any], int]:
        """A page, and how many objects the next one may have."""
        while True:
            try:
                return self._answer_to(ask, {**query, "limit": limit}), limit
            except TooLargeError:
                if limit == 1:
                    raise
                limit //= 2

    def _answer_to(self, ask: List, query: dict[str, Any]) -> dict[str, Any]:
        self.read += 1
        return self._calls.ask(lambda stripe: ask(stripe, query))


@contextmanager
def readable() -> Iterator[None]:
    """Whatever cannot be read within is an unreadable report."""
    try:
        yield
    except UnreadableError as error:
        raise UnreadableReportError(str(error)) from None
