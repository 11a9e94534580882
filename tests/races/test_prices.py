"""A price, and the currency of its listing, written at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy.exc import IntegrityError

from tests.conftest import MakeListing, Sql
from tests.crowd import at_once

ROUNDS = 20


def test_no_listing_gets_a_second_price_in_the_currency_that_becomes_its_own(
    make_listing: MakeListing, sql: Sql
) -> None:
    def write(listing: Any) -> None:
        with suppress(IntegrityError):
            sql("INSERT INTO listing_prices (listing_id, currency, unit_price) VALUES (:id, 'EUR', 8)", id=listing)

    for turn in range(ROUNDS):
        listing = make_listing(currency="USD")["id"]
        jobs: list[Callable[[], Any]] = [
            lambda listing=listing: write(listing),
            lambda listing=listing: sql("UPDATE listings SET currency = 'EUR' WHERE id = :id", id=listing),
        ]

        at_once(jobs if turn % 2 else jobs[::-1])

        assert sql("SELECT FROM listing_prices") == []
