"""Amounts get the decimals of their currency without a table being written anew."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import ProgrammingError

from checkout_service.money import CURRENCIES, decimals
from tests.conftest import Sql
from tests.migrations.conftest import Alembic
from tests.migrations.test_entries_of_what_is_there import run

FILES = """
    SELECT relname, pg_relation_filenode(oid) AS file FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' ORDER BY relname
"""

OPEN = """
    WITH me AS (INSERT INTO users DEFAULT VALUES RETURNING id)
    INSERT INTO payments (user_id, provider, provider_ref, amount, currency)
    SELECT id, 'mock', '{0}', {0}, '{1}' FROM me
"""


def test_no_table_is_written_anew(fresh_database: str, alembic: Alembic) -> None:
    alembic("upgrade", "0003")
    run(fresh_database, OPEN.format("240.00", "USD"))
    before = {row.relname: row.file for row in run(fresh_database, FILES)}

    alembic("upgrade", "0004")

    after = {row.relname: row.file for row in run(fresh_database, FILES)}
    assert after == before
    run(fresh_database, OPEN.format("0.001", "KWD"))
    assert [str(row.amount) for row in run(fresh_database, "SELECT amount FROM payments")] == ["240.00", "0.001"]


def test_four_decimals_would_write_it_anew(fresh_database: str, alembic: Alembic) -> None:
    """What this way was chosen for; if PostgreSQL learns it, the test tells."""
    alembic("upgrade", "0001")
    before = run(fresh_database, FILES)
    run(fresh_database, "ALTER TABLE payment_events ALTER amount TYPE numeric(19,4)")

    assert run(fresh_database, FILES) != before


def test_the_way_back_rounds_nothing(fresh_database: str, alembic: Alembic) -> None:
    alembic("upgrade", "0004")
    run(fresh_database, OPEN.format("1.5", "KWD"))
    alembic("downgrade", "0003")
    alembic("upgrade", "0004")
    run(fresh_database, OPEN.format("0.001", "KWD"))

    with pytest.raises(ProgrammingError, match=r"payments\.amount holds amounts with three decimals"):
        alembic("downgrade", "0003")

    assert len(run(fresh_database, "SELECT FROM payments WHERE amount = 0.001")) == 1


def test_an_amount_that_its_currency_does_not_have_stops_the_migration_before_anything_is_lost(
    fresh_database: str, alembic: Alembic
) -> None:
    """12.50 JPY, which no release wrote: it is put right by hand, and the migration goes on."""
    alembic("upgrade", "0003")
    run(fresh_database, OPEN.format("12.50", "JPY"))

    with pytest.raises(Exception, match="payments_amount_of_currency"):
        alembic("upgrade", "0004")

    run(fresh_database, "ALTER TABLE payments DISABLE TRIGGER USER")
    run(fresh_database, "UPDATE payments SET amount = 13")
    run(fresh_database, "ALTER TABLE payments ENABLE TRIGGER USER")
    alembic("upgrade", "0004")


def test_checks_call_what_says_the_decimals_of_a_currency_and_do_not_inline_it(sql: Sql) -> None:
    """PostgreSQL inlines a function of SQL, and plans it, in each statement that writes an amount."""
    found = sql("""
        SELECT lanname, provolatile::text AS volatile FROM pg_proc JOIN pg_language ON pg_language.oid = prolang
        WHERE proname = 'currency_decimals'""")
    assert [tuple(row) for row in found] == [("plpgsql", "i")]

    codes = sorted(CURRENCIES)
    of_each = sql("SELECT currency_decimals(code) AS decimals FROM unnest(CAST(:codes AS text[])) AS code", codes=codes)
    assert [row.decimals for row in of_each] == [decimals(code) for code in codes]
