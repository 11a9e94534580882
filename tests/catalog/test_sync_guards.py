"""What a source may not do to the catalogue, whether it is careless or means harm."""

from __future__ import annotations

import pytest
from flask import Flask

from checkout_service.catalog.models import SyncState
from checkout_service.catalog.source import SourceError
from checkout_service.catalog.sync_writing import SyncWriter
from checkout_service.doctor.catalog import check_catalog
from checkout_service.doctor.findings import Level
from tests.catalog.shop import SELECT, MakeVariant, Sync, on_sale, shop, sync
from tests.conftest import Sql

__all__ = ["shop", "sync"]  # fixtures

BIG = 140_000_000
"""Eight times that is more than a text of PostgreSQL can be."""


def test_rows_that_row_level_security_hides_are_an_error_and_stay_on_sale(
    shop: MakeVariant, sync: Sync, sql: Sql
) -> None:
    for _ in range(10):
        shop()
    sync()
    sql("ALTER TABLE shop.variants ENABLE ROW LEVEL SECURITY")
    sql("CREATE POLICY shown ON shop.variants TO checkout_worker USING (id % 10 <> 0)")

    with pytest.raises(SourceError, match=r"row-level security.*would not see all rows.*BYPASSRLS"):
        sync()

    assert len(on_sale(sql)) == 10
    sql("""CREATE VIEW shop.all_of_them AS SELECT id, 'T' AS title, 40 AS unit_price, 'USD' AS currency, 'V' AS vendor
        FROM shop.variants""")
    sql("GRANT SELECT ON shop.all_of_them TO checkout_worker")
    assert sync("TABLE shop.all_of_them").rows == 10, "a view of the table's owner shows all"


def test_a_row_that_is_too_large_for_a_text_is_named_and_the_others_are_synced(
    shop: MakeVariant, sync: Sync, sql: Sql
) -> None:
    shop()
    sql("CREATE TABLE shop.large (id integer, text text)")
    sql(f"INSERT INTO shop.large VALUES (1, repeat('x', {BIG})), (2, 'Small')")
    sql("GRANT SELECT ON shop.large TO checkout_worker")

    done = sync("""SELECT id, text AS title, 1 AS unit_price, 'USD' AS currency, text AS vendor, text AS vendor_id,
        text AS school, text AS school_id, text AS spec, text AS spec_id, text AS description FROM shop.large""")

    assert done.unusable.first == ["1: vendor_id is longer than 255 characters"]
    assert [row[:2] for row in on_sale(sql)] == [("2", "Small")]


@pytest.mark.parametrize("kind", ["json", "jsonb"])
def test_json_that_is_far_too_large_is_named_without_being_written_out(
    shop: MakeVariant, sync: Sync, sql: Sql, kind: str
) -> None:
    """A member of control characters has six times its bytes as text, and far fewer as it is stored."""
    shop()
    row = "'T' AS title, 1 AS unit_price, 'USD' AS currency, 'V' AS vendor, 'S' AS spec"
    sql(f"CREATE TABLE shop.large (id integer, about {kind})")
    sql(f"""INSERT INTO shop.large VALUES (1, jsonb_build_object('a', repeat(E'\\x01', 30000000))::{kind}),
        (2, jsonb_build_object('a', repeat('y', 200000))::{kind})""")
    sql("GRANT SELECT ON shop.large TO checkout_worker")

    done = sync(f"SELECT id, {row}, about AS attributes FROM shop.large")

    assert done.unusable.first == ["1: attributes: longer than 262144 bytes"]
    assert [each[0] for each in on_sale(sql)] == ["2"]


def test_null_does_not_put_on_sale_what_is_off_sale(shop: MakeVariant, sync: Sync, sql: Sql) -> None:
    key = shop(for_sale=False)
    other = shop()
    sync()
    sql("UPDATE shop.variants SET for_sale = NULL")

    done = sync()

    assert done.unusable.first == [f"{n}: active is NULL, and so neither true nor false" for n in (key, other)]
    assert [row[0] for row in on_sale(sql)] == [str(other)]


def test_null_does_not_sell_without_end_what_is_counted(shop: MakeVariant, sync: Sync, sql: Sql) -> None:
    counted, uncounted = shop(on_hand=3), shop(on_hand=None)
    sync()
    sql("UPDATE shop.variants SET on_hand = NULL, price_cents = 4000")

    done = sync()

    assert done.unusable.first == [f"{counted}: stock is NULL, and its listing is counted"]
    assert [(row[0], row[3]) for row in on_sale(sql)] == [(str(counted), 3), (str(uncounted), None)]

    # Nor does it where the key was away in between.
    sql("DELETE FROM shop.variants WHERE id = :id", id=counted)
    sync(allow_gone=True)
    shop(id=counted, on_hand=None)
    sync()
    assert [(row[0], row[3]) for row in on_sale(sql)] == [(str(counted), 3), (str(uncounted), None)]

    sql("UPDATE listings SET stock = NULL, updated_at = clock_timestamp()")
    assert sync().is_good, "whoever wants it says so in the catalogue once"
    assert [row[3] for row in on_sale(sql)] == [None, None]


@pytest.mark.parametrize(
    "change", ["price_cents = 4725 * 6", "price_cents = 4725 / 6", "size = 'JPY', price_cents = 4700"]
)
def test_prices_that_move_far_of_too_many_change_nothing(shop: MakeVariant, sync: Sync, sql: Sql, change: str) -> None:
    select = SELECT.replace("'USD' AS currency", "CASE v.size WHEN 'JPY' THEN 'JPY' ELSE 'USD' END AS currency")
    keys = [shop() for _ in range(10)]
    sync(select)
    sql(f"UPDATE shop.variants SET {change} WHERE id = ANY(:ids)", ids=keys[:3])

    done = sync(select)

    assert done.state is SyncState.REFUSED
    assert done.refusal.startswith(
        "the prices of 3 of 10 in USD of the listings would become more than 5 times as much or as little, or be gone, "
    )
    assert {row[2] for row in on_sale(sql)} == {"47.25"}
    sql("UPDATE shop.variants SET price_cents = 4725, size = 'M' WHERE id = :id", id=keys[0])
    assert sync(select).changed.count == 2, "up to the bound they move"
    sql("UPDATE shop.variants SET price_cents = 4725 / 9 WHERE id = ANY(:ids)", ids=keys[3:])
    assert sync(select, allow_gone=True).changed.count == 7


@pytest.mark.parametrize(
    "other_prices",
    ['{"EUR": "4300.00"}', '{"EUR": 4300}', '{"EUR": "0.43"}', '{"CHF": "45.00"}', "{}", None],
    ids=["times 100", "a number", "by 100", "another currency", "none", "NULL"],
)
def test_prices_in_each_currency_are_judged_by_themselves(
    shop: MakeVariant, sync: Sync, sql: Sql, other_prices: str | None
) -> None:
    """Of 20 listings three have a price in euros as well: so few of all that their own prices would hide them."""
    keys = [shop(other_prices='{"EUR": "43.00"}') for _ in range(3)]
    for _ in range(17):
        shop()
    sync()
    change = "UPDATE shop.variants SET other_prices = CAST(:prices AS jsonb) WHERE id = ANY(:ids)"
    sql(change, prices=other_prices, ids=keys)

    done = sync()

    assert done.state is SyncState.REFUSED
    assert done.refusal.startswith("the prices of 3 of 3 in EUR of the listings would become more than 5 times as much")
    assert {str(row.unit_price) for row in sql("SELECT unit_price FROM listing_prices")} == {"43.00"}
    assert sync(allow_gone=True).changed.count == 3


def test_what_moves_little_or_cannot_be_read_is_not_judged(shop: MakeVariant, sync: Sync, sql: Sql) -> None:
    keys = [shop(other_prices='{"EUR": "43.00"}') for _ in range(10)]
    sync()
    sql('UPDATE shop.variants SET price_cents = 4725 * 5, other_prices = \'{"EUR": "215.00", "CHF": "1"}\'')
    sql("""UPDATE shop.variants SET other_prices = '{"EUR": "cheap"}' WHERE id = :id""", id=keys[0])
    sql("UPDATE shop.variants SET other_prices = '[]' WHERE id = :id", id=keys[1])

    done = sync()

    assert (done.state, done.changed.count, done.unusable.count) == (SyncState.DONE, 8, 2)
    assert sql("SELECT moved FROM catalog_syncs ORDER BY id DESC LIMIT 1")[0].moved == {}
    # Without the column all prices in other currencies stay as they are.
    done = sync(f"SELECT id, title, unit_price, currency, vendor FROM ({SELECT}) AS s")
    assert done.state is SyncState.DONE
    assert sql("SELECT count(*) FROM listing_prices WHERE currency = 'EUR'")[0].count == 10


def test_no_more_prices_move_in_a_day_than_in_one_sync(shop: MakeVariant, sync: Sync, sql: Sql) -> None:
    keys = [shop(other_prices='{"EUR": "43.00"}') for _ in range(10)]
    for _ in range(40):
        shop()
    sync()
    change = """UPDATE shop.variants SET other_prices = '{"EUR": "0.43"}' WHERE id = ANY(:ids)"""
    sql(change, ids=keys[:2])
    assert sync(writes=False).state is SyncState.TRIED
    assert sync().state is SyncState.DONE
    assert sql("SELECT moved FROM catalog_syncs ORDER BY id DESC LIMIT 1")[0].moved == {"EUR": 2}
    assert sync().state is SyncState.DONE, "nothing moves"
    sql(change, ids=keys[:3])

    done = sync()

    assert done.state is SyncState.REFUSED
    assert done.refusal.startswith("with those of before, the prices of 3 of 10 in EUR of the listings would become")
    assert "allows 20 percent in 24 hours" in done.refusal
    assert sql("SELECT count(*) FROM listing_prices WHERE unit_price = 0.43")[0].count == 2
    sql("UPDATE catalog_syncs SET created_at = created_at - interval '1 day'")
    assert sync().state is SyncState.DONE
    sql(change, ids=keys[:6])
    assert sync(allow_gone=True).state is SyncState.DONE
    sql(change, ids=keys[:8])
    assert sync().state is SyncState.DONE, "what was allowed begins the count anew"


def test_no_more_is_made_inactive_in_a_day_than_in_one_sync(shop: MakeVariant, sync: Sync, sql: Sql) -> None:
    keys = [shop() for _ in range(20)]
    sync()
    sql("UPDATE shop.variants SET for_sale = false WHERE id = ANY(:ids)", ids=keys[:2])
    assert sync().state is SyncState.DONE
    sql("DELETE FROM shop.variants WHERE id = ANY(:ids)", ids=keys[2:4])
    assert sync().gone.count == 2
    assert sync(writes=False).state is SyncState.TRIED
    sql("UPDATE shop.variants SET for_sale = false, price_cents = 4000 WHERE id = :id", id=keys[4])

    done = sync()

    assert done.state is SyncState.REFUSED
    assert done.refusal.startswith(
        "with 1 more, 5 of 20 listings would be made inactive, and CATALOG_SYNC_MAX_GONE allows 20 percent in 24 hours"
    )
    assert len(on_sale(sql)) == 16
    sync(allow_gone=True)
    assert len(on_sale(sql)) == 15
    sql("UPDATE shop.variants SET for_sale = false WHERE id = ANY(:ids)", ids=keys[5:8])
    assert sync().state is SyncState.DONE, "what was allowed begins the count anew"
    sql("UPDATE shop.variants SET for_sale = false WHERE id = :id", id=keys[8])
    assert sync().state is SyncState.REFUSED
    sql("UPDATE catalog_syncs SET created_at = created_at - interval '1 day'")
    assert sync().state is SyncState.DONE


def test_a_sync_that_was_killed_counts_as_what_it_did(
    shop: MakeVariant, sync: Sync, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after its last batch, so that nobody says how it ended."""
    keys = [shop() for _ in range(20)]
    sync()
    sql("UPDATE shop.variants SET price_cents = 20 WHERE id = ANY(:ids)", ids=keys[:3])
    sql("UPDATE shop.variants SET for_sale = false WHERE id = :id", id=keys[3])
    sql("DELETE FROM shop.variants WHERE id = ANY(:ids)", ids=keys[4:6])
    with monkeypatch.context() as killed:
        killed.setattr(SyncWriter, "end", lambda *_, **__: None)
        sync()
    (left,) = sql("SELECT state::text, moved, made_inactive FROM catalog_syncs ORDER BY id DESC LIMIT 1")
    assert tuple(left) == ("running", {"USD": 3}, 3)
    sql("UPDATE catalog_syncs SET lease_until = now() WHERE state = 'running'")

    sql("UPDATE shop.variants SET price_cents = 20 WHERE id = ANY(:ids)", ids=keys[6:8])
    assert sync().refusal.startswith("with those of before, the prices of 5 of 17 in USD")
    sql("UPDATE shop.variants SET price_cents = 4725 WHERE id = ANY(:ids)", ids=keys[6:8])
    sql("UPDATE shop.variants SET for_sale = false WHERE id = ANY(:ids)", ids=keys[8:10])
    assert sync().refusal.startswith("with 2 more, 5 of 20 listings would be made inactive")


def test_what_was_allowed_counts_as_allowed_though_it_was_killed(
    shop: MakeVariant, sync: Sync, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [shop() for _ in range(20)]
    sync()
    sql("UPDATE shop.variants SET price_cents = 20 WHERE id = ANY(:ids)", ids=keys[:10])
    with monkeypatch.context() as killed:
        killed.setattr(SyncWriter, "end", lambda *_, **__: None)
        sync(allow_gone=True)
    sql("UPDATE catalog_syncs SET lease_until = now() WHERE state = 'running'")

    sql("UPDATE shop.variants SET price_cents = 20 WHERE id = ANY(:ids)", ids=keys[10:13])
    assert sync().changed.count == 3


def test_long_keys_that_begin_alike_are_named_and_the_others_are_synced(
    shop: MakeVariant, sync: Sync, sql: Sql
) -> None:
    row = "'T' AS title, 1 AS unit_price, 'USD' AS currency, 'V' AS vendor"
    long = "repeat('k', 300)"

    done = sync(
        f"SELECT 'good' AS id, {row} UNION ALL SELECT {long} || '1', {row} UNION ALL SELECT {long} || '2', {row}"
    )

    assert (done.state, done.unusable.count, [each[0] for each in on_sale(sql)]) == (SyncState.DONE, 2, ["good"])


def test_functions_of_a_view_find_nothing_of_ours_by_a_bare_name(shop: MakeVariant, sync: Sync, sql: Sql) -> None:
    shop()
    sql("CREATE FUNCTION shop.path() RETURNS text LANGUAGE sql AS $$ SELECT current_setting('search_path') $$")

    sync(f"SELECT id, shop.path() AS title, unit_price, currency, vendor FROM ({SELECT}) AS s")

    assert [row[1] for row in on_sale(sql)] == ["pg_catalog, pg_temp"]


def test_the_doctor_names_functions_that_run_as_the_worker(
    shop: MakeVariant, app: Flask, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql("CREATE FUNCTION shop.spell(text) RETURNS text LANGUAGE sql AS 'SELECT upper($1)'")
    sql("CREATE FUNCTION shop.likes(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT $1 = $2'")
    sql("CREATE FUNCTION shop.own_rights() RETURNS integer LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'")
    sql("CREATE OPERATOR shop.~~~ (leftarg = text, rightarg = text, function = shop.likes)")
    sql("""CREATE VIEW shop.deep AS SELECT id, shop.spell(name) AS title FROM shop.products
        WHERE name OPERATOR(shop.~~~) name AND shop.own_rights() = 1""")
    sql("""CREATE VIEW shop."Shown" AS SELECT id, upper(title) AS title FROM shop.deep""")
    sql("CREATE MATERIALIZED VIEW shop.made AS SELECT * FROM shop.deep")

    def found(source: str) -> list[str]:
        monkeypatch.setenv("CATALOG_SOURCE", source)
        with app.app_context():
            return [each.result for each in check_catalog() if each.level is Level.ADVICE and "rights" in each.result]

    assert found("shop.made") == found(SELECT) == found("") == []
    for source in ("shop.deep", 'SELECT * FROM shop . "Shown"', "TABLE Shop.DEEP"):
        [result] = found(source)
        assert "its views call shop.likes, shop.spell with the rights of the worker" in result
