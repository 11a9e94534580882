"""``checkout catalog demo``: fills a shop that is tried, is refused where people pay, and can be taken back."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from checkout_service.local import demo_cli
from checkout_service.local.demo_catalog import listing_ids
from checkout_service.telemetry import logs
from tests.apps import MakeApp
from tests.conftest import Customer, MakeListing, Servers, Sql


@pytest.fixture(autouse=True)
def _owner(monkeypatch: pytest.MonkeyPatch, servers: Servers) -> None:
    monkeypatch.setenv("MIGRATION_DATABASE_URL", servers.superuser_url)


def run(app: Flask, *arguments: str) -> Result:
    demo_cli.init_app(app)
    return app.test_cli_runner().invoke(args=["catalog", "demo", *arguments])


def on_sale(sql: Sql) -> int:
    return int(sql("SELECT count(*) FROM listings WHERE active")[0].count)


def test_it_fills_the_shop_and_again_changes_nothing(app: Flask, sql: Sql, customer: Customer) -> None:
    first = run(app)
    assert (first.exit_code, f"{len(listing_ids())} new, 0 changed" in first.stdout) == (0, True), first.output
    assert {row.id for row in sql("SELECT id FROM listings")} == set(listing_ids())
    bought = sql("SELECT id FROM listings WHERE active ORDER BY id LIMIT 1")[0].id
    assert customer.post("/api/cart/items", json={"listing": str(bought), "qty": 1}).status_code == 201

    again = run(app)
    assert f"0 new, 0 changed, {len(listing_ids())} as they were" in again.stdout


def test_its_listings_and_no_others_are_taken_off_sale_and_brought_back(
    app: Flask, sql: Sql, make_listing: MakeListing
) -> None:
    own = make_listing()
    assert run(app, "--off-sale").stdout == "Took 0 listings of the demo catalogue off sale.\n"
    assert sql("SELECT id FROM listings")[0].id == own["id"], "none is made for it"

    run(app)
    there = on_sale(sql) - 1
    assert there > 250
    assert run(app, "--off-sale").stdout == f"Took {there} listings of the demo catalogue off sale.\n"
    assert [row.id for row in sql("SELECT id FROM listings WHERE active")] == [own["id"]]
    assert sql("SELECT count(*) FROM listings")[0].count == len(listing_ids()) + 1
    assert app.test_client().get("/api/listings").get_json()["data"][0]["id"] == str(own["id"])

    run(app)
    assert on_sale(sql) == there + 1


def test_in_production_it_is_refused_and_what_a_trial_left_can_be_taken_off_sale(
    app: Flask, make_app: MakeApp, sql: Sql
) -> None:
    try:
        production = make_app(environment="production")
        refused = run(production)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert "Nothing was imported" in refused.stderr
        assert sql("SELECT FROM listings") == []

        run(app)
        assert run(production, "--off-sale").exit_code == 0
        assert on_sale(sql) == 0
    finally:
        logs.configure(production=False)


@pytest.mark.parametrize("arguments", [[], ["--off-sale"]])
def test_without_the_owners_way_to_the_database_it_says_so(
    app: Flask, servers: Servers, sql: Sql, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str]
) -> None:
    assert run(app).exit_code == 0
    before = on_sale(sql)
    for url, words in (
        (servers.web_url, "permission denied"),
        (f"postgresql://nobody:hush@/shop?host={tmp_path}", "The database refused"),
        ("", "MIGRATION_DATABASE_URL"),
    ):
        monkeypatch.setenv("MIGRATION_DATABASE_URL", url)
        done = run(app, *arguments)
        assert (done.exit_code, done.stdout) == (1, ""), url
        assert words in done.stderr
        assert "hush" not in done.stderr
        assert "Traceback" not in done.stderr
    assert on_sale(sql) == before
