"""Erasing a customer takes along the guests whom they turned out to be, and an export has what is held of those."""

from __future__ import annotations

import json
from uuid import UUID, uuid4

import pytest
from flask import Flask

from checkout_service.commands.models import Door
from checkout_service.commands.operations import Origin, erase
from tests.carts.guest_carts import make_guest, token_of
from tests.conftest import Customer, MakeListing, Sql
from tests.money import attempt, fold
from tests.orders.buying import bought, name_buyer, numbered
from tests.privacy.test_erasing import everything
from tests.purchases import fill_cart, opened
from tests.worker.conftest import worker
from worker.commands import run_commands

__all__ = ["worker"]  # fixtures


def merged_guest(app: Flask, sql: Sql, customer: Customer, make_listing: MakeListing) -> Customer:
    """A guest with an order and things in the cart, who then signed in."""
    guest = make_guest(app, sql)
    order = bought(guest, sql, (make_listing(), 1))
    name_buyer(sql, order.id)
    fill_cart(guest, (make_listing(), 1))
    answer = customer.post("/api/cart/merge", json={"cart_token": token_of(guest), "how": "sum"})
    assert answer.status_code == 200, answer.text
    return guest


def erased(app: Flask, worker_app: Flask, user_id: UUID) -> UUID:
    with app.app_context():
        command = erase(user_id, origin=Origin(key=uuid4(), door=Door.CLI, operator="ops", why="asked for in writing"))
    with worker_app.app_context():
        run_commands()
    return command


def test_the_guests_of_a_customer_are_erased_with_them(
    sql: Sql, app: Flask, worker_app: Flask, customer: Customer, make_listing: MakeListing
) -> None:
    bought(customer, sql, (make_listing(), 1))
    guests = [merged_guest(app, sql, customer, make_listing) for _ in range(2)]
    other = make_guest(app, sql)
    fill_cart(other, (make_listing(), 1))
    numbered(sql)

    command = erased(app, worker_app, customer.id)

    run = sql("SELECT state, message FROM command_runs WHERE id = :id", id=command)[0]
    assert run.state == "done", run.message
    left = everything(sql)
    for person in (customer, *guests):
        assert str(person.id) not in left
    assert "Lovelace" not in left
    assert sql("SELECT count(*) AS n FROM orders")[0].n == 3
    assert [row.id for row in sql("SELECT id FROM guests")] == [other.id]
    assert len(other.get("/api/cart").json["items"]) == 1
    for guest in guests:
        assert guest.get("/api/payments").status_code == 401
    assert customer.get("/api/payments").json["data"] == []
    assert customer.get("/api/cart").json["items"] == []


def test_it_is_refused_while_a_guests_payment_is_under_way(
    sql: Sql, app: Flask, worker_app: Flask, customer: Customer, make_listing: MakeListing
) -> None:
    guest = make_guest(app, sql)
    payment_id = opened(guest, fill_cart(guest, (make_listing(), 1)))["payment_id"]
    attempt(sql, payment_id, "under_way")
    fold(sql, payment_id)
    customer.post("/api/cart/merge", json={"cart_token": token_of(guest), "how": "sum"})

    command = erased(app, worker_app, customer.id)

    assert sql("SELECT state FROM command_runs WHERE id = :id", id=command)[0].state == "refused"
    assert sql("SELECT count(*) AS n FROM guests")[0].n == 1


def test_a_guest_who_never_signed_in_is_erased_by_their_id(
    sql: Sql, app: Flask, worker_app: Flask, make_listing: MakeListing
) -> None:
    guest = make_guest(app, sql)
    bought(guest, sql, (make_listing(), 1))
    numbered(sql)
    erased(app, worker_app, guest.id)
    assert str(guest.id) not in everything(sql)
    assert guest.get("/api/cart").status_code == 401


def test_an_export_has_what_is_held_of_the_guests(
    sql: Sql, app: Flask, customer: Customer, make_listing: MakeListing, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    guest = merged_guest(app, sql, customer, make_listing)
    result = app.test_cli_runner().invoke(args=["privacy", "export", "--user", str(customer.id)])
    assert result.exit_code == 0
    rows = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    of_guest = {row["kind"] for row in rows if str(guest.id) in json.dumps(row)}
    assert {"user", "guest", "cart", "session", "payment", "order"} <= of_guest
    assert not any("token_hash" in row for row in rows)
