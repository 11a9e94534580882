"""What a settlement says by month and method: its costs, and the revenue that no list of it has: pure.

``periods`` is an object of years, each one of months, each with ``costs`` and ``revenue`` (Mollie, "Get settlement").
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final
from zoneinfo import ZoneInfo

from checkout_service.providers.adapters.mollie.reports_money import ZERO, money_in
from checkout_service.providers.base import UnreadableError
from checkout_service.providers.fields import LONGEST_ID, items
from checkout_service.settlement_words import EntryKind

ZONE: Final = ZoneInfo("Europe/Amsterdam")
"""Mollie cuts its months here."""

_MOST_ROWS: Final = 20_000

_INEXACT: Final = Decimal("0.001")
"""Net and VAT have four decimals: their sum may be so far from the gross."""

_LISTED: Final = frozenset({"refund", "chargeback", "capture"})

_NAMES: Final = """
    alma applepay bacs bancomatpay bancontact banktransfer belfius billie bizum blik creditcard directdebit eps giftcard
    giropay googlepay ideal in3 inghomepay kbc klarna klarnapaylater klarnapaynow klarnasliceit mbway mobilepay
    multibanco mybank paybybank payconiq paypal paysafecard pointofsale przelewy24 riverty satispay sofort swish trustly
    twint vipps voucher
"""
_METHODS: Final = frozenset(_NAMES.split())
"""Methods of payment that Mollie names: what is of one is in a settlement's lists."""

_KINDS: Final = {
    "rollingreserve": EntryKind.RESERVE,
    "applicationfee": EntryKind.ADJUSTMENT,
    "authorizationreversal": EntryKind.ADJUSTMENT,
    "kickback": EntryKind.ADJUSTMENT,
    "shiftedfee": EntryKind.FEE,
}
"""What else a row's method may be, and no list has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodRow:
    """A row of a month; ``gross`` as it moves the balance, with VAT, in the settlement's currency, with any decimals.

    ``at`` is the month's end in Amsterdam, or when the settlement was made where that was before.
    """

    month: str
    is_cost: bool
    method: str
    description: str
    gross: Decimal
    at: datetime
    adds_up: bool
    """Whether net and VAT are the gross amount."""
    ref: str
    """Made of the settlement, the month, and the row's words and amounts; not of its invoice, which may come later."""

    def kind(self, listed: Collection[str]) -> EntryKind | None:
        """What it is; None of revenue that is in the settlement's lists, whose payments are by ``listed`` methods."""
        if self.is_cost:
            return EntryKind.FEE
        if self.method in _LISTED or self.method in _METHODS or self.method in listed:
            return None
        if not self.method and "compensation" in self.description.casefold():
            return EntryKind.ADJUSTMENT
        return _KINDS.get(self.method, EntryKind.UNKNOWN)


def rows_of(settlement: Mapping[str, Any], ref: str, currency: str, made_at: datetime) -> Iterator[PeriodRow]:
    """All rows of all months. Raises UnreadableError."""
    count = 0
    for year, months in _object(settlement, "periods").items():
        for month, period in _object({"months": months}, "months").items():
            until = _end_of(year, month)
            for part in ("costs", "revenue"):
                for row in items({part: []} | _object({"period": period}, "period"), part):
                    count += 1
                    if count > _MOST_ROWS:
                        raise UnreadableError("a settlement of more rows than anybody has")
                    yield _row(row, f"{year}-{month}", ref, currency, min(until, made_at), is_cost=part == "costs")


def _row(row: dict[str, Any], month: str, ref: str, currency: str, at: datetime, *, is_cost: bool) -> PeriodRow:
    gross, net = money_in(row, "amountGross", currency), money_in(row, "amountNet", currency)
    vat = money_in(row, "amountVat", currency) if row.get("amountVat") is not None else ZERO
    method, description = _words(row, "method"), _words(row, "description")
    parts = (ref, month, "costs" if is_cost else "revenue", method, description, *map(_plain, (net, vat, gross)))
    return PeriodRow(
        month=month,
        is_cost=is_cost,
        method=method,
        description=description,
        gross=-gross if is_cost else gross,
        at=at,
        adds_up=abs(net + vat - gross) <= _INEXACT,
        ref=sha256("\x1f".join(parts).encode()).hexdigest()[:32],
    )


def _end_of(year: str, month: str) -> datetime:
    """The last second of a month in Amsterdam, in UTC."""
    if not (year.isascii() and year.isdigit() and len(year) == 4 and 1970 <= int(year) < 9000):
        raise UnreadableError("a period's year is not four digits")
    if not (month.isascii() and month.isdigit() and len(month) == 2 and 1 <= int(month) <= 12):
        raise UnreadableError("a period's month is not two digits")
    following = datetime(int(year) + int(month) // 12, int(month) % 12 + 1, 1, tzinfo=ZONE)
    return datetime.fromtimestamp(following.timestamp() - 1, UTC)


def _object(holder: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object; {} of an empty list, as PHP writes an object without members."""
    found = holder.get(name)
    if found == [] or found is None:
        return {}
    if not isinstance(found, dict):
        raise UnreadableError(f"{name} is not an object")
    return found


def _words(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > LONGEST_ID or not value.isprintable():
        raise UnreadableError(f"{name} is no printable text of at most {LONGEST_ID} characters")
    return value


def _plain(amount: Decimal) -> str:
    """An amount without zeros behind it: whether Mollie writes 0.5 or 0.5000."""
    return f"{amount.normalize():f}"
