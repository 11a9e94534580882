"""Carts that were bought: orders made as the worker makes them, by entries and the fold."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid4

from tests.conftest import Customer, Sql
from tests.money import bring_to, fold
from tests.purchases import fill_cart, opened
from tests.refunding import ask_refund

BUYER = {"email": "Mira.Vance@Example.org", "name": "Mira Vance", "locale": "en-GB", "phone": "+44 20 7946 0000"}
ADDRESS = {"name": "Mira Vance", "line1": "1 Harbour Row", "postal_code": "E1 6AN", "city": "London", "country": "GB"}


def bought(customer: Customer, sql: Sql, *lines: tuple[dict[str, Any], int], status: str = "paid") -> Any:
    """The row of the order of these listings and quantities."""
    cart_id = fill_cart(customer, *lines)
    payment_id = opened(customer, cart_id, uuid4().hex)["payment_id"]
    bring_to(sql, payment_id, status)
    return sql("SELECT * FROM orders WHERE payment_id = :id", id=payment_id)[0]


def numbered(sql: Sql, prefix: str = "") -> None:
    """Give the orders that have none their numbers."""
    sql("SELECT orders_number(:prefix, 1000000)", prefix=prefix)


def name_buyer(sql: Sql, order_id: UUID, **members: Any) -> None:
    """Write buyer and delivery address as a session would have sealed them; members of the buyer as keywords."""
    sql(
        """UPDATE orders SET buyer = CAST(:buyer AS jsonb), delivery_address = CAST(:address AS jsonb)
        WHERE id = :id""",
        id=order_id,
        buyer=json.dumps(BUYER | members),
        address=json.dumps(ADDRESS),
    )


def refund_line(sql: Sql, staff: Customer, payment_id: UUID, line_id: UUID | str, qty: int, status: str) -> None:
    """A refund of so many pieces of a line, asked for by staff, that has come so far; and the fold."""
    _refund(sql, staff, payment_id, status, lines=[{"line_id": str(line_id), "qty": qty}])


def refund_amount(sql: Sql, staff: Customer, payment_id: UUID, amount: str, status: str) -> None:
    """The same of an amount that is of no line."""
    _refund(sql, staff, payment_id, status, amount=amount)


def _refund(sql: Sql, staff: Customer, payment_id: UUID, status: str, **members: Any) -> None:
    answer = ask_refund(staff, payment_id, uuid4().hex, **members)
    assert answer.status_code == 202, answer.text
    sql(
        """UPDATE refunds SET status = CAST(:status AS refund_status), provider_ref = 'mock_re_' || id, sent_at = now(),
            next_attempt_at = CASE WHEN :status = 'processing' THEN now() END
        WHERE id = :id""",
        id=answer.json["id"],
        status=status,
    )
    fold(sql, payment_id)


VENDORS = 10
"""So many vendors sell in turn."""


def many_orders(sql: Sql, count: int, **columns: str) -> None:
    """So many paid orders with two lines each, the newest of now, each a minute older, all as if made at their time.

    Other columns of orders are SQL over ``n``, from 0 for the newest. Order ``n`` is of vendor ``n % VENDORS`` and of
    the one after it; a line of each tenth was refunded. Statistics are gathered.
    """
    given = {
        "user_id": "md5('user' || n % 1000)::uuid",
        "number": ":count - n",
        "status": "'fulfilled'::order_status",
    } | columns
    at = "date_trunc('minute', now()) - n * interval '1 minute'"
    sql(
        f"""CREATE TABLE made AS SELECT n, {at} AS at, uuidv7({at} - clock_timestamp()) AS id,
            md5('payment' || n)::uuid AS payment_id, uuidv7() AS session_id
        FROM generate_series(0, :count - 1) AS n""",
        count=count,
    )
    for statement in (
        "INSERT INTO users (id) SELECT DISTINCT md5('user' || n % 1000)::uuid FROM made",
        """INSERT INTO payments (id, user_id, provider, provider_ref, amount, currency, created_at, status,
            amount_captured)
        SELECT payment_id, md5('user' || n % 1000)::uuid, 'mock', 'many_' || n, 30, 'USD', at, 'paid', 30 FROM made""",
        f"""INSERT INTO orders (id, session_id, payment_id, cart_id, generation, amount, currency, created_at,
            updated_at, {", ".join(given)})
        SELECT id, session_id, payment_id, session_id, 1, 30, 'USD', at, at, {", ".join(given.values())} FROM made""",
        f"""INSERT INTO order_lines (order_id, place, listing_id, vendor_id, vendor, title, qty, unit_price, line_total)
        SELECT id, place, md5('listing' || n % 500)::uuid, md5('vendor' || (n + place - 1) % {VENDORS})::uuid,
            'Harbour Books', 'Algebra', 1, 15, 15
        FROM made, generate_series(1, 2) AS place ORDER BY id, place""",
        """INSERT INTO refunds (payment_id, provider, currency, provider_ref, amount, status)
        SELECT payment_id, 'mock', 'USD', 'many_' || n, 15, 'succeeded' FROM made WHERE n % 10 = 0""",
        # What is known of them is of an earlier test otherwise: the join may take minutes then.
        "ANALYZE orders, order_lines, payments, refunds",
        """INSERT INTO refund_lines (refund_id, order_line_id, qty, amount)
        SELECT refund.id, line.id, 1, 15 FROM refunds AS refund JOIN orders AS made USING (payment_id)
        JOIN order_lines AS line ON line.order_id = made.id AND line.place = 1""",
        "UPDATE payments SET amount_refunded = 15 WHERE id IN (SELECT payment_id FROM refunds)",
        "DROP TABLE made",
        "ANALYZE orders, order_lines, payments, refunds, refund_lines",
    ):
        given_rows = statement.replace(":count", str(count))
        sql(f"SET session_replication_role = replica; {given_rows}; RESET session_replication_role")


def ids(rows: Iterable[Any]) -> list[str]:
    """Their ids as the API shows them."""
    return [str(row.id) for row in rows]
