"""A file of 20,000 lines takes as many statements as a small one: the short cut of `make bench FIGURES=settlements`."""

from __future__ import annotations

from typing import Any

import psycopg

from benchmarks.settlements import report_of, seeded
from checkout_service.settlement_words import FileState, MatchState
from checkout_service.settlements.entering import enter
from tests.conftest import Sql, Statements

MANY = 20_000


def test_lines_are_entered_by_a_statement_a_rule(
    settlements: psycopg.Connection[Any], sql: Sql, statements: Statements
) -> None:
    for statement in seeded(MANY):
        sql(statement)
    with statements() as of_few:
        enter(settlements, report_of(20), provider="stripe", account="few")

    with statements() as of_many:
        entered = enter(settlements, report_of(MANY, first=20), provider="stripe", account="")

    assert (entered.state, entered.by_state) == (FileState.ENTERED, {MatchState.MATCHED: MANY - 20})
    # Beyond so many it has the tables analyzed.
    assert len([each for each in of_many if not each.startswith("ANALYZE")]) == len(
        [each for each in of_few if not each.startswith("ANALYZE")]
    )
    assert len(of_many) < 45
