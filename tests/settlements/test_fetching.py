"""``checkout settlements fetch`` as processes: what is new is entered, one at a time, and nothing is half done."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from tests.conftest import Sql
from tests.flower_pages.stack import eventually
from tests.settlements.commands import GOOD, Commands, run

__all__ = ["run"]  # a fixture

SECOND = GOOD.replace("po_1", "po_2").replace("txn_", "txn_2")


def entered(sql: Sql) -> list[str]:
    return [row.entry_ref for row in sql("SELECT entry_ref FROM balance_entries ORDER BY entry_ref")]


def again(sql: Sql) -> None:
    """As if ten minutes had gone by."""
    sql("UPDATE settlement_accounts SET fetched_at = fetched_at - interval '11 minutes'")


def test_what_is_new_is_entered_and_what_is_known_says_nothing(run: Commands, sql: Sql) -> None:
    run.report("a")
    first = run("fetch")
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == "acme: 1 file, 2 new entries, 0 payouts reconciled, 1 unknown_here, 1 unowned_fee\n"
    assert entered(sql) == ["txn_1", "txn_2"]

    again(sql)
    quiet = run("fetch")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", ""), "cron mails whatever is written"

    run.report("b", SECOND)
    again(sql)
    assert run("fetch").stdout.startswith("acme: 1 file, 2 new entries")
    assert sql("SELECT cursor FROM settlement_accounts WHERE cursor IS NOT NULL") == [("b",)]


def test_an_account_is_fetched_once_in_ten_minutes_and_since_does_not_lift_it(run: Commands, sql: Sql) -> None:
    assert run("fetch").returncode == 0
    run.report("a")
    for arguments in ((), ("--since", "2026-01-01")):
        done = run("fetch", *arguments)
        assert (done.returncode, done.stdout) == (0, "")
        assert "acme: asked less than 10 minutes ago; again from " in done.stderr
    assert entered(sql) == []


def test_a_report_that_is_read_for_long_keeps_its_turn(run: Commands, sql: Sql) -> None:
    def until() -> datetime:
        found: datetime = sql("SELECT lease_until FROM settlement_leases")[0].lease_until
        return found

    payout, *lines = GOOD.splitlines(keepends=True)
    run.report("a", payout + "".join(f"wait 1.2\n{line}" for line in lines * 2 + [f"{lines[0]}wait 30\n"]))
    process = run.start("fetch")
    eventually(lambda: sql("SELECT FROM settlement_leases WHERE lease_until > now()"))
    begun = until()
    eventually(lambda: until() - begun > timedelta(seconds=2) or process.poll() is not None, within=15)
    assert process.poll() is None, process.communicate()
    assert sql("SELECT count(*) FROM settlement_files")[0].count == 0, "it is being read"
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130


def test_two_at_once_are_one_and_the_other_says_so(run: Commands, sql: Sql) -> None:
    slow = run.report("slow")
    first = run.start("fetch")
    eventually(lambda: sql("SELECT FROM settlement_leases WHERE lease_until > now()"))
    second = run("fetch")
    assert (second.returncode, second.stdout) == (0, "")
    assert second.stderr.startswith("Another fetch is at work, or was killed a moment ago: nothing was done.")
    slow.unlink()
    assert first.communicate(timeout=60) == ("", "")
    assert first.returncode == 0
    again(sql)
    assert run("fetch").stderr == "", "it was given back"


def test_one_that_is_killed_keeps_the_others_out_for_its_lease_and_no_longer(run: Commands, sql: Sql) -> None:
    slow = run.report("slow")
    first = run.start("fetch")
    eventually(lambda: sql("SELECT FROM settlement_accounts"))
    first.kill()
    first.communicate()
    slow.unlink()
    again(sql)
    run.report("a")
    kept_out = run("fetch")
    assert (kept_out.returncode, kept_out.stdout) == (0, "")
    [(until,)] = sql("SELECT lease_until FROM settlement_leases")
    assert f"another one may begin at {until.astimezone(UTC):%H:%M:%S} UTC" in kept_out.stderr
    assert until <= datetime.now(UTC) + timedelta(minutes=2)

    sql("UPDATE settlement_leases SET lease_until = now()")
    assert run("fetch").returncode == 0
    assert entered(sql) == ["txn_1", "txn_2"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_what_was_entered_and_gives_the_turn_back(
    run: Commands, sql: Sql, number: signal.Signals, status: int
) -> None:
    run.report("a")
    run.report("slow", SECOND)
    process = run.start("fetch")
    eventually(lambda: entered(sql))
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status, errors
    assert ("Interrupted: what was not through is not there" in errors) == (number is signal.SIGINT)
    assert "Traceback" not in errors
    assert entered(sql) == ["txn_1", "txn_2"]
    assert sql("SELECT FROM settlement_leases WHERE lease_until > now()") == []


def test_one_provider_that_is_away_keeps_no_other_and_no_earlier_report(run: Commands, sql: Sql) -> None:
    run.report("a")
    run.report("b-away")
    done = run("fetch")
    assert done.returncode == 1
    assert done.stdout.startswith("acme: 1 file, 2 new entries")
    assert done.stderr == "acme: ended: acme does not answer\n"
    assert entered(sql) == ["txn_1", "txn_2"]

    (run.reports / "b-away").unlink()
    run.report("c", SECOND)
    again(sql)
    assert run("fetch").returncode == 0
    assert len(entered(sql)) == 4, "the next one goes on where it ended"


def test_a_report_that_cannot_be_read_is_named_by_its_line_and_keeps_no_later_one(run: Commands, sql: Sql) -> None:
    run.report("a")
    run.report("b", SECOND + "txn_9 capture\n")
    run.report("c", GOOD.replace("po_1", "po_3").replace("txn_", "txn_3"))
    done = run("fetch")
    assert done.returncode == 1
    assert "acme: not entered: b: line 4: " in done.stderr
    assert entered(sql) == ["txn_1", "txn_2", "txn_31", "txn_32"], "nothing of the second one"
    assert sql("SELECT cursor FROM settlement_accounts WHERE cursor IS NOT NULL") == [("a",)], "it stays before it"

    run.report("b", SECOND)
    again(sql)
    assert run("fetch").returncode == 0
    assert len(entered(sql)) == 6
    assert sql("SELECT cursor FROM settlement_accounts WHERE cursor IS NOT NULL") == [("c",)]


def test_a_report_that_does_not_add_up_is_held_and_named_once(run: Commands, sql: Sql) -> None:
    run.report("a", GOOD.replace("18.30", "18.31"))
    done = run("fetch")
    [(file_id,)] = sql("SELECT id FROM settlement_files WHERE state = 'held'")
    assert done.returncode == 1
    assert f"acme: held: a ({file_id}): checkout settlements exceptions --kind held" in done.stderr
    assert entered(sql) == []
    again(sql)
    assert run("fetch").returncode == 0


def test_a_day_to_begin_with_reads_more_and_leaves_no_gap_behind(run: Commands, sql: Sql) -> None:
    run.report("a")
    assert run("fetch").returncode == 0
    run.report("b", SECOND)
    again(sql)
    assert run("fetch", "--since", "2026-11-01").returncode == 0
    assert len(entered(sql)) == 4
    assert sql("SELECT cursor FROM settlement_accounts WHERE cursor IS NOT NULL") == [("a",)], "as before"

    wrong = run("fetch", "--since", "2099-01-01")
    assert wrong.returncode == 2
    assert "2099-01-01 has not begun in UTC" in wrong.stderr
    early = run("fetch", "--since", "0001-01-01", SETTLEMENTS_TIMEZONE="Asia/Tokyo")
    assert (early.returncode, "0001-01-01 is no day of money" in early.stderr) == (2, True)


def test_it_says_what_is_not_set_up(run: Commands) -> None:
    nothing = run("fetch", ACME_REPORTS_FOLDER="")
    assert nothing.returncode == 0, "a shop that only imports files looks for what is missing by it"
    assert "No provider's reports are set up" in nothing.stderr
    other = run("fetch", "--provider", "other")
    assert other.returncode == 1
    assert "The reports of other are not set up (OTHER_REPORTS_…). Set up are: acme." in other.stderr


def test_it_needs_its_own_settings_alone_and_loads_no_application(run: Commands) -> None:
    code = (
        "import sys; from checkout_service.command_line.commands import checkout\n"
        "try: checkout.main(args=['settlements', 'fetch'], prog_name='checkout')\n"
        "except SystemExit as ended: status = ended.code\n"
        "heavy = {'celery', 'granian', 'checkout_service.app', 'checkout_service.wsgi'} & set(sys.modules)\n"
        "sys.stdout.write(f'{status} {sorted(heavy)}')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(run.settings), capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("0 []", "")
