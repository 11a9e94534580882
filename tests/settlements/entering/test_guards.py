"""What the role that writes settled money may not do to it, nor to anything of a customer."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.errors import CheckViolation, InsufficientPrivilege
from sqlalchemy import make_url

from checkout_service.settlement_words import EntryKind
from checkout_service.settlements.entering import enter
from checkout_service.settlements.settling import resolve
from tests.conftest import Servers, Sql
from tests.settlements.entering.reports import PROVIDER, line, payment, payout, report, section, whole

Settlements = psycopg.Connection[Any]


@pytest.fixture(autouse=True)
def _entered(settlements: Settlements, sql: Sql) -> None:
    """An entered file, a held one, a payout, entries, a match and an exception that was settled."""
    payment(sql, captured={"ch_1": "10"})
    lines = [
        line(EntryKind.CAPTURE, "10", ref="t1", subject="ch_1"),
        line(EntryKind.CAPTURE, "5", ref="t2", subject="ch_2"),
    ]
    enter(settlements, whole("po_1", lines), provider=PROVIDER, account="")
    enter(
        settlements,
        report([], payouts=[payout("po_2", "1")], sections=[section("po_2", of_payout="po_2")]),
        provider=PROVIDER,
        account="",
    )
    exception = sql("SELECT id FROM settlement_matches WHERE state = 'unknown_here'")[0].id
    resolve(settlements, exception, operator="ada", why="seen")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "settlement_files SET state = 'held', entered_at = NULL WHERE state = 'entered'",
            "is entered and is not changed",
        ),
        ("settlement_files SET residues = '[1]' WHERE state = 'entered'", "is entered and is not changed"),
        ("settlement_files SET accepted_by = 'x', accepted_why = 'y' WHERE state = 'entered'", "is entered and is not"),
        ("payouts SET status = 'pending'", "cannot go back from paid to pending"),
        ("payouts SET version = version - 1", "keeps its name and currency"),
        ("balance_entries SET payout_id = NULL", "keeps its payout"),
        ("balance_entries SET payout_ref = 'po_2'", "keeps its payout"),
        ("settlement_matches SET resolved_by = 'bob' WHERE resolved_at IS NOT NULL", "is settled and stays so"),
        (
            "settlement_matches SET resolved_at = NULL, resolved_by = NULL, resolved_why = NULL",
            "is settled and stays so",
        ),
        ("settlement_accounts SET first_entry_at = now() + interval '1 day'", "keeps its name and its first entry"),
        ("settlement_accounts SET first_entry_at = NULL", "keeps its name and its first entry"),
    ],
)
def test_what_is_written_down_stays(settlements: Settlements, sql: Sql, statement: str, message: str) -> None:
    table = statement.split()[0]
    before = sql(f"SELECT * FROM {table} ORDER BY id")

    with pytest.raises(CheckViolation, match=message):
        settlements.execute(f"UPDATE {statement}")

    assert sql(f"SELECT * FROM {table} ORDER BY id") == before


def test_what_is_undone_or_withdrawn_stays_so(settlements: Settlements, sql: Sql) -> None:
    settlements.execute("UPDATE settlement_matches SET undone_at = now(), undone_why = 'x'")
    settlements.execute(
        "UPDATE balance_entries SET withdrawn_by = (SELECT id FROM settlement_files WHERE state = 'entered')"
    )

    for statement, message in (
        ("settlement_matches SET undone_at = NULL, undone_why = NULL", "is undone and is not changed"),
        ("balance_entries SET withdrawn_by = NULL", "is withdrawn for good"),
    ):
        with pytest.raises(CheckViolation, match=message):
            settlements.execute(f"UPDATE {statement}")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE settlement_files SET sha256 = ''",
        "UPDATE payouts SET currency = 'EUR'",
        "UPDATE balance_entries SET net = 0",
        "UPDATE settlement_matches SET state = 'matched'",
        "UPDATE settlement_accounts SET provider = 'x'",
        "UPDATE settlement_lines SET net = 0",
        "DELETE FROM balance_entries",
        "DELETE FROM settlement_matches",
        "DELETE FROM settlement_files",
        "DELETE FROM payouts",
        "TRUNCATE settlement_lines",
        "UPDATE payments SET status = 'paid'",
        "UPDATE captures SET amount = 1",
        "INSERT INTO captures DEFAULT VALUES",
        "DELETE FROM refunds",
        "SELECT id FROM payments FOR UPDATE",
        "SELECT user_id FROM payments",
        "SELECT * FROM users",
        "SELECT * FROM audit",
        "DELETE FROM audit",
        "SELECT payments_fold(ARRAY[]::uuid[])",
    ],
)
def test_the_role_may_not_do_it(settlements: Settlements, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        settlements.execute(statement)


@pytest.mark.parametrize(
    "table",
    ["settlement_files", "settlement_lines", "payouts", "balance_entries", "settlement_matches", "settlement_accounts"],
)
def test_the_web_tier_reads_and_the_worker_has_nothing_to_do_with_it(servers: Servers, table: str) -> None:
    for name, may_read in (("web_url", True), ("worker_url", False)):
        url = make_url(getattr(servers, name)).set(drivername="postgresql")
        with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
            statements = [
                f"INSERT INTO {table} DEFAULT VALUES",
                f"UPDATE {table} SET updated_at = now()",
                f"DELETE FROM {table}",
            ]
            if may_read:
                connection.execute(f"SELECT * FROM {table}")
            else:
                statements.append(f"SELECT * FROM {table}")
            for statement in statements:
                with pytest.raises((InsufficientPrivilege, psycopg.errors.UndefinedColumn)):
                    connection.execute(statement)
