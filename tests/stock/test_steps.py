"""A file of many counts is judged as a whole and entered in steps, so nobody waits for a whole file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from flask import Flask

from checkout_service.catalog.operations import ShortagesRefusedError, import_listings
from checkout_service.settings.secret import Secret
from checkout_service.stock.counting import StockRefusedError, enter_stock
from tests.conftest import MakeListing, Servers, Sql
from tests.stock.holding import MakeBuyer, assert_stock_adds_up, counter_of, make_buyer
from tests.stock.test_import import jsonl, line_of

__all__ = ["make_buyer"]

Listings = list[dict[str, Any]]
Enter = Callable[[Listings, Mapping[int, int]], None]


@pytest.fixture(autouse=True)
def _one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for room in ("catalog.operations", "stock.counting"):
        monkeypatch.setattr(f"checkout_service.{room}.STEP", 1)


@pytest.fixture(params=["count", "import"])
def enter(request: pytest.FixtureRequest, servers: Servers) -> Enter:
    """Says that so many pieces lie there of listings, by their places."""
    url = Secret(servers.superuser_url)

    def count(listings: Listings, stocks: Mapping[int, int]) -> None:
        enter_stock({listings[place]["id"]: stock for place, stock in stocks.items()}, database_url=url)

    def import_(listings: Listings, stocks: Mapping[int, int]) -> None:
        lines = [line_of(listings[place], stock=stock) for place, stock in stocks.items()]
        import_listings(file=jsonl(*lines), database_url=url)

    return count if request.param == "count" else import_


@pytest.fixture
def listings(make_listing: MakeListing) -> Listings:
    """Three with 5 pieces each, in the order of their ids."""
    return sorted((make_listing(stock=5) for _ in range(3)), key=lambda listing: listing["id"])


@contextmanager
def _held(servers: Servers, listing: dict[str, Any]) -> Iterator[None]:
    """The counter of this listing is locked by somebody else, until the block ends."""
    with psycopg.connect(servers.superuser_url.replace("+psycopg", "")) as other:
        other.execute("SELECT FROM stock_counters WHERE listing_id = %s FOR UPDATE", [listing["id"]])
        yield


def _until(is_so: Callable[[], bool]) -> None:
    end = monotonic() + 60
    while not is_so():
        assert monotonic() < end, "it never was"
        sleep(0.01)


def test_what_is_entered_can_be_bought_while_the_rest_is_still_to_come(
    enter: Enter, listings: Listings, make_buyer: MakeBuyer, servers: Servers, sql: Sql
) -> None:
    first, second, last = listings
    with ThreadPoolExecutor(1) as pool:
        with _held(servers, last):
            entering = pool.submit(enter, listings, {0: 9, 1: 8, 2: 7})
            _until(lambda: counter_of(sql, second) == (8, 0))
            assert counter_of(sql, last) == (5, 0)
            assert make_buyer().take((first, 9)).held
        entering.result(timeout=30)
    assert [counter_of(sql, each) for each in listings] == [(9, 9), (8, 0), (7, 0)]
    assert_stock_adds_up(sql)


def test_a_file_with_one_listing_below_what_is_reserved_enters_nothing(
    enter: Enter, listings: Listings, make_buyer: MakeBuyer, sql: Sql
) -> None:
    make_buyer().buy((listings[2], 4))

    with pytest.raises((StockRefusedError, ShortagesRefusedError), match="below what is reserved"):
        enter(listings, {0: 9, 1: 8, 2: 3})

    assert [counter_of(sql, each) for each in listings] == [(5, 0), (5, 0), (5, 4)]


def test_what_was_taken_since_the_file_was_judged_is_never_entered_below_what_is_reserved(
    enter: Enter, listings: Listings, make_buyer: MakeBuyer, servers: Servers, sql: Sql
) -> None:
    first, second, last = listings
    with ThreadPoolExecutor(1) as pool:
        with _held(servers, second):
            entering = pool.submit(enter, listings, {0: 9, 1: 8, 2: 3})
            _until(lambda: counter_of(sql, first) == (9, 0))
            assert make_buyer().take((last, 4)).held
        with pytest.raises((StockRefusedError, ShortagesRefusedError), match="a stock of 3 is below") as refused:
            entering.result(timeout=30)

    assert getattr(refused.value, "entered", None) == 2 or getattr(refused.value, "stored", False)
    assert [counter_of(sql, each) for each in listings] == [(9, 0), (8, 0), (5, 4)]
    assert_stock_adds_up(sql)


def test_an_import_leaves_out_only_what_was_taken_and_takes_it_the_next_time(
    listings: Listings, make_buyer: MakeBuyer, servers: Servers, sql: Sql
) -> None:
    url, stocks = Secret(servers.superuser_url), (9, 3, 7)
    lines = [line_of(each, stock=stock, title="Atlas") for each, stock in zip(listings, stocks, strict=True)]
    buyer, taken = make_buyer(), uuid4()
    with ThreadPoolExecutor(1) as pool:
        with _held(servers, listings[0]):
            importing = pool.submit(import_listings, file=jsonl(*lines), database_url=url)
            _until(lambda: sql("SELECT count(*) AS n FROM listings WHERE title = 'Atlas'")[0].n == 3)
            assert buyer.take((listings[1], 4), payment_id=taken).held
        with pytest.raises(ShortagesRefusedError) as refused:
            importing.result(timeout=30)
    assert [number for number, _ in refused.value.shortages] == [2]
    assert [counter_of(sql, each)[0] for each in listings] == [9, 5, 7]

    buyer.release(taken)
    again = import_listings(file=jsonl(*lines), database_url=url)

    assert (again.new, again.changed, again.unchanged) == (0, 1, 2)
    assert [counter_of(sql, each)[0] for each in listings] == [9, 3, 7]


def test_a_command_that_stopped_in_between_says_what_stays(
    listings: Listings, servers: Servers, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("checkout_service.stock.counting.LOCK_WITHIN", "50ms")
    with _held(servers, listings[2]), pytest.raises(StockRefusedError) as refused:
        enter_stock({each["id"]: 9 for each in listings}, database_url=Secret(servers.superuser_url))

    assert refused.value.entered == 2
    assert [counter_of(sql, each)[0] for each in listings] == [9, 9, 5]


def test_an_import_whose_database_goes_away_in_between_says_what_stays(
    app: Flask, listings: Listings, servers: Servers, sql: Sql, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MIGRATION_DATABASE_URL", servers.superuser_url)
    path = tmp_path / "catalog.jsonl"
    path.write_bytes(jsonl(*(line_of(each, stock=9, title="Atlas") for each in listings)).getvalue())
    command = ["catalog", "import", str(path)]
    with ThreadPoolExecutor(1) as pool, _held(servers, listings[2]):
        importing = pool.submit(app.test_cli_runner().invoke, args=command)
        _until(lambda: counter_of(sql, listings[1]) == (9, 0))
        sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'catalog-import'")
        stopped = importing.result(timeout=30)

    assert stopped.exit_code == 1
    assert stopped.stderr.endswith(
        "All was imported but some stock, which is as it was before: import the file again.\n"
    )
    assert [(row.title, row.stock) for row in sql("SELECT title, stock FROM listings ORDER BY id")] == [
        *[("Atlas", 9)] * 2,
        ("Atlas", 5),
    ]
    assert app.test_cli_runner().invoke(args=command).exit_code == 0
    assert counter_of(sql, listings[2]) == (9, 0)
