"""Fetches Mollie's settlements, a report each, and refuses its files.

A settlement is read when it is closed, and again each time that its status is another one: it may fail after it was
paid. Its report is named by its id and that status, so one that was entered is not fetched again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, BinaryIO, Final

from checkout_service.providers.adapters.mollie.reports_api import ReportsApi
from checkout_service.providers.adapters.mollie.reports_balance import Transfers
from checkout_service.providers.adapters.mollie.reports_settlement import SettlementReading
from checkout_service.providers.base import Decline, ProviderRefusedError, UnreadableError
from checkout_service.providers.fields import moment_of, text
from checkout_service.providers.reports import FetchContext, NotFetched, Report, UnreadableReportError

FIRST: Final = timedelta(days=93)
"""A first fetch reaches so far back, where nobody says since when."""

AGAIN: Final = timedelta(days=62)
"""So far before the cursor settlements are looked at anew: a bank may send one back."""

OPEN: Final = "open"
"""A settlement that is not closed: more comes into it."""

_MOST_SETTLEMENTS: Final = 20_000

_NOT_READ: Final = (
    "the columns of Mollie's settlement CSV are documented nowhere, so it is not read before a real file was seen: "
    "fetch, which reads the same settlements from Mollie's API, or send us a file"
)
_OF_A_BANK: Final = (
    "Mollie's {kind} is only known from a help page, so it is not read before a real file was seen: fetch, and import "
    "the statement of the bank that the payouts come to with --provider bank"
)


def refuse_file(file: BinaryIO, *, name: str, account: str) -> Report:
    """Raise UnreadableReportError for any file, in words that fit what it is."""
    del account
    begin = file.read(512).removeprefix(b"\xef\xbb\xbf").lstrip()
    lowered = name.casefold()
    if begin.startswith((b":20:", b"{1:")) or lowered.endswith((".sta", ".mt940", ".940", ".swi")):
        raise UnreadableReportError(_OF_A_BANK.format(kind="MT940"))
    if begin.startswith(b"0000") or lowered.endswith((".cod", ".coda")):
        raise UnreadableReportError(_OF_A_BANK.format(kind="CODA"))
    if begin.startswith(b"<"):
        raise UnreadableReportError(_OF_A_BANK.format(kind="CAMT.053"))
    raise UnreadableReportError(_NOT_READ)


def fetch_settlements(context: FetchContext) -> Iterator[Report | NotFetched]:
    """A Report a settlement that is closed, the oldest first, since ``since`` or the cursor (RFC 3339).

    Raises the errors of a call, and UnreadableReportError.
    """
    try:
        api = ReportsApi(context.account)
        transfers = Transfers(api)
        for settlement in reversed(_listed(api, _begin(context))):
            if not context.is_entered(settlement.name):
                yield _report(settlement, api, transfers)
    except UnreadableError as error:
        raise UnreadableReportError(str(error)) from error


@dataclass(frozen=True, slots=True)
class _Listed:
    ref: str
    name: str
    cursor: str


def _report(settlement: _Listed, api: ReportsApi, transfers: Transfers) -> Report | NotFetched:
    """One settlement. Raises the errors of a call that no other settlement would be spared."""
    try:
        whole = api.call(f"/settlements/{settlement.ref}")
        if whole.get("id") != settlement.ref:
            error = UnreadableReportError("the answer is about another settlement")
            return NotFetched(name=settlement.name, error=error)
        report = SettlementReading(whole, api, transfers).report(settlement.name)
    except (UnreadableError, UnreadableReportError) as unreadable:
        return NotFetched(name=settlement.name, error=UnreadableReportError(str(unreadable)))
    except ProviderRefusedError as refused:
        if refused.reason is Decline.CREDENTIALS:
            raise
        return NotFetched(name=settlement.name, error=refused)
    report.cursor = settlement.cursor
    return report


def _begin(context: FetchContext) -> datetime:
    if context.since is not None:
        return context.since
    return moment_of(context.cursor, "the cursor") - AGAIN if context.cursor else context.now - FIRST


def _listed(api: ReportsApi, begin: datetime) -> list[_Listed]:
    """Settlements that are closed and were made since then, the newest first, as Mollie lists them."""
    found: list[_Listed] = []
    for settlement in api.listed("/settlements", "settlements"):
        status = text(settlement, "status")
        if status == OPEN:
            continue
        if moment_of(settlement.get("createdAt"), "createdAt") < begin:
            break
        ref = _ref(settlement)
        found.append(_Listed(ref, f"{ref} {status}", text(settlement, "createdAt")))
        if len(found) > _MOST_SETTLEMENTS:
            raise UnreadableReportError(f"more than {_MOST_SETTLEMENTS} settlements: fetch since a later day")
    return found


def _ref(settlement: dict[str, Any]) -> str:
    ref = text(settlement, "id")
    if not ref.startswith("stl_") or not ref.isascii() or not ref.removeprefix("stl_").isalnum():
        raise UnreadableError("a settlement's id is not stl_ and characters")
    return ref
