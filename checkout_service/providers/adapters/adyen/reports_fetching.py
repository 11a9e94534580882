"""Fetches Adyen's settlement details reports: those of the next batches by their numbers, and those that webhooks name.

What a webhook names is unsigned, and anybody may have sent it. So nothing of it is used but a file name of a known form
and a merchant account that is ours; the address is built here, of the host that a setting names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import Final
from urllib.parse import quote

import httpx

from checkout_service.providers.adapters.adyen.reports import read_report
from checkout_service.providers.adapters.adyen.reports_options import first_batches, merchant_accounts
from checkout_service.providers.base import Decline, ProviderError, ProviderRefusedError
from checkout_service.providers.downloads import download
from checkout_service.providers.reports import FetchContext, NotFetched, Report, UnreadableReportError
from checkout_service.providers.transport import basic
from checkout_service.settings.provider_accounts import Account

FILE: Final = re.compile(r"settlement_detail_report(?:_batch_([0-9]{1,9}))?(?:[._-][A-Za-z0-9]{1,40}){0,6}\.csv")
"""Names of reports: Adyen adds the number of the batch, a date or an id of its own, by how they are made."""

AHEAD: Final = 3
"""So many numbers without a report in a row, and no further is looked."""

MOST_REQUESTS: Final = 60
"""By numbers, of one merchant account in one fetch."""

MOST_NOTICES: Final = 8
"""Of all of them in one fetch: anybody may have sent those."""

MOST_AGAIN: Final = 2
"""Of those the ones that are entered already: they may have been made anew, and may have half a gigabyte."""

MOST_BEYOND: Final = 200
"""Batches behind one that is missing."""


def fetch_reports(context: FetchContext) -> Iterator[Report | NotFetched]:
    """What is new of each merchant account, by its options (``spec.py``).

    The cursor is JSON: by merchant account the last batch before the first that is missing, and those behind that. A
    report's name begins with its merchant account, since each counts its own batches: "TulipShopECOM/…_batch_41.csv",
    and so do ``context.notices``. ``since`` begins with the last batch and goes back until one is older.

    What of one report fails is NotFetched, and keeps no other one. At the end it is refused that a
    batch is missing while a later one is there: somebody has to have its report made.
    """
    accounts = merchant_accounts(context.account.option("reports_accounts") or "")
    places = _places(context, accounts)
    with httpx.Client(follow_redirects=False) as client:
        source = _Source(client, context, places)
        for account in accounts:
            if context.since is not None:
                yield from source.backwards(account)
            yield from source.by_number(account)
        yield from source.noticed()
    missing = [
        f"batch {(place.last or 0) + 1} of {account}"
        for account, place in places.items()
        if place.beyond and ((place.last or 0) + 1) not in source.failed[account]
    ]
    if missing:
        raise ProviderRefusedError(
            f"no report of {', '.join(missing)} was entered, while a later one is there: have it made in the Customer "
            "Area, import it, or set ADYEN_REPORTS_FIRST_BATCH to a later one"
        )


@dataclass(slots=True)
class _Place:
    """How far a merchant account is: all batches up to ``last`` were fetched, and those of ``beyond``.

    Without a ``first`` that is known, the earliest report that is found is the beginning.
    """

    last: int | None = None
    beyond: set[int] = field(default_factory=set)

    def note(self, number: int) -> None:
        if self.last is None:
            self.last = number - 1
        if number > self.last and len(self.beyond) < MOST_BEYOND:
            self.beyond.add(number)
        while self.last + 1 in self.beyond:
            self.last += 1
            self.beyond.remove(self.last)


class _Source:
    """The reports at one host, and how far we are with them."""

    def __init__(self, client: httpx.Client, context: FetchContext, places: Mapping[str, _Place]) -> None:
        self._client = client
        self._context = context
        self._places = places
        self._host = (context.account.option("reports_host") or "").rstrip("/")
        self._headers = _credentials(context.account)
        self.failed: dict[str, set[int]] = {account: set() for account in places}
        """Batches whose reports could not be had, or not be read."""

    def by_number(self, account: str) -> Iterator[Report | NotFetched]:
        """The next batches, until there are none for some numbers."""
        place = self._places[account]
        if place.last is None:
            return
        number, absent, requests = place.last, 0, 0
        while absent < AHEAD and requests < MOST_REQUESTS:
            number += 1
            name = f"settlement_detail_report_batch_{number}.csv"
            # Once the missing one is there, the last one is behind those that were fetched before it.
            is_here = number <= place.last or number in place.beyond
            if is_here or self._context.has_number(account, number):
                place.note(number)
                absent = 0
                continue
            requests += 1
            absent += 1
            for report in self._fetched(account, name, number):
                if isinstance(report, Report) or isinstance(report.error, UnreadableReportError):
                    absent = 0
                yield report
                if isinstance(report, NotFetched) and _is_of_all(report.error):
                    return

    def noticed(self) -> Iterator[Report | NotFetched]:
        """What webhooks named, the earliest batch first, so that it is the beginning where there is none."""
        known: dict[tuple[int, str, str], None] = {}
        again = 0
        for notice in self._context.notices:
            account, _, name = notice.partition("/")
            found = FILE.fullmatch(name)
            if found is None or account not in self._places or len(known) == MOST_NOTICES:
                continue
            key = int(found[1] or 0), account, name
            if key in known:
                continue
            if self._is_entered(account, name, key[0]):
                again += 1
                if again > MOST_AGAIN:
                    continue
            known[key] = None
        for number, account, name in sorted(known):
            yield from self._fetched(account, name, number)

    def _is_entered(self, account: str, name: str, number: int) -> bool:
        """Whether a report of this batch was entered, by whatever name; where its own tells no batch, of this name."""
        if number:
            return self._context.has_number(account, number)
        return self._context.is_entered(f"{account}/{name}")

    def backwards(self, account: str) -> Iterator[Report | NotFetched]:
        """From the last batch back, as long as they have a line since then."""
        since, last = self._context.since, self._places[account].last
        for number in range(last or 0, max(0, (last or 0) - MOST_REQUESTS), -1):
            is_older = True
            for report in self._fetched(account, f"settlement_detail_report_batch_{number}.csv", number):
                yield report
                if isinstance(report, NotFetched):
                    is_older = _is_of_all(report.error)
                    continue
                made = [payout.issued_at for payout in report.payouts if payout.issued_at is not None]
                is_older = bool(made) and since is not None and max(made) < since
            if is_older:
                return

    def _fetched(self, account: str, name: str, number: int) -> Iterator[Report | NotFetched]:
        """The report, while it is on disk; nothing where there is none of this name."""
        url = f"{self._host}/reports/download/MerchantAccount/{quote(account, safe='')}/{quote(name, safe='')}"
        with TemporaryFile(prefix="checkout-report-") as file:
            try:
                if not download(self._client, url, headers=self._headers, into=file):
                    return
                report = read_report(file, name=f"{account}/{name}", account="")
            except (ProviderError, UnreadableReportError) as error:
                self.failed[account].add(number)
                yield NotFetched(name=f"{account}/{name}", error=error)
                return
            if number:
                self._places[account].note(number)
                report.cursor = _cursor(self._places)
            yield report


def _is_of_all(error: Exception) -> bool:
    """Whether no other report of the merchant account can be had either."""
    return isinstance(error, ProviderRefusedError) and error.reason is Decline.CREDENTIALS


def _credentials(account: Account) -> dict[str, str]:
    key = account.option("reports_key")
    if key:
        return {"X-API-Key": key}
    return basic(account.option("reports_user") or "", account.option("reports_password") or "")


def _places(context: FetchContext, accounts: list[str]) -> dict[str, _Place]:
    """How far each account is: by the cursor, and by the first batch that a setting names where that is later."""
    known = json.loads(context.cursor) if context.cursor else {}
    firsts = first_batches(context.account.option("reports_first_batch") or "", accounts)
    places = {}
    for account in accounts:
        held = known.get(account)
        place = _Place(held["last"], set(held["beyond"])) if held else _Place()
        first = firsts.get(account)
        if first is not None and (place.last is None or place.last < first - 1):
            place.last = first - 1
            place.beyond = {number for number in place.beyond if number > place.last}
        places[account] = place
    return places


def _cursor(places: Mapping[str, _Place]) -> str:
    known = {
        account: {"last": place.last, "beyond": sorted(place.beyond)}
        for account, place in sorted(places.items())
        if place.last is not None
    }
    return json.dumps(known, separators=(",", ":"))
