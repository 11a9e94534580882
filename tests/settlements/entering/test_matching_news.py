"""What of ours comes, or changes, after its line was entered."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from checkout_service.settlement_words import EntryKind, Subject
from checkout_service.settlements import matching
from checkout_service.settlements.entering import enter
from checkout_service.settlements.missing import find_missing
from checkout_service.settlements.settling import resolve
from tests.conftest import Sql, Statements
from tests.money import capture
from tests.settlements.entering.reports import (
    NOW,
    PROVIDER,
    line,
    payment,
    payout,
    payouts,
    presumed,
    refund,
    report,
    section,
    states,
    whole,
)

Settlements = psycopg.Connection[Any]


def _enter(settlements: Settlements, made: Any) -> None:
    enter(settlements, made, provider=PROVIDER, account="")


def _other(settlements: Settlements) -> None:
    """A file about something else."""
    _enter(settlements, report([line(EntryKind.TRANSFER, "1")]))


def _find(settlements: Settlements) -> int:
    return find_missing(settlements, after_days=14, now=NOW)


def _match_of(sql: Sql, ref: str) -> UUID:
    found: UUID = sql(
        """SELECT known.id FROM settlement_matches AS known JOIN balance_entries AS entry ON entry.id = known.entry_id
        WHERE entry.entry_ref = :ref AND known.undone_at IS NULL""",
        ref=ref,
    )[0].id
    return found


def test_a_capture_that_gets_its_name_with_another_amount_is_seen(settlements: Settlements, sql: Sql) -> None:
    paid = payment(sql)
    presumed(sql, paid, "100", ref="a_1")
    _enter(settlements, whole("po_1", [line(EntryKind.CAPTURE, "100", ref="t1", subject="a_1")]))
    assert (states(sql), payouts(sql)) == ({"t1": "matched"}, {"po_1": "reconciled"})

    capture(sql, paid, "ch_late", "60", attempt_ref="a_1")
    _find(settlements)

    assert (states(sql), payouts(sql)) == ({"t1": "differs amount"}, {"po_1": "unmatched"})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("UPDATE captures SET amount = 60", "differs amount"),
        ("UPDATE captures SET status = 'undone'", "matched"),
        ("UPDATE refunds SET status = 'failed'", "matched"),
    ],
)
def test_what_was_matched_follows_ours(settlements: Settlements, sql: Sql, change: str, expected: str) -> None:
    paid = payment(sql, captured={"ch_1": "100"})
    refund(sql, paid, "re_1", "100")
    _enter(
        settlements,
        report(
            [
                line(EntryKind.CAPTURE, "100", ref="t1", subject="ch_1"),
                line(EntryKind.REFUND, "-100", ref="t2", subject="re_1"),
                line(EntryKind.REFUND_FAILURE, "100", ref="t3", subject="re_1"),
            ]
        ),
    )
    assert states(sql) == {"t1": "matched", "t2": "differs amount", "t3": "differs amount"}
    before = {row.id for row in sql("SELECT id FROM settlement_matches")}

    for table in ("captures", "refunds"):
        sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    sql(change)
    for table in ("captures", "refunds"):
        sql(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    _find(settlements)

    found = states(sql)
    assert found["t1"] == expected
    assert found["t2"] == found["t3"] == ("matched" if "refunds" in change else "differs amount")
    # Once, and what does not change stays as it is.
    after = {row.id for row in sql("SELECT id FROM settlement_matches")}
    _find(settlements)
    assert {row.id for row in sql("SELECT id FROM settlement_matches")} == after
    assert (
        len(after - before)
        == {"amount": 1, "undone": 0, "failed": 2}[
            next(word for word in ("undone", "failed", "amount") if word in change)
        ]
    )


def test_a_second_capture_makes_a_line_ambiguous_that_names_the_payment_alone(
    settlements: Settlements, sql: Sql
) -> None:
    paid = payment(sql, captured={"ch_1": "50"}, ref="pi_1")
    _enter(settlements, report([line(EntryKind.CAPTURE, "50", ref="t1", payment_ref="pi_1")]))
    assert states(sql) == {"t1": "matched"}

    capture(sql, paid, "ch_2", "50")
    _find(settlements)

    assert states(sql) == {"t1": "unknown_here"}


def test_ours_that_comes_late_is_matched_although_a_person_settled_its_line(settlements: Settlements, sql: Sql) -> None:
    _enter(settlements, whole("po_1", [line(EntryKind.CAPTURE, "100", ref="t1", subject="ch_1")]))
    _enter(settlements, report([line(EntryKind.CAPTURE, "1", ref="t2", subject="ch_foreign")]))
    for ref in ("t1", "t2"):
        resolve(settlements, _match_of(sql, ref), operator="ada", why="of the other shop")
    payment(sql, captured={"ch_1": "60"})

    _enter(settlements, report([line(EntryKind.RELEASE, "-40", ref="t3", subject="ch_1")]))

    assert states(sql) == {"t1": "matched", "t2": "unknown_here", "t3": "matched"}
    assert payouts(sql) == {"po_1": "reconciled"}
    assert sql("SELECT resolved_by FROM settlement_matches WHERE id = :id", id=_match_of(sql, "t2"))[0].resolved_by


def test_ours_that_came_late_is_not_missing_there(settlements: Settlements, sql: Sql) -> None:
    _enter(settlements, report([line(EntryKind.TRANSFER, "1", occurred_at=NOW - timedelta(days=300))]))
    _enter(settlements, whole("po_1", [line(EntryKind.CAPTURE, "100", ref="t1", subject="ch_1")]))
    resolve(settlements, _match_of(sql, "t1"), operator="ada", why="of the other shop")
    payment(sql, captured={"ch_1": "100"})
    sql("ALTER TABLE captures DISABLE TRIGGER USER")
    sql("UPDATE captures SET created_at = now() - interval '15 days'")
    sql("ALTER TABLE captures ENABLE TRIGGER USER")

    assert _find(settlements) == 0

    assert states(sql) == {"t1": "matched"}


@pytest.mark.parametrize("ref", ["pi_1", "ch_1", "a_1"])
def test_a_fee_whose_payment_comes_late_belongs_to_it(settlements: Settlements, sql: Sql, ref: str) -> None:
    fee = line(EntryKind.FEE, "-2", ref="t1", about=Subject.CAPTURE, subject="ch_1" if ref == "ch_1" else "")
    _enter(settlements, report([fee._replace(payment_ref="" if ref == "ch_1" else ref)]))
    assert states(sql) == {"t1": "unowned_fee"}

    paid = payment(sql, captured={"ch_1": "100"}, ref="pi_1")
    presumed(sql, paid, "100", ref="a_1")
    _other(settlements)

    assert states(sql) == {"t1": "matched"}


def test_what_is_open_is_gone_through_once_for_a_file_and_all_that_it_resolves(
    settlements: Settlements, sql: Sql, statements: Statements
) -> None:
    for number in range(3):
        transfer = line(EntryKind.TRANSFER, "1", payout_ref=f"po_{number}")
        _enter(settlements, report([transfer], sections=[section(f"po_{number}", of_payout=f"po_{number}")]))
    _enter(settlements, report([line(EntryKind.CAPTURE, "100", ref="t1", subject="ch_1")]))

    with statements() as seen:
        entered = enter(
            settlements,
            report([], payouts=[payout(f"po_{number}", "1") for number in range(3)], sections=[]),
            provider=PROVIDER,
            account="",
        )

    assert len(entered.retried) == 3
    assert len([each for each in seen if "AS subject, known.payment_id" in each]) == 1


def test_every_match_that_an_entry_ever_had_is_found_by_an_index(settlements: Settlements, sql: Sql) -> None:
    # So many that no other way through them is as cheap, and counted: what autovacuum knows differs from run to run.
    payment(sql, captured={f"ch_{number}": "1" for number in range(400)})
    lines = [line(EntryKind.CAPTURE, "1", ref=f"t{number}", subject=f"ch_{number}") for number in range(400)]
    _enter(settlements, whole("po_1", lines))
    _enter(settlements, whole("po_1", lines[:399]))
    assert sorted(states(sql).values()) == [*["matched"] * 399, "withdrawn"]
    file = sql("SELECT DISTINCT withdrawn_by FROM balance_entries WHERE withdrawn_by IS NOT NULL")[0].withdrawn_by

    settlements.execute("ANALYZE balance_entries, settlement_matches")
    settlements.execute("SET enable_seqscan = off")
    for statement in (matching.OPEN_WITHDRAWN, matching.LESS):
        plan = "\n".join(row[0] for row in settlements.execute(f"EXPLAIN {statement}", {"file": file}))
        assert re.search(r"Index Cond: \(\(?entry_id = ", plan), plan
