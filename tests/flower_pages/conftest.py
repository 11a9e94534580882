"""Poison: events that the database refuses, as a bug in the transitions would, until the cause is gone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Sql

POISON = "evt_poison"


@pytest.fixture
def poison(sql: Sql) -> Iterator[str]:
    """An event id that cannot be recorded while the test runs, or until ``mend`` is called."""
    sql(f"""
        CREATE OR REPLACE FUNCTION refuse_poison() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.event_id LIKE '{POISON}%' THEN RAISE EXCEPTION 'nobody thought of this'; END IF;
            RETURN NEW;
        END $$""")
    sql("CREATE TRIGGER refuse_poison BEFORE INSERT ON payment_events FOR EACH ROW EXECUTE FUNCTION refuse_poison()")
    yield POISON
    mend(sql)


def mend(sql: Sql) -> None:
    """The cause is gone."""
    sql("DROP FUNCTION IF EXISTS refuse_poison() CASCADE")
