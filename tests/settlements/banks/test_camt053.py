"""camt.053: what was booked, by entry and by part, in each version; and what contradicts itself."""

from __future__ import annotations

import re
from decimal import Decimal
from time import monotonic

import pytest

from checkout_service.providers.reports import UnreadableReportError
from checkout_service.settlement_words import EntryKind, Subject
from tests.settlements.banks.documents import IBAN, balance, booked, detail, document, is_proved, read, statement
from tests.settlements.banks.samples import DETAILS_OF_02, DUTCH, PAYOUTS_OF_08

SAMPLES = [DETAILS_OF_02, PAYOUTS_OF_08]


def nets(content: str) -> list[str]:
    return [str(line.net) for line in read(content)[1]]


def test_each_part_of_an_entry_is_a_line_and_the_entry_where_it_has_none() -> None:
    report, lines = read(PAYOUTS_OF_08)
    assert [(str(line.net), line.description) for line in lines] == [
        ("49.70", "TULIP SHOP | MADEUP-E2E-1"),
        ("90.09", "TX900000000041XT batch 41, Tulip"),
        ("159.91", "0000001.2611.27"),
        ("70.09", ""),
        ("-60.00", "an earlier credit taken back"),
    ]
    first = lines[0]
    assert (first.line, first.account, first.currency, first.kind) == (1, IBAN, "EUR", EntryKind.BANK)
    assert (first.gross, first.fee, first.about) == (first.net, 0, Subject.NONE)
    assert (first.occurred_at.isoformat(), first.occurred_local) == ("2026-11-27T00:00:00+00:00", "2026-11-27")
    assert len({line.entry_ref for line in lines}) == 5
    assert is_proved(report, lines)
    assert (report.form, len(report.sha256)) == ("camt.053.001.08", 32)


def test_instructed_money_is_never_what_was_booked() -> None:
    report, lines = read(DETAILS_OF_02)
    assert [(str(line.net), line.currency, line.description) for line in lines] == [
        ("45.30", "EUR", "payout one"),
        ("49.70", "EUR", "payout two"),
    ]
    assert is_proved(report, lines)


@pytest.mark.parametrize("content", SAMPLES)
def test_a_file_with_one_cent_more_one_entry_twice_or_one_less_does_not_prove_itself(content: str) -> None:
    assert is_proved(*read(content))
    entries = re.findall(r"<Ntry>.*?</Ntry>", content)
    for entry in entries:
        changed = re.sub(
            r'(<Amt Ccy="EUR">\d+\.)(\d)(\d)', lambda m: f"{m[1]}{m[2]}{(int(m[3]) + 1) % 10}", entry, count=1
        )
        assert not is_proved(*read(content.replace(entry, changed)))
        assert not is_proved(*read(content.replace(entry, entry + entry)))
        assert not is_proved(*read(content.replace(entry, "")))


@pytest.mark.parametrize("version", [f"camt.053.001.{number:02}" for number in range(2, 15)])
@pytest.mark.parametrize("status", ["<Sts>BOOK</Sts>", "<Sts><Cd>BOOK</Cd></Sts>"])
def test_each_version_is_read(version: str, status: str) -> None:
    content = document(
        statement(balance("OPBD", "0"), balance("CLBD", "5.5"), booked("5.5", status=status)), version=version
    )
    report, lines = read(content)
    assert [line.net for line in lines] == [Decimal("5.5")]
    assert report.form == version


def test_what_is_not_booked_is_not_entered() -> None:
    content = document(
        statement(
            balance("OPBD", "0"),
            balance("CLBD", "7"),
            booked("7"),
            *(booked("9", status=f"<Sts><Cd>{state}</Cd></Sts>") for state in ("PDNG", "INFO", "FUTR")),
            booked("9", status="<Sts>PDNG</Sts>"),
        )
    )
    assert nets(content) == ["7"]
    assert is_proved(*read(content))


def test_what_the_parts_leave_of_an_entry_is_a_line_of_its_own() -> None:
    content = document(
        statement(
            balance("OPBD", "2000"),
            balance("CLBD", "569"),
            booked("1526", mark="DBIT", details=detail("1500", text="a transfer")),
            booked(
                "95",
                details='<Btch><NbOfTxs>2</NbOfTxs><TtlAmt Ccy="EUR">100</TtlAmt></Btch>'
                + detail("60", text="one")
                + detail("40", text="two"),
            ),
        )
    )
    report, lines = read(content)
    assert [str(line.net) for line in lines] == ["-1500", "-26", "60", "40", "-5"]
    assert [line.description.split(",")[0] for line in lines] == ["a transfer", "charges", "one", "two", "charges"]
    assert is_proved(report, lines)


@pytest.mark.parametrize(
    "details",
    [
        detail("50", currency="USD", text="one") + detail("50", text="two"),
        detail(text="one") + detail("50", text="two"),
        detail(text="one", instead='<AmtDtls><InstdAmt><Amt Ccy="EUR">100</Amt></InstdAmt></AmtDtls>')
        + detail(text="two"),
    ],
)
def test_parts_without_an_amount_of_the_booking_are_one_line(details: str) -> None:
    report, lines = read(
        document(statement(balance("OPBD", "0"), balance("CLBD", "100"), booked("100", details=details)))
    )
    assert [(str(line.net), line.description) for line in lines] == [("100", "one | two")]
    assert is_proved(report, lines)


def test_a_part_may_have_a_sign_of_its_own() -> None:
    details = detail("120", mark="CRDT", text="one") + detail("20", mark="DBIT", text="two")
    content = document(statement(balance("OPBD", "0"), balance("CLBD", "100"), booked("100", details=details)))
    assert nets(content) == ["120", "-20"]


@pytest.mark.parametrize(("mark", "closing"), [("DBIT", "40"), ("CRDT", "160")])
def test_a_reversal_counts_as_its_mark_says(mark: str, closing: str) -> None:
    content = document(
        statement(balance("OPBD", "100"), balance("CLBD", closing), booked("60", mark=mark, reversal="true", ref="B1"))
    )
    report, lines = read(content)
    assert is_proved(report, lines)
    assert report.sections[0].rule == "opening balance + entries = closing balance"


@pytest.mark.parametrize(("mark", "closing"), [("CRDT", "45"), ("DBIT", "165")])
def test_a_reversal_counts_the_other_way_where_only_so_the_balances_hold(mark: str, closing: str) -> None:
    content = document(
        statement(
            balance("OPBD", "100"),
            balance("CLBD", closing),
            booked("60", mark=mark, reversal="1", ref="B1"),
            booked("5", ref="B2"),
        ),
        statement(balance("OPBD", "0"), balance("CLBD", "-7"[1:]), booked("7", reversal="true"), name="S2"),
    )
    report, lines = read(content)
    assert is_proved(report, lines)
    assert ["opposite sign" in section.rule for section in report.sections] == [True, False]


def test_a_reversal_is_left_as_it_is_where_neither_way_holds() -> None:
    content = document(statement(balance("OPBD", "100"), balance("CLBD", "1"), booked("60", reversal="true")))
    assert nets(content) == ["60"]
    assert not is_proved(*read(content))


def test_statements_that_overlap_name_an_entry_alike_and_equal_entries_of_a_day_are_two() -> None:
    entry = booked("5", ref="B1", details=detail("2", text="one") + detail("3", text="two"))
    other = booked("5", ref="B2")
    first = read(document(statement(balance("OPBD", "0"), balance("CLBD", "5"), entry, name="S1")))[1]
    second = read(document(statement(balance("OPBD", "0"), balance("CLBD", "10"), other, entry, name="S2")))[1]
    assert [line.entry_ref for line in first] == [line.entry_ref for line in second[1:]]
    assert len({line.entry_ref for line in second}) == 3
    assert all(line.is_made for line in second)
    same = read(document(statement(balance("OPBD", "0"), balance("CLBD", "10"), booked("5", ref="B1") * 2)))[1]
    assert len(same) == 2
    assert same[0].entry_ref == same[1].entry_ref


def test_without_the_bank_s_reference_the_day_is_part_of_the_name() -> None:
    def refs(name: str, day: str) -> list[str]:
        entry = booked("5", number="7", day=day)
        return [
            line.entry_ref
            for line in read(document(statement(balance("OPBD", "0"), balance("CLBD", "5"), entry, name=name)))[1]
        ]

    assert refs("S1", "2026-11-27") == refs("S2", "2026-11-27")
    assert refs("S1", "2026-11-27") != refs("S1", "2026-11-26")


def test_details_that_contradict_their_batch_are_a_fault() -> None:
    batch = '<Btch><NbOfTxs>2</NbOfTxs><TtlAmt Ccy="EUR">5</TtlAmt></Btch>'
    one, two = detail("2", text="one"), detail("3", text="two")

    def faults(details: str) -> list[str]:
        return read(
            document(statement(balance("OPBD", "0"), balance("CLBD", "5"), booked("5", details=batch + details)))
        )[0].faults

    assert faults(one + two) == []
    assert faults(one + two + two) == [
        "line 2: the count of its batch is 2, and of its details that are there 3",
        "line 2: its batch is of 5 EUR, and its details are 8",
    ]
    assert len(faults(one)) == 2
    assert faults(one + detail("3.01", text="two")) == ["line 2: its batch is of 5 EUR, and its details are 5.01"]


def test_details_that_are_more_than_their_entry_are_not_entered() -> None:
    details = detail("90.09", text="one") * 2 + detail("10", text="two")
    content = document(
        statement(balance("OPBD", "0"), balance("CLBD", "100.09"), booked("100.09", ref="R", details=details))
    )
    assert nets(content) == ["100.09"]


def test_what_the_bank_writes_of_an_entry_is_not_a_text_of_its_parts() -> None:
    named = detail("90.09", text="one") + detail("10", text="two")
    entry = booked("100.09", details=named, more="TX900000000041XT")
    _, lines = read(document(statement(balance("OPBD", "0"), balance("CLBD", "100.09"), entry)))
    assert [line.description for line in lines] == ["one", "two"]
    entry = booked("100.09", details=detail("90.09") + detail("10"), more="TX900000000041XT")
    _, lines = read(document(statement(balance("OPBD", "0"), balance("CLBD", "100.09"), entry)))
    assert [(str(line.net), line.description) for line in lines] == [("100.09", "TX900000000041XT")]


def test_an_entry_without_a_day_has_that_of_its_statement() -> None:
    [line] = read(_entry("<BookgDt><Dt>2026-11-27</Dt></BookgDt>", ""))[1]
    assert line.occurred_local == "2026-11-27"
    with pytest.raises(UnreadableReportError, match="no date of booking"):
        read(document(statement(booked("5").replace("<BookgDt><Dt>2026-11-27</Dt></BookgDt>", ""))))


def test_numbers_of_statements_begin_anew_each_year() -> None:
    days = [("364", "2025-12-30"), ("365", "2025-12-31"), ("1", "2026-01-01"), ("364", "2026-12-30")]
    statements = [
        statement(
            balance("OPBD", f"{at * 10}", day=day),
            balance("CLBD", f"{at * 10 + 10}", day=day),
            booked("10", day=day),
            name=f"S{at}",
            number=number,
        )
        for at, (number, day) in enumerate(days)
    ]
    assert is_proved(*read(document(*statements)))


def test_many_groups_and_a_long_text_take_no_square_of_time() -> None:
    groups = "".join(
        f"{'</NtryDtls><NtryDtls>' if number else ''}<Btch><PmtInfId>P{number}</PmtInfId></Btch>"
        + detail("1", text="x")
        for number in range(2000)
    )
    entry = booked("2000", details=groups, more="y" * 60_000)
    started = monotonic()
    report, lines = read(document(statement(balance("OPBD", "0"), balance("CLBD", "2000"), entry)))
    assert monotonic() - started < 4
    assert (len(lines), is_proved(report, lines)) == (2000, True)


@pytest.mark.parametrize(
    "text",
    [
        "RE12 DE89370400440532013000",
        "KW47 DE89 3704 0044 0532 0130 00",
        "DE89370400440532013000BIC",
        "de89370400440532013000",
        "DE89-3704-0044-0532-0130-00",
    ],
)
def test_an_account_number_is_not_kept_however_it_is_written(text: str) -> None:
    details = detail("5", text=text)
    [line] = read(document(statement(balance("OPBD", "0"), balance("CLBD", "5"), booked("5", details=details))))[1]
    assert "IBAN" in line.description
    assert "3704" not in line.description


def test_the_two_formats_name_an_entry_alike() -> None:
    assert read(PAYOUTS_OF_08)[1][0].entry_ref == read(DUTCH)[1][0].entry_ref
    assert read(PAYOUTS_OF_08)[1][-1].entry_ref == read(DUTCH)[1][-1].entry_ref


def test_several_accounts_and_currencies_prove_themselves_each() -> None:
    content = document(
        statement(
            balance("OPBD", "1"),
            balance("OPBD", "10", currency="USD"),
            balance("CLBD", "3"),
            balance("CLBD", "4", mark="DBIT", currency="USD"),
            booked("2"),
            booked("14", mark="DBIT", currency="USD"),
        ),
        statement(balance("PRCD", "0"), balance("CLBD", "9"), booked("9"), account="<Othr><Id>made up 12</Id></Othr>"),
    )
    report, lines = read(content)
    assert is_proved(report, lines)
    assert [section.account for section in report.sections] == [IBAN, "MADEUP12"]
    assert report.sections[0].expected == {"EUR": 2, "USD": -14}


def test_pages_of_a_statement_prove_themselves_together() -> None:
    content = document(
        statement(balance("OPBD", "100"), balance("ITBD", "105"), booked("5")),
        statement(balance("ITBD", "105"), balance("ITBD", "111"), booked("6")),
        statement(balance("ITBD", "111"), balance("CLBD", "118"), booked("7")),
    )
    report, lines = read(content)
    assert len(report.sections) == 1
    assert report.sections[0].expected == {"EUR": 18}
    assert is_proved(report, lines)
    assert not is_proved(*read(content.replace(booked("6"), "")))


def test_numbered_pages_that_repeat_the_balances_are_one_statement() -> None:
    pages = [
        statement(
            balance("OPBD", "100"),
            balance("CLBD", "111"),
            booked(value),
            page=f"<StmtPgntn><PgNb>{number}</PgNb><LastPgInd>false</LastPgInd></StmtPgntn>",
        )
        for number, value in ((1, "5"), (2, "6"))
    ]
    report, lines = read(document(*pages))
    assert len(report.sections) == 1
    assert is_proved(report, lines)


def test_one_name_for_statements_of_two_days_is_two_sections() -> None:
    content = document(
        statement(balance("OPBD", "0", day="2026-11-26"), balance("CLBD", "5", day="2026-11-26"), booked("5")),
        statement(balance("OPBD", "5"), balance("CLBD", "6"), booked("1")),
        statement(balance("OPBD", "6"), balance("CLBD", "8"), booked("2")),
    )
    report, lines = read(content)
    assert [section.name for section in report.sections] == ["S1 2026-11-26", "S1 2026-11-27", "S1 2026-11-27 #2"]
    assert is_proved(report, lines)


def test_a_statement_that_does_not_open_with_what_the_one_before_closed_with_is_a_fault() -> None:
    def two(opening: str, closing: str) -> str:
        return document(
            statement(balance("OPBD", "0"), balance("CLBD", "5"), booked("5"), name="S1", number="7"),
            statement(balance("OPBD", opening), balance("CLBD", closing), booked("1"), name="S2", number="8"),
        )

    assert is_proved(*read(two("5", "6")))
    report, _ = read(two("6", "7"))
    assert report.faults == [
        f"the statement S2 2026-11-27 of {IBAN} does not open in EUR with what S1 2026-11-27 closed with"
    ]


@pytest.mark.parametrize(
    "content",
    [
        document(statement(booked("5"))),
        document(statement(balance("OPBD", "0"), booked("5"))),
        document(statement(balance("OPBD", "0"), balance("CLBD", "0"), booked("5", currency="USD"))),
        document(statement()),
    ],
)
def test_a_statement_without_its_balances_is_a_fault(content: str) -> None:
    report, lines = read(content)
    assert report.faults != []
    assert not is_proved(report, lines)


def test_days_are_the_bank_s_and_moments_are_in_utc() -> None:
    entry = booked("5").replace("<Dt>2026-11-27</Dt>", "<DtTm>2027-01-01T00:30:00+01:00</DtTm>")
    [line] = read(document(statement(balance("OPBD", "0"), balance("CLBD", "5"), entry)))[1]
    assert line.occurred_at.isoformat() == "2026-12-31T23:30:00+00:00"
    assert line.occurred_local == "2027-01-01T00:30:00+01:00"


def test_no_names_and_no_accounts_of_others_are_kept() -> None:
    details = (
        "<TxDtls><Refs><EndToEndId>E2E</EndToEndId></Refs><RltdPties><Dbtr><Pty><Nm>Ann Example</Nm></Pty></Dbtr>"
        "<DbtrAcct><Id><IBAN>GB82WEST12345698765432</IBAN></Id></DbtrAcct></RltdPties>"
        "<RmtInf><Ustrd>from GB82 WEST 1234 5698 7654 32 and TX900000000041XT</Ustrd></RmtInf></TxDtls>"
    )
    [line] = read(document(statement(balance("OPBD", "0"), balance("CLBD", "5"), booked("5", details=details))))[1]
    assert line.description == "from IBAN and TX900000000041XT | E2E"


def test_a_description_is_bounded_and_keeps_the_reference_of_a_creditor() -> None:
    details = (
        "<TxDtls><RmtInf>"
        + "<Ustrd>x</Ustrd>" * 5000
        + "<Strd><CdtrRefInf><Ref>RF18MADEUP</Ref></CdtrRefInf></Strd></RmtInf></TxDtls>"
    )
    [line] = read(document(statement(balance("OPBD", "0"), balance("CLBD", "5"), booked("5", details=details))))[1]
    assert len(line.description) <= 2000
    short = details.replace("<Ustrd>x</Ustrd>" * 5000, "<Ustrd>text</Ustrd>")
    [line] = read(document(statement(balance("OPBD", "0"), balance("CLBD", "5"), booked("5", details=short))))[1]
    assert line.description == "text | RF18MADEUP"


def test_an_account_that_the_operator_names_has_to_be_the_statement_s() -> None:
    assert len(read(PAYOUTS_OF_08, account="nl00 made 0000 0000 01")[1]) == 5
    with pytest.raises(UnreadableReportError, match="is of account NL00MADE0000000001, not of DE00"):
        read(PAYOUTS_OF_08, account="DE00")


def test_a_statement_may_leave_its_account_to_the_operator() -> None:
    content = document(statement(balance("OPBD", "0"), balance("CLBD", "5"), booked("5"))).replace(
        f"<Id><IBAN>{IBAN}</IBAN></Id>", ""
    )
    assert [line.account for line in read(content, account="de00 made")[1]] == ["DE00MADE"]
    with pytest.raises(UnreadableReportError, match="names no account"):
        read(content)


def _entry(old: str, new: str) -> str:
    return document(statement(balance("OPBD", "0"), balance("CLBD", "5"), booked("5").replace(old, new)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (document(version="camt.052.001.08", message="BkToCstmrAcctRpt"), "this is camt.052"),
        (document(version="camt.054.001.08", message="BkToCstmrDbtCdtNtfctn"), "this is camt.054"),
        (document(version="camt.053.001.01"), "camt.053.001.01 is not read"),
        (document(version="camt.053.001.15"), "camt.053.001.15 is not read"),
        (document(version="pain.001.001.09"), "no camt.053"),
        (document(message="BkToCstmrAcctRpt"), "no camt.053"),
        ("<Document><BkToCstmrStmt/></Document>", "no camt.053"),
        ("<a/>", "no camt.053"),
        (document(), "no statement"),
        (_entry('<Amt Ccy="EUR">5</Amt>', ""), "line 2: Ntry has no amount"),
        (_entry(">5<", ">5,00<"), "is no amount"),
        (_entry(">5<", ">-5<"), "is no amount"),
        (_entry(">5<", ">NaN<"), "is no amount"),
        (_entry(">5<", ">1e9<"), "is no amount"),
        (_entry(">5<", f">{'9' * 40}<"), "is no amount"),
        (_entry('Ccy="EUR"', 'Ccy="euro"'), "is no currency"),
        (_entry("CRDT", "C"), "neither CRDT nor DBIT"),
        (_entry("2026-11-27", "2026-02-30"), "is no date"),
        (_entry("2026-11-27", "27.11.2026"), "is no date"),
        (document(statement(booked("5"), account="")), "names no account"),
        (document(statement(booked("5")))[:-30], "no well-formed XML"),
    ],
)
def test_what_is_none_or_not_whole_is_refused_in_words(content: str, words: str) -> None:
    with pytest.raises(UnreadableReportError, match=re.escape(words)):
        read(content)
