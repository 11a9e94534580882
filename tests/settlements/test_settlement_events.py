"""Events of settled money: once for a transaction, at its end, with the bodies that the API shows."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.conftest import Customer, Servers, Sql
from tests.events.written import WrittenEvent, types, written
from tests.settlements.entered import Books, books_of

KINDS = ("differs", "unknown_here", "missing_there", "withdrawn", "proposed")
"""States of matches that are told of."""


def payouts(sql: Sql) -> list[WrittenEvent]:
    return written(sql, "payout")


def exceptions(sql: Sql) -> list[WrittenEvent]:
    return written(sql, "settlement_exception")


def shown(reader: Customer, payout: UUID) -> dict[str, Any]:
    answer = reader.get(f"/api/admin/payouts/{payout}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


@pytest.mark.parametrize("state", ["reconciled", "by_balance"])
def test_a_payout_that_comes_out_even_is_written_as_the_list_shows_it(
    reader: Customer, books: Books, sql: Sql, state: str
) -> None:
    payout = books.payout(account="acct_1", issued_at="2026-11-24T00:00:00Z", arrival_on="2026-11-26", fee="0.125")
    assert payouts(sql) == []
    books.change(payout, amount_at_bank="138.20")
    assert payouts(sql) == []

    books.change(payout, state=state, reconciled_at="2026-11-26T06:00:00.5Z", gross="138.325", net="138.2")

    (event,) = payouts(sql)
    (listed,) = reader.get("/api/admin/payouts").json["data"]
    assert event.body == listed
    assert list(event.body) == list(listed)
    assert event[:5] == ("payout.reconciled", "payout", payout, 3, payout)


def test_one_that_is_even_at_once_is_written_and_one_that_is_not_is_not(books: Books, sql: Sql) -> None:
    books.payout("po_1", state="unmatched")
    books.payout("po_2", state="open")
    assert types(sql, "payout") == []
    payout = books.payout("po_3", state="reconciled")
    assert [event.object_id for event in payouts(sql)] == [payout]


def test_one_that_goes_back_is_written_again_and_one_that_only_changes_is_not(books: Books, sql: Sql) -> None:
    payout = books.payout(state="unmatched")
    for state in ("reconciled", "reconciled", "unmatched", "open", "reconciled"):
        books.change(payout, state=state)
    assert [(event.type, event.version) for event in payouts(sql)] == [
        ("payout.reconciled", 2),
        ("payout.reopened", 4),
        ("payout.reconciled", 6),
    ]


@pytest.mark.parametrize("even", ["reconciled", "by_balance"])
@pytest.mark.parametrize("state", ["open", "unmatched", "not_paid"])
def test_one_that_is_even_no_longer_is_written_as_the_list_shows_it(
    reader: Customer, books: Books, sql: Sql, even: str, state: str
) -> None:
    payout = books.payout(state=even, reconciled_at="2026-11-26T06:00:00Z")
    books.change(payout, amount_at_bank="1.00")

    books.change(payout, state=state, reconciled_at=None)

    (_, event) = payouts(sql)
    assert event[:5] == ("payout.reopened", "payout", payout, 3, payout)
    assert [event.body] == reader.get("/api/admin/payouts").json["data"]
    assert event.body["state"] == state


@pytest.mark.parametrize("state", ["open", "unmatched", "reconciled", "by_balance", "not_paid"])
@pytest.mark.parametrize("status", ["failed", "canceled"])
def test_one_that_fails_is_written_whatever_it_was_before(
    reader: Customer, books: Books, sql: Sql, state: str, status: str
) -> None:
    payout = books.payout(state=state)
    known = len(payouts(sql))

    books.change(payout, status=status, failed_at="2026-11-28T06:00:00Z", failure_code="account_closed")
    books.change(payout, failure_code="debit_not_authorized")

    (event,) = payouts(sql)[known:]
    assert event[:5] == ("payout.failed", "payout", payout, 2, payout)
    assert (event.body["status"], event.body["state"], event.body["failure_code"]) == (status, state, "account_closed")
    listed = reader.get("/api/admin/payouts").json["data"][0]
    assert event.body | {name: listed[name] for name in ("version", "updated_at", "failure_code")} == listed


def test_one_that_is_known_only_as_failed_is_written_and_another_status_is_not(books: Books, sql: Sql) -> None:
    moving = books.payout("po_1", status="pending")
    for status in ("in_transit", "paid"):
        books.change(moving, status=status)
    assert payouts(sql) == []
    failed = books.payout("po_2", status="failed")
    assert [(event.type, event.object_id, event.version) for event in payouts(sql)] == [("payout.failed", failed, 1)]


def test_one_that_is_canceled_and_then_failed_is_written_with_each(books: Books, sql: Sql) -> None:
    payout = books.payout(status="canceled")
    books.change(payout, status="failed")
    assert [(event.type, event.body["status"]) for event in payouts(sql)] == [
        ("payout.failed", "canceled"),
        ("payout.failed", "failed"),
    ]


def test_one_transaction_tells_what_came_of_a_payout_in_all_its_statements(books: Books, sql: Sql) -> None:
    """Status first, state later, and the other way round: both are compared with what they were at its begin."""
    reopened, even, both = books.payout("po_1", state="reconciled"), books.payout("po_2"), books.payout("po_3")
    known = len(payouts(sql))

    with books.transaction():
        books.change(reopened, status="failed")
        books.change(reopened, state="open")
        books.change(even, state="reconciled")
        books.change(even, status="canceled")
        books.change(both, status="failed")
        books.change(both, state="reconciled")
        books.change(both, state="open")

    found = [(event.object_id, event.type, event.version) for event in payouts(sql)[known:]]
    assert found == [
        (reopened, "payout.reopened", 3),
        (reopened, "payout.failed", 3),
        (even, "payout.reconciled", 3),
        (even, "payout.failed", 3),
        (both, "payout.failed", 4),
    ]


def test_what_counts_is_the_end_of_the_transaction(books: Books, sql: Sql) -> None:
    """Statements of one transaction may move a payout to and fro; the event has what the last one left."""
    moved, back, even = (books.payout(f"po_{number}", state="unmatched") for number in range(3))
    books.change(even, state="reconciled")
    assert len(payouts(sql)) == 1

    with books.transaction():
        books.change(moved, state="reconciled")
        books.change(moved, amount_at_bank="1.00")
        books.change(back, state="reconciled")
        books.change(back, state="unmatched")
        books.change(even, state="open")
        books.change(even, state="reconciled")

    (_, event) = payouts(sql)
    assert (event.object_id, event.body["amount_at_bank"], event.version) == (moved, "1.00", 3)


def test_nothing_is_written_of_a_transaction_that_is_rolled_back(books: Books, sql: Sql) -> None:
    payout, file = books.payout(), books.file()
    books.connection.execute("BEGIN")
    books.change(payout, state="reconciled")
    books.match("unknown_here", books.entry(file))
    books.connection.execute("ROLLBACK")
    assert written(sql, "payout", "settlement_exception") == []
    assert sql("SELECT FROM settlement_marks") == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_is_written_as_its_payout_shows_it(reader: Customer, books: Books, sql: Sql, kind: str) -> None:
    file, payment = books.file(), uuid4()
    payout = books.payout(account="acct_1", state="unmatched")
    entry = books.entry(file, account="acct_1", payout_id=payout, gross="-40", fee="20", net="-60")

    match = books.match(
        kind, entry, account="acct_1", payment_id=payment, detail="why", amount="7", currency="EUR", currency_here="EUR"
    )

    (event,) = exceptions(sql)
    (listed,) = shown(reader, payout)["open_exceptions"]
    assert event.body == listed
    assert event[:5] == ("settlement.exception", "settlement_exception", match, 1, payout)
    assert event.body == {
        "id": str(match),
        "kind": kind,
        "provider": "stripe",
        "account": "acct_1",
        "payout_id": str(payout),
        "count": 1,
        "amount": "-40.00",
        "currency": "USD",
        "payment_id": str(payment),
        "detail": "why",
        "created_at": event.body["created_at"],
    }


@pytest.mark.parametrize("state", ["matched", "unowned_fee", "not_ours"])
def test_what_needs_nobody_is_not_written(books: Books, sql: Sql, state: str) -> None:
    books.match(state, books.entry(books.file()))
    assert exceptions(sql) == []
    assert sql("SELECT FROM settlement_marks") == []


def test_one_transaction_is_one_event_for_each_payout_kind_and_currency(
    reader: Customer, books: Books, sql: Sql
) -> None:
    file, payment = books.file(), uuid4()
    first, second = books.payout("po_1"), books.payout("po_2")
    with books.transaction():
        for number in range(4):
            entry = books.entry(file, f"a{number}", payout_id=first, net="1.5", gross="1.5", fee="0")
            books.match("unknown_here", entry, payment_id=payment if number else None, detail=f"line {number}")
        for number in range(2):
            entry = books.entry(file, f"b{number}", payout_id=first, net="2", gross="2", fee="0", currency="KWD")
            books.match("unknown_here", entry, payment_id=payment)
        books.match("differs", books.entry(file, "c", payout_id=second))
        gone = books.match("unknown_here", books.entry(file, "d", payout_id=second))
        books.run(
            "UPDATE settlement_matches SET undone_at = now(), undone_why = 'x' WHERE id = %(id)s RETURNING 1", id=gone
        )

    found = exceptions(sql)

    assert [(event.lane, event.body["count"], event.body["amount"], event.body["currency"]) for event in found] == [
        (first, 4, "6.00", "USD"),
        (first, 2, "4.000", "KWD"),
        (second, 1, "200.00", "USD"),
    ]
    assert [event.body["payment_id"] for event in found] == [None, str(payment), None]
    assert found[0].body["detail"] == "line 0"
    assert [event.body for event in found[:2]] == shown(reader, first)["open_exceptions"]
    assert sql("SELECT FROM settlement_marks") == []


def test_what_is_missing_there_is_written_with_what_we_have(books: Books, sql: Sql) -> None:
    match = books.match(
        "missing_there",
        subject="capture",
        subject_id=uuid4(),
        payment_id=uuid4(),
        amount_here="240.00",
        currency_here="USD",
    )
    (event,) = exceptions(sql)
    assert (event.object_id, event.lane) == (match, match)
    assert (event.body["payout_id"], event.body["amount"], event.body["count"]) == (None, "240.00", 1)


def test_of_a_banks_proposal_the_amount_is_its_part(books: Books, sql: Sql) -> None:
    payout = books.payout()
    entry = books.entry(books.file(provider="bank"), "B1", provider="bank", kind="bank", gross="500", fee=0, net="500")
    books.match("proposed", entry, provider="bank", payout_id=payout, amount="138.20", currency="USD")
    (event,) = exceptions(sql)
    assert (event.lane, event.body["amount"], event.body["payout_id"]) == (payout, "138.20", str(payout))


def test_two_transactions_at_once_tell_each_of_their_own(books: Books, servers: Servers, sql: Sql) -> None:
    """Each waits for the other where they write about one payout, and for nothing else."""
    file, payout = books.file(), books.payout()
    with books_of(servers) as other:
        other.run("SELECT set_config('lock_timeout', '5s', false)")
        with books.transaction():
            books.match("unknown_here", books.entry(file, "mine", payout_id=payout))
            with other.transaction():
                other.match("unknown_here", other.entry(file, "theirs", payout_id=payout, net="1", gross="1", fee="0"))
            assert [event.body["amount"] for event in exceptions(sql)] == ["1.00"]
    assert [event.body["amount"] for event in exceptions(sql)] == ["1.00", "200.00"]


def test_no_role_writes_such_an_event_by_itself(books: Books, servers: Servers) -> None:
    for statement in (
        "INSERT INTO settlement_marks (transaction_id, match_state) VALUES (1, 'differs') RETURNING 1",
        "SELECT events_write(NULL, NULL, NULL, NULL, NULL, ARRAY['{}'])",
        "SELECT FROM settlement_marks",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            books.run(statement)


def test_many_exceptions_of_one_statement_are_few_events(books: Books, sql: Sql) -> None:
    file, payout = books.file(), books.payout()
    with books.transaction():
        enter_unknown(books, file, payout, number=20000)
    (event,) = exceptions(sql)
    assert (event.body["count"], event.body["amount"]) == (20000, "20000.00")


def enter_unknown(books: Books, file: UUID, payout: UUID, *, number: int) -> None:
    """So many entries of a type that nobody knows, each with its exception, by two statements."""
    books.run(
        """INSERT INTO balance_entries (provider, account, section, entry_ref, kind, provider_type, gross, fee, net,
            currency, occurred_at, occurred_local, payout_id, payout_ref, about, subject_ref, payment_ref,
            merchant_ref, description, file_id, line)
        SELECT 'stripe', '', '', 'txn_' || number, 'unknown', 'new', 1, 0, 1, 'USD', now(), '', %(payout)s, 'po_1',
            'none', '', '', '', '', %(file)s, number
        FROM generate_series(1, %(number)s::integer) AS number RETURNING 1""",
        file=file,
        payout=payout,
        number=number,
    )
    books.run(
        "INSERT INTO settlement_matches (provider, account, entry_id, state) "
        "SELECT provider, account, id, 'unknown_here' FROM balance_entries RETURNING 1"
    )


def test_each_exception_finds_its_entry_by_the_key_after_an_import_that_was_rolled_back(books: Books, sql: Sql) -> None:
    """Vacuum finds nothing alive then, and the planner believes that it stays so."""
    file, payout = books.file(), books.payout()
    with suppress(InterruptedError), books.transaction():
        enter_unknown(books, file, payout, number=2000)
        raise InterruptedError
    sql("VACUUM (TRUNCATE FALSE) balance_entries")
    sql("VACUUM (TRUNCATE FALSE) settlement_matches")
    assert sql("SELECT reltuples FROM pg_class WHERE oid = 'balance_entries'::regclass")[0].reltuples == 0
    before = read_by_key(books)

    with books.transaction():
        enter_unknown(books, file, payout, number=2000)

    assert [event.body["count"] for event in exceptions(sql)] == [2000]
    assert read_by_key(books) - before < 20_000  # and not 2,000 for each


def read_by_key(books: Books) -> int:
    """How many rows of the key of entries this connection has read so far."""
    books.connection.execute("SELECT pg_stat_force_next_flush()")
    books.connection.execute("SELECT pg_stat_clear_snapshot()")
    found = books.connection.execute(
        "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'balance_entries_pkey'"
    ).fetchone()
    assert found is not None
    return int(found[0])


def test_one_that_was_never_paid_is_not_reported_as_even(books: Books, sql: Sql) -> None:
    books.change(books.payout(), state="not_paid", status="failed")
    assert types(sql, "payout") == ["payout.failed"]


def test_many_payouts_of_one_transaction_cost_no_more_each(books: Books, sql: Sql) -> None:
    """Thirty times as many take some thirty times as long, and not nine hundred times."""

    def took(number: int) -> float:
        began = time.monotonic()
        books.run(
            """WITH made AS (
                INSERT INTO payouts (provider, payout_ref, amount, currency, status, itemized)
                SELECT 'stripe', %(number)s || ' ' || each, 1, 'USD', 'paid', true
                FROM generate_series(1, %(number)s) AS each RETURNING id
            ) SELECT count(*) FROM made""",
            number=number,
        )
        return time.monotonic() - began

    took(10)
    assert took(6000) < 40 * max(took(200), 0.05)
    assert sql("SELECT FROM settlement_marks") == []
