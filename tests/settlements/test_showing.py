"""``exceptions``, ``show`` and ``fees`` as processes: what is shown, in which order, and how much of it at most."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import Sql
from tests.settlements.commands import GOOD, Commands, run

__all__ = ["run"]  # a fixture


@pytest.fixture
def entered(run: Commands, sql: Sql) -> Commands:
    """A payout with an exception, and a file that is held."""
    run.report("a")
    run.report("b", GOOD.replace("po_1", "po_2").replace("txn_", "txn_2").replace("18.30", "20.00"))
    assert run("fetch").returncode == 1
    return run


def test_what_needs_somebody_is_listed_with_what_to_do(entered: Commands, sql: Sql) -> None:
    done = entered("exceptions")
    assert (done.returncode, done.stderr) == (0, "")
    ids = {row.state: str(row.id) for row in sql("SELECT id, state::text FROM settlement_matches")}
    lines = done.stdout.splitlines()
    heads = [line.split()[:4] for line in lines if not line.startswith(" ")]
    [(held,)] = sql("SELECT id FROM settlement_files WHERE state = 'held'")
    assert heads[0] == ["file", str(held), "held", "acme"]
    assert sorted(heads[1:]) == sorted(["match", ids[kind], kind, "acme"] for kind in ("unknown_here", "unowned_fee"))
    assert "po_2 EUR: expected 20.00, found 18.30 (-1.70): lines = payout" in done.stdout
    [unknown] = [line for line in lines if " unknown_here " in line]
    assert "there 20.00 EUR, here nothing" in unknown
    assert "txn_1 (capture, capture)  payment pi_of_txn_1  order order-txn_1  payout po_1" in unknown
    assert sum(line[:4] == "    " and line.endswith(".") for line in lines) == 3, "each has a remedy"


@pytest.mark.parametrize(
    ("arguments", "kinds"),
    [
        (("--kind", "held"), ["held"]),
        (("--kind", "unknown_here"), ["unknown_here"]),
        (("--kind", "unknown_here", "--kind", "held"), ["held", "unknown_here"]),
        (("--provider", "acme", "--kind", "unowned_fee"), ["unowned_fee"]),
        (("--provider", "stripe"), []),
        (("--kind", "missing_there"), []),
    ],
)
def test_it_is_narrowed_by_kind_and_provider_and_is_json_for_programs(
    entered: Commands, arguments: tuple[str, ...], kinds: list[str]
) -> None:
    done = entered("exceptions", "--json", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["kind"] for each in found] == kinds
    assert all(each["remedy"] and each["provider"] == "acme" for each in found)
    assert [each["amount"] for each in found if each["kind"] == "unknown_here"] == ["20.00"] * kinds.count(
        "unknown_here"
    )
    if not kinds:
        assert "No exceptions match." in entered("exceptions", *arguments).stderr


def test_more_than_are_shown_is_named_and_gone_on_with(run: Commands, sql: Sql) -> None:
    lines = "".join(f"txn_9{number} capture 1 0\n" for number in range(7))
    run.report("a", f"payout po_1 7\n{lines}")
    assert run("fetch").returncode == 0
    seen: list[str] = []
    before: tuple[str, ...] = ()
    for _ in range(3):
        done = run("exceptions", "--limit", "3", "--json", *before)
        page = [json.loads(line)["id"] for line in done.stdout.splitlines()]
        seen += page
        before = ("--before", page[-1])
    assert len(seen) == len(set(seen)) == 7
    assert seen == sorted(seen, reverse=True), "the newest first"
    third = seen[2]
    assert run("exceptions", "--limit", "3").stderr == (f"There are more than these 3: --limit, or --before {third}\n")
    assert run("exceptions", "--limit", "7").stderr == "", "there are as many, and no more"


def test_a_payout_is_shown_by_its_name_or_id_with_all_that_it_is(entered: Commands, sql: Sql) -> None:
    [(payout_id,)] = sql("SELECT id FROM payouts WHERE payout_ref = 'po_1'")
    by_name, by_id = entered("show", "po_1"), entered("show", str(payout_id))
    assert (by_name.returncode, by_name.stderr) == (0, "")
    assert by_name.stdout == by_id.stdout
    shown = by_name.stdout
    assert shown.startswith(f"po_1  {payout_id}  acme\n  18.30 EUR: paid there, unmatched here\n")
    assert "  entries 2: gross 19.00 EUR, fee 0.70 EUR, net 18.30 EUR, residue 0.00 EUR\n" in shown
    assert "  at the bank: nothing is known\n" in shown
    assert "  reference for the bank: ACME po_1\n" in shown
    assert "capture                 1  gross 20.00 EUR  fee 0.70 EUR  net 19.30 EUR" in shown
    assert "fee                     1  gross -1.00 EUR  fee 0.00 EUR  net -1.00 EUR" in shown
    assert "Exceptions:\n" in shown
    assert " unknown_here " in shown.partition("Exceptions:")[2].partition("At the bank:")[0]
    [file] = [line for line in shown.partition("Files:\n")[2].splitlines() if line]
    assert file.endswith("  a  acme 1  2 entries  proof: lines = payout")


def test_one_that_a_page_ends_with_leaves_out_no_held_file(run: Commands, sql: Sql) -> None:
    for name in "ab":
        run.report(name, f"payout po_{name} 2\ntxn_{name} capture 1 0\n")
        run.report(f"{name}1", f"payout po_{name}1 1\ntxn_{name}1 capture 1 0\n")
    assert run("fetch").returncode == 1
    seen: list[str] = []
    before: tuple[str, ...] = ()
    for _ in range(4):
        [row] = [json.loads(line) for line in run("exceptions", "--limit", "1", "--json", *before).stdout.splitlines()]
        seen.append(row["kind"])
        before = ("--before", row["id"])
    assert seen == ["unknown_here", "held", "unknown_here", "held"]
    assert run("exceptions", "--json", *before).stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [("exceptions", "--provider", "\udcff"), ("show", "x", "--account", "\udcff"), ("fees", "--provider", "\udcff")],
)
def test_bytes_that_are_no_text_are_nobodys_name(run: Commands, arguments: tuple[str, ...]) -> None:
    assert "Traceback" not in run(*arguments).stderr


def test_a_payout_that_is_not_there_and_one_that_several_have_are_sentences(
    run: Commands, sql: Sql, tmp_path: Path
) -> None:
    for account in ("A", "B"):
        (tmp_path / account).write_text(GOOD)
        assert run("import", str(tmp_path / account), "--provider", "acme", "--account", account).returncode == 0
    several = run("show", "po_1")
    assert several.returncode == 1
    assert [str(row.id) in several.stderr for row in sql("SELECT id FROM payouts")] == [True, True]
    one = run("show", "po_1", "--account", "B")
    assert (one.returncode, " acme B\n" in one.stdout) == (0, True)
    for named in ("po_7", str(uuid4()), "%", "po_1' OR true --"):
        none = run("show", named)
        assert (none.returncode, none.stderr) == (1, "Error: No payout has this id or name.\n")


def test_fees_are_those_of_the_month_in_the_zone_of_settled_money(entered: Commands, sql: Sql) -> None:
    done = entered("fees", "--month", "2026-11")
    assert (done.returncode, done.stderr) == (0, "Months are those of UTC.\n")
    assert done.stdout.split() == ["2026-11", "acme", "1.70", "EUR", "of", "2", "entries"]

    # An hour before midnight in UTC is the next year in Berlin.
    late = "UPDATE balance_entries SET occurred_at = '2026-12-31T23:30:00Z'"
    sql(f"SET session_replication_role = replica; {late}; RESET session_replication_role")
    there = entered("fees", "--month", "2027-01", "--json", SETTLEMENTS_TIMEZONE="Europe/Berlin")
    assert [json.loads(line) for line in there.stdout.splitlines()] == [
        {
            "month": "2027-01",
            "provider": "acme",
            "currency": "EUR",
            "fees": "1.70",
            "entries": 2,
            "timezone": "Europe/Berlin",
        }
    ]
    for arguments in (("--month", "2027-01"), ("--month", "2026-12", "--provider", "stripe")):
        none = entered("fees", *arguments)
        assert (none.returncode, none.stdout, none.stderr) == (0, "", "No fees match.\n")
    assert entered("fees", "--month", "2026-13").returncode == 2


def test_what_a_provider_wrote_is_no_command_for_the_terminal(run: Commands, sql: Sql) -> None:
    run.report("a", GOOD.replace("txn_1", "txn\x1b[31m").replace("po_1", "po\x07"))
    assert run("fetch").returncode == 0
    for arguments in (("exceptions",), ("show", "po\x07")):
        done = run(*arguments)
        assert done.returncode == 0
        assert "\\x1b[31m" in done.stdout
        assert not {"\x1b", "\x07"} & set(done.stdout)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("undo", "0196f0a0-0000-7000-8000-000000000000", "--why", "x"), "No match has this id"),
        (("resolve", "0196f0a0-0000-7000-8000-000000000000", "--why", "x"), "No match has this id"),
        (
            ("link", "0196f0a0-0000-7000-8000-000000000000", "0196f0a0-0000-7000-8000-000000000001", "--why", "x"),
            "No payout has this id or name.",
        ),
        (
            ("resolve", "--payout", "po_1", "--kind", "unknown_here", "--why", "x"),
            "No payout has this id or name.",
        ),
    ],
)
def test_what_is_not_there_cannot_be_settled(run: Commands, arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert run(*arguments[:-2]).returncode == 2, "why is needed"


def test_an_exception_that_is_settled_is_listed_no_more_and_stays_settled(entered: Commands, sql: Sql) -> None:
    [(match,)] = sql("SELECT id FROM settlement_matches WHERE state = 'unknown_here'")
    done = entered("resolve", str(match), "--why", "of the other shop", "--operator", "ann")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{match}: resolved\n", "")
    assert entered("exceptions", "--kind", "unknown_here").stdout == ""
    assert "2026" in entered("show", "po_1").stdout.partition("reconciled: ")[2]
    late = entered("resolve", str(match), "--why", "x")
    assert (late.returncode, f"{match}: Somebody has settled it already" in late.stderr) == (1, True)
    assert sql("SELECT operator, action::text, why FROM audit") == [("ann", "resolve_match", "of the other shop")]


def test_a_wrong_resolve_is_taken_back_and_its_payout_waits_again(entered: Commands, sql: Sql) -> None:
    [(match,)] = sql("SELECT id FROM settlement_matches WHERE state = 'unknown_here'")
    assert entered("resolve", str(match), "--why", "of the other shop").returncode == 0
    assert ", reconciled here" in entered("show", "po_1").stdout

    done = entered("undo", str(match), "--why", "it is ours", "--operator", "ann")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{match}: open again, as ")
    again = done.stdout.split()[-1]
    assert f"match {again}  unknown_here" in entered("exceptions").stdout
    assert ", unmatched here" in entered("show", "po_1").stdout
    assert entered("undo", str(match), "--why", "x").stderr == "Error: It does not hold any more: nothing was done.\n"
    no_match = entered("undo", again, "--why", "x")
    assert (no_match.returncode, "It is an exception and no match" in no_match.stderr) == (1, True)
    assert sql("SELECT operator, action, subject, details ->> 'open_again' FROM audit ORDER BY id")[1] == (
        "ann",
        "undo_match",
        str(match),
        again,
    )


def test_all_of_a_kind_that_a_payout_has_are_settled_at_once(run: Commands, sql: Sql) -> None:
    lines = "".join(f"txn_9{number} capture 1 0\n" for number in range(7))
    run.report("a", f"payout po_1 6\n{lines}txn_fee fee -1 0\n")
    run.report("b", "payout po_2 1\ntxn_8 capture 1 0\n")
    assert run("fetch").returncode == 0

    done = run("resolve", "--payout", "po_1", "--kind", "unknown_here", "--why", "of the other shop")

    assert (done.returncode, done.stdout, done.stderr) == (0, "po_1: 7 unknown_here resolved\n", "")
    assert ", reconciled here" in run("show", "po_1").stdout
    left = [json.loads(line) for line in run("exceptions", "--json").stdout.splitlines()]
    assert sorted((row["kind"], row["payout_ref"]) for row in left) == [
        ("unknown_here", "po_2"),
        ("unowned_fee", "po_1"),
    ]
    assert [row.details["matches"] for row in sql("SELECT details FROM audit")] == [7]
    ids = [row["id"] for row in left]
    both = run("resolve", *ids, "--why", "booked")
    assert (both.returncode, both.stdout) == (0, "".join(f"{each}: resolved\n" for each in ids))
    assert run("resolve", "--payout", "po_1", "--kind", "differs", "--why", "x").stdout == "po_1: 0 differs resolved\n"
    for wrong in ((), ("--payout", "po_1"), ("--kind", "differs"), (ids[0], "--payout", "po_1", "--kind", "differs")):
        assert run("resolve", *wrong, "--why", "x").returncode == 2


def test_a_payout_is_linked_by_the_providers_name_for_it(run: Commands, sql: Sql) -> None:
    run.report("a", "payout po_1 0\n")
    run.report("b", "payout po_2 0\ntxn_1 capture 1 0\ntxn_2 refund -1 0\n")
    assert run("fetch").returncode == 0
    [entry] = [row.id for row in sql("SELECT id FROM balance_entries WHERE entry_ref = 'txn_1'")]
    ids = {row.payout_ref: row.id for row in sql("SELECT payout_ref, id FROM payouts")}
    other = run("link", str(entry), "po_1", "--why", "x")
    assert (other.returncode, other.stderr) == (1, "Error: The entry is part of another payout: nothing was done.\n")
    same = run("link", str(entry), "po_2", "--why", "x")
    assert (same.returncode, same.stdout) == (0, f"{entry}: linked with po_2 ({ids['po_2']})\n")


def test_a_payout_whose_file_was_accepted_with_a_residue_says_so_with_one_sign(run: Commands, sql: Sql) -> None:
    run.report("a", "payout po_1 18.30\ntxn_1 capture 20.00 0.70\n")
    assert run("fetch").returncode == 1
    assert "po_1 EUR: expected 18.30, found 19.30 (+1.00): lines = payout" in run("exceptions").stdout
    accepted = run("accept", "a", "--residue", "--why", "a euro", "--operator", "ann")
    assert "po_1 EUR: expected 18.30, found 19.30 (+1.00): lines = payout" in accepted.stdout
    assert run("resolve", "--payout", "po_1", "--kind", "unknown_here", "--why", "x").returncode == 0

    shown = run("show", "po_1").stdout

    assert "18.30 EUR: paid there, reconciled here, accepted with a residue of +1.00 EUR\n" in shown
    assert "net 19.30 EUR, residue +1.00 EUR\n" in shown
    assert "proof: lines = payout; accepted with a residue of +1.00 EUR by ann: a euro\n" in shown


def test_lines_whose_payout_nobody_has_listed_say_what_is_missing(run: Commands, sql: Sql) -> None:
    run.report("a", "section po_1\ntxn_1 capture 20.00 0.70\n")
    assert run("fetch").returncode == 1
    held = run("exceptions").stdout
    assert "po_1 EUR: found 19.30, and what is expected is not known (lines = payout)" in held
    assert "the report that lists the payout is missing" in held
    accepted = run("accept", "a", "--residue", "--why", "x")
    assert (accepted.returncode, "its lines wait for the report that lists it" in accepted.stderr) == (0, True)
    none = run("show", "po_1")
    assert (none.returncode, "1 entry of acme names it, and no report has listed it" in none.stderr) == (1, True)

    done = run("import", str(run.report("b", "listed po_1 19.30\n")), "--provider", "acme")
    assert done.stdout.endswith("/b: entered: 0 lines, 0 new, 0 known, 1 payout\n")
    listed = run("show", "po_1").stdout
    assert "19.30 EUR: paid there, unmatched here\n" in listed
    assert "accepted with a residue of 19.30 EUR, of which nothing was known, by " in listed
    files = [line.split()[1:] for line in listed.partition("Files:\n")[2].splitlines()]
    assert [(file[0], file[3:5]) for file in files] == [("a", ["1", "entry"]), ("b", ["lists", "it"])]
