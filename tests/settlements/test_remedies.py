"""What the list of exceptions says is to be done about each kind, done by the commands: it closes the exception."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import Sql
from tests.settlements.acme import OCCURRED
from tests.settlements.commands import GOOD, Commands, run
from tests.settlements.entering.reports import payment, payouts

__all__ = ["run"]  # a fixture

PAYMENT = "pi_of_txn_9"
"""What a report calls the payment of a line named txn_9."""


def listed(run: Commands, *arguments: str) -> list[dict[str, Any]]:
    done = run("exceptions", "--json", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def imported(run: Commands, name: str, text: str) -> str:
    done = run("import", str(run.report(name, text)), "--provider", "acme")
    assert done.returncode == 0, done.stderr
    return done.stdout


def captured(sql: Sql, amount: str) -> UUID:
    """A payment that came, three days ago."""
    made = payment(sql, captured={"ch_9": amount}, currency="EUR", provider="acme", ref=PAYMENT)
    sql("UPDATE captures SET created_at = now() - interval '3 days'")
    # Lines of such a report are of one day, however long ago that is by now.
    sql("UPDATE payments SET created_at = :occurred", occurred=OCCURRED)
    return made


def is_closed_for_good(run: Commands, kind: str) -> bool:
    """Whether it is listed no more, also once another report has come."""
    closed = listed(run, "--kind", kind) == []
    imported(run, "another", "payout po_8 1.00\ntxn_8 transfer 1.00 0\n")
    return closed and listed(run, "--kind", kind) == []


@pytest.mark.parametrize("how", ["by its id", "all of its payout"])
def test_a_fee_of_no_payment_is_resolved_once_it_is_booked(run: Commands, sql: Sql, how: str) -> None:
    imported(run, "a", "payout po_1 -1.00\ntxn_2 fee -1.00 0\n")
    [fee] = listed(run)
    assert (fee["kind"], fee["amount"], payouts(sql)) == ("unowned_fee", "-1.00", {"po_1": "reconciled"})
    assert "Resolve it once it is booked" in fee["remedy"]

    which = (fee["id"],) if how == "by its id" else ("--payout", "po_1", "--kind", "unowned_fee")
    done = run("resolve", *which, "--why", "booked in November")

    assert (done.returncode, done.stderr) == (0, "")
    assert is_closed_for_good(run, "unowned_fee")
    assert sql("SELECT why FROM audit WHERE action = 'resolve_match'") == [("booked in November",)]


@pytest.mark.parametrize("how", ["import", "fetch", "resolve"])
def test_what_is_missing_there_comes_or_is_resolved_with_the_answer(run: Commands, sql: Sql, how: str) -> None:
    imported(run, "a", GOOD)
    ours = captured(sql, "20.00")
    found = imported_as_missing(run)
    assert (found["amount"], found["amount_here"], found["payment_id"]) == (None, "20.00", str(ours))
    # With this one its provider is asked, who knows no id of ours.
    assert found["payment_ref"] == PAYMENT
    assert f"  payment {PAYMENT}  our payment {ours}" in run("exceptions", "--kind", "missing_there").stdout
    assert "Fetch or import what is missing" in found["remedy"]

    late = "payout po_9 19.50\ntxn_9 capture 20.00 0.50\n"
    if how == "import":
        imported(run, "late", late)
    elif how == "fetch":
        run.report("late", late)
        fetched = run("fetch", SETTLEMENT_MISSING_AFTER_DAYS="1")
        assert (fetched.returncode, fetched.stderr) == (0, "")
    else:
        assert "and resolve it with the answer" in found["remedy"]
        assert run("resolve", found["id"], "--why", "they never took it").returncode == 0

    assert is_closed_for_good(run, "missing_there")
    again = run("fetch", SETTLEMENT_MISSING_AFTER_DAYS="1")
    assert "missing_there" not in again.stdout, "nor is it missed anew"
    assert listed(run, "--kind", "missing_there") == []
    if how != "resolve":
        assert payouts(sql)["po_9"] == "reconciled"


def imported_as_missing(run: Commands) -> dict[str, Any]:
    done = run(
        "import", str(run.report("b", "listed po_0 0.00\n")), "--provider", "acme", SETTLEMENT_MISSING_AFTER_DAYS="1"
    )
    assert "missing_there: 1 more" in done.stdout
    [found] = listed(run, "--kind", "missing_there")
    return found


@pytest.mark.parametrize("how", ["resolve", "a corrected report"])
def test_what_differs_is_explained_and_resolved_or_corrected_by_its_provider(run: Commands, sql: Sql, how: str) -> None:
    ours = captured(sql, "20.00")
    imported(run, "a", "payout po_9 18.50\ntxn_9 capture 19.00 0.50\n")
    [found] = listed(run)
    assert (found["kind"], found["differs"], found["payment_id"]) == ("differs", ["amount"], str(ours))
    assert (found["amount"], found["amount_here"], payouts(sql)) == ("19.00", "20.00", {"po_9": "unmatched"})
    assert "then resolve it" in found["remedy"]
    assert "a later report ends this by itself" in found["remedy"]

    if how == "resolve":
        assert run("resolve", found["id"], "--why", "a part was never taken").returncode == 0
    else:
        imported(run, "corrected", "payout po_9 19.50\ntxn_9 capture 20.00 0.50\n")

    assert is_closed_for_good(run, "differs")
    assert payouts(sql)["po_9"] == "reconciled"
    [(current, net)] = sql("SELECT count(*), sum(net) FROM balance_entries WHERE withdrawn_by IS NULL AND net > 2")
    assert (current, str(net)) == (1, "18.50" if how == "resolve" else "19.50")
