"""What the figures work on: a catalogue, customers with carts, payments that wait, and webhooks about them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import orjson
import psycopg

from checkout_service.providers.adapters.mock.provider import sign

WEBHOOK_BYTES = 1600
LISTINGS = 200

PLENTY = 100_000_000
"""Pieces of each listing: more than any figure sells, so that nothing but the work is measured."""

_CATALOGUE = """
    WITH vendor AS (INSERT INTO vendors (name) VALUES ('Northfield Uniforms') RETURNING id),
        school AS (INSERT INTO schools (name) VALUES ('Riverside Academy') RETURNING id),
        spec AS (INSERT INTO specs (name, attributes)
            VALUES ('Blazer', '{"colour": "navy", "size": "11-12"}') RETURNING id)
    INSERT INTO listings (vendor_id, school_id, spec_id, title, unit_price, currency, stock)
    SELECT vendor.id, school.id, spec.id, 'School blazer, navy, number ' || n, 10 + n, 'USD', %s
    FROM vendor, school, spec, generate_series(1, %s) AS n
    RETURNING id
"""

# Those that the payments below are for. Their ids are hashes of their numbers; to add them again does nothing.
_BOUGHT = """
    WITH vendor AS (INSERT INTO vendors (id, name) VALUES (md5('vendor')::uuid, 'Northfield Uniforms')
            ON CONFLICT (id) DO NOTHING),
        school AS (INSERT INTO schools (id, name) VALUES (md5('school')::uuid, 'Riverside Academy')
            ON CONFLICT (id) DO NOTHING),
        spec AS (INSERT INTO specs (id, name, attributes)
            VALUES (md5('spec')::uuid, 'Blazer', '{"colour": "navy", "size": "11-12"}') ON CONFLICT (id) DO NOTHING)
    INSERT INTO listings (id, vendor_id, school_id, spec_id, title, unit_price, currency, stock)
    SELECT md5('listing ' || n)::uuid, md5('vendor')::uuid, md5('school')::uuid, md5('spec')::uuid,
        'School blazer, navy', 120.00, 'USD', %s
    FROM generate_series(0, %s) AS n
    ON CONFLICT (id) DO NOTHING
"""

# hold_take adds to the counters with each hold; here it is done for all of them at once.
_RESERVE = """
    UPDATE stock_counters AS counter SET reserved = counter.reserved + held.pieces
    FROM (SELECT md5('listing ' || n %% %s)::uuid AS listing_id, sum(2)::integer AS pieces
        FROM generate_series(%s::bigint, %s::bigint) AS n GROUP BY 1) AS held
    WHERE counter.listing_id = held.listing_id
"""

_CUSTOMER = """
    WITH customer AS (INSERT INTO users DEFAULT VALUES RETURNING id),
        cart AS (INSERT INTO carts (user_id) SELECT id FROM customer RETURNING id, user_id),
        items AS (INSERT INTO cart_items (cart_id, listing_id, qty)
            SELECT cart.id, listing, 2 FROM cart, unnest(%s::uuid[]) AS listing)
    SELECT id, user_id FROM cart
"""

# So many payments to each customer, with their sessions, each of another filling of the cart and of two pieces of a
# listing that is there. A reference is a hash of its number, so that webhooks can be made anywhere.
PAYMENTS = {
    "users (id)": "SELECT md5('user ' || n)::uuid FROM generate_series({first}, {last}) AS n WHERE n % {each} = 0",
    "carts (id, user_id)": """SELECT md5('cart ' || n)::uuid, md5('user ' || n)::uuid
        FROM generate_series({first}, {last}) AS n WHERE n % {each} = 0""",
    "payments (id, user_id, provider, provider_ref, amount, currency)": """
        SELECT md5('payment ' || n)::uuid, md5('user ' || n / {each} * {each})::uuid, 'mock',
            'mock_pi_' || md5('payment ' || n), 240.00, 'USD' FROM generate_series({first}, {last}) AS n""",
    """checkout_sessions (user_id, cart_id, generation, idempotency_key, request_hash, payment_id, payment_token,
        amount, currency, lines, expires_at, held_until)""": f"""
        SELECT md5('user ' || n / {{each}} * {{each}})::uuid, md5('cart ' || n / {{each}} * {{each}})::uuid,
            n % {{each}}, 'purchase ' || n, sha256(n::text::bytea), md5('payment ' || n)::uuid,
            'mock_pi_' || md5('payment ' || n), 240.00, 'USD',
            jsonb_build_array(jsonb_build_object('listing_id', md5('listing ' || n % {LISTINGS})::uuid,
                'title', 'School blazer, navy', 'unit_price', '120.00', 'currency', 'USD', 'qty', 2,
                'line_total', '240.00', 'vendor_id', md5('vendor')::uuid, 'vendor', 'Northfield Uniforms',
                'school', 'Riverside Academy', 'spec', 'Blazer')),
            now() + interval '1 day', {{held_until}} FROM generate_series({{first}}, {{last}}) AS n""",
}

# What a paid payment takes away beside: the cart's lines, and what it holds, as hold_take and the session leave it.
HELD = {
    "cart_items (cart_id, listing_id, qty)": f"""
        SELECT md5('cart ' || n)::uuid, md5('listing ' || n % {LISTINGS})::uuid, 2
        FROM generate_series({{first}}, {{last}}) AS n""",
    "holds (payment_id, listing_id, user_id, qty, reserved, until)": f"""
        SELECT md5('payment ' || n)::uuid, md5('listing ' || n % {LISTINGS})::uuid, md5('user ' || n)::uuid, 2, 2,
            now() + interval '1 day' FROM generate_series({{first}}, {{last}}) AS n""",
}


@dataclass(frozen=True, kw_only=True)
class Customer:
    """A customer with a cart, and the token to use it."""

    id: UUID
    cart_id: UUID
    token: str


def add_catalogue(
    connection: psycopg.Connection[Any], count: int = LISTINGS, *, stock: int | None = PLENTY
) -> list[UUID]:
    """Listings of so many pieces each, or whose stock is not tracked; their ids."""
    return [row[0] for row in connection.execute(_CATALOGUE, (stock, count))]


def add_bought_listings(connection: psycopg.Connection[Any]) -> None:
    """Those listings that the payments here are for, where they are not there yet."""
    connection.execute(_BOUGHT, (PLENTY, LISTINGS - 1))


def add_customer(connection: psycopg.Connection[Any], listings: list[UUID], secret: str) -> Customer:
    """A customer with a line for each of the listings."""
    row = connection.execute(_CUSTOMER, (listings,)).fetchone()
    assert row is not None
    claims = {"sub": str(row[1]), "exp": datetime.now(UTC) + timedelta(days=1)}
    return Customer(id=row[1], cart_id=row[0], token=jwt.encode(claims, secret, "HS256"))


def add_payments(connection: psycopg.Connection[Any], *, first: int, count: int, held: bool = True) -> None:
    """Pending payments with these numbers, each of another customer, and the sessions that opened them.

    Paid, each becomes an order. ``held``: their carts have lines and their sessions hold pieces, as in life; otherwise
    an order is all that comes of it. Of one customer, those whose webhooks stand side by side would be the business of
    one worker at a time: of two that are for one cart the second waits for the first.
    """
    add_bought_listings(connection)
    numbers = {"first": first, "last": first + count - 1, "each": 1}
    if held:
        connection.execute(_RESERVE, (LISTINGS, first, first + count - 1))
    held_until = "now() + interval '1 day'" if held else "NULL::timestamptz"
    # No triggers: these rows refer to each other as they should, and what they hold is what their sessions say.
    connection.execute("SET session_replication_role = replica")
    for target, rows in (PAYMENTS | HELD if held else PAYMENTS).items():
        copy(connection, target, rows.format(**numbers, held_until=held_until))
    connection.execute("RESET session_replication_role")


def add_webhooks(connection: psycopg.Connection[Any], bodies: Iterator[bytes]) -> None:
    """Webhooks that wait, as the webhook receiver leaves them; traced as OTEL_TRACES_SAMPLER_ARG says."""
    is_traced = os.environ.get("OTEL_TRACES_EXPORTER") == "otlp"
    every = round(1 / float(os.environ["OTEL_TRACES_SAMPLER_ARG"])) if is_traced else 0
    # A tree of before has no such column.
    columns = "provider, headers, body" + (", trace_context" if every else "")
    with connection.cursor() as cursor, cursor.copy(f"COPY webhook_deliveries ({columns}) FROM STDIN") as to:
        for place, body in enumerate(bodies):
            context = () if not every else (None if place % every else f"00-{uuid4().hex}-{uuid4().hex[:16]}-01",)
            to.write_row(("mock", "{}", body, *context))


def webhooks(references: Iterator[str], secret: str) -> Iterator[bytes]:
    """A signed ``paid`` of 1.6 KB for each reference, as the mock provider sends it."""
    occurred = datetime.now(UTC).isoformat(timespec="seconds")
    for reference in references:
        details = {
            "event_id": f"evt_{uuid4().hex}",
            "amount": "240.00",
            "currency": "USD",
            "occurred_at": occurred,
            "payer": {"email": "parent@example.org", "country": "GB", "address": ["1 High Street", "Riverside"]},
            "order": [{"sku": f"blazer-{size}", "qty": 1, "price": "120.00"} for size in range(11, 21)],
        }
        webhook = {"provider_ref": reference, "status": "paid", "raw_data": details}
        short = WEBHOOK_BYTES - len(orjson.dumps(webhook)) - len(',"signature":""') - 64 - len(',"note":""')
        details["note"] = "n" * short
        yield orjson.dumps(sign(webhook, secret))


def reference(connection: psycopg.Connection[Any], *, first: int, count: int) -> Iterator[str]:
    """The references of the payments with these numbers."""
    query = "SELECT 'mock_pi_' || md5('payment ' || n) FROM generate_series(%s::bigint, %s::bigint) AS n"
    return (row[0] for row in connection.execute(query, (first, first + count - 1)))


def copy(connection: psycopg.Connection[Any], target: str, rows: str, *, afresh: bool = False) -> None:
    """COPY what a query says into a table, through this process but without reading it.

    ``afresh`` empties the table in the same transaction, so that its rows are frozen, and perhaps logged nowhere.
    """
    options = "FORMAT BINARY, FREEZE" if afresh else "FORMAT BINARY"
    with psycopg.connect(connection.info.dsn, autocommit=True) as source, connection.transaction():
        if afresh:
            connection.execute(f"TRUNCATE {target.partition(' ')[0]}")
        with (
            connection.cursor() as cursor,
            source.cursor() as reader,
            cursor.copy(f"COPY {target} FROM STDIN ({options})") as to,
            reader.copy(f"COPY ({rows}) TO STDOUT (FORMAT BINARY)") as out,
        ):
            for block in out:
                to.write(block)
