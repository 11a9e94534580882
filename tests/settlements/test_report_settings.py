"""Settings of one provider's reports that cannot be used stop what needs them, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Sql
from tests.settlements.commands import GOOD, Commands, run

__all__ = ["run"]  # a fixture

WRONG = {"ADYEN_REPORTS_HOST": "http://somewhere.example", "ADYEN_REPORTS_TOKEN": "hidden"}
"""No https, a name that leads nowhere, and what is needed beside."""


def test_the_others_are_fetched_and_what_is_wrong_is_named(run: Commands, sql: Sql) -> None:
    run.report("a")
    done = run("fetch", **WRONG)
    assert done.returncode == 1
    assert done.stdout.startswith("acme: 1 file, 2 new entries")
    first, *faults = done.stderr.splitlines()
    assert first == "adyen: not fetched, since its settings cannot be used:"
    assert sorted(fault.strip().partition(":")[0] for fault in faults) == [
        "ADYEN_REPORTS_ACCOUNTS",
        "ADYEN_REPORTS_HOST",
        "ADYEN_REPORTS_KEY",
        "ADYEN_REPORTS_TOKEN",
    ]
    assert "hidden" not in done.stderr
    assert len(sql("SELECT FROM balance_entries")) == 2


def test_of_one_provider_alone_only_its_own_settings_count(run: Commands, sql: Sql) -> None:
    run.report("a")
    other = run("fetch", "--provider", "acme", **WRONG)
    assert (other.returncode, other.stderr) == (0, "")
    assert len(sql("SELECT FROM balance_entries")) == 2

    own = run("fetch", "--provider", "adyen", **WRONG)
    assert own.returncode == 1
    assert own.stderr.startswith("adyen: not fetched, since its settings cannot be used:\n  ADYEN_REPORTS_")
    alone = run("fetch", ACME_REPORTS_FOLDER="", **WRONG)
    assert (alone.returncode, "No provider's reports are set up" in alone.stderr) == (1, False)


@pytest.mark.parametrize("command", ["show", "exceptions", "fees", "import", "accept", "resolve", "undo", "link"])
def test_who_needs_no_account_there_is_not_stopped(run: Commands, sql: Sql, tmp_path: Path, command: str) -> None:
    report, held, other = tmp_path / "report", tmp_path / "held", tmp_path / "other"
    report.write_text(GOOD)
    held.write_text(GOOD.replace("po_1", "po_2").replace("txn_", "txn_2").replace("18.30", "18.31"))
    other.write_text("listed po_3 -1.00\n")
    assert run("import", str(report), "--provider", "acme").returncode == 0
    assert run("import", str(held), "--provider", "acme").returncode == 1
    [(match,)] = sql("SELECT id FROM settlement_matches WHERE state = 'unknown_here'")
    [(entry, payout)] = sql("SELECT id, payout_id FROM balance_entries WHERE kind = 'fee'")
    if command == "undo":
        assert run("resolve", str(match), "--why", "x").returncode == 0
    arguments = {
        "show": ("po_1",),
        "exceptions": (),
        "fees": ("--month", "2026-11"),
        "import": (str(other), "--provider", "acme"),
        "accept": ("held", "--residue", "--why", "x"),
        "resolve": (str(match), "--why", "x"),
        "undo": (str(match), "--why", "x"),
        "link": (str(entry), str(payout), "--why", "x"),
    }[command]
    done = run(command, *arguments, **WRONG)
    assert (done.returncode, done.stderr.replace("Months are those of UTC.\n", "")) == (0, "")
    assert done.stdout
