"""A whole catalogue file comes in, or nothing of it."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import psutil
import pytest
from click.testing import Result
from flask import Flask

from checkout_service.catalog.operations import Imported, ImportRefusedError, import_listings
from checkout_service.local.demo_catalog import CATALOGUE
from checkout_service.settings.origins import read_origins
from checkout_service.settings.secret import Secret
from tests.conftest import Customer, Servers, Sql

NAMESPACE = UUID("018f0000-0000-7000-8000-000000000000")


def listing(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": str(uuid5(NAMESPACE, f"listing {number}")),
        "title": f"Listing {number}",
        "unit_price": "3.50",
        "currency": "USD",
        "stock": 7,
        "active": True,
        "vendor": {"id": str(uuid5(NAMESPACE, f"vendor {number % 7}")), "name": f"Vendor {number % 7}"},
        "school": {"id": str(uuid5(NAMESPACE, f"school {number % 11}")), "name": f"School {number % 11}"},
        "spec": {
            "id": str(uuid5(NAMESPACE, f"spec {number % 500}")),
            "name": f"Spec {number % 500}",
            "attributes": {"size": number % 500},
        },
    } | changes


def jsonl(*listings: dict[str, Any]) -> io.BytesIO:
    return io.BytesIO(b"".join(json.dumps(one).encode() + b"\n" for one in listings))


class Endless(io.RawIOBase):
    """A file that is made while it is read, so that the test itself holds none of it."""

    def __init__(self, count: int) -> None:
        one = json.dumps(listing(0, id="LISTING", spec=listing(0)["spec"] | {"id": "SPEC"})).encode() + b"\n"
        self._lines = (
            one.replace(b"LISTING", b"018f0000-0000-7000-8000-%012x" % number).replace(
                b"SPEC", b"018f0000-0000-7000-9000-%012x" % (number % 500)
            )
            for number in range(count)
        )
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or next(self._lines, b"")
        part, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


@pytest.fixture
def owner(servers: Servers) -> Secret:
    return Secret(servers.superuser_url)


@pytest.fixture
def run(app: Flask, servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Run ``checkout catalog import`` on these bytes."""
    monkeypatch.setenv("MIGRATION_DATABASE_URL", servers.superuser_url)

    def run(content: bytes) -> Result:
        path = tmp_path / "catalog.jsonl"
        path.write_bytes(content)
        return app.test_cli_runner().invoke(args=["catalog", "import", str(path)])

    return run


def counts(sql: Sql) -> tuple[int, ...]:
    tables = ("vendors", "schools", "specs", "listings")
    return tuple(sql(f"SELECT count(*) FROM {table}")[0].count for table in tables)


def test_an_import_stores_listings_and_what_they_name(run: Any, sql: Sql) -> None:
    plain = {name: value for name, value in listing(3).items() if name not in {"stock", "active", "school", "spec"}}

    result = run(jsonl(listing(1), listing(2, unit_price=12.5, active=False), plain).getvalue())

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("Imported 3 listings in ")
    assert "3 new, 0 changed, 0 as they were" in result.stdout
    assert result.stderr == ""  # no progress where nobody watches
    assert counts(sql) == (3, 2, 2, 3)
    rows = sql("""
        SELECT title, unit_price::text AS price, currency, stock, active,
               vendors.name AS vendor, schools.name AS school, attributes
        FROM listings JOIN vendors ON vendors.id = vendor_id LEFT JOIN schools ON schools.id = school_id
        LEFT JOIN specs ON specs.id = spec_id ORDER BY title""")
    assert [tuple(row) for row in rows] == [
        ("Listing 1", "3.50", "USD", 7, True, "Vendor 1", "School 1", {"size": 1}),
        ("Listing 2", "12.50", "USD", 7, False, "Vendor 2", "School 2", {"size": 2}),
        ("Listing 3", "3.50", "USD", None, True, "Vendor 3", None, None),
    ]


def test_an_import_changes_what_differs_and_leaves_the_rest(owner: Secret, sql: Sql) -> None:
    import_listings(file=jsonl(listing(1), listing(2)), database_url=owner)
    before = sql("SELECT id, updated_at FROM listings ORDER BY title")

    renamed = {"id": listing(1)["vendor"]["id"], "name": "Renamed"}
    done = import_listings(
        file=jsonl(listing(1, unit_price="4.00", vendor=renamed, school=None), listing(2), listing(3)),
        database_url=owner,
    )

    assert done == Imported(new=1, changed=1, unchanged=1)
    after = sql("SELECT id, unit_price::text AS price, school_id, updated_at FROM listings ORDER BY title")
    assert (after[0].price, after[0].school_id) == ("4.00", None)
    assert after[0].updated_at > before[0].updated_at
    assert after[1].updated_at == before[1].updated_at
    assert sql("SELECT name FROM vendors WHERE id = :id", id=renamed["id"])[0].name == "Renamed"
    assert counts(sql) == (3, 3, 3, 3)


def test_a_name_that_a_file_gives_twice_is_the_last_and_attributes_stay_where_none_are_given(
    owner: Secret, sql: Sql
) -> None:
    spec = listing(1)["spec"]
    bare = {"id": spec["id"], "name": "Last name"}
    import_listings(file=jsonl(listing(1), listing(501, spec=bare)), database_url=owner)
    assert [tuple(row) for row in sql("SELECT name, attributes FROM specs")] == [("Last name", {"size": 1})]

    import_listings(file=jsonl(listing(1, spec=bare | {"name": "Later"})), database_url=owner)
    assert [tuple(row) for row in sql("SELECT name, attributes FROM specs")] == [("Later", {"size": 1})]

    import_listings(file=jsonl(listing(1, spec=bare | {"attributes": {}})), database_url=owner)
    assert [tuple(row) for row in sql("SELECT name, attributes FROM specs")] == [("Last name", {})]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"{", "line 3: not JSON"),
        (b"[]", "line 3: the line is an array"),
        (json.dumps(listing(9, unit_price="1.235")).encode(), "line 3: unit_price: "),
        (json.dumps(listing(9, currency="ABC")).encode(), "line 3: currency"),
        (json.dumps(listing(9, surprise=1)).encode(), 'line 3: the line has the unknown member "surprise"'),
        (b'"' + b"x" * 300_000 + b'"', "line 3: longer than 262144 bytes"),
        (b"\xff", "line 3: not UTF-8"),
        (json.dumps(listing(0)).encode(), "line 3: the listing .* stands on line 1 already"),
    ],
)
def test_an_import_refuses_a_bad_line_by_number_and_leaves_nothing(run: Any, sql: Sql, bad: bytes, reason: str) -> None:
    many = jsonl(*(listing(number) for number in range(10, 3000))).getvalue()

    result = run(jsonl(listing(0)).getvalue() + b"\n" + bad + b"\n" + many)

    assert result.exit_code == 1
    assert result.stderr.endswith("Nothing was imported.\n")
    assert re.search(reason, result.stderr), result.stderr
    assert result.stdout == ""
    assert counts(sql) == (0, 0, 0, 0)


def test_a_refused_import_leaves_the_catalogue_as_it_was(owner: Secret, sql: Sql) -> None:
    import_listings(file=jsonl(listing(1)), database_url=owner)
    before = sql("SELECT listings.*, vendors.name, attributes FROM listings, vendors, specs")

    changed = listing(1, title="Changed", vendor=listing(1)["vendor"] | {"name": "Changed"})
    with pytest.raises(ImportRefusedError) as refused:
        import_listings(file=jsonl(changed, listing(2), listing(3, stock=-1)), database_url=owner)

    assert refused.value.number == 3
    assert sql("SELECT listings.*, vendors.name, attributes FROM listings, vendors, specs") == before


def test_blank_lines_are_passed_over_but_counted(owner: Secret, sql: Sql) -> None:
    file = io.BytesIO(b"\n" + jsonl(listing(1)).getvalue() + b" \r\n" + jsonl(listing(2)).getvalue().strip())

    assert import_listings(file=file, database_url=owner).new == 2
    with pytest.raises(ImportRefusedError, match="line 3: not JSON"):
        import_listings(file=io.BytesIO(b"\n\nx"), database_url=owner)


def test_an_empty_file_imports_nothing(owner: Secret) -> None:
    assert import_listings(file=io.BytesIO(), database_url=owner) == Imported(new=0, changed=0, unchanged=0)


def test_standard_input_is_read_where_the_file_is_a_dash(
    app: Flask, servers: Servers, monkeypatch: pytest.MonkeyPatch, sql: Sql
) -> None:
    monkeypatch.setenv("MIGRATION_DATABASE_URL", servers.superuser_url)

    result = app.test_cli_runner().invoke(args=["catalog", "import", "-"], input=jsonl(listing(1)).getvalue())

    assert result.exit_code == 0, result.output
    assert counts(sql)[-1] == 1


def test_progress_adds_up_to_the_whole_file(owner: Secret) -> None:
    file = jsonl(*(listing(number) for number in range(2500)))
    reports: list[int] = []

    import_listings(file=file, database_url=owner, progress=reports.append)

    assert len(reports) == 3
    assert sum(reports) == len(file.getvalue())


def test_the_web_role_cannot_import(
    app: Flask, servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sql: Sql
) -> None:
    path = tmp_path / "catalog.jsonl"
    path.write_bytes(jsonl(listing(1)).getvalue())
    monkeypatch.setenv("MIGRATION_DATABASE_URL", servers.web_url)

    result = app.test_cli_runner().invoke(args=["catalog", "import", str(path)])

    assert result.exit_code == 1
    assert "permission denied" in result.stderr
    assert counts(sql) == (0, 0, 0, 0)


def test_an_import_without_its_setting_or_database_says_so(
    app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "catalog.jsonl"
    path.write_bytes(jsonl(listing(1)).getvalue())

    monkeypatch.delenv("MIGRATION_DATABASE_URL", raising=False)
    unset = app.test_cli_runner().invoke(args=["catalog", "import", str(path)])
    monkeypatch.setenv("MIGRATION_DATABASE_URL", f"postgresql://nobody:hush@/shop?host={tmp_path}")
    away = app.test_cli_runner().invoke(args=["catalog", "import", str(path)])

    assert (unset.exit_code, away.exit_code) == (1, 1)
    assert "MIGRATION_DATABASE_URL" in unset.stderr
    assert "Nothing was imported" in away.stderr
    assert "hush" not in away.stderr


def test_a_hundred_thousand_lines_come_in_with_flat_memory(owner: Secret, sql: Sql) -> None:
    process = psutil.Process()
    resident: list[int] = []

    done = import_listings(
        file=io.BufferedReader(Endless(100_000)),
        database_url=owner,
        progress=lambda _bytes: resident.append(process.memory_info().rss),
    )

    assert done == Imported(new=100_000, changed=0, unchanged=0)
    assert counts(sql) == (1, 1, 500, 100_000)
    # The first thousands of lines warm everything up; the file itself would be 45 MB.
    assert max(resident[10:]) - resident[10] < 8 * 2**20


def test_the_demo_catalogue_can_be_imported_and_shopped_in(owner: Secret, sql: Sql, customer: Customer) -> None:
    with CATALOGUE.open("rb") as file:
        done = import_listings(file=file, database_url=owner)

    assert done.new >= 250
    assert {row.currency for row in sql("SELECT DISTINCT currency FROM listings")} == {"USD", "EUR"}
    assert sql("SELECT count(*) FROM listings WHERE NOT active")[0].count == 6
    first = sql("SELECT id FROM listings WHERE active ORDER BY id LIMIT 1")[0].id
    assert customer.post("/api/cart/items", json={"listing": str(first), "qty": 1}).status_code == 201


IMAGES = read_origins("https://images.example,https://*.cdn.example")[0]

IMAGE = {"url": "https://images.example/a/blazer.jpg?w=400", "alt": "A blazer"}


def test_descriptions_images_and_prices_come_in_and_go_with_the_line_that_leaves_them_out(
    owner: Secret, sql: Sql
) -> None:
    def come_in(**members: Any) -> Imported:
        return import_listings(file=jsonl(listing(1, **members)), database_url=owner, image_origins=IMAGES)

    def kept() -> Any:
        (row,) = sql("SELECT description, images FROM listings")
        prices = sql("SELECT currency, unit_price::text AS price FROM listing_prices ORDER BY currency")
        return row.description, row.images, {price.currency: price.price for price in prices}

    given = {"description": " Lined.\nWarm. ", "images": [IMAGE], "prices": {"EUR": "3.20", "JPY": 500}}
    assert come_in(**given) == Imported(new=1, changed=0, unchanged=0)
    assert kept() == ("Lined.\nWarm.", [IMAGE], {"EUR": "3.20", "JPY": "500"})
    assert come_in(**given) == Imported(new=0, changed=0, unchanged=1)
    assert come_in(**given | {"prices": {"EUR": 3.3}}) == Imported(new=0, changed=1, unchanged=0)
    assert kept()[2] == {"EUR": "3.30"}
    assert come_in(currency="EUR", unit_price="9.00", prices={"USD": "9.90"}).changed == 1
    assert kept() == (None, [], {"USD": "9.90"})
    assert come_in().changed == 1
    assert kept() == (None, [], {})


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"images": [IMAGE | {"url": "https://images.example.evil.example/x"}]}, "IMAGE_ORIGINS does not name"),
        ({"images": [IMAGE | {"url": "http://images.example/x"}]}, "IMAGE_ORIGINS does not name"),
        ({"images": [IMAGE | {"url": "https://images.example:444/x"}]}, "IMAGE_ORIGINS does not name"),
        ({"images": [IMAGE | {"url": "https://a.b.cdn.example/x"}]}, "IMAGE_ORIGINS does not name"),
        ({"images": [IMAGE | {"url": "https://images.example@evil.example/x"}]}, "no address such as"),
        ({"images": [IMAGE | {"url": "https://images.example"}]}, "no address such as"),
        ({"images": [IMAGE | {"url": "//images.example/x"}]}, "no address such as"),
        ({"images": [IMAGE | {"url": "javascript:alert(1)"}]}, "no address such as"),
        ({"images": [IMAGE | {"url": 'https://images.example/"onerror='}]}, "no address such as"),
        ({"images": [IMAGE | {"url": "https://images.example/x\n"}]}, "no address such as"),
        ({"images": [IMAGE | {"url": "https://images.example/" + "x" * 2000}]}, "no address such as"),
        ({"images": [{"url": IMAGE["url"]}]}, r'no \{"url", "alt"\}'),
        ({"images": [IMAGE | {"alt": None}]}, "no text of at most 500"),
        ({"images": [IMAGE] * 11}, "more than 10 items"),
        ({"images": IMAGE}, "no array"),
        ({"description": "x" * 4001}, "longer than 4000"),
        ({"description": "\0"}, "NUL"),
        ({"prices": {"USD": "3.50"}}, "own currency"),
        ({"prices": {"eur": "3.50"}}, "no ISO 4217 code"),
        ({"prices": {"EUR": "3.501"}}, r"prices\.EUR"),
        ({"prices": {"JPY": "3.50"}}, r"prices\.JPY: JPY has no such small unit"),
        ({"prices": {"EUR": 0}}, "not more than 0"),
        ({"prices": ["EUR"]}, "not an object"),
    ],
)
def test_what_a_page_could_not_show_or_nobody_could_pay_is_refused(
    owner: Secret, sql: Sql, members: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ImportRefusedError, match=reason):
        import_listings(file=jsonl(listing(1, **members)), database_url=owner, image_origins=IMAGES)
    assert counts(sql) == (0, 0, 0, 0)


def test_without_image_origins_no_image_comes_in(run: Any, monkeypatch: pytest.MonkeyPatch, sql: Sql) -> None:
    content = jsonl(listing(1, images=[IMAGE])).getvalue()
    result = run(content)
    assert result.exit_code == 1
    assert "line 1: images[0].url: IMAGE_ORIGINS does not name https://images.example" in result.stderr
    monkeypatch.setenv("IMAGE_ORIGINS", "https://images.example")
    assert run(content).exit_code == 0
    assert sql("SELECT images FROM listings")[0].images == [IMAGE]


def test_a_price_in_a_currency_that_was_withdrawn_is_left_out_and_counted(owner: Secret, sql: Sql) -> None:
    prices = {"BGN": "92.41", "EUR": "43.00"}

    done = import_listings(file=jsonl(listing(1, prices=prices), listing(2, title="BGN")), database_url=owner)

    assert (done.new, done.left_out) == (2, {"BGN": 1})
    assert [row.currency for row in sql("SELECT currency FROM listing_prices")] == ["EUR"]
