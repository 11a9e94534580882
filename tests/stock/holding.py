"""Holds as the web tier takes them, sessions as it inserts them, and what must hold of all stock."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask

from checkout_service.stock.operations import HeldResult, release_holds, take_holds
from tests.conftest import Sql

Lines = Sequence[tuple[dict[str, Any], int]]


@dataclass(frozen=True)
class Buyer:
    """A customer with one cart, at the database alone."""

    app: Flask
    sql: Sql
    id: UUID
    cart_id: UUID

    def take(self, *lines: tuple[dict[str, Any], int], payment_id: UUID | None = None, **bounds: Any) -> HeldResult:
        """Hold these lines for a payment; a new one each time, if none is given."""
        with self.app.app_context():
            return take_holds(
                payment_id=payment_id or uuid4(),
                user_id=self.id,
                cart_id=self.cart_id,
                generation=self.generation,
                lines=[(listing["id"], qty) for listing, qty in lines],
                **bounds,
            )

    def release(self, payment_id: UUID) -> int:
        with self.app.app_context():
            return release_holds(payment_id=payment_id)

    @property
    def generation(self) -> int:
        return int(self.sql("SELECT generation FROM carts WHERE id = :id", id=self.cart_id)[0].generation)

    def open(
        self,
        *lines: tuple[dict[str, Any], int],
        payment_id: UUID,
        address: bytes | None = None,
        generation: int | None = None,
        held_for: str | None = "70 minutes",
    ) -> UUID | None:
        """Payment and session in one statement, as checkout inserts them; the payment's id.

        None where the cart's filling ended meanwhile.
        """
        opened = self.sql(
            SESSION,
            payment_id=payment_id,
            user_id=self.id,
            cart_id=self.cart_id,
            generation=self.generation if generation is None else generation,
            ref=f"mock_{payment_id}",
            key=str(payment_id),
            amount=sum(listing["unit_price"] * qty for listing, qty in lines),
            lines=json.dumps([line_of(listing, qty) for listing, qty in lines]),
            address=address,
            held_for=held_for,
        )
        return payment_id if opened else None

    def buy(self, *lines: tuple[dict[str, Any], int]) -> UUID:
        """Hold and open; the payment's id."""
        payment_id = uuid4()
        assert self.take(*lines, payment_id=payment_id).held
        assert self.open(*lines, payment_id=payment_id)
        return payment_id


SESSION = """
    WITH cart AS (
        SELECT FROM carts WHERE id = :cart_id AND generation = :generation FOR SHARE
    ), payment AS (
        INSERT INTO payments (id, user_id, provider, provider_ref, amount, currency)
        SELECT :payment_id, :user_id, 'mock', :ref, :amount, 'USD' FROM cart RETURNING id
    ), address AS (
        INSERT INTO session_addresses (payment_id, address, ends_at)
        SELECT id, CAST(:address AS bytea), now() + interval '1 hour' FROM payment
        WHERE CAST(:address AS bytea) IS NOT NULL
    )
    INSERT INTO checkout_sessions (user_id, cart_id, generation, idempotency_key, request_hash, payment_id,
        payment_token, amount, currency, lines, expires_at, held_until)
    SELECT :user_id, :cart_id, :generation, :key, '\\x00', id, 'token', :amount, 'USD', CAST(:lines AS jsonb),
        now() + interval '1 hour', now() + CAST(:held_for AS interval)
    FROM payment
    RETURNING payment_id
"""


def line_of(listing: dict[str, Any], qty: int) -> dict[str, Any]:
    """A line as a session seals it."""
    return {
        "listing_id": str(listing["id"]),
        "title": listing["title"],
        "vendor": "Harbour Books",
        "school": None,
        "spec": None,
        "qty": qty,
        "unit_price": str(listing["unit_price"]),
        "line_total": str(listing["unit_price"] * qty),
    }


class MakeBuyer:
    """Makes customers, each with a cart of its own that holds nothing."""

    def __init__(self, app: Flask, sql: Sql) -> None:
        self.app = app
        self.sql = sql

    def __call__(self) -> Buyer:
        user = self.sql("INSERT INTO users (id) VALUES (uuidv7()) RETURNING id")[0].id
        cart = self.sql("INSERT INTO carts (user_id) VALUES (:id) RETURNING id", id=user)[0].id
        return Buyer(self.app, self.sql, user, cart)


@pytest.fixture
def make_buyer(app: Flask, sql: Sql) -> MakeBuyer:
    return MakeBuyer(app, sql)


@pytest.fixture
def buyer(make_buyer: MakeBuyer) -> Buyer:
    return make_buyer()


def counter_of(sql: Sql, listing: dict[str, Any]) -> tuple[int | None, int]:
    """What lies there of a listing, and what of it is reserved, by its counter."""
    row = sql("SELECT stock, reserved FROM stock_counters WHERE listing_id = :id", id=listing["id"])[0]
    return row.stock, row.reserved


def holds_of(sql: Sql, payment_id: UUID) -> dict[UUID, tuple[int, int]]:
    """The payment's holds: quantity and what of it is reserved, by listing."""
    rows = sql("SELECT listing_id, qty, reserved FROM holds WHERE payment_id = :id", id=payment_id)
    return {row.listing_id: (row.qty, row.reserved) for row in rows}


def until_of(sql: Sql, payment_id: UUID) -> float:
    """Seconds until the payment's holds end: as long as they say, or as its session says, whichever is later."""
    (row,) = sql(
        """SELECT DISTINCT greatest(hold.until, session.held_until) - now() AS left
        FROM holds AS hold LEFT JOIN checkout_sessions AS session ON session.payment_id = hold.payment_id
        WHERE hold.payment_id = :id""",
        id=payment_id,
    )
    return float(row.left.total_seconds())


def end_holds(sql: Sql, payment_id: UUID | str | None = None) -> None:
    """As if the time of a payment's holds were over now, or of all; the next sweep ends them."""
    of_one = "AND payment_id = :id" if payment_id else ""
    values = {"id": payment_id} if payment_id else {}
    sql(f"UPDATE checkout_sessions SET held_until = now() WHERE held_until > now() {of_one}", **values)
    sql(f"UPDATE holds SET until = now() WHERE state = 'held' {of_one}", **values)


def assert_stock_adds_up(sql: Sql) -> None:
    """Each counter has its listing's stock, and reserves what its holds reserve."""
    wrong = sql("""
        SELECT listing.title, listing.stock, counter.stock AS counted, counter.reserved, held.reserved AS held
        FROM listings AS listing LEFT JOIN stock_counters AS counter ON counter.listing_id = listing.id
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(reserved), 0) AS reserved FROM holds WHERE holds.listing_id = listing.id
        ) AS held
        WHERE listing.stock IS DISTINCT FROM counter.stock OR coalesce(counter.reserved, 0) <> held.reserved
    """)
    assert not wrong, wrong
