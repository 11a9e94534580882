"""Settled money at the console: payouts, what they are made of, and what needs a person; nothing is changed there."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from html import unescape
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask

from checkout_service.settlement_words import EXCEPTIONS
from checkout_service.settlements.remedies import HELD, REMEDIES
from tests.conftest import Servers, Sql
from tests.console.conftest import Operator
from tests.refunding import paid_payment
from tests.settlements.entered import Books, books_of

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def books(servers: Servers) -> Iterator[Books]:
    with books_of(servers) as found:
        yield found


def text_of(operator: Operator, path: str, status: int = 200) -> str:
    answer = operator.get(path)
    assert answer.status_code == status, answer.text
    assert HOSTILE not in answer.text
    return answer.text


def test_payouts_are_listed_with_their_sums_by_currency(operator: Operator, books: Books) -> None:
    first = books.payout("po_1", amount="100.00", fee="1.5", state="reconciled", arrival_on="2026-11-26")
    books.payout("po_2", amount="-30.5", fee="0", state="unmatched", exceptions=2, descriptor=HOSTILE)
    books.payout(HOSTILE, amount="7", currency="EUR", account=HOSTILE, provider="adyen")

    shown = text_of(operator, "/ops/payouts")

    assert f'href="/ops/payouts/{first}"' in shown
    assert [
        text in shown for text in ("69.50 <abbr>USD", "1.50 <abbr>USD", "7.00 <abbr>EUR", "2 to settle", "2026-11-26")
    ] == [True] * 5
    assert "3 payouts on this page" in shown


def test_filters_narrow_the_list_and_its_file(operator: Operator, books: Books) -> None:
    books.payout("po_1", state="open", arrival_on="2026-11-26")
    books.payout("po_2", state="unmatched", arrival_on="2026-11-27", provider="adyen")
    for query in ("state=unmatched", "provider=adyen", "arrival_since=2026-11-27", "reference=po_2"):
        shown = text_of(operator, f"/ops/payouts?{query}")
        assert ("po_2" in shown, ">po_1<" in shown) == (True, False), query
        file = operator.get(f"/ops/payouts.csv?{query}").text
        assert [row["reference"] for row in csv.DictReader(io.StringIO(file))] == ["po_2"]


@pytest.mark.parametrize(
    "query",
    [
        *("state=paid", "status=open", "currency=usd", "arrival_since=soon", "provider=A'", "no_such=1", "before=x"),
        "arrival_since=2026-11-02&arrival_until=2026-11-01",
    ],
)
def test_a_filter_that_cannot_be_read_lists_nothing(operator: Operator, books: Books, query: str) -> None:
    books.payout("po_1")
    assert "po_1" not in text_of(operator, f"/ops/payouts?{query}", 400)
    assert operator.get(f"/ops/payouts.csv?{query}").status_code == 400


def test_older_payouts_are_a_page_away(operator: Operator, books: Books) -> None:
    for number in range(51):
        books.payout(f"po_{number:02}")
    shown = text_of(operator, "/ops/payouts")
    assert ("po_50" in shown, "po_00" in shown) == (True, False)
    older = shown.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
    shown = text_of(operator, older)
    assert ("po_50" in shown, "po_00" in shown) == (False, True)


def made(books: Books, sql: Sql) -> tuple[UUID, UUID, UUID]:
    """A payout with lines of a payment, one that is unknown, and a bank's entry; the payment, and the match."""
    payment, _ = paid_payment(sql)
    file = books.file(name=HOSTILE)
    payout = books.payout("po_1", state="unmatched", entries=2, net="133.90", gross="160", fee="26.1", exceptions=1)
    in_it = {"payout_id": payout, "payout_ref": "po_1"}
    books.match("matched", books.entry(file, "txn_1", **in_it), payment_id=payment)
    unknown = books.entry(
        file, "txn_2", kind="unknown", provider_type=HOSTILE, gross="-40", fee="20", net="-60", **in_it
    )
    match = books.match("unknown_here", unknown, detail=HOSTILE)
    brought = books.entry(books.file(provider="bank"), "B1", provider="bank", kind="bank", description=HOSTILE)
    books.match("proposed", brought, provider="bank", payout_id=payout, amount="133.90", currency="USD")
    return payout, payment, match


def test_a_payout_says_what_it_is_made_of_and_what_can_be_done(operator: Operator, books: Books, sql: Sql) -> None:
    payout, payment, match = made(books, sql)

    shown = text_of(operator, f"/ops/payouts/{payout}")

    for text in (
        *("138.20 <abbr>USD", "193.90 <abbr>USD", "-60.00 <abbr>USD", "-40.00 <abbr>USD", "133.90 <abbr>USD"),
        f"checkout settlements resolve {match} --why",
        *(REMEDIES["unknown_here"].partition(":")[0], f"/ops/payments/{payment}", "it proved itself"),
        *("checkout settlements link", "checkout settlements undo", f"checkout settlements show {payout}"),
    ):
        assert text in shown, text
    assert "<form" not in shown.partition("<main")[2].partition("</main")[0]


def test_only_what_is_paid_is_summed_as_paid(operator: Operator, books: Books) -> None:
    for status, amount in (("paid", "100"), ("failed", "80"), ("in_transit", "49.70"), ("canceled", "7")):
        books.payout(status, status=status, amount=amount)
    shown = text_of(operator, "/ops/payouts")
    assert "236.70 <abbr>USD" in shown
    assert "100.00 <abbr>USD" in shown.partition("Of it paid")[2].partition("</tbody>")[0]


def test_a_payout_that_was_accepted_shows_its_residue_and_no_tick(operator: Operator, books: Books) -> None:
    payout = books.payout("po_1", amount="49.70", net="50.70", state="reconciled", reconciled_at="2026-11-26Z")
    even = books.payout("po_2", amount="49.70", net="49.70", state="reconciled", reconciled_at="2026-11-26Z")
    listed = text_of(operator, "/ops/payouts")
    assert listed.count("reconciled with a residue") == 1
    for shown in (listed, text_of(operator, f"/ops/payouts/{payout}")):
        assert "1.00 <abbr>USD</abbr></span> too much" in shown
    assert "Came out even" not in text_of(operator, f"/ops/payouts/{payout}")
    assert "too much" not in text_of(operator, f"/ops/payouts/{even}")


def test_one_that_was_never_paid_is_not_even(operator: Operator, books: Books) -> None:
    payout = books.payout("po_1", amount="80", status="failed", state="not_paid")
    shown = text_of(operator, f"/ops/payouts/{payout}")
    assert ("Not paid:" in shown, "By balance" in shown, "lacking" in shown) == (True, False, False)


def test_a_payouts_own_line_is_no_part_of_it(operator: Operator, books: Books) -> None:
    payout = books.payout("wd_1", provider="paypal", state="by_balance", itemized=False, amount="67.16")
    columns = {"gross": "-67.16", "fee": "0", "net": "-67.16", "payout_id": payout, "payout_ref": "wd_1"}
    books.entry(books.file(), "T1", provider="paypal", kind="payout", **columns)
    shown = text_of(operator, f"/ops/payouts/{payout}")
    assert ("Together" in shown, "which is no part of what it is made of" in shown) == (False, True)


def test_several_lines_are_settled_by_one_command_and_named_one_by_one(operator: Operator, books: Books) -> None:
    file, payout = books.file(), books.payout("42", provider="adyen", state="unmatched")
    with books.transaction():
        for number in range(3):
            names = {"subject_ref": f"PSP{number}", "merchant_ref": "order 7", "entry_ref": f"{number:032x}:1"}
            entry = books.entry(file, provider="adyen", payout_id=payout, payout_ref="42", **names)
            books.match("unknown_here", entry, provider="adyen", amount="200", currency="USD", detail="no capture")
    books.match("unknown_here", books.entry(file, "other"))

    shown = text_of(operator, f"/ops/payouts/{payout}")
    assert f"checkout settlements resolve --payout {payout} --kind unknown_here" in shown
    for text in ("3 lines", "600.00 <abbr>USD", "The first of them: no capture", "PSP0", "order 7"):
        assert text in shown, text
    assert f"{0:032x}" not in shown

    for query in (f"payout_id={payout}", "provider=adyen"):
        listed = text_of(operator, f"/ops/exceptions?kind=unknown_here&{query}")
        assert [name in listed for name in ("PSP0", "PSP2", ">other<", ">42</a>")] == [True, True, False, True], query
        assert "200.00 <abbr>USD" in listed
    assert "other" in text_of(operator, "/ops/exceptions?kind=unknown_here")
    for wrong in ("provider=A'", "payout_id=42"):
        text_of(operator, f"/ops/exceptions?{wrong}", 400)


def test_an_exception_is_shown_as_it_is_compared(operator: Operator, books: Books) -> None:
    """What the customer paid beside what we have, and not what is left after the fee."""
    entry = books.entry(books.file(), gross="100", fee="3.2", net="96.8")
    books.match("differs", entry, amount="100", currency="USD", amount_here="98", currency_here="USD")
    shown = text_of(operator, "/ops/exceptions?kind=differs")
    assert ["100.00 <abbr>" in shown, "98.00 <abbr>" in shown, "96.80" in shown] == [True, True, False]


def test_a_bank_entry_that_a_person_settled_needs_no_command(operator: Operator, books: Books) -> None:
    payout = books.payout()
    entry = books.entry(books.file(provider="bank"), "B1", provider="bank", kind="bank")
    done = {"resolved_at": "2026-11-01Z", "resolved_by": "x", "resolved_why": "y"}
    books.match("proposed", entry, provider="bank", payout_id=payout, **done)
    shown = text_of(operator, f"/ops/payouts/{payout}")
    assert ("resolved</span>" in shown, "checkout settlements link" in shown) == (True, False)


def test_a_payments_page_leads_to_its_lines(operator: Operator, books: Books, sql: Sql) -> None:
    payout, payment, _ = made(books, sql)
    assert f'href="/ops/payments/{payment}/settled"' in text_of(operator, f"/ops/payments/{payment}")
    shown = text_of(operator, f"/ops/payments/{payment}/settled")
    assert ("txn_1" in shown, "txn_2" in shown, f"/ops/payouts/{payout}" in shown) == (True, False, True)
    assert "tell nothing of it yet" in text_of(operator, f"/ops/payments/{uuid4()}/settled")


@pytest.mark.parametrize("kind", [kind.value for kind in EXCEPTIONS])
def test_each_kind_of_exception_is_listed_with_its_remedy(operator: Operator, books: Books, kind: str) -> None:
    file = books.file()
    match = books.match(kind, books.entry(file, "mine"), detail=HOSTILE)
    settled = books.match(
        *(kind, books.entry(file, "settled")), resolved_at="2026-11-01", resolved_by="ops", resolved_why="x"
    )
    for address in ("/ops/exceptions", f"/ops/exceptions?kind={kind}"):
        shown = text_of(operator, address)
        assert (str(match) in shown, str(settled) in shown) == (True, False)
        assert REMEDIES[kind] in unescape(shown)


def test_what_is_missing_there_has_no_line_and_is_listed(operator: Operator, books: Books) -> None:
    payment = uuid4()
    books.match(
        "missing_there",
        subject="capture",
        subject_id=uuid4(),
        payment_id=payment,
        amount_here="240",
        currency_here="USD",
    )
    shown = text_of(operator, "/ops/exceptions")
    assert ("240.00 <abbr>USD" in shown, f"/ops/payments/{payment}" in shown) == (True, True)


def test_held_files_say_what_they_lack(operator: Operator, books: Books) -> None:
    file = books.run(
        """INSERT INTO settlement_files (provider, name, sha256, form, rows, state, residues, faults)
        VALUES ('adyen', %(name)s, decode(repeat('00', 32), 'hex'), 'settlement_details', 3, 'held',
            '[{"account": "A", "section": "41", "currency": "EUR", "expected": "0", "found": "0.01", "rule": "net"}]',
            ARRAY['line 3: net is not gross - fee']) RETURNING id""",
        name=HOSTILE,
    )[0][0]
    shown = text_of(operator, "/ops/exceptions")
    books.run(
        """UPDATE settlement_files SET residues = residues || '[{"account": "A", "section": "43", "currency": "EUR",
            "expected": null, "found": "49.70", "rule": "net"}]' RETURNING id"""
    )
    shown = text_of(operator, "/ops/exceptions")
    assert ("49.70 EUR found, and the payout itself is not known" in shown, "None" in shown) == (True, False)
    for text in (
        f"settlements accept {file} --residue",
        f"settlements dismiss {file} --why",
        "0.01 found",
        "line 3: net is not gross - fee",
    ):
        assert text in shown, text


def test_what_waits_is_on_the_list_of_what_is_to_do(operator: Operator, books: Books) -> None:
    assert "Settled money" not in text_of(operator, "/ops/todo")
    books.match("unowned_fee", books.entry(books.file(), "fee"))
    assert "Settled money" not in text_of(operator, "/ops/todo"), "a fee of no payment can wait"
    books.match("differs", books.entry(books.file(), "other"))
    books.file("held")
    shown = text_of(operator, "/ops/todo")
    assert "/ops/exceptions?kind=differs" in shown
    assert "/ops/exceptions#held-h" in shown
    assert REMEDIES[HELD].partition(":")[0] in shown


def test_a_payout_that_stays_open_is_on_the_list_of_what_is_to_do(operator: Operator, books: Books) -> None:
    books.payout("po_1", state="open")
    books.payout("po_2", state="open", itemized=False, updated_at="2020-01-01")
    assert "Settled money" not in text_of(operator, "/ops/todo")
    books.payout("po_3", state="open", updated_at="2020-01-01")
    shown = text_of(operator, "/ops/todo")
    assert "payout open for 7 days" in shown
    assert "/ops/payouts?state=open" in shown
    assert "po_3" in operator.get("/ops/payouts?state=open").text


@pytest.mark.parametrize("path", ["/ops/payouts", "/ops/exceptions", f"/ops/payouts/{UUID(int=1)}"])
def test_nothing_of_it_is_open_to_a_stranger(console_app: Flask, path: str) -> None:
    answer: Any = console_app.test_client().get(path)
    assert answer.status_code == 401
