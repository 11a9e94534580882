"""Listings come out of another application's tables: what differs is written, what is gone is made inactive."""

from __future__ import annotations

from uuid import uuid4, uuid5

import pytest

from checkout_service.catalog.models import SyncState
from checkout_service.catalog.operations import import_listings
from checkout_service.catalog.source import SourceError
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import DEVELOPMENT_NAMESPACE
from tests.catalog.shop import SELECT, MakeVariant, Sync, on_sale, shop, sync
from tests.catalog.test_import import jsonl, listing
from tests.conftest import Customer, MakeListing, Servers, Sql
from tests.purchases import fill_cart, opened

__all__ = ["shop", "sync"]  # fixtures

WRITTEN = """SELECT listings.xmin::text AS of_listing, known.xmin::text AS of_source
    FROM source_listings AS known JOIN listings ON listings.id = listing_id ORDER BY key"""


def test_a_first_sync_stores_listings_with_ids_computed_of_the_sources_keys(
    shop: MakeVariant, sync: Sync, sql: Sql
) -> None:
    pictures = '[{"url": "https://images.example/1.jpg", "alt": "A blazer"}]'
    first = shop(other_prices='{"EUR": "43.00"}', pictures=pictures)
    second = shop(price_cents=5000, size="L", on_hand=None, for_sale=False)

    done = sync()

    assert (done.state, done.rows, done.new.count, done.is_good) == (SyncState.DONE, 2, 2, True)
    rows = sql("""SELECT listings.id, title, unit_price::text AS price, listings.currency, stock, active, description,
        vendors.id AS vendor_id, vendors.name AS vendor, specs.attributes, images,
        (SELECT jsonb_object_agg(currency, unit_price) FROM listing_prices WHERE listing_id = listings.id) AS prices
        FROM listings JOIN vendors ON vendors.id = vendor_id JOIN specs ON specs.id = spec_id ORDER BY unit_price""")
    vendor = (uuid5(DEVELOPMENT_NAMESPACE, "vendor\n1"), "Harbour Books")
    assert [tuple(row) for row in rows] == [
        (
            *(uuid5(DEVELOPMENT_NAMESPACE, f"listing\n{first}"), "Blazer, navy", "47.25", "USD", 10, True, "Lined."),
            *(*vendor, {"size": "M"}, [{"url": "https://images.example/1.jpg", "alt": "A blazer"}], {"EUR": 43.00}),
        ),
        (
            *(
                uuid5(DEVELOPMENT_NAMESPACE, f"listing\n{second}"),
                "Blazer, navy",
                "50.00",
                "USD",
                None,
                False,
                "Lined.",
            ),
            *(*vendor, {"size": "L"}, [], None),
        ),
    ]


def test_what_did_not_change_is_not_written(shop: MakeVariant, sync: Sync, sql: Sql) -> None:
    shop()
    changed = shop()
    sync()
    before = sql(WRITTEN)

    assert sync().in_words == "2 rows: 0 new, 0 changed, 0 made inactive, 0 unusable, 0 short"
    assert sql(WRITTEN) == before

    sql("UPDATE shop.variants SET price_cents = 2000 WHERE id = :id", id=changed)
    done = sync()

    assert (done.changed.count, done.changed.first) == (1, [str(changed)])
    after = sql(WRITTEN)
    assert after[0] == before[0]
    assert after[1].of_listing != before[1].of_listing
    assert [row[2] for row in on_sale(sql)] == ["47.25", "20.00"]


def test_a_listing_that_somebody_else_changed_is_brought_back(shop: MakeVariant, sync: Sync, sql: Sql) -> None:
    shop()
    sync()
    sql("UPDATE listings SET title = 'Changed by hand', updated_at = clock_timestamp()")

    assert sync().changed.count == 1
    assert sync().changed.count == 0
    assert [row[1] for row in on_sale(sql)] == ["Blazer, navy"]


def test_only_what_is_given_is_written(shop: MakeVariant, sync: Sync, sql: Sql) -> None:
    shop(other_prices='{"EUR": "43.00"}', on_hand=4)
    sync()
    few = "SELECT id, 'Only a title' AS title, 10 AS unit_price, 'USD' AS currency, 'V' AS vendor FROM shop.variants"

    assert sync(few).changed.count == 1

    [row] = sql(
        "SELECT title, unit_price, description, stock, spec_id, (SELECT count(*) FROM listing_prices) FROM listings"
    )
    assert tuple(row[:4]) == ("Only a title", 10, "Lined.", 4)
    assert row.spec_id is not None
    assert row.count == 1


def test_what_the_source_no_longer_has_is_made_inactive_and_comes_back(shop: MakeVariant, sync: Sync, sql: Sql) -> None:
    keys = [shop() for _ in range(10)]
    sync()
    sql("DELETE FROM shop.variants WHERE id = :id", id=keys[3])

    done = sync()

    assert (done.gone.count, done.gone.first) == (1, [str(keys[3])])
    assert len(on_sale(sql)) == 9
    assert sql("SELECT count(*) FROM listings")[0].count == 10
    assert sync().gone.count == 0

    shop(id=keys[3])
    done = sync()

    assert (done.new.count, done.changed.count) == (0, 1)
    assert len(on_sale(sql)) == 10


def test_listings_that_are_not_of_the_source_are_left_alone(
    shop: MakeVariant, sync: Sync, sql: Sql, make_listing: MakeListing
) -> None:
    other = make_listing()
    shop()

    sync()

    assert sql("SELECT active, title FROM listings WHERE id = :id", id=other["id"]) == [(True, other["title"])]


def test_an_empty_source_changes_nothing(shop: MakeVariant, sync: Sync, sql: Sql) -> None:
    shop()
    sync()
    sql("DELETE FROM shop.variants")

    for allow_gone in (False, True):
        done = sync(allow_gone=allow_gone, most_gone=100)

        assert (done.state, done.refusal) == (SyncState.REFUSED, "the source is empty")
    assert len(on_sale(sql)) == 1
    run = sql("SELECT state::text, detail FROM catalog_syncs ORDER BY id DESC LIMIT 1")
    assert run == [("refused", "the source is empty")]


def test_a_source_that_lacks_too_much_changes_nothing_of_itself(shop: MakeVariant, sync: Sync, sql: Sql) -> None:
    keys = [shop() for _ in range(10)]
    sync()
    sql("DELETE FROM shop.variants WHERE id = ANY(:ids)", ids=keys[:2])
    sql("UPDATE shop.variants SET price_cents = 1, for_sale = id <> :id", id=keys[9])

    done = sync()

    assert done.state is SyncState.REFUSED
    assert done.refusal.startswith(
        "3 of 10 listings would be made inactive, and CATALOG_SYNC_MAX_GONE allows 20 percent"
    )
    assert {row[2] for row in on_sale(sql)} == {"47.25"}
    assert len(on_sale(sql)) == 10

    done = sync(allow_gone=True)

    assert (done.changed.count, done.gone.count) == (8, 2)
    assert len(on_sale(sql)) == 7


def test_up_to_the_bound_listings_are_made_inactive(shop: MakeVariant, sync: Sync, sql: Sql) -> None:
    keys = [shop() for _ in range(10)]
    sync()
    sql("DELETE FROM shop.variants WHERE id = ANY(:ids)", ids=keys[:2])

    assert sync().gone.count == 2


def test_a_key_that_stands_twice_changes_nothing(shop: MakeVariant, sync: Sync, sql: Sql) -> None:
    key = shop()

    done = sync(f"{SELECT} UNION ALL {SELECT}")

    assert done.refusal == f"the source has more than one row of {key}"
    assert sql("SELECT FROM listings") == []


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"unit_price": "NULL::numeric"}, "unit_price is missing or null"),
        ({"unit_price": "-1"}, "unit_price: an amount is digits"),
        ({"unit_price": "0"}, "unit_price is not more than 0"),
        ({"unit_price": "'NaN'::numeric"}, "unit_price: an amount is digits"),
        ({"unit_price": "1.005"}, "unit_price: an amount is digits with at most two decimals"),
        ({"unit_price": "10::numeric ^ 5000"}, "unit_price: an amount is"),
        ({"currency": "'JPY'", "unit_price": "1.50"}, "unit_price: JPY has no such small unit"),
        ({"currency": "'usd'"}, "currency is no ISO 4217 code"),
        ({"currency": "'EURO'"}, "currency is no ISO 4217 code"),
        ({"currency": "'BGN'"}, "currency is no ISO 4217 code such as USD (BGN was withdrawn on 2026-01-01"),
        ({"title": "repeat('x', 50000000)"}, "title is longer than 500 characters"),
        ({"title": "E' \\t\\n'"}, "title is empty"),
        ({"title": "NULL::text"}, "title is missing or null"),
        ({"vendor": "NULL::text"}, "vendor is missing"),
        ({"vendor": "NULL::text", "vendor_id": "5"}, "vendor is missing, and vendor_id is there"),
        ({"vendor_id": "repeat('9', 300)"}, "vendor_id is longer than 255 characters"),
        ({"description": "repeat('é', 4001)"}, "description is longer than 4000 characters"),
        ({"stock": "-1"}, "stock is no integer from 0"),
        ({"stock": "2147483648"}, "stock is no integer from 0"),
        ({"prices": '\'{"USD": "1"}\'::jsonb'}, "prices: USD is the listing's own currency"),
        ({"prices": "'[1]'::jsonb"}, "prices is an array"),
        ({"images": '\'[{"url": "http://evil.example/a", "alt": ""}]\'::jsonb'}, "images[0].url: IMAGE_ORIGINS"),
        ({"images": '\'[{"url": "javascript:alert(1)", "alt": ""}]\'::jsonb'}, "images[0].url is no address"),
        ({"spec": "'S'", "attributes": "'[]'::jsonb"}, "spec.attributes is an array"),
        ({"spec": "'S'", "attributes": 'E\'{"a": "\\\\u0000"}\'::json'}, "spec.attributes holds a NUL"),
        ({"spec": "'S'", "attributes": '\'{"a": 1, "a": 2}\'::json'}, 'attributes: the member "a" stands twice'),
        ({"spec": "'S'", "attributes": "jsonb_build_object('a', repeat('x', 300000))"}, "attributes: longer than"),
        ({"id": "repeat('k', 300)"}, "id is not 1 to 255 characters"),
        ({"id": "''"}, "id is not 1 to 255 characters"),
    ],
)
def test_a_row_that_cannot_be_a_listing_is_named_and_its_listing_left_as_it_is(
    shop: MakeVariant, sync: Sync, sql: Sql, given: dict[str, str], reason: str
) -> None:
    plain = {"id": "'bad'", "title": "'T'", "unit_price": "1.00", "currency": "'USD'", "vendor": "'V'"}
    names = [*plain, *(name for name in given if name not in plain)]
    good = plain | {"id": "'good'", "title": "'Good'"}
    rows = [", ".join(f"{row.get(name, 'NULL')} AS {name}" for name in names) for row in (plain | given, good)]
    is_old = "id" not in given
    if is_old:
        sync("SELECT 'bad' AS id, 'Before' AS title, 5 AS unit_price, 'USD' AS currency, 'V' AS vendor")

    done = sync(" UNION ALL SELECT ".join(["SELECT " + rows[0], rows[1]]), most_gone=100)

    assert (done.unusable.count, done.new.count, done.gone.count) == (1, 1, 0)
    assert reason in done.unusable.first[0]
    assert not done.is_good
    assert [row[1] for row in on_sale(sql)] == (["Before", "Good"] if is_old else ["Good"])


def test_control_characters_are_kept_in_titles_and_escaped_in_messages(sync: Sync, sql: Sql, shop: MakeVariant) -> None:
    base = "1 AS unit_price, 'V' AS vendor"
    done = sync(
        f"SELECT E'k\\x1b[2J' AS id, E'T\\x07' AS title, 'USD' AS currency, {base} "
        f"UNION ALL SELECT E'b\\x1b[2J', 'T', 'XXX', {base}"
    )

    assert "\x1b" not in done.unusable.first[0] + done.new.first[0]
    assert sql("SELECT title FROM listings") == [("T\x07",)]


@pytest.mark.parametrize(
    ("select", "reason"),
    [
        ("SELECT 1 AS id", "it lacks the column title"),
        ("SELECT id, title, title, unit_price FROM shop.products", 'column "title" does not exist'),
        (f"SELECT *, 1 AS titel FROM ({SELECT}) AS s", 'it has the column "titel", which is none of a listing'),
        (f"SELECT *, 1 AS id FROM ({SELECT}) AS s", "it has the column id twice"),
        (
            "SELECT 1 AS id, 'T' AS title, 1.5::float8 AS unit_price, 'USD' AS currency, 'V' AS vendor",
            "unit_price is float8: cast it to",
        ),
        (
            "SELECT 1 AS id, 'T' AS title, 1 AS unit_price, 'USD' AS currency, 'V' AS vendor, 5 AS school_id",
            "school_id says nothing without school",
        ),
        ("SELECT * FROM shop.nothing", 'relation "shop.nothing" does not exist'),
        ("SELECT 1) AS x, (SELECT 2", "it lacks the column title"),
        ("SELECT 1) AS x LIMIT 0 UNION (SELECT 2", "syntax error"),
        ("SELECT 1 AS id, 'T' AS title, 1/(random()*0) AS unit_price, 'USD' AS currency, 'V' AS vendor", "float8"),
        (
            "SELECT 1 AS id, 'T' AS title, 1/(random()*0)::int AS unit_price, 'USD' AS currency, 'V' AS vendor",
            "division by zero",
        ),
        ("SELECT * FROM shop.products -- a comment", "it lacks the column title"),
    ],
)
def test_a_select_that_gives_no_listings_is_refused_in_words(
    shop: MakeVariant, sync: Sync, sql: Sql, select: str, reason: str
) -> None:
    with pytest.raises(SourceError) as refused:
        sync(select)

    assert reason in str(refused.value)
    assert sql("SELECT FROM listings") == []
    assert sql("SELECT state::text FROM catalog_syncs") == [("failed",)]


def test_a_source_that_writes_is_refused(shop: MakeVariant, sync: Sync, sql: Sql) -> None:
    shop()
    sql("CREATE TABLE shop.written (n integer)")
    sql("""CREATE FUNCTION shop.writes() RETURNS integer LANGUAGE sql SECURITY DEFINER AS
        'INSERT INTO shop.written VALUES (1) RETURNING n'""")

    with pytest.raises(SourceError, match="CATALOG_SOURCE writes, and is refused"):
        sync(f"SELECT * FROM ({SELECT}) AS s WHERE shop.writes() = 1")

    assert sql("SELECT FROM shop.written") == []
    assert sql("SELECT FROM listings") == []


def test_a_source_that_takes_too_long_is_given_up(shop: MakeVariant, sync: Sync, sql: Sql) -> None:
    shop()

    with pytest.raises(SourceError, match="took too long"):
        sync(f"SELECT s.* FROM ({SELECT}) AS s, pg_sleep(30)", statement_seconds=1)


def test_what_the_worker_may_not_read_is_named_with_the_grant(shop: MakeVariant, sync: Sync, sql: Sql) -> None:
    shop()
    sql("REVOKE SELECT ON shop.products FROM checkout_worker")

    with pytest.raises(SourceError, match=r"permission denied for table products: checkout_worker may not .*--grants"):
        sync()


def test_a_try_says_what_would_be_done_and_does_nothing(shop: MakeVariant, sync: Sync, sql: Sql) -> None:
    keys = [shop() for _ in range(10)]
    sync()
    sql("DELETE FROM shop.variants WHERE id = :id", id=keys[0])
    sql("UPDATE shop.variants SET price_cents = 1 WHERE id = :id", id=keys[1])
    shop()
    before = sql(WRITTEN)

    done = sync(writes=False)

    assert (done.new.count, done.changed.count, done.gone.count) == (1, 1, 1)
    assert done.state is SyncState.TRIED
    assert sql(WRITTEN) == before
    assert sync().in_words == "10 rows: 1 new, 1 changed, 1 made inactive, 0 unusable, 0 short"


def test_a_key_that_is_a_uuid_is_the_id_itself_and_takes_over_a_listing_of_a_file(
    shop: MakeVariant, sync: Sync, sql: Sql, servers: Servers
) -> None:
    import_listings(file=jsonl(listing(1), listing(2)), database_url=Secret(servers.superuser_url))
    key = listing(1)["id"]
    row = "'T' AS title, 1 AS unit_price, 'USD' AS currency, 'V' AS vendor"

    sync(f"SELECT '{key}'::uuid AS id, {row}")

    assert {str(each.id): each.title for each in sql("SELECT id, title FROM listings")} == {
        key: "T",
        listing(2)["id"]: "Listing 2",
    }
    # As text it is the same listing; under another namespace it stays the one that it is.
    assert sync(f"SELECT '{key}' AS id, {row}", namespace=uuid4()).new.count == 0
    assert sql("SELECT count(*) FROM listings")[0].count == 2


def test_two_keys_never_share_a_listing(shop: MakeVariant, sync: Sync, sql: Sql) -> None:
    row = "'T' AS title, 1 AS unit_price, 'USD' AS currency, 'V' AS vendor"
    key = uuid5(DEVELOPMENT_NAMESPACE, "listing\n7")
    sync(f"SELECT '7' AS id, {row}")

    done = sync(f"SELECT '7' AS id, {row} UNION ALL SELECT '{key}', {row.replace('T', 'Other', 1)}")

    assert done.unusable.first == [f"{key}: its listing is that of another key"]
    assert [each[:2] for each in on_sale(sql)] == [("7", "T")]


def test_stock_below_what_is_reserved_is_entered_down_to_that_and_named_until_it_is_right(
    shop: MakeVariant, sync: Sync, sql: Sql
) -> None:
    key = shop(on_hand=10)
    sync()
    [one] = sql("SELECT id FROM listings")
    sql("UPDATE stock_counters SET reserved = 4")
    sql("UPDATE shop.variants SET on_hand = 3")

    for _ in range(2):
        done = sync()
        assert done.short.first == [f"{key}: 3 lie there, 4 are reserved"]
        assert sql("SELECT stock FROM listings")[0].stock == 4

    sql("UPDATE stock_counters SET reserved = 1")
    assert sync().changed.count == 1
    assert sql("SELECT stock, reserved FROM stock_counters WHERE listing_id = :id", id=one.id) == [(3, 1)]
    assert sync().changed.count == 0


def test_a_synced_listing_can_be_bought(shop: MakeVariant, sync: Sync, sql: Sql, customer: Customer) -> None:
    shop(on_hand=3)
    sync()
    [one] = sql("SELECT id FROM listings")

    session = opened(customer, fill_cart(customer, ({"id": one.id}, 2)))

    assert session["amount"] == "94.50"
    sql("UPDATE shop.variants SET price_cents = 9900, on_hand = 1")
    done = sync()
    assert done.short.count == 1, "two are held"
    assert sql("SELECT amount::text FROM payments") == [("94.50",)], "a session keeps the price that it promised"


def test_no_foreign_key_of_ours_leads_into_anothers_schema(sql: Sql, shop: MakeVariant) -> None:
    """Users come by subject (docs/identity.md), listings by key: what another application drops never stops it."""
    outside = sql("""SELECT conname FROM pg_constraint AS key
        JOIN pg_class AS own ON own.oid = key.conrelid JOIN pg_class AS other ON other.oid = key.confrelid
        WHERE key.contype = 'f' AND own.relnamespace = 'public'::regnamespace
            AND other.relnamespace <> own.relnamespace""")

    assert outside == []
    assert sql("SELECT count(*) FROM pg_constraint WHERE contype = 'f'")[0].count > 20


def test_a_price_in_a_currency_that_was_withdrawn_is_left_out_and_the_row_is_taken(
    shop: MakeVariant, sync: Sync, sql: Sql
) -> None:
    """A Bulgarian shop shows both prices for a year."""
    key = shop(other_prices='{"BGN": "92.41", "EUR": "43.00"}', on_hand=3)

    done = sync()

    assert (done.unusable.count, done.is_good) == (0, True)
    assert done.left_out.first == [f"{key}: no price in BGN, which was withdrawn"]
    assert "prices left out: " in done.detail
    assert [row[3] for row in on_sale(sql)] == [3]
    assert [tuple(row) for row in sql("SELECT currency::text, unit_price::text FROM listing_prices")] == [
        ("EUR", "43.00")
    ]
    sql("UPDATE shop.variants SET on_hand = 0")
    sync()
    assert [row[3] for row in on_sale(sql)] == [0]
