"""Whatever ends ``checkout settlements``: a signal in each phase, a full output or disk, a database that goes away.

It is a sentence and a status, never a traceback; nothing is half done, and the next one need not wait.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import Sql
from tests.flower_pages.stack import eventually
from tests.settlements.commands import BACKENDS, GOOD, TERMINATED, WAITS, Commands, run

__all__ = ["run"]  # a fixture

TABLES = ("settlement_files", "settlement_lines", "balance_entries", "payouts", "settlement_matches")

PAUSE = """
import os, pathlib, sys, time

class Pause:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ.get("PAUSES_AT"):
            pathlib.Path(os.environ["SAYS_SO"]).touch()
            time.sleep(60)

sys.meta_path.insert(0, Pause())
"""
"""A sitecustomize: what imports this module waits there for a minute."""

STATUSES = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


def is_empty(sql: Sql) -> bool:
    return all(not sql(f"SELECT FROM {table} LIMIT 1") for table in TABLES)


def is_free(sql: Sql) -> bool:
    return sql("SELECT FROM settlement_leases WHERE lease_until > now()") == []


@pytest.mark.parametrize(("number", "status"), STATUSES)
@pytest.mark.parametrize(
    "module",
    [
        "checkout_service.command_line.commands",
        "checkout_service.settlements.cli",
        "psycopg",
        "tests.settlements.acme",
    ],
)
def test_a_signal_while_it_loads_ends_it_without_a_traceback(
    run: Commands, tmp_path: Path, module: str, number: signal.Signals, status: int
) -> None:
    (tmp_path / "site" / "sitecustomize.py").write_text(PAUSE)
    mark = tmp_path / "waits"
    process = run.start("fetch", PAUSES_AT=module, SAYS_SO=str(mark))
    eventually(mark.exists)
    process.send_signal(number)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (status, "")
    assert "Traceback" not in errors


@pytest.mark.parametrize(("number", "status"), STATUSES)
def test_a_signal_while_a_statement_waits_cancels_it_and_gives_the_turn_back(
    run: Commands, sql: Sql, number: signal.Signals, status: int
) -> None:
    run.report("a")
    with run.connect() as other:
        other.execute("LOCK TABLE settlement_accounts IN SHARE ROW EXCLUSIVE MODE")
        process = run.start("fetch")
        eventually(lambda: sql(WAITS))
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == status, errors
        assert "Traceback" not in errors
        assert sql(f"{BACKENDS} AND state = 'active'") == [], "the server does not go on with it"
        assert is_free(sql)
    assert is_empty(sql)


@pytest.mark.parametrize(
    "arguments", [("fetch",), ("exceptions",), ("exceptions", "--json"), ("show", "po_1"), ("fees",)]
)
def test_an_output_that_takes_no_more_is_a_sentence(run: Commands, sql: Sql, arguments: tuple[str, ...]) -> None:
    run.report("a")
    if arguments != ("fetch",):
        assert run("fetch").returncode == 0
    full = run(*arguments, within=["/bin/sh", "-c", 'exec "$@" > /dev/full', "sh"])
    assert (full.returncode, full.stderr) == (
        1,
        "Error: Standard output takes no more: No space left on device. What was done before stays.\n",
    )
    assert is_free(sql)
    assert sql("SELECT count(*) FROM balance_entries")[0].count == 2

    closed = run(*arguments, within=["/bin/sh", "-c", 'exec "$@" >&-', "sh"])
    assert (closed.returncode, closed.stderr) == (1, "Error: Standard output is closed: nothing was done.\n")
    nowhere = run(*arguments, within=["/bin/sh", "-c", 'exec "$@" > /dev/full 2> /dev/full', "sh"])
    assert (nowhere.returncode, nowhere.stderr) == (1, "")


@pytest.mark.parametrize("arguments", [("--help",), ("fetch", "--help"), ("import", "--help")])
def test_help_that_cannot_be_written_is_a_sentence(run: Commands, arguments: tuple[str, ...]) -> None:
    full = run(*arguments, within=["/bin/sh", "-c", 'exec "$@" > /dev/full', "sh"])
    assert (full.returncode, full.stderr.count("\n")) == (1, 1)
    assert full.stderr.startswith("Error: Standard output takes no more: ")


def test_errors_that_cannot_be_written_keep_their_status_and_lose_nothing(run: Commands, sql: Sql) -> None:
    run.report("a", GOOD.replace("18.30", "18.31"))
    done = run("fetch", within=["/bin/sh", "-c", 'exec "$@" 2> /dev/full', "sh"])
    assert (done.returncode, done.stderr) == (1, "")
    assert sql("SELECT state::text FROM settlement_files") == [("held",)]
    assert is_free(sql)


def test_whoever_reads_no_further_ends_it_without_a_word(run: Commands, sql: Sql) -> None:
    run.report("a")
    assert run("fetch").returncode == 0
    process = run.start("exceptions")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(60) == 1
    assert process.stderr is not None
    assert process.stderr.read() == ""


LIMITED = ("/bin/sh", "-c", 'ulimit -f 100; exec "$@"', "sh")
"""50 or 100 KiB a file, as the shell counts: the rest of it cannot be written, as on a disk that is full."""


def long_report(lines: int) -> str:
    return GOOD + "".join(f"txn_9{number} fee 0 0\n" for number in range(lines))


@pytest.mark.parametrize("how", ["import", "fetch"])
def test_lines_that_this_machine_has_no_room_for_are_a_sentence_and_leave_nothing(
    run: Commands, sql: Sql, tmp_path: Path, how: str
) -> None:
    place = tmp_path / "lines"
    place.mkdir()
    file = run.report("a", long_report(20_000))
    arguments = ("fetch",) if how == "fetch" else ("import", str(file), "--provider", "acme")
    done = run(*arguments, within=LIMITED, TMPDIR=str(place))
    assert done.returncode == 1
    assert done.stdout == ("acme: 0 files, 0 new entries, 0 payouts reconciled\n" if how == "fetch" else "")
    words = f"this machine has no room for it in {place}, or cannot write it: File too large"
    assert done.stderr == (
        f"acme: ended: {words}\n" if how == "fetch" else f"{file}: {words}. Nothing of it was entered.\n"
    )
    assert list(place.iterdir()) == []
    assert is_empty(sql)
    assert is_free(sql)

    sql("UPDATE settlement_accounts SET fetched_at = fetched_at - interval '11 minutes'")
    assert run(*arguments, TMPDIR=str(place)).returncode == 0
    assert sql("SELECT count(*) FROM balance_entries")[0].count == 20_002


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a file system")
def test_a_disk_that_is_full_is_a_sentence_and_has_its_room_back(run: Commands, sql: Sql, tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    file = run.report("a", long_report(20_000))
    # A file system that only this process has: it is gone with it, and what is left over is looked at before.
    script = (
        "PATH=/usr/sbin:/usr/bin:/sbin:/bin\n"
        'mount -t tmpfs -o size=1m tmpfs "$TMPDIR" 2> /dev/null || exit 99\n"$@"\nstatus=$?\n'
        'df --output=used "$TMPDIR" | tail -1; ls -A "$TMPDIR"; exit $status'
    )
    apart = ("/usr/bin/unshare", "--mount", "--propagation=private", "/bin/sh", "-c", script, "sh")
    done = run("import", str(file), "--provider", "acme", within=apart, TMPDIR=str(place))
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip("no file system can be made here")
    assert (done.returncode, done.stdout.split()) == (1, ["0"])
    assert done.stderr == (
        f"{file}: this machine has no room for it in {place}, or cannot write it: No space left on device. "
        "Nothing of it was entered.\n"
    )
    assert is_empty(sql)


def test_a_database_that_goes_away_in_the_middle_of_a_fetch_has_the_turn_given_back(run: Commands, sql: Sql) -> None:
    slow = run.report("slow")
    process = run.start("fetch")
    eventually(lambda: sql("SELECT FROM settlement_accounts"))
    sql(TERMINATED)
    slow.unlink()
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (1, "")
    assert errors.startswith("Error: The database went away: ")
    assert is_free(sql), "on another connection"
    assert is_empty(sql)

    run.report("a")
    soon = run("fetch")
    assert "asked less than 10 minutes ago; again from" in soon.stderr, "the provider was asked"
    sql("UPDATE settlement_accounts SET fetched_at = fetched_at - interval '11 minutes'")
    with suppress(FileNotFoundError):
        slow.unlink()
    assert run("fetch").returncode == 0
    assert sql("SELECT count(*) FROM balance_entries")[0].count == 2
