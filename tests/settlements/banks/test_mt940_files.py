"""MT940 as banks write it: marks, dates without a year, texts in pieces, pages; and what contradicts itself."""

from __future__ import annotations

import logging
import re
from datetime import date
from decimal import Decimal
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout_service.providers.reports import UnreadableReportError
from checkout_service.settlement_words import EntryKind
from checkout_service.settlements.banks.bookings import Chain, gaps, unique_name
from tests.settlements.banks.documents import IBAN, is_proved, mt940, read
from tests.settlements.banks.samples import DUTCH, GERMAN

OWN = "DE00MADE000000000001"
SAMPLES = [DUTCH, GERMAN.replace("00000000/0000000001", OWN)]


def entry(mark_and_amount: str, text: str = "", *, dates: str = "2611271127", rest: str = "NTRFNONREF//B1") -> str:
    return f":61:{dates}{mark_and_amount}{rest}" + (f"\n:86:{text}" if text else "")


def test_a_dutch_text_keeps_its_references_and_no_names() -> None:
    report, lines = read(DUTCH)
    assert [(str(line.net), line.description, line.provider_type) for line in lines] == [
        ("49.70", "MADEUP-E2E-1 | TULIP SHOP", "NTRF"),
        ("-60.00", "made-up reversal of a credit", "NTRF"),
    ]
    assert (lines[0].account, lines[0].currency, lines[0].kind) == (IBAN, "EUR", EntryKind.BANK)
    assert (lines[1].occurred_local, str(lines[1].available_on)) == ("2026-11-27", "2026-11-20")
    assert (report.form, is_proved(report, lines)) == ("mt940", True)


def test_a_german_text_is_put_together_across_its_pieces() -> None:
    report, lines = read(GERMAN, account=OWN)
    assert [(str(line.net), line.description, line.account) for line in lines] == [
        ("90.09", "TX900000000041XT batch 41, TulipShopECOM | MADEUP-E2E-2 | GUTSCHRIFT", OWN),
        ("-60.00", "made-up reversal | STORNO", OWN),
    ]
    assert is_proved(report, lines)


def test_a_german_account_is_named_by_the_operator_and_an_iban_is_compared() -> None:
    assert {line.account for line in read(GERMAN, account="DE00 MADE")[1]} == {"DE00MADE"}
    assert {line.account for line in read(DUTCH, account=IBAN.lower())[1]} == {IBAN}
    with pytest.raises(UnreadableReportError, match="is of account NL00MADE0000000001"):
        read(DUTCH, account="DE00 MADE")


@pytest.mark.parametrize("named", ["00000000/0000000001", "MADEDEFF/0000000001", "0000000001EUR"])
def test_an_account_that_is_no_iban_has_to_be_named(named: str) -> None:
    content = GERMAN.replace("00000000/0000000001", named)
    plain = named.removesuffix("EUR")
    with pytest.raises(UnreadableReportError, match=f"account is {plain}, which is no IBAN: name that with --account"):
        read(content)
    assert {line.account for line in read(content, account="DE00 MADE")[1]} == {"DE00MADE"}


@pytest.mark.parametrize("content", SAMPLES)
def test_a_file_with_one_cent_more_one_entry_twice_or_one_less_does_not_prove_itself(content: str) -> None:
    account = "DE00MADE" if content == GERMAN else ""
    assert is_proved(*read(content, account=account))
    for found in re.findall(r":61:.*?(?=\n:6)", content, re.DOTALL):
        assert not is_proved(
            *read(content.replace(found, re.sub(r",(\d)\d", r",\g<1>1", found, count=1)), account=account)
        )
        assert not is_proved(*read(content.replace(found, f"{found}\n{found}"), account=account))
        assert not is_proved(*read(content.replace(f"{found}\n", ""), account=account))


@pytest.mark.parametrize(
    ("text", "net"),
    [
        ("C60,00", "60.00"),
        ("D60,00", "-60.00"),
        ("RC60,00", "-60.00"),
        ("RD60,00", "60.00"),
        ("CR60,00", "60.00"),
        ("DR60,00", "-60.00"),
        ("RCR60,00", "-60.00"),
        ("RDR60,00", "60.00"),
        ("C60,", "60"),
        ("C60", "60"),
        ("C,5", "0.5"),
        ("c60,00", "60.00"),
        ("rc60,00", "-60.00"),
        ("C 60,00", "60.00"),
        ("D-104,12", "-104.12"),
    ],
)
def test_marks_and_amounts(text: str, net: str) -> None:
    closing = f"C261127EUR{1000 + Decimal(net)}".replace(".", ",")
    report, lines = read(mt940(entry(text), closing=closing))
    assert [line.net for line in lines] == [Decimal(net)]
    assert is_proved(report, lines)


def test_a_minus_sign_counts_where_only_so_the_balances_hold() -> None:
    report, lines = read(mt940(entry("D-104,12"), entry("C1,00"), closing="C261127EUR1105,12"))
    assert [str(line.net) for line in lines] == ["104.12", "1.00"]
    assert is_proved(report, lines)
    assert "opposite sign" in report.sections[0].rule


@pytest.mark.parametrize(
    ("dates", "day"),
    [
        ("2612311231", "2026-12-31"),
        ("2612310101", "2027-01-01"),
        ("2701011231", "2026-12-31"),
        ("270101", "2027-01-01"),
        ("270101    ", "2027-01-01"),
        ("2402290301", "2024-03-01"),
    ],
)
def test_a_booking_over_new_year_has_the_year_of_its_day(dates: str, day: str) -> None:
    [line] = read(mt940(entry("C1,00", dates=dates), closing="C270102EUR1001,00"))[1]
    assert (line.occurred_local, line.occurred_at.isoformat()) == (day, f"{day}T00:00:00+00:00")


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ("free text of a bank", "free text of a bank"),
        ("0123456789" * 6 + "TX900\n000000041XT", "0123456789" * 6 + "TX900000000041XT"),
        ("one line\nand another", "one line and another"),
        ("/TRTP/SEPA/IBAN/GB82WEST12345698765432/NAME/ANN EXAMPLE/REMI/R1/EREF/NOTPROVIDED", "SEPA | R1"),
        ("paid from GB82WEST12345698765432 by hand", "paid from IBAN by hand"),
        (
            "166?00CREDIT?20EREF+E1?21SVWZ+Ref?22erence 1?31GB82WEST12345698765432?32ANN EXAMPLE",
            "Reference 1 | E1 | CREDIT",
        ),
        ("166?00CREDIT?20no keyword", "no keyword | CREDIT"),
        ("Straße\nCafé", "Straße Café"),
        ("a line\n:99:that looks like a field", "a line :99:that looks like a field"),
        ("a line\n:61X:that looks like an entry", "a line :61X:that looks like an entry"),
        ("", ""),
    ],
)
def test_texts(text: str, description: str) -> None:
    [line] = read(mt940(entry("C1,00", text), closing="C261127EUR1001,00"))[1]
    assert line.description == description


@pytest.mark.parametrize(
    ("rest", "description"),
    [
        ("NTRFREF 1//B1", "REF 1"),
        ("NTRFREF 1//B1\nmore of it", "REF 1 | more of it"),
        ("NTRF" + "R" * 30 + "//" + "B" * 40 + "\nmore", "R" * 30 + " | more"),
        ("NMSC", ""),
        ("N166NONREF", ""),
    ],
)
def test_references_of_an_entry(rest: str, description: str) -> None:
    [line] = read(mt940(entry("C1,00", rest=rest), closing="C261127EUR1001,00"))[1]
    assert line.description == description


def test_an_entry_without_a_text_has_not_that_of_the_next() -> None:
    _, lines = read(mt940(entry("C1,00"), entry("C2,00", "two"), closing="C261127EUR1003,00"))
    assert [line.description for line in lines] == ["", "two"]


def page(number: str, opening: str, closing: str, *entries: str, account: str = IBAN) -> str:
    return "\n".join(
        (":20:X", f":25:{account}EUR", f":28C:{number}", f":60{opening}", *entries, f":62{closing}", "-", "")
    )


def test_pages_prove_themselves_together_and_follow_one_another() -> None:
    pages = [
        page("228/1", "F:C261126EUR100,00", "M:C261127EUR105,00", entry("C5,00")),
        page("228/2", "M:C261127EUR105,00", "M:C261127EUR111,00", entry("C6,00", rest="NTRFNONREF//B2")),
        page("228/3", "M:C261127EUR111,00", "F:C261127EUR118,00", entry("C7,00", rest="NTRFNONREF//B3")),
    ]
    report, lines = read("".join(pages))
    assert [section.expected for section in report.sections] == [{"EUR": 18}]
    assert is_proved(report, lines)
    assert read(pages[0] + pages[2])[0].faults == [
        f"a page of 228 2026-11-26 of {IBAN} does not open with what the one before closed with"
    ]
    assert not is_proved(*read(pages[0] + pages[2]))


def test_several_statements_and_accounts_of_one_file() -> None:
    content = (
        page("1/1", "F:C261126EUR100,00", "F:C261126EUR105,00", entry("C5,00"))
        + page("2/1", "F:C261126EUR105,00", "F:C261127EUR100,00", entry("D5,00"))
        + page("1/1", "F:D261126EUR100,00", "F:C261126EUR5,00", entry("C105,00"), account="NL00MADE0000000002")
    )
    report, lines = read(content)
    assert [(section.account[-1], section.name) for section in report.sections] == [
        ("1", "1 2026-11-26"),
        ("1", "2 2026-11-26"),
        ("2", "1 2026-11-26"),
    ]
    assert is_proved(report, lines)
    assert read(content.replace("F:C261126EUR105,00\n:61", "F:C261126EUR104,00\n:61"))[0].faults != []


@pytest.mark.parametrize(
    "content",
    [
        DUTCH.replace("\n", "\r\n").encode(),
        DUTCH.replace("\n", "\r").encode(),
        b"\xef\xbb\xbf" + DUTCH.encode(),
        DUTCH.replace("TULIP SHOP", "Blumenl\u00e4den").encode("latin-1"),
        DUTCH.replace("TULIP SHOP", "Blumenl\u00e4den").encode(),
        ("ABNANL2A\n940\nABNANL2A\n" + DUTCH).encode(),
        (
            "{1:F01MADEUPXXXXXX0000000000}{2:O9400000000000MADEUPXXXXXX00000000000000000000N}{3:{108:X}}{4:\n"
            + DUTCH.removesuffix("-\n")
            + "-}{5:{CHK:0}}\n"
        ).encode(),
        ("{1:F01MADEUPXXXXXX0000000000}{2:I940MADEUPXXXXXXN}{4:" + DUTCH + "-}").encode(),
    ],
)
def test_line_ends_encodings_and_wrappers(content: bytes) -> None:
    report, lines = read(content)
    assert [str(line.net) for line in lines] == ["49.70", "-60.00"]
    assert lines[0].description.split(" | ")[1] in {"TULIP SHOP", "Blumenl\u00e4den"}
    assert is_proved(report, lines)


def test_a_thousand_entries_are_read_some_at_a_time() -> None:
    entries = [entry("C1,00", f"text {number}", rest=f"NTRFNONREF//B{number}") for number in range(1001)]
    report, lines = read(mt940(*entries, closing="C261127EUR2001,00"))
    assert [line.description for line in lines] == [f"text {number}" for number in range(1001)]
    assert is_proved(report, lines)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (mt940(":61:text"), "line 5: :61: is no entry"),
        (mt940(":61:2611271127C49,70"), "line 5: :61: is no entry"),
        (mt940(entry("X1,00")), "line 5: :61: is no entry"),
        (mt940(entry("C1,00,0")), "line 5: :61: is no entry"),
        (mt940(entry("C1.000,00")), "line 5: :61: is no entry"),
        (mt940(entry("C1,00"), entry("C1,00", dates="2613011301")), "line 6: the field cannot be read"),
        (mt940(entry("C1,00", dates="2611271131")), "line 5: the field cannot be read"),
        (mt940(opening="X261126EUR1,00"), ":60F: is no balance"),
        (mt940(opening="C261326EUR1,00"), "the field cannot be read"),
        (mt940(closing="C261126EU1,00"), ":62F: is no balance"),
        (mt940().replace(f":25:{IBAN}EUR\n", ""), "names no account"),
        (mt940(entry("C1,00")).replace(":60F:C261126EUR1000,00\n", ""), "no opening balance"),
        ("{1:F01X}{2:O942X}{4:\n" + mt940(), "other than MT940"),
        (mt940(entry("C1,00", "x" * 5000)), "more than 4096 characters"),
        (mt940(entry("C1,00", "\n".join(["x" * 1000] * 40))), "is too long"),
        (mt940(entry("C1,00"), *[":86:x"] * 200), "the text of an entry is too long"),
        (mt940(entry("C1,00", rest="NTRF\na\nb")), "line 5: :61: is no entry"),
    ],
)
def test_what_is_none_is_refused_in_words(content: str, words: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(UnreadableReportError) as refused:
        read(content)
    assert words in str(refused.value)
    assert caplog.records == []


@pytest.mark.parametrize("content", [b"", b" \n", b"text", b"%PDF-1.7", b"a;b;c\n1;2;3\n", b":86:alone", b"\x00" * 100])
def test_a_file_of_another_kind_is_refused_at_once(content: bytes) -> None:
    with pytest.raises(UnreadableReportError, match=r"file is empty|no statement of a bank"):
        read(content)


def test_a_text_that_is_the_name_of_a_file_is_not_opened(tmp_path: object) -> None:
    assert len(read(mt940(entry("C1,00", str(tmp_path)), closing="C261127EUR1001,00"))[1]) == 1


def test_a_bank_s_own_number_is_one_account() -> None:
    with pytest.raises(UnreadableReportError, match="is no IBAN: name that with --account"):
        read(GERMAN)
    assert read(GERMAN, account="00000000/0000000001")[1][0].account == "00000000/0000000001"
    iban = "DE89370400440532013000"
    right = GERMAN.replace("00000000/0000000001", "37040044/532013000")
    assert read(right, account=iban)[1][0].account == iban
    with pytest.raises(UnreadableReportError, match="which is not DE89"):
        read(right.replace("532013000", "532013001"), account=iban)
    with pytest.raises(UnreadableReportError, match="cannot both be DE00MADE"):
        read(GERMAN + GERMAN.replace("0000000001", "0000000002"), account="DE00MADE")


@pytest.mark.parametrize("mark", ["~", "\u2039", "<"])
def test_a_text_in_parts_behind_another_mark_keeps_no_names(mark: str) -> None:
    text = f"020{mark}00PRZELEW\n{mark}20TX900000000041XT\n{mark}32ANN EXAMPLE\n{mark}27SOME STREET 1"
    [line] = read(mt940(entry("C1,00", text), closing="C261127EUR1001,00"))[1]
    assert line.description == "PRZELEW TX900000000041XT"


def test_utf_16_with_its_mark_is_read() -> None:
    report, lines = read(DUTCH.encode("utf-16"))
    assert is_proved(report, lines)
    assert [str(line.net) for line in lines] == ["49.70", "-60.00"]


@given(st.sampled_from([sample.encode() for sample in SAMPLES]), st.data())
def test_any_change_is_read_or_refused_in_words(content: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(content)))
    length = data.draw(st.integers(0, 40))
    pieces = [b"\n", b":", b":61:", b":86:", b"?", b"\n:60F:", b",", b"//", b"-\n", b"\r", b"\x00", b"{4:", b"9999"]
    instead = data.draw(st.one_of(st.binary(max_size=8), st.sampled_from(pieces)))
    try:
        report, lines = read(content[:start] + instead + content[start + length :])
    except UnreadableReportError:
        return
    assert all(line.net == line.gross and line.currency for line in lines)
    assert report.sections


def test_gaps_of_thousands_of_statements_are_found_without_comparing_each_with_each() -> None:
    chains = [
        Chain(
            account=IBAN,
            name=str(number),
            number=number,
            opening={"EUR": Decimal(number)},
            closing={"EUR": Decimal(-number)},
            until=date(2026, 11, 1),
        )
        for number in range(1, 10_001)
    ]
    began = process_time()

    found = gaps(chains)

    assert process_time() - began < 1.5
    assert len(found) == 9_999
    assert found[0] == f"the statement 2 of {IBAN} does not open in EUR with what 1 closed with"


def test_thousands_of_statements_of_one_name_are_numbered_without_counting_anew() -> None:
    used: dict[tuple[str, str], int] = {}
    assert unique_name("1 #2", IBAN, used) == "1 #2"
    began = process_time()

    names = [unique_name("1", IBAN, used) for _ in range(5_000)]

    assert process_time() - began < 0.5
    assert names[:3] == ["1", "1 #3", "1 #4"]
    assert len(set(names)) == 5_000
    assert unique_name("1", "another", used) == "1"
