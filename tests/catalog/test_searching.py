"""Listings are found by words: by their beginnings, in any order, case and accents; and the best come first."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from checkout_service.catalog import searching
from tests.conftest import MakeListing, Sql, Statements

PATH = "/api/listings"


@pytest.fixture(autouse=True)
def _nothing_else(sql: Sql) -> None:
    sql("DELETE FROM listings")


def found(client: FlaskClient, q: str, **query: Any) -> list[str]:
    """The titles on the first page."""
    answer = client.get(PATH, query_string={"q": q, **query})
    assert answer.status_code == 200, answer.text
    return [listing["title"] for listing in answer.json["data"]]


@pytest.mark.parametrize(
    ("q", "hits"),
    [
        ("blazer", True),
        ("BLAZER", True),
        ("bla", True),
        ("navy blazer", True),
        ("blazer, navy!", True),
        ("bl na", True),
        ("łódź", True),
        ("lodz", True),
        ("cafe", True),
        ("CAFÉ", True),
        ("cafe\u0301", True),
        ("strasse", True),
        ("northgate navy", True),
        ("harbour", True),
        ("hardcover", True),
        ("11", True),
        ("школа", True),
        ("ШКОЛ", True),
        ("lazer", False),
        ("navy trousers", False),
        ("%%", False),
        ("na_y", False),
        ("''", False),
        ("'a':*", False),
        ("a & b | !c", False),
        ("\\'\\", False),
        ("::", False),
        ("\u200b\u200b", False),
        ("\U0001f455\U0001f455", False),
    ],
)
def test_all_words_must_begin_words_of_the_listing(
    client: FlaskClient, make_listing: MakeListing, q: str, hits: bool
) -> None:
    make_listing(title="Blazer 'Łódź' (navy): Café-Straße, 11–12 школа")

    assert len(found(client, q)) == hits


def test_whole_words_of_the_title_come_before_its_beginnings_and_these_before_names(
    client: FlaskClient, make_listing: MakeListing, sql: Sql
) -> None:
    vendor = make_listing(title="Other")["vendor_id"]
    sql("UPDATE vendors SET name = 'Polo Sports' WHERE id = :id", id=vendor)
    make_listing(title="Polonaise sheets")
    make_listing(title="Polo, old")
    make_listing(title="Polo, new")
    sql("UPDATE listings SET created_at = now() - interval '1 day' WHERE title = 'Polo, old'")

    assert found(client, "polo") == ["Polo, new", "Polo, old", "Polonaise sheets", "Other"]
    assert found(client, "polo", sort="title") == ["Other", "Polo, new", "Polo, old", "Polonaise sheets"]
    first = client.get(PATH, query_string={"q": "polo", "limit": 2}).json
    assert [each["title"] for each in first["data"]] == ["Polo, new", "Polo, old"]
    assert found(client, "polo", limit=2, cursor=first["next_cursor"]) == ["Polonaise sheets", "Other"]


def test_a_listing_follows_its_names_wherever_they_are_changed(
    client: FlaskClient, make_listing: MakeListing, sql: Sql
) -> None:
    made = make_listing(title="Kit")
    for table, column in (("vendors", "vendor_id"), ("schools", "school_id"), ("specs", "spec_id")):
        sql(f"UPDATE {table} SET name = 'Zeppelin' WHERE id = :id", id=made[column])
        assert found(client, "zeppelin kit") == ["Kit"], table
        sql(f"UPDATE {table} SET name = 'Other' WHERE id = :id", id=made[column])
        assert found(client, "zeppelin") == [], table
    sql("UPDATE listings SET title = 'Zeppelin'")
    assert (found(client, "zeppelin"), found(client, "kit")) == (["Zeppelin"], [])
    sql("UPDATE listings SET active = false")
    assert found(client, "zeppelin") == []


def test_words_are_counted_whatever_happens_to_their_listings(make_listing: MakeListing, sql: Sql) -> None:
    def counts() -> dict[str, int]:
        return {row.word: row.listings for row in sql("SELECT word, listings FROM listing_words WHERE listings <> 0")}

    before = counts()
    made = [make_listing(title=title) for title in ("Zinnia", "Zinnia Quince", "Quince")]
    assert (counts()["zinnia"], counts()["quince"], counts()[""]) == (2, 2, before.get("", 0) + 3)
    sql("UPDATE listings SET title = 'Zinnia' WHERE id = :id", id=made[1]["id"])
    sql("UPDATE listings SET stock = 5, updated_at = now()")
    assert (counts()["zinnia"], counts()["quince"]) == (2, 1)
    sql("UPDATE vendors SET name = 'Zinnia' WHERE id = :id", id=made[2]["vendor_id"])
    assert counts()["zinnia"] == 3
    sql("DELETE FROM listings")
    assert counts() == {word: count for word, count in before.items() if word not in {"zinnia", "quince"}}


def test_a_search_finds_two_hundred_at_most(client: FlaskClient, make_listing: MakeListing, sql: Sql) -> None:
    vendor = make_listing(title="The first")["vendor_id"]
    sql("""INSERT INTO listings (vendor_id, title, unit_price, currency)
        SELECT :vendor, 'Ruler ' || n, 1, 'USD' FROM generate_series(1, 250) AS n""", vendor=vendor)  # fmt: skip

    seen, cursor = list[str](), None
    while cursor or not seen:
        page = client.get(PATH, query_string={"q": "ruler", "limit": 90} | ({"cursor": cursor} if cursor else {})).json
        seen += [each["id"] for each in page["data"]]
        cursor = page["next_cursor"]

    assert len(seen) == len(set(seen)) == 200


@pytest.mark.parametrize("walks", [False, True])
def test_words_that_stand_everywhere_are_found_along_the_newest(
    client: FlaskClient, make_listing: MakeListing, monkeypatch: pytest.MonkeyPatch, statements: Statements, walks: bool
) -> None:
    """As among a million listings, but that each statement looks through so many."""
    if walks:
        monkeypatch.setattr("checkout_service.catalog.ways.FEW_POSTINGS", 2)
    for number in range(5):
        make_listing(title=f"Pencil {number}")
    make_listing(title="Pen")

    with statements() as seen:
        assert found(client, "pencil") == [f"Pencil {number}" for number in reversed(range(5))]
    assert found(client, "pe cil") == []
    assert any("search @@ CAST(" in one or "search @@ %(rare)s" in one for one in seen) or walks
    assert len(seen) == 3


def test_what_no_listing_holds_costs_one_statement(
    client: FlaskClient, make_listing: MakeListing, statements: Statements
) -> None:
    make_listing()
    with statements() as seen:
        assert found(client, "zzzz") == []
    assert len(seen) == 1
    assert searching.MOST_HITS == 200
