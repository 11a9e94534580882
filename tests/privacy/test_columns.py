"""What each column says of a person is decided, and what names one is erased and documented."""

from __future__ import annotations

import re

from sqlalchemy import ARRAY, CHAR, Enum, LargeBinary, String, Uuid
from sqlalchemy.dialects.postgresql import JSONB

import checkout_service.tables  # noqa: F401 (fills the metadata)
from checkout_service.database.engine import Base
from checkout_service.privacy.columns import COLUMNS, Says
from checkout_service.privacy.export import HELD
from tests.conftest import ROOT

WORDS = (String, JSONB, LargeBinary, ARRAY)
PERSONAL = {
    f"{table}.{column}" for table, columns in COLUMNS.items() for column, says in columns.items() if says is Says.PERSON
}
SUBJECTS = {"user_id", "requested_by"}
"""Columns that hold the subject of a person's tokens."""


def test_every_column_that_may_hold_words_is_decided_on() -> None:
    found = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, WORDS) and not isinstance(column.type, (CHAR, Enum))
    }

    assert found == {f"{table}.{column}" for table, columns in COLUMNS.items() for column in columns}


def test_what_names_a_person_is_struck_out_or_deleted_with_its_row() -> None:
    files = [ROOT / "migrations" / room / "erasing.sql" for room in ("orders", "events")]
    statements = "".join(file.read_text(encoding="utf-8") for file in files)
    # 0028 has the function of these files strike out one column more.
    later = (ROOT / "migrations" / "versions" / "0028_attempts_and_amounts.py").read_text(encoding="utf-8")
    before, after = re.findall(r'^ERASES(?:_ATTEMPTS)?: Final = "(.*)"$', later, re.MULTILINE)
    assert before in statements
    statements = statements.replace(before, after)
    erased = set()
    for table, assigned in re.findall(r"UPDATE (\w+)(?: AS \w+)?\s+SET (.*?)\s(?:FROM|WHERE)\b", statements, re.DOTALL):
        erased |= {f"{table}.{name}" for name in re.findall(r"(\w+) = ", assigned)}
    deleted = set(re.findall(r"DELETE FROM (\w+)", statements))

    assert {name for name in PERSONAL if name.split(".")[0] not in deleted} <= erased
    subjects = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if column.name in SUBJECTS and isinstance(column.type, Uuid)
    }
    assert subjects <= erased


def test_the_page_names_what_is_struck_out() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    section = page.split("## Erasing a person")[1].split("\n## ")[0]
    for name in PERSONAL:
        table, column = name.split(".")
        assert re.search(rf"`{table}`[^\n]*`{column}`", section), name


def test_an_export_reads_every_table_that_holds_something_of_a_person() -> None:
    of_nobody = {
        *("vendors", "schools", "specs", "listings", "listing_prices", "listing_words"),
        *("catalog_syncs", "source_listings"),
        *("command_runs", "command_results", "prune_marks"),
        *("api_keys", "erasures", "webhook_rejections", "stock_counters", "order_numbering", "order_numbers"),
        *("unnumbered_orders", "unsequenced_events", "event_numbers", "event_series", "event_days", "event_types"),
        *("payouts", "settlement_files", "settlement_lines", "settlement_accounts", "settlement_leases"),
        "settlement_marks",
        *("event_dues", "endpoint_secrets", "event_replays", "pending_deliveries", "webhook_endpoints"),
    }
    known = {*Base.metadata.tables} - of_nobody

    assert {table for table, _ in HELD.values()} >= known - {"believed_certificates"}
