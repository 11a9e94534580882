"""Events that a date or a count makes: written once, in good time, and only of what is open."""

from __future__ import annotations

from functools import partial
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from tests.capturing import authorized_payment
from tests.conftest import Customer, MakeListing, Sql
from tests.crowd import at_once
from tests.disputes.entered import enter_dispute
from tests.events.written import types, written
from tests.money import fold
from tests.ordering import open_session
from tests.refunding import paid_payment, staff_of
from tests.worker.conftest import MakeWorker, make_worker, worker
from worker.events import dues
from worker.events.dues import write_due

__all__ = ["make_worker", "worker"]  # fixtures


def due_types(sql: Sql) -> list[str]:
    return [
        name
        for name in types(sql, "dispute", "authorization", "listing")
        if name in {"dispute.evidence_due", "authorization.expiring", "stock.low", "stock.sold_out"}
    ]


@pytest.mark.usefixtures("worker")
def test_evidence_is_due_three_days_before_and_once(sql: Sql, customer: Customer) -> None:
    payment, _ = paid_payment(sql, amount="240.00")
    soon = enter_dispute(sql, payment, "soon", evidence_due_at="now() + interval '71 hours'")
    enter_dispute(sql, payment, "later", evidence_due_at="now() + interval '73 hours'")
    enter_dispute(sql, payment, "over", evidence_due_at="now() - interval '1 hour'")
    enter_dispute(sql, payment, "sent", evidence_due_at="now() + interval '1 hour'", status="'under_review'")
    enter_dispute(sql, payment, "never")

    write_due()
    write_due()

    (event,) = [each for each in written(sql, "dispute") if each.type == "dispute.evidence_due"]
    shown = {each["id"]: each for each in staff_of(customer).get("/api/admin/disputes").json["data"]}
    assert (event.object_id, event.lane, event.body) == (soon, payment, shown[str(soon)])

    sql("""UPDATE disputes SET evidence_due_at = now() + interval '50 hours', rank = rank + 1, version = version + 1
        WHERE dispute_ref = 'soon'""")
    write_due()
    assert due_types(sql) == ["dispute.evidence_due"] * 2, "another deadline is another event"


@pytest.mark.usefixtures("worker")
def test_what_somebody_has_is_left_to_the_next_run(sql: Sql, superuser: Engine) -> None:
    held, _ = paid_payment(sql)
    free, _ = paid_payment(sql)
    for payment in (held, free):
        enter_dispute(sql, payment, f"du_{payment}", evidence_due_at="now() + interval '1 hour'")
    with superuser.execution_options(isolation_level="READ COMMITTED").connect() as other:
        other.execute(text("SELECT FROM payments WHERE id = :id FOR NO KEY UPDATE"), {"id": held})
        write_due()
        assert [each.lane for each in written(sql, "dispute") if each.type.endswith("evidence_due")] == [free]
    write_due()

    assert [each.lane for each in written(sql, "dispute") if each.type.endswith("evidence_due")] == [free, held]


@pytest.mark.usefixtures("worker")
def test_an_authorization_that_is_open_expires(sql: Sql, customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that end soon, one after the other, however few a step takes."""
    monkeypatch.setattr(dues, "STEP", 1)
    open_one, _ = authorized_payment(sql, refs=("at_open",))
    closed, _ = authorized_payment(sql, refs=("at_closed",))
    later, _ = authorized_payment(sql, refs=("at_later",))
    other, _ = authorized_payment(sql, refs=("at_other",))
    sql("UPDATE payment_attempts SET expires_at = now() + interval '2 hours' WHERE attempt_ref <> 'at_later'")
    sql("UPDATE payment_attempts SET expires_at = now() + interval '49 hours' WHERE attempt_ref = 'at_later'")
    sql("SELECT payments_fold(ARRAY[:id]::uuid[], ARRAY['canceled']::payment_status[])", id=closed)

    write_due()
    write_due()

    events = {each.lane: each for each in written(sql, "authorization")}
    assert set(events) == {open_one, other}
    assert len(written(sql, "authorization")) == 2
    event = events[open_one]
    (shown,) = staff_of(customer).get(f"/api/admin/payments/{open_one}/captures").json["authorizations"]
    assert event.type == "authorization.expiring"
    assert event.body == shown | {"payment_id": str(open_one)}
    assert str(event.object_id) == shown["id"]
    assert later not in events


def stock(sql: Sql, listing: UUID, pieces: int | None) -> None:
    sql("UPDATE listings SET stock = :pieces WHERE id = :id", pieces=pieces, id=listing)


@pytest.mark.usefixtures("worker")
def test_stock_that_runs_out_is_written_again_only_after_it_rose(sql: Sql, make_listing: MakeListing) -> None:
    listing = make_listing(stock=6)
    make_listing(stock=None)
    make_listing(stock=0, active=False)
    steps: list[tuple[int | None, list[str]]] = [
        (6, []),
        (5, ["stock.low"]),
        (4, []),
        (0, ["stock.sold_out"]),
        (0, []),
        (2, []),
        (0, ["stock.sold_out"]),
        (6, []),
        (5, ["stock.low"]),
        (None, []),
        (0, ["stock.low", "stock.sold_out"]),
    ]

    for pieces, expected in steps:
        before = len(due_types(sql))
        stock(sql, listing["id"], pieces)
        write_due()
        write_due()
        assert due_types(sql)[before:] == expected, pieces

    assert {each.lane for each in written(sql, "listing")} == {listing["id"]}
    versions = [each.version for each in written(sql, "listing")]
    assert versions == sorted(versions)


def test_what_is_low_is_what_is_available_by_setting(
    sql: Sql, make_listing: MakeListing, make_worker: MakeWorker
) -> None:
    listing = make_listing(stock=10)
    open_session(sql, (listing, 8))
    with make_worker(stock_low=1).app_context():
        write_due()
        assert written(sql, "listing") == []
    with make_worker(stock_low=2).app_context():
        write_due()

    (event,) = written(sql, "listing")
    assert event.body == {
        "id": str(listing["id"]),
        "title": "Algebra for beginners",
        "unit_price": "40.00",
        "currency": "USD",
        "available": 2,
        "stock": 10,
        "reserved": 8,
        "vendor": "Harbour Books",
        "school": "Northgate School",
        "attributes": {"pages": 320},
    }


@pytest.mark.usefixtures("worker")
def test_a_catalogue_of_many_pages_is_read_in_steps(
    sql: Sql, make_listing: MakeListing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dues, "STEP", 7)
    monkeypatch.setattr(dues, "STEP_PAGES", 1)
    monkeypatch.setattr(dues, "LOOKED_AT", 3)
    first = make_listing(stock=9)
    sql(
        """INSERT INTO listings (vendor_id, title, unit_price, currency, stock)
        SELECT vendor_id, title, unit_price, currency, CASE WHEN number % 10 = 0 THEN 0 ELSE 9 END
        FROM listings, generate_series(1, 400) AS number WHERE id = :id""",
        id=first["id"],
    )

    write_due()

    assert sorted(due_types(sql)) == ["stock.low"] * 40 + ["stock.sold_out"] * 40
    sql("UPDATE listings SET stock = 6 WHERE stock = 0")
    write_due()
    assert sql("SELECT FROM event_dues") == []
    plan = "\n".join(
        row[0]
        for row in sql("""EXPLAIN SELECT FROM stock_counters
            WHERE ctid >= format('(%s,0)', 0)::tid AND ctid < format('(%s,0)', 1)::tid""")
    )
    assert "Tid Range Scan" in plan


def test_runs_at_once_write_each_event_once(sql: Sql, make_listing: MakeListing, make_worker: MakeWorker) -> None:
    for _ in range(5):
        make_listing(stock=0)
    payment, _ = paid_payment(sql)
    enter_dispute(sql, payment, "du_1", evidence_due_at="now() + interval '1 hour'")

    def run(app: Flask) -> None:
        with app.app_context():
            write_due()

    apps = [make_worker() for _ in range(3)]
    at_once([partial(run, app) for app in apps])

    assert sorted(due_types(sql)) == ["dispute.evidence_due", *["stock.low"] * 5, *["stock.sold_out"] * 5]
    fold(sql, payment)
