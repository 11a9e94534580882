"""Amounts as the customer's language writes them, whatever their browser sends."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from flask import Flask

from checkout_service.money import CURRENCIES, decimals
from checkout_service.pages.amounts import FALLBACK, LOCALES, accepted, follow, form_of, known_locale, write
from tests.conftest import ROOT, MakeListing
from tests.guests import Guest


@pytest.mark.parametrize(
    ("locale", "amount", "currency", "written"),
    [
        ("en", "1234.50", "HUF", "HUF 1,234.50"),
        ("hu", "12345.60", "HUF", "12 345,60 Ft"),
        ("id", "1234.50", "IDR", "Rp 1.234,50"),
        ("en", "1234.00", "JPY", "¥1,234"),
        ("ja", "1234", "JPY", "￥1,234"),
        ("en", "1.5", "KWD", "KWD 1.500"),
        ("de", "1234.5", "EUR", "1.234,50 €"),
        ("de_AT", "1234.5", "EUR", "€ 1.234,50"),
        ("de_CH", "1234567.89", "CHF", "CHF 1'234'567.89"),
        ("fr_CH", "1234.5", "CHF", "1'234.50 CHF"),
        ("en_IN", "12345678.9", "INR", "₹1,23,45,678.90"),
        ("es", "1234.5", "EUR", "1234,50 €"),
        ("es", "12345.6", "EUR", "12.345,60 €"),
        ("en_GB", "3", "USD", "US$3.00"),
        ("en", "99999999.99", "USD", "$99,999,999.99"),
        ("en", "0", "USD", "$0.00"),
        ("ar", "1.5", "KWD", "1.500 د.ك."),
    ],
)
def test_an_amount_has_the_symbol_separators_and_decimals_of_its_locale(
    locale: str, amount: str, currency: str, written: str
) -> None:
    found = form_of(locale).write(Decimal(amount), currency)
    plain = found.replace("\u00a0", " ").replace("\u202f", " ").replace("\u200f", "")
    assert plain == written


@pytest.mark.parametrize("locale", LOCALES.values())
def test_every_locale_writes_every_currency_with_its_own_decimals_and_no_digit_is_lost(locale: str) -> None:
    form = form_of(locale)
    for currency in CURRENCIES:
        written = form.write(Decimal("12345678"), currency)
        digits = "".join(each for each in written if each.isdigit())
        assert digits == "12345678" + "0" * decimals(currency), (currency, written)
        beside = written[written.index("1") - 1 : written.index("1")]
        assert not beside.isalpha(), (currency, written)


def test_more_decimals_than_the_currency_has_are_shown_and_nothing_is_rounded() -> None:
    assert form_of("en").write(Decimal("12.5"), "JPY") == "¥12.5"
    assert form_of("en").write(Decimal("0.005"), "USD") == "$0.005"
    assert form_of("en").write(Decimal("1E+2"), "USD") == "$100.00"
    assert form_of("en").write(Decimal("-3.5"), "USD") == "-3.50 USD"
    assert form_of("en").write(Decimal("3.5"), "XXQ") == "XXQ\u00a03.50"


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        ("", FALLBACK),
        ("de-CH,de;q=0.9,en;q=0.8", "de_CH"),
        ("fr;q=0.5, nl-BE;q=0.7", "nl_BE"),
        ("en-NL", "en"),
        ("de-DE-1996", "de"),
        ("zh-TW", "zh_Hant"),
        ("zh-Hant-HK", "zh_Hant_HK"),
        ("sr-Latn-RS", "sr_Latn"),
        ("es-PE", "es_419"),
        ("no", "nb"),
        ("pt_BR", "pt"),
        ("xx, tlh;q=0.9, it;q=0.1", "it"),
        ("de;q=0, it;q=0.1", "it"),
        ("*", FALLBACK),
        ("de;q=2, it", "it"),
        ("de;q=nan, it;q=0.2", "it"),
        ("de;q=1e9, it;q=0.2", "it"),
        ("de;level=1, it;q=0.2", "it"),
        (";;;,,,=;q=,", FALLBACK),
        ("../../../etc/passwd", FALLBACK),
        ("de\x00, it;q=0.1", "it"),
        ("d\u00e9, it;q=0.1", "it"),
        ("root", FALLBACK),
        ("de-" + "x-" * 4000, FALLBACK),
        ("q" * 100_000, FALLBACK),
        ("xx," * 100_000 + "de", FALLBACK),
        ("en-US;q=0." + "9" * 50_000, FALLBACK),
    ],
)
def test_what_a_browser_accepts_chooses_among_the_locales_that_are_known(header: str, locale: str) -> None:
    assert accepted(header) == locale


def test_no_header_makes_a_page_fail_or_changes_what_machines_read(shop: Flask, make_listing: MakeListing) -> None:
    guest = Guest(shop.test_client())
    guest.put(make_listing(unit_price="1234.50", currency="EUR"))
    pages = {}
    for header in ("de", "fr-FR", "x" * 8000, ";q=,,", "de;q=nope", "\u00e9"):
        page = guest.client.get("/cart", headers={"Accept": "text/html", "Accept-Language": header})
        assert page.status_code == 200
        assert 'name="total" value="1234.50"' in page.text
        assert 'value="1234.50 EUR"' in page.text
        pages[header] = page.text
    assert "1.234,50\u00a0€</data>" in pages["de"]
    assert "1\u202f234,50\u00a0€</data>" in pages["fr-FR"]
    assert "€1,234.50</data>" in pages[";q=,,"]


def test_the_buyers_own_locale_goes_before_the_browsers(app: Flask) -> None:
    with app.test_request_context(headers={"Accept-Language": "en"}):
        follow(None)
        follow({"locale": "tlh"})
        follow({"email": "somebody@example.com"})
        assert write(Decimal("1234.5"), "EUR") == "€1,234.50"
        follow({"locale": "de-DE"})
        assert write(Decimal("1234.5"), "EUR") == "1.234,50\u00a0€"


def test_a_tag_is_never_a_path() -> None:
    for tag in ("", "d", "de/../en", "de.dat", "\u2028de", "de\n", "x" * 300, None or ""):
        assert known_locale(tag) is None


def test_many_at_once_read_a_locale_as_one_does() -> None:
    form_of.cache_clear()
    names = list(LOCALES.values())[:24] * 4
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda name: form_of(name).write(Decimal("1234.5"), "EUR"), names))
    assert found == found[:24] * 4


def test_all_locales_together_take_little_memory() -> None:
    """Babel alone would keep 85 MB of them for good."""
    script = (
        "import resource\n"
        "from checkout_service.pages.amounts import LOCALES, form_of\n"
        "form_of('en')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for name in LOCALES.values(): form_of(name)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    grown = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert int(grown) < 30_000, f"{grown} KiB"
