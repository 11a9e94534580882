"""What of ours no line tells of is listed once it is old, and no longer once a line comes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from checkout_service.settlement_words import EntryKind
from checkout_service.settlements.entering import enter
from checkout_service.settlements.missing import find_missing
from tests.conftest import Sql
from tests.money import capture
from tests.settlements.entering.reports import NOW, PROVIDER, dispute, line, payment, presumed, refund, report, states

Settlements = psycopg.Connection[Any]


@pytest.fixture(autouse=True)
def _since_long(settlements: Settlements) -> None:
    """The account has an entry of long ago."""
    old = line(EntryKind.TRANSFER, "1", ref="t0", occurred_at=NOW - timedelta(days=300))
    enter(settlements, report([old]), provider=PROVIDER, account="")


def _age(sql: Sql, days: int, *tables: str) -> None:
    """Let it be of so many days ago."""
    for table in tables:
        sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        sql(f"UPDATE {table} SET created_at = now() - make_interval(days => :days)", days=days)
        sql(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def _missing(sql: Sql) -> list[tuple[str, str]]:
    return sorted(
        (row.subject, str(row.amount_here))
        for row in sql(
            """SELECT subject::text, amount_here FROM settlement_matches
            WHERE state = 'missing_there' AND undone_at IS NULL"""
        )
    )


def test_what_is_old_and_has_no_line_is_listed_once(settlements: Settlements, sql: Sql) -> None:
    paid = payment(sql, captured={"ch_1": "100", "ch_2": "50"})
    refund(sql, paid, "re_1", "30")
    refund(sql, paid, "re_2", "5", status="processing")
    dispute(sql, paid, "dp_1", "40")
    dispute(sql, paid, "dp_2", "20", step=2)
    presumed(sql, payment(sql), "70", ref="a_1")
    presumed(sql, payment(sql, provider="mock"), "80", ref="a_2")
    enter(
        settlements,
        report([line(EntryKind.CAPTURE, "50", ref="t1", subject="ch_2")]),
        provider=PROVIDER,
        account="",
    )
    _age(sql, 15, "captures", "refunds", "disputes", "payment_attempts")

    assert find_missing(settlements, after_days=14, now=NOW) == 4
    assert find_missing(settlements, after_days=14, now=NOW) == 0

    assert _missing(sql) == [("capture", "100"), ("capture", "70"), ("dispute", "-40"), ("refund", "-30")]


def test_what_is_young_or_older_than_the_first_entry_is_not_missing(settlements: Settlements, sql: Sql) -> None:
    payment(sql, captured={"ch_1": "100"})
    presumed(sql, payment(sql), "70", ref="a_1")
    _age(sql, 13, "captures", "payment_attempts")
    assert find_missing(settlements, after_days=14, now=NOW) == 0

    _age(sql, 301, "captures", "payment_attempts")
    assert find_missing(settlements, after_days=14, now=NOW) == 0

    assert _missing(sql) == []


def test_what_is_missing_is_matched_when_its_line_comes(settlements: Settlements, sql: Sql) -> None:
    payment(sql, captured={"ch_1": "100"})
    _age(sql, 15, "captures")
    find_missing(settlements, after_days=14, now=NOW)

    enter(
        settlements,
        report([line(EntryKind.CAPTURE, "100", ref="t1", subject="ch_1")]),
        provider=PROVIDER,
        account="",
    )

    assert _missing(sql) == []
    assert states(sql) == {"t1": "matched"}
    assert find_missing(settlements, after_days=14, now=NOW) == 0
    undone = sql("SELECT undone_why, undone_by FROM settlement_matches WHERE state = 'missing_there'")[0]
    assert tuple(undone) == ("an entry tells of it", None)


def test_money_that_got_its_name_after_its_line_came_is_not_missing(settlements: Settlements, sql: Sql) -> None:
    paid = payment(sql)
    presumed(sql, paid, "100", ref="a_1")
    enter(settlements, report([line(EntryKind.CAPTURE, "100", ref="t1", subject="a_1")]), provider=PROVIDER, account="")
    capture(sql, paid, "ch_late", "100", attempt_ref="a_1")
    _age(sql, 15, "captures", "payment_attempts")

    assert find_missing(settlements, after_days=14, now=NOW) == 0


def test_what_ceased_to_be_ours_is_not_missing_any_more(settlements: Settlements, sql: Sql) -> None:
    paid = payment(sql, captured={"ch_1": "100"})
    refund(sql, paid, "re_1", "30")
    _age(sql, 15, "refunds")
    assert find_missing(settlements, after_days=14, now=NOW) == 1

    sql("UPDATE refunds SET status = 'failed'")

    assert find_missing(settlements, after_days=14, now=NOW) == 0
    assert _missing(sql) == []


def _gave_back(sql: Sql) -> None:
    """A dispute that was won, a refund that failed, a capture that was undone."""
    paid = payment(sql, captured={"ch_1": "100"})
    dispute(sql, paid, "dp_1", "40", step=2)
    refund(sql, paid, "re_1", "30", status="failed")
    capture(sql, paid, "ch_2", "20", status="undone")


WENT = {"dp_1": (EntryKind.DISPUTE, "-40"), "re_1": (EntryKind.REFUND, "-30"), "ch_2": (EntryKind.CAPTURE, "20")}
CAME = {
    "dp_1": (EntryKind.DISPUTE_REVERSAL, "40"),
    "re_1": (EntryKind.REFUND_FAILURE, "30"),
    "ch_2": (EntryKind.RELEASE, "-20"),
}


def _of(lines: dict[str, tuple[EntryKind, str]], **more: Any) -> Any:
    return report([line(kind, gross, subject=ref, **more) for ref, (kind, gross) in lines.items()])


def _news_of(sql: Sql, days: int) -> None:
    """Let the last news of all be of so many days ago."""
    for table in ("captures", "refunds", "disputes"):
        sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        sql(f"UPDATE {table} SET updated_at = now() - make_interval(days => :days)", days=days)
        sql(f"ALTER TABLE {table} ENABLE TRIGGER USER")


@pytest.mark.parametrize("currency", ["USD", "EUR"])
def test_money_that_came_back_here_and_in_no_line_is_missing(settlements: Settlements, sql: Sql, currency: str) -> None:
    _gave_back(sql)
    enter(settlements, _of(WENT, currency=currency), provider=PROVIDER, account="")
    assert set(states(sql).values()) == {"matched"}
    _age(sql, 20, "captures", "refunds", "disputes")
    _news_of(sql, 13)
    assert (find_missing(settlements, after_days=14, now=NOW), _missing(sql)) == (1, [("capture", "100")])

    _news_of(sql, 15)

    assert find_missing(settlements, after_days=14, now=NOW) == 3
    listed = [("capture", "-20"), ("capture", "100"), ("dispute", "40"), ("refund", "30")]
    assert _missing(sql) == listed
    assert find_missing(settlements, after_days=14, now=NOW) == 0
    assert _missing(sql) == listed

    enter(settlements, _of(CAME, currency=currency), provider=PROVIDER, account="")

    assert find_missing(settlements, after_days=14, now=NOW) == 0
    assert _missing(sql) == [("capture", "100")]
    assert set(states(sql).values()) == {"matched"}


def test_money_that_no_line_shows_as_gone_does_not_come_back(settlements: Settlements, sql: Sql) -> None:
    _gave_back(sql)
    enter(settlements, _of({"ch_1": (EntryKind.CAPTURE, "100")}), provider=PROVIDER, account="")
    _age(sql, 60, "captures", "refunds", "disputes")
    _news_of(sql, 60)

    assert find_missing(settlements, after_days=14, now=NOW) == 0
