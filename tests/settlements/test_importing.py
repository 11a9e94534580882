"""``checkout settlements import`` and ``accept``: a file is entered whole or not at all, and says what it lacks."""

from __future__ import annotations

import bz2
import io
import lzma
import os
import signal
import tarfile
from pathlib import Path
from zipfile import ZipFile

import psycopg
import pytest

from checkout_service.providers.reports import LARGEST_FILE
from tests.conftest import Sql
from tests.flower_pages.stack import eventually
from tests.settlements.banks.samples import DUTCH, PAYOUTS_OF_08
from tests.settlements.commands import BACKENDS, GOOD, TERMINATED, WAITS, Commands, run
from tests.settlements.entering.reports import payment

__all__ = ["run"]  # a fixture

HELD = GOOD.replace("18.30", "18.31")
TABLES = ("settlement_files", "settlement_lines", "balance_entries", "payouts", "settlement_matches")


def counts(sql: Sql) -> list[int]:
    return [sql(f"SELECT count(*) FROM {table}")[0].count for table in TABLES]


def tar_of(content: bytes) -> bytes:
    with io.BytesIO() as made:
        with tarfile.open(fileobj=made, mode="w") as archive:
            info = tarfile.TarInfo("report.txt")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        return made.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "report.txt"
    path.write_text(GOOD)
    return path


def test_a_file_is_entered_and_the_same_again_says_so(run: Commands, sql: Sql, file: Path) -> None:
    first = run("import", str(file), "--provider", "acme")
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == f"{file}: entered: 2 lines, 2 new, 0 known, 1 payout, 1 unknown_here, 1 unowned_fee\n"
    before = counts(sql)
    assert before[2:4] == [2, 1]

    again = run("import", str(file), "--provider", "acme")
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.startswith(f"{file}: was entered before (")
    assert counts(sql) == before


def test_the_first_line_that_cannot_be_read_is_named_and_nothing_is_there(run: Commands, sql: Sql, file: Path) -> None:
    file.write_text(GOOD + "txn_3 capture 1\n")
    done = run("import", str(file), "--provider", "acme")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        f"{file}: line 4: ['txn_3', 'capture', '1'] is no movement. Nothing of it was entered"
    )
    assert counts(sql) == [0] * len(TABLES)


def test_what_of_ours_is_in_no_report_is_looked_for(run: Commands, sql: Sql, file: Path) -> None:
    payment(sql, provider="acme", captured={"ours_1": "100"})
    sql("ALTER TABLE captures DISABLE TRIGGER USER")
    sql("UPDATE captures SET id = uuidv7(interval '-3 days'), created_at = now() - interval '3 days'")
    sql("ALTER TABLE captures ENABLE TRIGGER USER")
    done = run("import", str(file), "--provider", "acme", SETTLEMENT_MISSING_AFTER_DAYS="2")
    assert done.stdout.splitlines()[1:] == ["missing_there: 1 more, paid for more than 2 days and in no report"]
    again = run("import", str(file), "--provider", "acme", SETTLEMENT_MISSING_AFTER_DAYS="2")
    assert len(again.stdout.splitlines()) == 1


def test_a_bank_s_zip_is_unpacked(run: Commands, sql: Sql, tmp_path: Path) -> None:
    path = tmp_path / "statements.zip"
    with ZipFile(path, "w") as archive:
        archive.writestr("a.xml", PAYOUTS_OF_08)
    done = run("import", str(path), "--provider", "bank")
    assert (done.returncode, done.stderr) == (0, "")
    assert sql("SELECT count(*) FROM balance_entries")[0].count == 5


def test_of_several_files_each_counts_by_itself(run: Commands, sql: Sql, file: Path, tmp_path: Path) -> None:
    broken, third = tmp_path / "broken.txt", tmp_path / "third.txt"
    broken.write_text("nothing\n")
    third.write_text(GOOD.replace("po_1", "po_3").replace("txn_", "txn_3"))
    done = run("import", str(file), str(broken), str(tmp_path / "gone"), str(third), "--provider", "acme")
    assert done.returncode == 1
    assert [line.partition(": ")[0] for line in done.stdout.splitlines()] == [str(file), str(third)]
    assert f"{broken}: line 1: " in done.stderr
    assert f"{tmp_path / 'gone'}: it cannot be read: No such file or directory" in done.stderr
    assert counts(sql)[2] == 4


def test_hostile_words_are_shown_and_not_obeyed(run: Commands, tmp_path: Path) -> None:
    file = tmp_path / "red\x1b[31m.txt"
    file.write_text("txn_1\x1b[2J capture\n")
    done = run("import", str(file), "--provider", "acme")
    assert done.returncode == 1
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"\x1f\x8b\x08\x00rest", "it is compressed by gzip"),
        (b"PK\x03\x04rest", "it is a ZIP or Excel file"),
        (b"PK\x05\x06" + bytes(18), "it is an empty ZIP"),
        (bz2.compress(GOOD.encode()), "it is compressed by bzip2"),
        (lzma.compress(GOOD.encode()), "it is compressed by xz"),
        (b"\x28\xb5\x2f\xfd" + bytes(20), "it is compressed by zstd"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(20), "it is a 7z file"),
        (b"\xd0\xcf\x11\xe0" + bytes(600), "it is an old Excel file"),
        (tar_of(GOOD.encode()), "it is a tar"),
    ],
)
def test_what_can_be_no_report_is_not_looked_into(
    run: Commands, sql: Sql, file: Path, content: bytes, words: str
) -> None:
    file.write_bytes(content)
    for provider in ("acme", "bank") if words != "it is a ZIP or Excel file" else ("acme",):
        done = run("import", str(file), "--provider", provider)
        assert done.returncode == 1
        assert f"{file}: {words}" in done.stderr
    assert counts(sql) == [0] * len(TABLES)


def test_a_file_that_is_too_large_a_folder_and_a_pipe_are_refused_at_once(run: Commands, tmp_path: Path) -> None:
    large, pipe = tmp_path / "large", tmp_path / "pipe"
    with large.open("wb") as file:
        file.truncate(LARGEST_FILE + 1)
    os.mkfifo(pipe)
    done = run("import", str(large), str(tmp_path), str(pipe), "-", "--provider", "acme")
    assert done.returncode == 1
    assert f"{large}: it has {LARGEST_FILE + 1} bytes, more than the 512 MiB of a report" in done.stderr
    assert f"{tmp_path}: it is no regular file" in done.stderr
    assert f"{pipe}: it is no regular file" in done.stderr
    assert "-: it cannot be read: No such file or directory" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--provider", "nobody"), "--provider: 'nobody' is no provider; there are those of acme, "),
        (("--provider", "mock"), "--provider: 'mock' has no reports that can be read; there are those of acme, "),
        (("--provider", "acme", "--account", "a\nb"), "--account: it holds a control character"),
        ((), "Missing option '--provider'"),
    ],
)
def test_wrong_use_is_named(run: Commands, sql: Sql, file: Path, arguments: tuple[str, ...], words: str) -> None:
    done = run("import", str(file), *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in " ".join(done.stderr.split())
    assert counts(sql) == [0] * len(TABLES)


def test_ctrl_c_leaves_nothing_and_has_a_word(run: Commands, sql: Sql, file: Path) -> None:
    with file.open("a") as grown:
        grown.writelines(f"txn_9{number} fee 0 0\n" for number in range(400_000))
    process = run.start("import", str(file), "--provider", "acme")
    eventually(lambda: sql(BACKENDS))
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, "")
    assert "Interrupted: what was not through is not there" in errors
    assert "Traceback" not in errors
    eventually(lambda: not sql(BACKENDS))
    assert counts(sql) == [0] * len(TABLES)


def test_one_that_is_killed_leaves_nothing(run: Commands, sql: Sql, file: Path) -> None:
    with file.open("a") as grown:
        grown.writelines(f"txn_9{number} fee 0 0\n" for number in range(400_000))
    process = run.start("import", str(file), "--provider", "acme")
    at_work = f"{BACKENDS} AND xact_start IS NOT NULL"
    eventually(lambda: sql(at_work))
    process.kill()
    process.communicate()
    eventually(lambda: not sql(at_work))
    assert counts(sql) == [0] * len(TABLES)
    file.write_text(GOOD)
    assert run("import", str(file), "--provider", "acme").returncode == 0


def test_what_does_not_add_up_is_held_says_what_it_lacks_and_can_be_accepted(
    run: Commands, sql: Sql, file: Path
) -> None:
    file.write_text(HELD)
    done = run("import", str(file), "--provider", "acme")
    [(file_id,)] = sql("SELECT id FROM settlement_files WHERE state = 'held'")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{file}: held ({file_id}): it does not prove itself" in done.stderr
    assert "po_1 EUR: expected 18.31, found 18.30 (-0.01): lines = payout" in done.stderr
    assert counts(sql)[2] == 0

    again = run("import", str(file), "--provider", "acme")
    assert again.returncode == 1
    assert "is known and held" in again.stdout

    looked = run("accept", "report.txt")
    assert looked.returncode == 0
    assert "po_1 EUR: expected 18.31, found 18.30 (-0.01): lines = payout" in looked.stdout
    assert "Nothing was done: add --residue and --why" in looked.stderr
    assert counts(sql)[2] == 0
    for reason in ((), ("--why", " ")):
        empty = run("accept", "report.txt", "--residue", *reason)
        assert (empty.returncode, counts(sql)[2]) == (2, 0)

    accepted = run("accept", "report.txt", "--residue", "--why", "a cent", "--operator", "ann")
    assert (accepted.returncode, accepted.stderr) == (0, "")
    assert accepted.stdout.startswith("report.txt: accepted: 2 lines, 2 new entries")
    assert sql("SELECT operator, action, why, subject FROM audit WHERE action <> 'enter_file'") == [
        ("ann", "accept_file", "a cent", str(file_id))
    ]
    late = run("accept", str(file_id), "--residue", "--why", "a cent")
    assert late.returncode == 1
    assert "It is not held: it is entered" in late.stderr


def test_a_held_file_that_nobody_needs_is_dismissed_and_held_again(run: Commands, sql: Sql, file: Path) -> None:
    file.write_text(HELD)
    run("import", str(file), "--provider", "acme")
    [(file_id,)] = sql("SELECT id FROM settlement_files")
    assert f"checkout settlements dismiss {file_id} --why" in run("import", str(file), "--provider", "acme").stderr
    assert run("dismiss", "report.txt").returncode == 2

    done = run("dismiss", "report.txt", "--why", "it is here", "--operator", "ann")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"report.txt: dismissed ({file_id})\n", "")
    assert str(file_id) not in run("exceptions").stdout
    again = run("import", str(file), "--provider", "acme")
    assert (again.returncode, "somebody said that nobody needs it" in again.stdout) == (0, True)
    late = run("dismiss", str(file_id), "--why", "it is here")
    assert (late.returncode, "It is not held: it is dismissed" in late.stderr) == (1, True)

    back = run("undo", str(file_id), "--why", "it is not", "--operator", "bob")
    assert (back.returncode, back.stdout) == (0, f"{file_id}: held again\n")
    assert str(file_id) in run("exceptions", "--kind", "held").stdout
    twice = run("undo", str(file_id), "--why", "it is not")
    assert (twice.returncode, "was not dismissed" in twice.stderr) == (1, True)
    assert sql("SELECT operator, action, subject FROM audit WHERE action <> 'enter_file' ORDER BY id") == [
        ("ann", "dismiss_file", str(file_id)),
        ("bob", "hold_file", str(file_id)),
    ]


def test_a_payout_that_stays_open_is_accepted_and_that_is_taken_back(run: Commands, sql: Sql, file: Path) -> None:
    file.write_text("listed po_1 18.31\n")
    run("import", str(file), "--provider", "acme")
    for wrong in ((), ("report.txt", "--payout", "po_1")):
        assert run("accept", *wrong, "--residue", "--why", "x").returncode == 2

    looked = run("accept", "--payout", "po_1")
    assert (looked.returncode, looked.stdout) == (0, "po_1: 0 entries make 0.00 EUR of 18.31 EUR\n")
    assert "Nothing was done" in looked.stderr
    assert sql("SELECT state::text FROM payouts") == [("open",)]

    done = run("accept", "--payout", "po_1", "--residue", "--why", "its report is lost", "--operator", "ann")
    [(match,)] = sql("SELECT id FROM settlement_matches")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, f"po_1: accepted (match {match})")
    assert sql("SELECT state::text FROM payouts") == [("reconciled",)]
    shown = run("show", "po_1").stdout
    assert f"Accepted: 0.00 EUR of 18.31 EUR by ann: its report is lost  match {match}" in shown
    late = run("accept", "--payout", "po_1", "--residue", "--why", "x")
    assert (late.returncode, "It is not open, it is reconciled" in late.stderr) == (1, True)

    assert run("undo", str(match), "--why", "it was found").returncode == 0
    assert sql("SELECT state::text FROM payouts") == [("open",)]
    assert "Accepted" not in run("show", "po_1").stdout


def test_a_name_that_several_held_files_have_needs_an_id(run: Commands, sql: Sql, tmp_path: Path) -> None:
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "same").write_text(HELD.replace("po_1", f"po_{number}"))
        assert run("import", str(folder / "same"), "--provider", "acme").returncode == 1
    done = run("accept", "same", "--residue", "--why", "x")
    assert done.returncode == 1
    ids = [str(row.id) for row in sql("SELECT id FROM settlement_files")]
    assert done.stderr.startswith("Error: Several held files have this name; name one by its id, or --provider and")
    assert all(f"\n  {each}  acme  held, 2 lines, read 2" in done.stderr for each in ids)
    other = run("accept", "same", "--residue", "--why", "x", "--account", "SHOP")
    assert (other.returncode, "No file has this name or id" in other.stderr) == (1, True)
    assert sql("SELECT FROM balance_entries") == []
    assert run("accept", ids[0], "--residue", "--why", "x").returncode == 0
    assert "No file has this name or id" in run("accept", "other", "--residue", "--why", "x").stderr
    assert run("accept", "same", "--residue", "--why", "x").returncode == 0, "one alone of this name is held"
    none = run("accept", "same", "--residue", "--why", "x")
    assert none.stderr.startswith("Error: No file of this name is held:")
    assert all(f"\n  {each}  acme  entered, 2 lines" in none.stderr for each in ids)


def test_of_files_of_one_name_the_account_says_which(run: Commands, sql: Sql, file: Path) -> None:
    file.write_text(HELD)
    for account in ("SHOP", "POS"):
        assert run("import", str(file), "--provider", "acme", "--account", account).returncode == 1
    both = run("accept", "report.txt")
    assert (both.returncode, "acme SHOP  held" in both.stderr, "acme POS  held" in both.stderr) == (1, True, True)
    assert run("accept", "report.txt", "--account", "POS", "--residue", "--why", "x").returncode == 0
    assert [row.account for row in sql("SELECT account FROM settlement_files WHERE state = 'held'")] == ["SHOP"]


def test_a_held_file_is_found_among_many_of_its_name(run: Commands, sql: Sql, file: Path) -> None:
    file.write_text(HELD)
    assert run("import", str(file), "--provider", "acme").returncode == 1
    files = []
    for number in range(21):
        folder = file.parent / f"of-{number}"
        folder.mkdir()
        files.append(folder / file.name)
        files[-1].write_text(f"listed po_{number + 10} 1\n")
    assert run("import", *map(str, files), "--provider", "acme").returncode == 0
    looked = run("accept", file.name)
    assert (looked.returncode, "(-0.01)" in looked.stdout) == (0, True)


def test_a_banks_account_may_be_written_in_any_way(run: Commands, sql: Sql, tmp_path: Path) -> None:
    statement = tmp_path / "statement.sta"
    statement.write_text(DUTCH)
    done = run("import", str(statement), "--provider", "bank", "--account", " nl00 made 0000 0000 01 ")
    assert (done.returncode, done.stderr) == (0, "")
    assert {row.account for row in sql("SELECT account FROM balance_entries")} == {"NL00MADE0000000001"}
    again = run("import", str(statement), "--provider", "bank", "--account", "NL00MADE0000000001")
    assert "was entered before" in again.stdout, "the spelling makes no other account"


def test_whoever_waits_for_another_one_goes_on_behind_it(run: Commands, sql: Sql, file: Path) -> None:
    with psycopg.connect(run.settings["SETTLEMENTS_DATABASE_URL"]) as other:
        other.execute("LOCK TABLE settlement_accounts IN SHARE ROW EXCLUSIVE MODE")
        process = run.start("import", str(file), "--provider", "acme")
        eventually(lambda: sql(WAITS))
        assert counts(sql)[2] == 0
        other.rollback()
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, ""), output


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "SETTLEMENTS_DATABASE_URL: Environment variable not set."),
        (
            "postgresql://checkout_settlements:hidden@127.0.0.1:1/nowhere",
            "The database cannot be reached by SETTLEMENTS_DATABASE_URL: nobody listens there.",
        ),
        ("hidden", "SETTLEMENTS_DATABASE_URL: "),
        (
            "the worker's",
            "(permission denied for table settlement_accounts): it has to be the role PREFIX_settlements",
        ),
    ],
)
def test_a_database_that_cannot_be_used_is_a_sentence(run: Commands, file: Path, url: str, words: str) -> None:
    if url == "the worker's":
        url = run.settings["SETTLEMENTS_DATABASE_URL"].replace("checkout_settlements", "checkout_worker")
    done = run("import", str(file), "--provider", "acme", SETTLEMENTS_DATABASE_URL=url)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert "hidden" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_goes_away_meanwhile_is_a_sentence(run: Commands, sql: Sql, file: Path) -> None:
    with psycopg.connect(run.settings["SETTLEMENTS_DATABASE_URL"]) as other:
        other.execute("LOCK TABLE settlement_accounts IN SHARE ROW EXCLUSIVE MODE")
        process = run.start("import", str(file), "--provider", "acme")
        eventually(lambda: sql(WAITS))
        sql(TERMINATED)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (1, "")
    assert errors.startswith("Error: The database went away: ")
    assert counts(sql) == [0] * len(TABLES)
