"""An import says what lies there. It never sells again what is sold, and locks listings in the order of their ids."""

from __future__ import annotations

import io
import json
from typing import Any
from uuid import UUID

import pytest
from click.testing import Result
from flask import Flask

from checkout_service.catalog.operations import ImportRefusedError, ShortagesRefusedError, import_listings
from checkout_service.settings.secret import Secret
from tests.conftest import MakeListing, Servers, Sql
from tests.money import bring_to
from tests.stock.holding import MakeBuyer, assert_stock_adds_up, counter_of, make_buyer

__all__ = ["make_buyer"]


def line_of(listing: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The listing as a line of a catalogue file, with changes."""
    return {
        "id": str(listing["id"]),
        "title": listing["title"],
        "unit_price": str(listing["unit_price"]),
        "currency": listing["currency"],
        "stock": listing["stock"],
        "vendor": {"id": str(listing["vendor_id"]), "name": "Harbour Books"},
    } | changes


def jsonl(*lines: dict[str, Any]) -> io.BytesIO:
    return io.BytesIO(b"".join(json.dumps(line).encode() + b"\n" for line in lines))


def import_by_command(app: Flask, servers: Servers, *arguments: str, lines: list[dict[str, Any]]) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIGRATION_DATABASE_URL", servers.superuser_url)
        return app.test_cli_runner().invoke(
            args=["catalog", "import", "-", *arguments], input=jsonl(*lines).getvalue().decode()
        )


def sell(make_buyer: MakeBuyer, sql: Sql, listing: dict[str, Any], qty: int) -> UUID:
    payment_id = make_buyer().buy((listing, qty))
    bring_to(sql, payment_id, "paid")
    return payment_id


def test_what_is_sold_and_still_lies_there_is_never_sold_again(
    make_buyer: MakeBuyer, make_listing: MakeListing, servers: Servers, sql: Sql
) -> None:
    listing = make_listing(stock=3)
    sell(make_buyer, sql, listing, 2)

    for _ in range(2):
        import_listings(file=jsonl(line_of(listing)), database_url=Secret(servers.superuser_url))

    assert counter_of(sql, listing) == (3, 2)
    assert make_buyer().take((listing, 2)).short[0].available == 1
    import_listings(file=jsonl(line_of(listing, stock=5)), database_url=Secret(servers.superuser_url))
    assert make_buyer().take((listing, 4)).short[0].available == 3
    assert make_buyer().take((listing, 3)).held
    assert_stock_adds_up(sql)


def test_a_line_below_what_is_reserved_is_refused_with_names_and_the_file_with_it(
    app: Flask, make_buyer: MakeBuyer, make_listing: MakeListing, servers: Servers, sql: Sql
) -> None:
    listing, other = make_listing(stock=5, title="Atlas"), make_listing(stock=5)
    sell(make_buyer, sql, listing, 3)
    sql("SELECT orders_number('S-', 100)")
    make_buyer().buy((listing, 1))
    lines = [line_of(other, stock=9), line_of(listing, stock=3), line_of(listing, id=str(UUID(int=5)), title="New")]

    refused = import_by_command(app, servers, lines=lines)

    assert refused.exit_code == 1
    assert f"line 2: Atlas ({listing['id']}): a stock of 3 is below what is reserved: 1 held, 3 sold" in refused.output
    assert "(order S-1)" in refused.output
    assert "Nothing was imported." in refused.output
    assert (counter_of(sql, listing), counter_of(sql, other)) == ((5, 4), (5, 0))
    assert sql("SELECT count(*) FROM listings")[0].count == 2


def test_shortages_are_entered_where_they_are_accepted_and_repeated_files_say_nothing_new(
    app: Flask, make_buyer: MakeBuyer, make_listing: MakeListing, servers: Servers, sql: Sql
) -> None:
    listing = make_listing(stock=5)
    sell(make_buyer, sql, listing, 3)

    accepted = import_by_command(app, servers, "--accept-shortages", lines=[line_of(listing, stock=1)])
    again = import_by_command(app, servers, lines=[line_of(listing, stock=1, title="Another title")])
    lower = import_by_command(app, servers, lines=[line_of(listing, stock=0)])

    assert accepted.exit_code == 0, accepted.output
    assert "shortage: " in accepted.output
    assert "0 held, 3 sold" in accepted.output
    assert again.exit_code == 0, again.output
    assert "shortage" not in again.output
    assert lower.exit_code == 1
    assert counter_of(sql, listing) == (1, 3)
    assert make_buyer().take((listing, 1)).short
    assert_stock_adds_up(sql)


def test_very_many_shortages_are_counted(
    app: Flask, make_buyer: MakeBuyer, make_listing: MakeListing, servers: Servers
) -> None:
    listings = [make_listing(stock=1) for _ in range(23)]
    make_buyer().buy(*[(listing, 1) for listing in listings])

    refused = import_by_command(app, servers, lines=[line_of(listing, stock=0) for listing in listings])

    assert refused.output.count("is below what is reserved") == 20
    assert "and 3 others" in refused.output


def test_a_refusal_names_the_first_line_and_all_that_are_short(
    make_buyer: MakeBuyer, make_listing: MakeListing, servers: Servers
) -> None:
    first, second = make_listing(stock=1), make_listing(stock=1)
    make_buyer().buy((first, 1), (second, 1))
    lines = [line_of(make_listing()), line_of(second, stock=0), line_of(first, stock=0)]

    with pytest.raises(ImportRefusedError, match="line 2: ") as refused:
        import_listings(file=jsonl(*lines), database_url=Secret(servers.superuser_url))

    assert isinstance(refused.value, ShortagesRefusedError)
    assert [number for number, _ in refused.value.shortages] == [2, 3]


def test_what_is_no_longer_counted_is_no_shortage(
    make_buyer: MakeBuyer, make_listing: MakeListing, servers: Servers, sql: Sql
) -> None:
    listing = make_listing(stock=3)
    sell(make_buyer, sql, listing, 2)

    import_listings(file=jsonl(line_of(listing, stock=None)), database_url=Secret(servers.superuser_url))
    assert counter_of(sql, listing) == (None, 2)
    with pytest.raises(ShortagesRefusedError):
        import_listings(file=jsonl(line_of(listing, stock=1)), database_url=Secret(servers.superuser_url))

    assert counter_of(sql, listing) == (None, 2)
    assert_stock_adds_up(sql)
