"""Smallest units: exact in both directions, and what a currency cannot express is never rounded."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout_service.money import CURRENCIES, LARGEST, show
from checkout_service.providers.base import Decline, ProviderRefusedError, UnreadableError
from checkout_service.providers.fields import amount_from_minor, amount_from_text, decimal_text, minor_units


@pytest.mark.parametrize(
    ("amount", "currency", "minor", "text"),
    [
        ("12.50", "USD", 1250, "12.50"),
        ("12.00", "JPY", 12, "12"),
        ("1.50", "KWD", 1500, "1.500"),
        ("0.00", "EUR", 0, "0.00"),
        ("99999999.99", "BHD", 99999999990, "99999999.990"),
        ("0.001", "KWD", 1, "0.001"),
    ],
)
def test_an_amount_is_written_as_its_currency_wants(amount: str, currency: str, minor: int, text: str) -> None:
    assert minor_units(Decimal(amount), currency) == minor
    assert decimal_text(Decimal(amount), currency) == text


@pytest.mark.parametrize("write", [minor_units, decimal_text])
def test_what_a_currency_cannot_express_is_refused(write: Any) -> None:
    with pytest.raises(ProviderRefusedError) as caught:
        write(Decimal("12.50"), "JPY")
    assert caught.value.reason is Decline.AMOUNT_REFUSED


def test_a_provider_may_differ_from_the_standard() -> None:
    assert minor_units(Decimal("12.00"), "ISK", {"ISK": 2}) == 1200
    assert amount_from_minor(1200, "ISK", {"ISK": 2}) == Decimal("12.00")


@given(
    thousandths=st.integers(0, int(LARGEST * 1000)),
    currency=st.sampled_from(sorted(CURRENCIES)),
)
def test_an_amount_comes_back_as_it_went(thousandths: int, currency: str) -> None:
    amount = Decimal(thousandths) / 1000
    try:
        minor = minor_units(amount, currency)
    except ProviderRefusedError:
        return
    assert amount_from_minor(minor, currency) == amount
    assert amount_from_text(decimal_text(amount, currency)) == amount


@pytest.mark.parametrize("value", [-1, 10**11, 10**40, True, 1.0, "1250", None, Decimal(1)])
def test_what_is_too_large_or_no_whole_number_is_unreadable(value: Any) -> None:
    with pytest.raises(UnreadableError):
        amount_from_minor(value, "KWD")


@pytest.mark.parametrize("value", ["1.2345", "12.", ".5", "", "-1", "1e3", "NaN", "100000000", 12, None, "1.50x", "1 "])
def test_a_text_that_is_no_amount_of_ours_is_unreadable(value: Any) -> None:
    with pytest.raises(UnreadableError):
        amount_from_text(value)


@pytest.mark.parametrize(("value", "currency"), [("1.001", "USD"), ("12.50", "JPY"), ("1.0001", "KWD")])
def test_a_text_that_its_currency_cannot_express_is_unreadable(value: str, currency: str) -> None:
    with pytest.raises(UnreadableError):
        amount_from_text(value, currency)


def test_a_provider_that_counts_in_smaller_units_than_the_currency_has_is_read_where_it_is_whole() -> None:
    assert str(amount_from_minor(1200, "ISK", {"ISK": 2})) == "12"
    with pytest.raises(UnreadableError, match="no such small unit"):
        amount_from_minor(1250, "ISK", {"ISK": 2})


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("240", "USD", "240.00"),
        ("240", "JPY", "240.00"),
        ("1.5", "KWD", "1.500"),
        ("0.001", "BHD", "0.001"),
        ("2.5", None, "2.50"),
        ("2.125", None, "2.125"),
        ("1.005", "USD", "1.005"),
    ],
)
def test_an_amount_is_shown_with_two_decimals_or_three(amount: str, currency: str | None, shown: str) -> None:
    """The last: what a provider reports may be finer than its currency, and is never rounded."""
    assert show(Decimal(amount), currency) == shown
