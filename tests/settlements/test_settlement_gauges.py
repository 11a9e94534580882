"""What a scrape tells of settled money, and the promise that payouts are what their entries make them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from checkout_service.database.engine import execute
from checkout_service.health.settlement_gauges import settlement_gauges
from checkout_service.oversight.promises import Limits
from checkout_service.oversight.settlement_invariants import SETTLEMENT_INVARIANTS
from checkout_service.settlement_words import EXCEPTIONS
from checkout_service.settlements.exception_queries import COUNTS, OPEN_FOR_LONG, open_counts
from tests.conftest import Sql
from tests.observability.files import alarms
from tests.own_apps import MakeApp, make_app
from tests.settlements.entered import Books
from tests.telemetry.test_metrics import value

__all__ = ["make_app"]  # fixtures

OLDEST = "settlement_oldest_unmatched_age_seconds"
OLDEST_OPEN = "settlement_oldest_open_payout_age_seconds"

(PROMISE,) = SETTLEMENT_INVARIANTS


def counted(app: Flask) -> tuple[int, list[str]]:
    """How many rows a scrape counts, and what a check says of all."""
    with app.app_context():
        return int(execute(PROMISE.count, {"limit": 1000})[0][0]), list(PROMISE.find(Limits()))


def test_who_never_enters_a_report_sees_zeros(make_app: MakeApp) -> None:
    client = make_app().test_client()
    for kind in (*EXCEPTIONS, "held"):
        assert value(client, "settlement_exceptions", kind=kind) == 0
    assert (value(client, OLDEST), value(client, OLDEST_OPEN), value(client, "settlement_payouts_open")) == (0, 0, 0)


def test_what_is_open_is_counted_by_kind_with_the_age_of_the_oldest(make_app: MakeApp, books: Books) -> None:
    file = books.file("held")
    fee = books.match("unowned_fee", books.entry(file, "fee"), created_at="2020-01-01")
    for number in range(2):
        books.match("differs", books.entry(file, f"e{number}"))
    books.match("matched", books.entry(file, "fine"))
    books.match("unknown_here", books.entry(file, "undone"), undone_at="2026-11-01", undone_why="later")
    books.run(
        "UPDATE settlement_matches SET resolved_at = now(), resolved_by = 'o', resolved_why = 'x' "
        "WHERE id = (SELECT id FROM settlement_matches WHERE state = 'differs' LIMIT 1) RETURNING 1"
    )
    for state in ("open", "unmatched", "reconciled", "by_balance", "not_paid"):
        books.payout(state, state=state)

    client = make_app().test_client()

    found = {kind: value(client, "settlement_exceptions", kind=kind) for kind in (*EXCEPTIONS, "held")}
    assert {kind for kind, number in found.items() if number} == {"unowned_fee", "differs", "held"}
    assert (found["differs"], found["held"], found["unowned_fee"]) == (1, 1, 1)
    age = value(client, OLDEST)
    assert age is not None
    assert 0 < age < 600, "a fee of no payment is old, and no alarm"
    assert value(client, "settlement_payouts_open") == 2
    assert fee


def test_a_payout_that_stays_open_has_the_time_since_it_last_changed(
    make_app: MakeApp, app: Flask, books: Books
) -> None:
    for number, state in enumerate(("unmatched", "reconciled", "by_balance", "not_paid")):
        books.payout(f"po_{number}", state=state, updated_at="2020-01-01")
    books.payout("unlisted", state="open", itemized=False, updated_at="2020-01-01")
    now = datetime.now(UTC)
    books.payout("newer", state="open", updated_at=now - timedelta(days=OPEN_FOR_LONG, minutes=-5))
    client = make_app().test_client()
    age = value(client, OLDEST_OPEN)
    assert age == pytest.approx(OPEN_FOR_LONG * 86400 - 300, abs=200)
    with app.app_context():
        assert open_counts().open_for_long == 0

    older = books.payout("older", state="open", updated_at=now - timedelta(days=OPEN_FOR_LONG, minutes=5))

    age = value(make_app().test_client(), OLDEST_OPEN)
    assert age == pytest.approx(OPEN_FOR_LONG * 86400 + 300, abs=200)
    with app.app_context():
        assert open_counts().open_for_long == 1
    books.change(older, amount="7")
    with app.app_context():
        assert open_counts().open_for_long == 0


def test_the_alarm_begins_when_the_list_of_what_is_to_do_has_it() -> None:
    assert alarms()["CheckoutSettlementPayoutOpen"]["expr"].endswith(f"({OLDEST_OPEN}) > {OPEN_FOR_LONG * 86400}")


def even(books: Books, state: str = "reconciled") -> tuple[UUID, UUID]:
    """A payout of one entry that makes it, and the entry."""
    payout = books.payout(state=state, amount="193.90", net="193.90", gross="200", fee="6.1", entries=1)
    entry = books.entry(books.file(), payout_id=payout, payout_ref="po_1")
    books.match("matched", entry)
    return payout, entry


def test_what_is_even_breaks_no_promise(app: Flask, books: Books) -> None:
    payout, _ = even(books)
    file = books.file()
    books.entry(file, "own", kind="payout", payout_id=payout, gross="-193.9", fee="0", net="-193.9")
    books.entry(file, "gone", payout_id=payout, withdrawn_by=file)
    books.payout("open", state="open", amount="7")
    books.payout("balance", state="by_balance", itemized=False, amount="7")
    assert counted(app) == (0, [])


@pytest.mark.parametrize("state", ["reconciled", "unmatched"])
@pytest.mark.parametrize(
    ("breakage", "says"),
    [
        ("UPDATE payouts SET amount = amount + 0.01", "and adds up to 193.90"),
        ("UPDATE payouts SET net = net - 0.01, amount = amount - 0.01", "add up to 193.90 USD, it says 193.89"),
        ("UPDATE payouts SET fee = 0", "it says 193.90"),
        ("UPDATE payouts SET entries = 2", "or their number differs"),
    ],
)
def test_one_cent_more_is_named_and_counted(
    app: Flask, books: Books, sql: Sql, state: str, breakage: str, says: str
) -> None:
    even(books, state)
    sql(f"SET session_replication_role = replica; {breakage}; RESET session_replication_role")
    number, (line,) = counted(app)
    assert number == 1
    assert says in line


@pytest.mark.parametrize(
    ("expected", "found", "broken"), [("1", "193.90", 0), ("2", "193.90", 1), ("1", "193.91", 1), (None, "193.90", 1)]
)
def test_what_a_person_accepted_breaks_no_promise(
    app: Flask, books: Books, sql: Sql, expected: str | None, found: str, broken: int
) -> None:
    """Of that amount and that sum alone: what came later nobody has accepted."""
    even(books)
    sql("SET session_replication_role = replica; UPDATE payouts SET amount = 1; RESET session_replication_role")
    assert counted(app)[0] == 1
    residue = {"account": "", "section": "all", "currency": "USD", "expected": expected, "found": found, "rule": "x"}
    sql(
        """INSERT INTO settlement_files (provider, name, sha256, form, rows, state, entered_at, accepted_by,
            accepted_why, sections, residues)
        VALUES ('stripe', 'x', decode(repeat('00', 32), 'hex'), 'f', 1, 'entered', now(), 'ops', 'why',
            '[{"account": "", "name": "all", "of_payout": "po_1"}]', CAST(:residues AS jsonb))""",
        residues=json.dumps([residue]),
    )
    assert counted(app)[0] == broken


@pytest.mark.parametrize("state", ["differs", "unknown_here", "withdrawn"])
def test_what_is_reconciled_has_no_line_that_needs_a_person(app: Flask, books: Books, sql: Sql, state: str) -> None:
    payout, entry = even(books)
    books.run("UPDATE settlement_matches SET undone_at = now(), undone_why = 'x' RETURNING 1")
    books.match(state, entry)
    assert counted(app) == (1, [f"payout {payout} is reconciled, and a line of it needs a person"])
    books.run(
        "UPDATE settlement_matches SET resolved_at = now(), resolved_by = 'o', resolved_why = 'x' "
        "WHERE undone_at IS NULL RETURNING 1"
    )
    assert counted(app) == (0, [])


def test_a_scrape_goes_by_index(superuser: Engine, app: Flask) -> None:
    with superuser.connect() as connection, app.app_context():
        assert settlement_gauges()
        connection.execute(text("SET enable_seqscan = off"))
        for statement in (str(PROMISE.count), COUNTS):
            plan = connection.execute(text(f"EXPLAIN {statement}"), {"limit": 1000})
            assert "Seq Scan" not in "\n".join(row[0] for row in plan)
