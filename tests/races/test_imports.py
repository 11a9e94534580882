"""Imports beside each other, and beside customers: real threads, real commits."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import monotonic, sleep
from typing import Any
from uuid import UUID, uuid5

import psycopg

from checkout_service.catalog.operations import Imported, import_listings
from checkout_service.settings.secret import Secret
from tests.conftest import Customer, Servers, Sql

NAMESPACE = UUID("018f0000-0000-7000-8000-000000000000")


def listing(number: int, price: str) -> dict[str, Any]:
    """A listing whose vendor goes by its price, so that imports at other prices share listings alone."""
    return {
        "id": str(uuid5(NAMESPACE, f"listing {number}")),
        "title": f"Listing {number}",
        "unit_price": price,
        "currency": "USD",
        "vendor": {"id": str(uuid5(NAMESPACE, f"vendor {price}")), "name": f"Vendor {price}"},
    }


class Meeting(io.BytesIO):
    """A file at whose end the readers wait for each other."""

    def __init__(self, listings: list[dict[str, Any]], barrier: Barrier) -> None:
        super().__init__(b"".join(json.dumps(one).encode() + b"\n" for one in listings))
        self._barrier = barrier

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line:
            self._barrier.wait(20)
        return line


def test_two_imports_of_the_same_listings_in_opposite_orders_both_finish(servers: Servers, sql: Sql) -> None:
    url = Secret(servers.superuser_url)
    count = 3000
    up = [listing(number, "1.00") for number in range(count)]
    down = [listing(number, "2.00") for number in reversed(range(count))]
    import_listings(file=Meeting([listing(number, "3.00") for number in range(count)], Barrier(1)), database_url=url)
    barrier = Barrier(2)

    with ThreadPoolExecutor(2) as pool:
        running = [
            pool.submit(import_listings, file=Meeting(listings, barrier), database_url=url) for listings in (up, down)
        ]
        done = [one.result(60) for one in running]

    assert done == [Imported(new=0, changed=count, unchanged=0)] * 2
    kinds = sql("SELECT unit_price, vendor_id, count(*) FROM listings GROUP BY 1, 2")
    assert [row.count for row in kinds] == [count]  # one of the two, whole


def test_customers_go_on_while_an_import_is_under_way(servers: Servers, sql: Sql, customer: Customer) -> None:
    url = Secret(servers.superuser_url)
    import_listings(file=Meeting([listing(1, "1.00"), listing(2, "1.00")], Barrier(1)), database_url=url)
    plain = servers.superuser_url.replace("+psycopg", "")
    changed = Meeting([listing(1, "5.00"), listing(2, "5.00"), listing(3, "5.00")], Barrier(1))

    with ThreadPoolExecutor(1) as pool, psycopg.connect(plain) as holder:
        # Held, so that the import has changed the first listing, and waits for the second.
        holder.execute("SELECT id FROM listings WHERE title = 'Listing 2' FOR UPDATE")
        running = pool.submit(import_listings, file=changed, database_url=url)
        deadline = monotonic() + 60
        while not sql(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'catalog-import' AND wait_event_type = 'Lock'"
        ):
            assert monotonic() < deadline, "the import never came to the held listing"
            sleep(0.01)

        known = customer.post("/api/cart/items", json={"listing": listing(1, "")["id"], "qty": 2})
        unseen = customer.post("/api/cart/items", json={"listing": listing(3, "")["id"], "qty": 2})

        assert (known.status_code, known.json["line_total"]) == (201, "2.00")
        assert unseen.status_code == 404
        assert not running.done()
        holder.rollback()
        assert running.result(20) == Imported(new=1, changed=2, unchanged=0)

    assert customer.get("/api/cart").json["total_amount"] == "10.00"
