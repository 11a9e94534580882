"""Carts of guests whom nobody comes back as go; one with a session alive, and what was paid for, stay."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from flask import Flask
from sqlalchemy import make_url

import worker.guests as sweeping
from checkout_service.settings.values import WorkerSettings
from tests.carts.guest_carts import make_guest, token_of
from tests.conftest import Customer, MakeListing, Servers, Sql
from tests.orders.buying import bought
from tests.purchases import fill_cart, opened
from tests.worker.conftest import MakeWorker
from worker.guests import sweep

DAYS = 30


@pytest.fixture
def guest(app: Flask, sql: Sql) -> Customer:
    return make_guest(app, sql)


def age(sql: Sql, **ago: float) -> None:
    """All guests were here last so long ago."""
    sql("UPDATE guests SET last_used_at = now() - CAST(:ago AS interval)", ago=timedelta(**ago))


def rows(sql: Sql) -> dict[str, int]:
    tables = ("users", "guests", "carts", "cart_items", "payments")
    return {table: sql(f"SELECT count(*) FROM {table}")[0][0] for table in tables}


def none_of(sql: Sql) -> bool:
    return not any(rows(sql).values())


def test_empty_and_abandoned_carts_go_with_their_guests_a_day_after_their_end(
    sql: Sql, app: Flask, worker: Flask, guest: Customer, make_listing: MakeListing
) -> None:
    fill_cart(guest, (make_listing(), 2))
    make_guest(app, sql)
    before = rows(sql)
    assert before == {"users": 2, "guests": 2, "carts": 2, "cart_items": 1, "payments": 0}

    age(sql, days=DAYS + 1, minutes=-1)
    assert sweep() == "ended 0 guests"
    assert rows(sql) == before

    age(sql, days=DAYS + 1)
    assert sweep() == "ended 2 guests"
    assert none_of(sql)
    assert guest.get("/api/cart").status_code == 401


def test_customers_carts_stay_however_old(
    sql: Sql, worker: Flask, customer: Customer, guest: Customer, make_listing: MakeListing
) -> None:
    fill_cart(customer, (make_listing(), 1))
    sql("UPDATE carts SET created_at = now() - interval '9 years', updated_at = now() - interval '9 years'")
    age(sql, days=DAYS + 1)
    assert sweep() == "ended 1 guests"
    assert rows(sql) == {"users": 1, "guests": 0, "carts": 1, "cart_items": 1, "payments": 0}


@pytest.mark.parametrize("change", ["status = 'pending'", "status = 'failed'", "under_way = true"])
def test_a_cart_with_a_session_alive_is_spared(
    sql: Sql, worker: Flask, guest: Customer, make_listing: MakeListing, change: str
) -> None:
    opened(guest, fill_cart(guest, (make_listing(), 1)))
    age(sql, days=DAYS + 5)
    before = rows(sql)
    sweep()
    assert rows(sql) == before, "it may be paid yet"

    end_session(sql, change)
    sweep()
    assert rows(sql) == before, "it is not decided yet"

    end_session(sql, "status = 'expired', under_way = false")
    assert sweep() == "ended 1 guests"
    # The cart stays with its session, without lines.
    assert rows(sql) == {"users": 1, "guests": 0, "carts": 1, "cart_items": 0, "payments": 1}


def end_session(sql: Sql, change: str) -> None:
    """The session's time is over, and its payment is so; no entries stand behind it."""
    sql(
        f"""DO $$ BEGIN
            SET LOCAL session_replication_role = replica;
            UPDATE checkout_sessions SET expires_at = now() - interval '1 hour';
            UPDATE payments SET {change};
        END $$"""
    )


def test_what_was_bought_stays_and_a_customer_sees_it_by_the_link(
    sql: Sql, worker: Flask, app: Flask, guest: Customer, customer: Customer, make_listing: MakeListing
) -> None:
    order = bought(guest, sql, (make_listing(), 1))
    lone = bought(make_guest(app, sql), sql, (make_listing(), 1))
    empty = make_guest(app, sql)
    for one in (guest, empty):
        customer.post("/api/cart/merge", json={"cart_token": token_of(one), "how": "sum"})
    age(sql, days=DAYS + 1)
    end_session(sql, "under_way = false")

    assert sweep() == "ended 3 guests"

    assert [(row.id, row.ended_at is None) for row in sql("SELECT id, ended_at FROM guests")] == [(guest.id, False)]
    assert [one["id"] for one in customer.get("/api/orders").json["data"]] == [str(order.id)]
    assert sql("SELECT count(*) AS n FROM orders WHERE id = :id", id=lone.id)[0].n == 1
    assert sweep() == "ended 0 guests"


def test_many_take_steps_and_those_that_stay_do_not_stand_before_others(
    sql: Sql, worker: Flask, app: Flask, make_listing: MakeListing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "STEP", 2)
    listing = make_listing(stock=100)
    for _ in range(5):
        opened(guest := make_guest(app, sql), fill_cart(guest, (listing, 1)))
    age(sql, days=DAYS + 3)
    for _ in range(5):
        make_guest(app, sql)
    sql("UPDATE guests SET last_used_at = now() - interval '32 days' WHERE last_used_at > now() - interval '1 day'")
    assert sweep() == "ended 5 guests"
    assert rows(sql)["guests"] == 5


def test_what_somebody_holds_is_left_to_the_next_run(sql: Sql, worker: Flask, app: Flask, servers: Servers) -> None:
    held, other = make_guest(app, sql), make_guest(app, sql)
    age(sql, days=DAYS + 1)
    url = make_url(servers.superuser_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as connection:
        connection.execute("SELECT FROM guests WHERE id = %s FOR UPDATE", (held.id,))
        assert sweep() == "ended 1 guests"
        assert [row.id for row in sql("SELECT id FROM guests")] == [held.id] != [other.id]
    assert sweep() == "ended 1 guests"


def test_it_is_as_many_days_as_the_setting_says(
    sql: Sql, make_worker: MakeWorker, worker_settings: WorkerSettings, guest: Customer
) -> None:
    assert worker_settings.cart_tokens_last == timedelta(days=30)
    age(sql, days=4)
    with make_worker(cart_tokens_last=timedelta(days=3)).app_context():
        assert sweep() == "ended 1 guests"
    assert none_of(sql)
