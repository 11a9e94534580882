"""Amounts as the people of a language write them: symbol, separators, and the decimals that ISO 4217 gives a currency.

The words of the pages are English; only amounts follow the customer. Babel holds CLDR's data, and is asked for them
once a locale. It writes no amount here: it takes other decimals (1,234 for 1234.50 HUF), loses the separators of a
million Swiss francs, and leaves no space between a code and its digits (findings/).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from threading import Lock
from typing import Any, Final

from babel import Locale, localedata
from flask import g, request

from checkout_service.money import KNOWN_CURRENCIES, decimals, show_with_currency

Write = Callable[[Decimal, str], str]
"""Writes an amount of a currency for people."""

FALLBACK: Final = "en"

LONGEST_HEADER: Final = 256
"""Characters of an Accept-Language header that are looked at; browsers send some 50."""

MOST_TAGS: Final = 12

_LOCALES: Final = """
    af am ar ar_AE ar_EG ar_SA az be bg bn bs ca cs cy da de de_AT de_CH de_LI el en en_AU en_CA en_GB en_IE en_IN en_NZ
    en_ZA es es_419 es_AR es_CL es_CO es_MX es_US et eu fa fi fil fr fr_BE fr_CA fr_CH ga gl gu he hi hr hu hy id is it
    it_CH ja ka kk km ko lt lv mk ml mr ms nb ne nl nl_BE nn pa pl pt pt_PT ro ru sk sl sq sr sr_Latn sv sw ta te th tr
    uk ur uz vi zh zh_Hant zh_Hant_HK
"""
LOCALES: Final = {locale.lower(): locale for locale in _LOCALES.split()}
"""Locales that amounts are written for, by their names in lower case. A fixed set: whoever asks for all of them, one
after the other, has each read once."""

_LANDS_LIKE_419 = "bo cr cu do ec gt hn ni pa pe pr py sv uy ve"
"""Lands of Latin America whose amounts look as in all of it."""

_OTHER_NAMES: Final = {f"es_{land}": "es_419" for land in _LANDS_LIKE_419.split()} | {
    "no": "nb", "iw": "he", "in": "id", "tl": "fil",
    "zh_tw": "zh_Hant", "zh_hk": "zh_Hant_HK", "zh_mo": "zh_Hant_HK",
}  # fmt: skip

_FOUR_DIGITS_TOGETHER: Final = frozenset(["bg", "es", "et", "hu", "it", "it_CH", "lv", "pl", "pt_PT", "sl"])
"""Locales that write 1234,50 and 12.345,60 (minimumGroupingDigits in CLDR), which Babel's data leave out."""

_TAG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8}){0,4}")
_WEIGHT = re.compile(r"[qQ]=([01](?:\.[0-9]{0,3})?)")
_loading = Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountForm:
    """How a locale writes amounts. ``before`` and ``after`` stand around the digits, with ¤ for the symbol.

    ``grouping`` counts the digits of the last group and of those before it.
    """

    locale: str
    before: str
    after: str
    grouping: tuple[int, int]
    separator: str
    point: str
    symbols: Mapping[str, str]

    def write(self, amount: Decimal, currency: str) -> str:
        """The amount, 0 or more, exact: with the currency's decimals, and further ones only where it has them."""
        if not amount.is_finite() or amount < 0:
            return show_with_currency(amount, currency)
        finest = -int(amount.normalize().as_tuple().exponent)
        whole, _, fraction = f"{amount:.{max(decimals(currency), finest)}f}".partition(".")
        symbol = self.symbols.get(currency, currency)
        digits = self._grouped(whole) + (self.point + fraction if fraction else "")
        return _joined(self.before, symbol, last=True) + digits + _joined(self.after, symbol, last=False)

    def _grouped(self, whole: str) -> str:
        last, others = self.grouping
        if len(whole) < last + (2 if self.locale in _FOUR_DIGITS_TOGETHER else 1):
            return whole
        head, groups = whole[:-last], [whole[-last:]]
        while head:
            head, group = head[:-others], head[-others:]
            groups.insert(0, group)
        return self.separator.join(groups)


def _joined(around: str, symbol: str, *, last: bool) -> str:
    """What stands beside the digits; a space keeps them apart from a symbol that is written as a word, such as CHF."""
    touches = around.endswith("¤") if last else around.startswith("¤")
    if touches and unicodedata.category(symbol[-1 if last else 0])[0] not in "SZ":
        around = f"{around}\u00a0" if last else f"\u00a0{around}"
    return around.replace("¤", symbol)


def write(amount: Decimal, currency: str) -> str:
    """The amount for whom the request at work is from."""
    return form().write(amount, currency)


def form() -> AmountForm:
    """How the customer of the request at work writes amounts: by ``follow``, or as their browser says."""
    if "amount_form" not in g:
        g.amount_form = form_of(accepted(request.headers.get("Accept-Language", "")))
    known: AmountForm = g.amount_form
    return known


def follow(buyer: Mapping[str, Any] | None) -> None:
    """Write amounts in the locale that a buyer gave with a session, if they gave one that is known here."""
    locale = known_locale(str((buyer or {}).get("locale") or ""))
    if locale:
        g.amount_form = form_of(locale)


def accepted(header: str) -> str:
    """The locale that an Accept-Language header likes best of those that are known, whatever the header holds."""
    found: list[tuple[float, str]] = []
    for part in header[:LONGEST_HEADER].split(",")[:MOST_TAGS]:
        tag, _, given = part.partition(";")
        weight = _WEIGHT.fullmatch(given.strip()) if given else None
        locale = known_locale(tag.strip())
        liked = float(weight[1]) if weight else 0.0 if given else 1.0
        if locale and 0 < liked <= 1:
            found.append((liked, locale))
    return max(found, key=lambda each: each[0], default=(1.0, FALLBACK))[1]


def known_locale(tag: str) -> str | None:
    """The locale of a language tag such as ``de-AT``, else that of its language; None where neither is known."""
    if len(tag) > LONGEST_HEADER or not _TAG.fullmatch(tag):
        return None
    parts = tag.lower().replace("-", "_").split("_")
    while parts:
        name = "_".join(parts)
        if name in _OTHER_NAMES or name in LOCALES:
            return _OTHER_NAMES.get(name) or LOCALES[name]
        parts.pop()
    return None


@cache
def form_of(locale: str) -> AmountForm:
    """The form of one of ``LOCALES``."""
    with _loading:
        data = Locale.parse(locale)
        pattern = data.currency_formats["standard"]
        digits = data.number_symbols["latn"]
        found = AmountForm(
            locale=locale,
            before=pattern.prefix[0],
            after=pattern.suffix[0],
            grouping=pattern.grouping,
            separator=digits.get("currencyGroup", digits["group"]),
            point=digits.get("currencyDecimal", digits["decimal"]),
            symbols={code: symbol for code, symbol in data.currency_symbols.items() if code in KNOWN_CURRENCIES},
        )
        # Babel would keep what it read of each locale for good: nearly a megabyte, of which this needs some kilobytes.
        localedata.clear_caches()
    return found
