"""``checkout stock``: what lies there is entered, shown, and refused with names where it is below what is reserved."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
import pytest
from click.testing import Result
from flask import Flask

from checkout_service.settings.secret import Secret
from checkout_service.stock.counting import Mode, enter_stock
from tests.conftest import Customer, MakeListing, Servers, Sql
from tests.crowd import at_once
from tests.money import bring_to
from tests.order_requests import short_order
from tests.stock.holding import Buyer, MakeBuyer, assert_stock_adds_up, buyer, counter_of, make_buyer

__all__ = ["buyer", "make_buyer"]

UNCHANGED: Final = "Nothing was changed."


@pytest.fixture(autouse=True)
def _owner(monkeypatch: pytest.MonkeyPatch, servers: Servers) -> None:
    monkeypatch.setenv("MIGRATION_DATABASE_URL", servers.superuser_url)


def stock(app: Flask, *arguments: Any, given: str | None = None) -> Result:
    """``checkout stock …``."""
    return app.test_cli_runner().invoke(args=["stock", *map(str, arguments)], input=given)


def test_stock_is_set_and_from_then_on_tracked(app: Flask, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing(stock=None)

    first, second = stock(app, "set", listing["id"], 5), stock(app, "set", listing["id"], 7)

    assert first.exit_code == second.exit_code == 0, first.output + second.output
    assert "5 lie there, 5 available" in first.output
    assert "Before: not tracked." in first.output
    assert "Before: 5." in second.output
    assert counter_of(sql, listing) == (7, 0)


def test_pieces_come_and_go(app: Flask, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing(stock=10)

    assert stock(app, "add", listing["id"], 5).exit_code == 0
    went = stock(app, "add", listing["id"], -12)

    assert went.exit_code == 0, went.output
    assert counter_of(sql, listing) == (3, 0)


def test_two_at_once_both_count(make_listing: MakeListing, servers: Servers, sql: Sql) -> None:
    listings = [make_listing(stock=0)["id"] for _ in range(20)]
    url = Secret(servers.superuser_url)

    def add(order: list[UUID]) -> None:
        enter_stock(dict.fromkeys(order, 1), database_url=url, mode=Mode.MORE)

    at_once([partial(add, listings), partial(add, listings[::-1])] * 4)

    assert [row.stock for row in sql("SELECT stock FROM stock_counters")] == [8] * 20


@pytest.fixture
def reserved(make_buyer: MakeBuyer, make_listing: MakeListing, sql: Sql) -> dict[str, Any]:
    """A listing of 10 pieces: 2 held, 3 sold to order 7 and 1 to an order that has no number yet."""
    listing = make_listing(stock=10, title="Atlas")
    make_buyer().buy((listing, 2))
    bring_to(sql, make_buyer().buy((listing, 3)), "paid")
    sql("UPDATE orders SET number = 7, number_prefix = 'S-'")
    bring_to(sql, make_buyer().buy((listing, 1)), "paid")
    return listing


@pytest.mark.parametrize("command", [("set", 5), ("count", 5), ("add", -5), ("set", 0)])
def test_less_than_is_reserved_is_refused_with_names(
    app: Flask, reserved: dict[str, Any], sql: Sql, command: tuple[str, int]
) -> None:
    refused = stock(app, command[0], reserved["id"], command[1])

    (unnumbered,) = sql("SELECT id FROM orders WHERE number IS NULL")
    assert refused.exit_code == 1
    assert f"Atlas ({reserved['id']})" in refused.output
    assert f"2 held, 4 sold and not fulfilled (orders S-7, {unnumbered.id})" in refused.output
    assert "enter the shortage: stock count LISTING N --accept" in refused.output
    assert UNCHANGED in refused.output
    assert counter_of(sql, reserved) == (10, 6)


def test_as_much_as_is_reserved_is_no_shortage(app: Flask, reserved: dict[str, Any], sql: Sql) -> None:
    assert stock(app, "set", reserved["id"], 6).exit_code == 0

    assert counter_of(sql, reserved) == (6, 6)


def test_a_shortage_is_entered_when_it_is_accepted(
    app: Flask, reserved: dict[str, Any], make_buyer: MakeBuyer, sql: Sql
) -> None:
    entered = stock(app, "count", reserved["id"], 4, "--accept")

    assert entered.exit_code == 0, entered.output
    assert "4 lie there, 0 available; 2 held, 4 sold and not fulfilled (orders S-7" in entered.output
    assert counter_of(sql, reserved) == (4, 6)
    assert make_buyer().take((reserved, 1)).short[0].available == 0
    assert stock(app, "set", reserved["id"], 5).exit_code == 1, "still below"
    assert stock(app, "add", reserved["id"], 1).exit_code == 0, "pieces may come"
    assert counter_of(sql, reserved) == (5, 6)
    assert_stock_adds_up(sql)


def test_how_many_are_short_is_shown(
    app: Flask, reserved: dict[str, Any], customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    assert " short" not in stock(app, "show", reserved["id"]).output
    stock(app, "count", reserved["id"], 4, "--accept")
    other = make_listing(stock=5)
    short_order(sql, customer, (other, 3), left=1)

    assert "2 short: held or sold, and not there." in stock(app, "show", reserved["id"]).output
    assert "1 lie there, 0 available; 0 held, 1 sold" in stock(app, "show", other["id"]).output
    assert "2 short: held or sold, and not there." in stock(app, "show", other["id"]).output


def test_listings_are_found_by_their_title(app: Flask, reserved: dict[str, Any], make_listing: MakeListing) -> None:
    ruler = make_listing(stock=None, title="Ruler, 50% off\x1b[2J", active=False)

    found, every, none = (
        stock(app, "list", *arguments) for arguments in (("--title", "aTLa"), (), ("--title", "%tlas"))
    )
    first = stock(app, "list", "--limit", 1)
    literal = stock(app, "list", "--title", "50%")

    assert [line.split() for line in found.stdout.splitlines()] == [
        [str(reserved["id"]), "10", "lie", "there,", "4", "available", "Atlas"]
    ]
    assert [line.split()[0] for line in every.stdout.splitlines()] == [str(reserved["id"]), str(ruler["id"])]
    assert (none.stdout, none.stderr) == ("", "No listings match.\n")
    assert first.stderr == "The first 1 are shown; there may be more: --limit\n"
    assert literal.stdout.startswith(f"{ruler['id']}  not tracked ")
    assert "(not on sale)" in literal.stdout
    assert "\x1b" not in literal.stdout


def test_it_is_shown(app: Flask, reserved: dict[str, Any], make_listing: MakeListing) -> None:
    shown = stock(app, "show", reserved["id"])
    plain = stock(app, "show", make_listing(stock=None, title="Ruler\x1b[2J")["id"])

    assert shown.exit_code == plain.exit_code == 0
    assert "10 lie there, 4 available; 2 held, 4 sold" in shown.output
    assert "not tracked; 0 held, 0 sold and not fulfilled." in plain.output
    assert "\x1b" not in plain.output


def test_very_many_orders_are_counted(app: Flask, make_buyer: MakeBuyer, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing(stock=12)
    for _ in range(12):
        bring_to(sql, make_buyer().buy((listing, 1)), "paid")
    sql("SELECT orders_number('', 100)")

    refused = stock(app, "set", listing["id"], 0)

    assert "(orders 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 others)" in refused.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("set", "LISTING"), "Missing argument 'N'"),
        (("set", "no-uuid", 1), "not a valid UUID"),
        (("set", "LISTING", "many"), "not a valid integer"),
        (("set", "LISTING", "1.5"), "not a valid integer"),
        (("set", "LISTING", -1), "not in the range"),
        (("set", "LISTING", 2**31), "not in the range"),
        (("set", "LISTING", "9" * 5000), "not a valid integer"),
        (("add", "LISTING", 2**31 - 1), "which is not from 0 to 2147483647"),
        (("add", "LISTING", -11), "would make -1"),
        (("add", "LISTING", -(2**40)), "not in the range"),
        (("count", "LISTING"), "Give LISTING and N, or --file."),
        (("count",), "Give LISTING and N, or --file."),
        (("show", "LISTING", "--nothing"), "no such option"),
        (("set", "LISTING", 1, 2), "unexpected extra argument"),
        (
            ("set", "00000000-0000-7000-8000-000000000000", 1),
            "There is no listing 00000000-0000-7000-8000-000000000000",
        ),
        (("show", "00000000-0000-7000-8000-000000000000"), "There is no listing 00000000-0000-7000-8000-000000000000"),
    ],
)
def test_what_is_no_number_or_no_listing_is_refused(
    app: Flask, make_listing: MakeListing, sql: Sql, arguments: tuple[Any, ...], message: str
) -> None:
    listing = make_listing(stock=10)

    refused = stock(app, *[listing["id"] if argument == "LISTING" else argument for argument in arguments])

    assert refused.exit_code in {1, 2}
    assert refused.exception is None or isinstance(refused.exception, SystemExit)
    assert message.lower() in refused.output.lower()
    assert counter_of(sql, listing) == (10, 0)


def test_pieces_cannot_come_to_what_nobody_counts(app: Flask, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing(stock=None)

    refused = stock(app, "add", listing["id"], 5)

    assert refused.exit_code == 1
    assert "is not tracked" in refused.output
    assert sql("SELECT stock FROM listings")[0].stock is None


def test_a_file_says_it_of_many(app: Flask, make_listing: MakeListing, sql: Sql, tmp_path: Path) -> None:
    first, second = make_listing(stock=1), make_listing(stock=2)
    sheet = tmp_path / "count.csv"
    sheet.write_bytes(f'\ufeff{second["id"]}, 8\r\n\r\n"{first["id"]}",9\r\n'.encode())

    counted = stock(app, "count", "--file", sheet)

    assert counted.exit_code == 0, counted.output
    assert (counter_of(sql, first), counter_of(sql, second)) == ((9, 0), (8, 0))


def test_a_file_is_entered_as_a_whole_or_not_at_all(
    app: Flask, reserved: dict[str, Any], make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=1)
    sheet = f"{listing['id']},9\n{reserved['id']},5\n"

    refused = stock(app, "count", "--file", "-", given=sheet)

    assert refused.exit_code == 1
    assert "Atlas" in refused.output
    assert counter_of(sql, listing) == (1, 0)
    assert stock(app, "count", "--file", "-", "--accept", given=sheet).exit_code == 0
    assert (counter_of(sql, listing), counter_of(sql, reserved)) == ((9, 0), (5, 6))


@pytest.mark.parametrize(
    ("sheet", "message"),
    [
        ("", "names no listing"),
        ("LISTING,1\nLISTING,1\n", "line 2: the listing LISTING has a line already"),
        ("LISTING,1\nLISTING,2,3\n", 'line 2: is not "LISTING,N"'),
        ("LISTING\n", 'line 1: is not "LISTING,N"'),
        ("LISTING,x\n", "line 1: x is no integer"),
        ("LISTING,-1\n", "line 1: -1 is no integer"),
        ("LISTING,2147483648\n", "line 1: 2147483648 is no integer"),
        ("LISTING," + "9" * 9999 + "\n", "is no integer"),
        ("LISTING,٣\n", "is no integer"),
        ("no\x1b,1\n", r"line 1: 'no\x1b' is no UUID"),
        ('LISTING,"1\n', "no CSV file"),
        ("00000000-0000-7000-8000-000000000000,1\n", "There is no listing"),
    ],
)
def test_a_file_that_is_none_is_refused(
    app: Flask, make_listing: MakeListing, sql: Sql, sheet: str, message: str
) -> None:
    listing = make_listing(stock=1)

    refused = stock(app, "count", "--file", "-", given=sheet.replace("LISTING", str(listing["id"])))

    assert refused.exit_code == 1
    assert message.replace("LISTING,N", "*").replace("LISTING", str(listing["id"])).replace("*", "LISTING,N") in (
        refused.output
    )
    assert counter_of(sql, listing) == (1, 0)


def test_a_file_of_other_bytes_is_refused(app: Flask, tmp_path: Path) -> None:
    sheet = tmp_path / "count.csv"
    sheet.write_bytes(b"\xff\xfe\x00")

    refused = stock(app, "count", "--file", sheet)

    assert refused.exit_code == 1
    assert "no CSV file in UTF-8" in refused.output


def test_a_listing_that_others_hold_is_not_waited_for_for_ever(
    app: Flask, make_listing: MakeListing, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("checkout_service.stock.counting.LOCK_WITHIN", "50ms")
    listing = make_listing(stock=1)
    with psycopg.connect(servers.superuser_url.replace("+psycopg", "")) as other:
        other.execute("SELECT FROM listings FOR UPDATE")

        refused = stock(app, "set", listing["id"], 2)

    assert refused.exit_code == 1
    assert "Others hold these listings for too long" in refused.output


@pytest.mark.parametrize("url", [None, "postgresql://checkout_web@127.0.0.1:1/nowhere"])
def test_without_the_owners_way_to_the_database_it_says_so(
    app: Flask, monkeypatch: pytest.MonkeyPatch, url: str | None
) -> None:
    if url is None:
        monkeypatch.delenv("MIGRATION_DATABASE_URL")
    else:
        monkeypatch.setenv("MIGRATION_DATABASE_URL", url)

    refused = stock(app, "set", uuid4(), 2)

    assert refused.exit_code == 1
    assert ("MIGRATION_DATABASE_URL" if url is None else "The database refused") in refused.output


def test_the_web_role_may_not(app: Flask, make_listing: MakeListing, servers: Servers, sql: Sql) -> None:
    listing = make_listing(stock=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIGRATION_DATABASE_URL", servers.web_url)

        refused = stock(app, "set", listing["id"], 2)

    assert refused.exit_code == 1
    assert "The database refused" in refused.output
    assert counter_of(sql, listing) == (1, 0)


def test_a_buyer_who_takes_meanwhile_is_waited_for(
    app: Flask, buyer: Buyer, make_listing: MakeListing, sql: Sql
) -> None:
    """A count and a take at the same moment: whoever is second knows of the first."""
    for _ in range(5):
        listing = make_listing(stock=3)

        def count(listing: dict[str, Any] = listing) -> Result:
            return stock(app, "set", listing["id"], 2)

        def take(listing: dict[str, Any] = listing) -> bool:
            return buyer.take((listing, 3)).held

        counted, held = at_once([count, take])

        assert (counted.exit_code == 0) is not held
        assert counter_of(sql, listing) == ((3, 3) if held else (2, 0))
