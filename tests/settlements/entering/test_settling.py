"""What persons do about settled money, and that it is written down with it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from checkout_service.settlement_words import EntryKind
from checkout_service.settlements.entering import enter
from checkout_service.settlements.settling import (
    LinkedAlreadyError,
    NoExceptionError,
    NoPartError,
    NotMatchedError,
    OtherCurrencyError,
    ResolvedAlreadyError,
    UndoneAlreadyError,
    UnknownEntryError,
    UnknownMatchError,
    UnknownPayoutError,
    link,
    resolve,
    undo,
)
from tests.conftest import Servers, Sql
from tests.settlements.entering.reports import (
    PROVIDER,
    connect,
    line,
    payment,
    payout,
    payouts,
    report,
    section,
    states,
    whole,
)

Settlements = psycopg.Connection[Any]
Settle = Callable[..., None]


def _match_of(sql: Sql, ref: str) -> UUID:
    found: UUID = sql(
        """SELECT known.id FROM settlement_matches AS known JOIN balance_entries AS entry ON entry.id = known.entry_id
        WHERE entry.entry_ref = :ref AND known.undone_at IS NULL""",
        ref=ref,
    )[0].id
    return found


def _entry(sql: Sql, ref: str) -> UUID:
    found: UUID = sql("SELECT id FROM balance_entries WHERE entry_ref = :ref", ref=ref)[0].id
    return found


@pytest.fixture
def entered(settlements: Settlements, sql: Sql) -> None:
    """A payout with a line that is ours and one that nobody knows."""
    payment(sql, captured={"ch_1": "10"})
    enter(
        settlements,
        whole(
            "po_1",
            [
                line(EntryKind.CAPTURE, "10", ref="t1", subject="ch_1"),
                line(EntryKind.CAPTURE, "20", ref="t2", subject="ch_of_another_shop"),
            ],
        ),
        provider=PROVIDER,
        account="",
    )


@pytest.mark.usefixtures("entered")
def test_a_settled_exception_keeps_its_payout_no_longer(settlements: Settlements, sql: Sql) -> None:
    match = _match_of(sql, "t2")
    assert payouts(sql) == {"po_1": "unmatched"}

    resolve(settlements, match, operator="ada", why="of the other shop")

    assert payouts(sql) == {"po_1": "reconciled"}
    row = sql(
        "SELECT state::text, resolved_by, resolved_why, resolved_at FROM settlement_matches WHERE id = :id", id=match
    )[0]
    assert (row.state, row.resolved_by, row.resolved_why) == ("unknown_here", "ada", "of the other shop")
    assert row.resolved_at is not None
    [audit] = sql("SELECT operator, action, subject, why, details FROM audit")
    assert tuple(audit)[:4] == ("ada", "resolve_match", str(match), "of the other shop")
    assert audit.details["entry"] == str(_entry(sql, "t2"))


@pytest.mark.usefixtures("entered")
def test_what_a_person_settled_stays_settled_while_nothing_about_it_changes(settlements: Settlements, sql: Sql) -> None:
    resolve(settlements, _match_of(sql, "t2"), operator="ada", why="of the other shop")

    enter(settlements, report([line(EntryKind.TRANSFER, "1", ref="t3")]), provider=PROVIDER, account="")
    assert payouts(sql) == {"po_1": "reconciled"}
    assert sql("SELECT count(*) AS n FROM settlement_matches WHERE undone_at IS NOT NULL")[0].n == 0

    # It is listed again once another line is about the same.
    payment(sql, captured={"ch_of_another_shop": "25"})
    enter(
        settlements,
        report([line(EntryKind.RELEASE, "-1", ref="t4", subject="ch_of_another_shop")]),
        provider=PROVIDER,
        account="",
    )
    assert states(sql)["t4"] == "differs amount"


@pytest.mark.usefixtures("entered")
def test_a_match_that_a_person_undid_is_not_made_again(settlements: Settlements, sql: Sql) -> None:
    match = _match_of(sql, "t1")

    undo(settlements, match, operator="ada", why="another order has this name")

    assert states(sql) == {"t1": "unknown_here", "t2": "unknown_here"}
    assert sql("SELECT exceptions FROM payouts")[0].exceptions == 2
    row = sql("SELECT undone_by, undone_why FROM settlement_matches WHERE id = :id", id=match)[0]
    assert tuple(row) == ("ada", "another order has this name")
    [audit] = sql("SELECT action, subject, details FROM audit")
    assert (audit.action, audit.subject, audit.details["state"]) == ("undo_match", str(match), "matched")
    enter(settlements, report([line(EntryKind.TRANSFER, "1", ref="t3")]), provider=PROVIDER, account="")
    enter(
        settlements,
        report([line(EntryKind.RELEASE, "0", ref="t4", subject="ch_1")]),
        provider=PROVIDER,
        account="",
    )
    assert states(sql) == {"t1": "unknown_here", "t2": "unknown_here", "t4": "differs amount"}
    resolve(settlements, _match_of(sql, "t1"), operator="ada", why="seen")
    assert sql("SELECT exceptions FROM payouts")[0].exceptions == 1


@pytest.mark.usefixtures("entered")
def test_what_a_person_undid_stays_so_once_its_settling_is_taken_back(settlements: Settlements, sql: Sql) -> None:
    undo(settlements, _match_of(sql, "t1"), operator="ada", why="another order has this name")
    resolve(settlements, _match_of(sql, "t1"), operator="ada", why="seen")
    again = undo(settlements, _match_of(sql, "t1"), operator="bob", why="not yet")
    assert again == _match_of(sql, "t1")

    enter(settlements, report([line(EntryKind.TRANSFER, "1", ref="t3")]), provider=PROVIDER, account="")

    assert states(sql)["t1"] == "unknown_here"
    [row] = sql("SELECT made_by, made_why FROM settlement_matches WHERE id = :id", id=again)
    assert tuple(row) == ("ada", "another order has this name")


@pytest.mark.usefixtures("entered")
def test_an_undoing_is_taken_back_by_the_exception_that_it_left(settlements: Settlements, sql: Sql) -> None:
    enter(
        settlements,
        report([line(EntryKind.RELEASE, "-1", ref="t3", subject="ch_1")]),
        provider=PROVIDER,
        account="",
    )
    assert (states(sql)["t1"], states(sql)["t3"]) == ("differs amount", "differs amount")
    before = sql("SELECT amount FROM settlement_matches WHERE id = :id", id=_match_of(sql, "t3"))
    undo(settlements, _match_of(sql, "t1"), operator="ada", why="another order has this name")
    assert states(sql)["t1"] == "unknown_here"

    assert undo(settlements, _match_of(sql, "t1"), operator="bob", why="it is that one") is None

    assert (states(sql)["t1"], states(sql)["t3"]) == ("differs amount", "differs amount")
    assert sql("SELECT amount FROM settlement_matches WHERE id = :id", id=_match_of(sql, "t3")) == before
    assert [(row.operator, row.action) for row in sql("SELECT operator, action FROM audit ORDER BY id")] == [
        ("ada", "undo_match"),
        ("bob", "undo_match"),
    ]


@pytest.mark.usefixtures("entered")
@pytest.mark.parametrize(
    ("settle", "ref", "error"),
    [
        (resolve, "t1", NoExceptionError),
        (undo, "t2", NotMatchedError),
        (resolve, "", UnknownMatchError),
        (undo, "", UnknownMatchError),
    ],
)
def test_what_cannot_be_settled_is_refused_and_nothing_is_written(
    settlements: Settlements, sql: Sql, settle: Settle, ref: str, error: type[Exception]
) -> None:
    before = sql("SELECT * FROM settlement_matches ORDER BY id")

    with pytest.raises(error):
        settle(settlements, _match_of(sql, ref) if ref else uuid4(), operator="ada", why="")

    assert sql("SELECT * FROM settlement_matches ORDER BY id") == before
    assert sql("SELECT count(*) AS n FROM audit")[0].n == 0


@pytest.mark.usefixtures("entered")
@pytest.mark.parametrize(
    ("settle", "ref", "error"), [(resolve, "t2", ResolvedAlreadyError), (undo, "t1", UndoneAlreadyError)]
)
def test_of_two_operators_at_once_one_is_refused(
    servers: Servers, sql: Sql, settle: Settle, ref: str, error: type[Exception]
) -> None:
    match = _match_of(sql, ref)

    def act(operator: str) -> str:
        with connect(servers) as connection:
            try:
                settle(connection, match, operator=operator, why="seen")
            except error:
                return "refused"
            return operator

    with ThreadPoolExecutor(2) as pool:
        done = set(pool.map(act, ["ada", "bob"]))

    assert "refused" in done
    assert {row.operator for row in sql("SELECT operator FROM audit")} == done - {"refused"}
    assert len(done) == 2


def test_a_person_says_which_payout_an_entry_is_part_of(settlements: Settlements, sql: Sql) -> None:
    enter(
        settlements,
        report(
            [line(EntryKind.TRANSFER, "10", ref="t1"), line(EntryKind.TRANSFER, "1", ref="t2", currency="EUR")],
            payouts=[payout("po_1", "10"), payout("po_2", "10")],
            sections=[section("all", expected={"USD": Decimal(10), "EUR": Decimal(1)})],
        ),
        provider=PROVIDER,
        account="",
    )
    ids = {row.payout_ref: row.id for row in sql("SELECT payout_ref, id FROM payouts")}

    link(settlements, _entry(sql, "t1"), ids["po_1"], operator="ada", why="it says so in the dashboard")
    link(settlements, _entry(sql, "t1"), ids["po_1"], operator="ada", why="once more")

    assert payouts(sql) == {"po_1": "reconciled", "po_2": "open"}
    [audit] = sql("SELECT action, subject, details FROM audit")
    assert (audit.action, audit.subject) == ("link_payout", str(ids["po_1"]))
    refused: list[tuple[UUID, UUID, type[Exception]]] = [
        (_entry(sql, "t1"), ids["po_2"], LinkedAlreadyError),
        (_entry(sql, "t2"), ids["po_1"], OtherCurrencyError),
        (uuid4(), ids["po_1"], UnknownEntryError),
        (_entry(sql, "t2"), uuid4(), UnknownPayoutError),
    ]
    for entry, to, error in refused:
        with pytest.raises(error):
            link(settlements, entry, to, operator="ada", why="")
    assert sql("SELECT count(*) AS n FROM audit")[0].n == 1
    assert payouts(sql) == {"po_1": "reconciled", "po_2": "open"}


def test_a_payouts_own_line_is_no_part_of_it(settlements: Settlements, sql: Sql) -> None:
    enter(
        settlements,
        report(
            [line(EntryKind.PAYOUT, "-10", ref="t1")],
            payouts=[payout("po_1", "10")],
            sections=[section("all", expected={"USD": Decimal(-10)})],
        ),
        provider=PROVIDER,
        account="",
    )

    with pytest.raises(NoPartError):
        link(settlements, _entry(sql, "t1"), sql("SELECT id FROM payouts")[0].id, operator="ada", why="")
