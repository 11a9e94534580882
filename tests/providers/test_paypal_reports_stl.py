"""PayPal's settlement report: each variant of it reads alike, and one that does not prove itself is held or refused."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkout_service.providers.adapters.paypal import reports_lines, reports_rows
from checkout_service.providers.adapters.paypal.reports_kinds import kind_of
from checkout_service.providers.adapters.paypal.reports_stl import read_settlement_report
from checkout_service.providers.reports import LONGEST_LINE, Report, ReportLine, UnreadableReportError
from checkout_service.settlement_words import EntryKind, PayoutStatus, Subject
from tests.providers.proving_reports import SAMPLES, read_whole, why_held

NAME = "STL-20261126.01.011.CSV"
SAMPLE = (SAMPLES / "paypal-STL-20261126.01.011.CSV").read_bytes()
ACCOUNT = "MADEUPMERCH01"
SECTION = "2026-11-26T08:00:00Z/2026-11-27T07:59:59Z 01"

COLUMNS = """
    Transaction ID|Invoice ID|PayPal Reference ID|PayPal Reference ID Type|Transaction Event Code
    |Transaction Initiation Date|Transaction Completion Date|Transaction  Debit or Credit|Gross Transaction Amount
    |Gross Transaction Currency|Fee Debit or Credit|Fee Amount|Fee Currency|Custom Field|Consumer ID
    |Payment Tracking ID|Store ID|Bank Reference ID
"""
NAMES = [name.strip() for name in COLUMNS.replace("\n", "").split("|")]


def row(
    transaction: str = "1MADEUP0000000009",
    code: str = "T0006",
    gross: str = "CR 10000 EUR",
    fee: str = "",
    *,
    at: str = "2026/11/26 08:00:30 -0800",
    **more: str,
) -> dict[str, str]:
    """A movement by the names of its columns."""
    way, amount, currency = gross.split(" ")
    fee_way, fee_amount, fee_currency = fee.split(" ") if fee else ("", "", "")
    return {
        "Transaction ID": transaction,
        "Transaction Event Code": code,
        "Transaction Initiation Date": at,
        "Transaction Completion Date": at,
        "Transaction  Debit or Credit": way,
        "Gross Transaction Amount": amount,
        "Gross Transaction Currency": currency,
        "Fee Debit or Credit": fee_way,
        "Fee Amount": fee_amount,
        "Fee Currency": fee_currency,
        **{name.replace("_", " "): value for name, value in more.items()},
    }


def totals(rows: list[dict[str, str]], kind: str) -> Iterator[str]:
    """What PayPal would say of the movements: the fee totals in the order that the sample has."""
    for currency in dict.fromkeys(item["Gross Transaction Currency"] for item in rows):
        sums: Counter[str] = Counter()
        for item in rows:
            if item["Gross Transaction Currency"] == currency:
                sums[item["Transaction  Debit or Credit"]] += int(item["Gross Transaction Amount"])
                sums[f"fee {item['Fee Debit or Credit']}"] += int(item["Fee Amount"] or 0)
        yield f'"{kind}","{currency}",{sums["CR"]},{sums["DR"]},{sums["fee CR"]},{sums["fee DR"]},"CR",0'


def built(*sections: list[dict[str, str]], names: list[str] = NAMES, accounts: tuple[str, ...] = (ACCOUNT,)) -> bytes:
    """A whole report with a section each."""
    lines = ['"RH","whatever stands here"', '"FH","1"']
    for number, rows in enumerate(sections):
        account = accounts[number % len(accounts)]
        day = f"2026/11/{26 - number // len(accounts):02}"
        lines.append(f'"SH","{day} 00:00:00 -0800","{day} 23:59:59 -0800","{account}",""')
        lines.append(",".join(["CH", *(f'"{name}"' for name in names)]))
        known = {"".join(name.split()).casefold(): name for name in NAMES}
        for item in rows:
            values = [item.get(known.get("".join(name.split()).casefold(), ""), "") for name in names]
            lines.append(",".join(["SB", *(f'"{value.replace(chr(34), chr(34) * 2)}"' for value in values)]))
        lines += [*totals(rows, "SF"), f'"SC",{len(rows)}']
    everything = [item for rows in sections for item in rows]
    lines += [*totals(everything, "RF"), f'"RC",{len(everything)}', f'"FF",{len(everything)}']
    return "\r\n".join(lines).encode() + b"\r\n"


def read(data: bytes, *, name: str = NAME, account: str = "") -> tuple[Report, list[ReportLine]]:
    return read_whole(read_settlement_report, data, name=name, account=account)


def values(lines: list[ReportLine]) -> list[Any]:
    """Of lines what does not depend on where they stand."""
    return [line._replace(line=0) for line in lines]


def test_the_sample_is_three_movements_that_prove_themselves_and_a_withdrawal() -> None:
    report, lines = read(SAMPLE)

    assert why_held(report, lines) == []
    sale, refund, withdrawal = lines
    assert (sale.kind, sale.gross, sale.fee, sale.net) == (
        EntryKind.CAPTURE,
        Decimal("100.00"),
        Decimal("2.84"),
        Decimal("97.16"),
    )
    assert (sale.about, sale.subject_ref, sale.merchant_ref) == (Subject.CAPTURE, "1MADEUP0000000001", "T-3001")
    assert sale.occurred_at == datetime(2026, 11, 26, 16, 0, 30, tzinfo=UTC)
    assert sale.occurred_local == "2026/11/26 08:00:30 -0800"
    assert (refund.kind, refund.net, refund.payment_ref) == (EntryKind.REFUND, Decimal("-30.00"), sale.subject_ref)
    assert (withdrawal.kind, withdrawal.about) == (EntryKind.PAYOUT, Subject.NONE)
    [payout] = report.payouts
    assert (payout.payout_ref, withdrawal.payout_ref) == ("1MADEUP0000000003",) * 2
    assert (payout.amount, payout.itemized, payout.status) == (Decimal("67.16"), False, PayoutStatus.PAID)
    assert payout.bank_reference == "1047000000001"
    [section] = report.sections
    assert (section.name, section.expected, section.rows) == (SECTION, {"EUR": Decimal(0)}, 3)
    assert section.complete
    assert report.form == "paypal-stl-011"
    assert report.columns[:2] == ["Transaction ID", "Invoice ID"]
    assert len({line.entry_ref for line in lines}) == 3
    assert all(line.is_made and line.description == "" for line in lines)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_each_encoding_that_was_seen_reads_alike_and_hashes_its_own_bytes(encoding: str) -> None:
    data = SAMPLE.decode().encode(encoding)

    report, lines = read(data)

    assert lines == read(SAMPLE)[1]
    assert report.sha256 == reports_rows.sha256(data).digest()


def test_two_blanks_none_and_other_case_in_the_header_read_alike() -> None:
    plain = read(SAMPLE)[1]
    header = next(line for line in SAMPLE.splitlines() if line.startswith(b'"CH"'))
    for other in (
        header.replace(b"Transaction Debit", b"Transaction  Debit"),
        header.replace(b" ", b""),
        header.replace(b" ", b"").upper(),
        header.replace(b'"', b""),
    ):
        report, lines = read(SAMPLE.replace(header, other))
        assert lines == plain
        assert why_held(report, lines) == []


@given(order=st.permutations(NAMES), more=st.booleans())
@settings(max_examples=25, deadline=None)
def test_columns_are_found_by_name_in_any_order_and_beside_others(order: list[str], more: bool) -> None:
    rows = [row(fee="DR 284 EUR", Invoice_ID="T-1"), row("2", "T1107", "DR 3000 EUR", Bank_Reference_ID="7")]
    names = [*order, "Something New"] if more else order

    assert values(read(built(rows, names=names))[1]) == values(read(built(rows))[1])


@pytest.mark.parametrize(
    ("currency", "amount", "becomes"),
    [("JPY", "10000", "10000"), ("HUF", "10000", "10000"), ("TWD", "7", "7"), ("KWD", "10000", "10.000"),
     ("USD", "1", "0.01"), ("EUR", "0", "0")],
)  # fmt: skip
def test_minor_units_have_the_decimals_that_paypal_gives_a_currency(currency: str, amount: str, becomes: str) -> None:
    report, [line] = read(built([row(gross=f"CR {amount} {currency}")]))

    assert (line.gross, line.currency) == (Decimal(becomes), currency)
    assert why_held(report, [line]) == []


def test_a_fee_that_is_given_back_is_negative_and_counts_among_the_totals() -> None:
    report, lines = read(built([row(fee="DR 284 EUR"), row("2", "T1107", "DR 3000 EUR", "CR 30 EUR")]))

    assert [line.fee for line in lines] == [Decimal("2.84"), Decimal("-0.30")]
    assert lines[1].net == Decimal("-29.70")
    assert why_held(report, lines) == []
    swapped = built([row(fee="DR 284 EUR"), row("2", "T1107", "DR 3000 EUR", "CR 30 EUR")]).replace(
        b",30,284,", b",284,30,"
    )
    assert b",284,30," in swapped
    assert why_held(*read(swapped)) == []


def test_new_year_comes_by_the_offset_of_the_file() -> None:
    night = row(at="2026/12/31 23:30:00 -0800")
    morning = row("2", at="2027/01/01 00:30:00 +0100")

    _, lines = read(built([night, morning]))

    assert [line.occurred_at.isoformat() for line in lines] == [
        "2027-01-01T07:30:00+00:00",
        "2026-12-31T23:30:00+00:00",
    ]
    same_instant = read(built([row(at="2027/01/01 07:30:00 +0000")]))[1][0]
    assert same_instant.entry_ref == lines[0].entry_ref


def test_sections_of_partners_prove_themselves_apart() -> None:
    one, other = [row(fee="DR 284 EUR")], [row("2", gross="CR 500 USD")]

    report, lines = read(built(one, other, accounts=("SHOP", "PARTNER")))

    assert [(each.account, each.expected) for each in report.sections] == [
        ("SHOP", {"EUR": Decimal("97.16")}),
        ("PARTNER", {"USD": Decimal("5.00")}),
    ]
    assert [line.account for line in lines] == ["SHOP", "PARTNER"]
    assert why_held(report, lines) == []
    with pytest.raises(UnreadableReportError, match="account PARTNER, not SHOP"):
        read(built(one, other, accounts=("SHOP", "PARTNER")), account="SHOP")
    with pytest.raises(UnreadableReportError, match="second section"):
        read(built(one, other, accounts=("SHOP", "SHOP")).replace(b"2026/11/25", b"2026/11/26"))


def test_two_sides_of_a_conversion_are_in_two_currencies_and_no_capture() -> None:
    sides = [row("A", "T0200", "DR 1000 USD"), row("B", "T0200", "CR 920 EUR")]

    report, lines = read(built(sides))

    assert {line.kind for line in lines} == {EntryKind.CONVERSION}
    assert report.sections[0].expected == {"USD": Decimal(-10), "EUR": Decimal("9.2")}
    assert why_held(report, lines) == []


def test_ours_is_found_in_the_custom_field_and_a_customers_words_are_not_kept() -> None:
    ours = "paypal_" + "a" * 32
    found = read(built([row(Custom_Field=ours, Invoice_ID=f"{ours}_{'b' * 32}")]))[1][0]
    assert found.merchant_ref == ours

    of_capture = read(built([row(Invoice_ID=f"{ours}_{'b' * 32}")]))[1][0]
    assert of_capture.merchant_ref == ours

    strange = read(built([row(Custom_Field="Ann Other, ann@example.com", Consumer_ID="SECRETCONSUMER")]))[1][0]
    assert "ann" not in repr(strange).casefold()
    assert "SECRETCONSUMER" not in repr(strange)


def changed(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) == 1
    return data.replace(old, new)


SALE, REFUND, TOTAL = (
    line + b"\n" for line in SAMPLE.splitlines() if b"T0006" in line or b"T1107" in line or line.startswith(b'"SF"')
)


@pytest.mark.parametrize(
    ("spoiled", "reason"),
    [
        (changed(SAMPLE, b'"CR",10000,', b'"CR",10001,'), "residue 0.01 EUR"),
        (changed(SAMPLE, b'"DR",284,', b'"DR",285,'), "residue -0.01 EUR"),
        (SAMPLE.replace(SALE, SALE + SALE), "residue 97.16 EUR"),
        (SAMPLE.replace(REFUND, b""), "residue 30.00 EUR"),
        (changed(SAMPLE, b'"SF","EUR",10000', b'"SF","EUR",10001'), "residue -0.01 EUR"),
        (SAMPLE.replace(TOTAL, b""), "residue 0.00"),
        (changed(SAMPLE, b'"SC",3', b'"SC",4'), "rows 3 of 4"),
        (changed(SAMPLE, b'"RC",3', b'"RC",4'), "the count of movements of the report is 4, and it has 3"),
        (changed(SAMPLE, b'"FF",3', b'"FF",4'), "the file's count of movements is 4, and it has 3"),
        (changed(SAMPLE, b'"RF","EUR",10000,9716', b'"RF","EUR",10000,9717'), "the report says debits of 97.17 EUR"),
        (changed(SAMPLE, b'"SC",3\n', b""), "no count"),
    ],
)  # fmt: skip
def test_one_cent_one_line_or_one_count_holds_the_file(spoiled: bytes, reason: str) -> None:
    held = why_held(*read(spoiled))

    assert held
    if reason == "residue 0.00":
        assert held == ["the section of MADEUPMERCH01 has movements in EUR, and no total of them"]
    else:
        assert any(reason in each for each in held), held


def test_credits_and_debits_that_are_wrong_by_the_same_amount_hold_the_file() -> None:
    held = why_held(*read(changed(SAMPLE, b'"SF","EUR",10000,9716', b'"SF","EUR",10001,9717')))

    assert held == [
        "the section of MADEUPMERCH01 says credits of 100.01 EUR, and they add up to 100.00",
        "the section of MADEUPMERCH01 says debits of 97.17 EUR, and they add up to 97.16",
    ]


def test_only_the_last_part_has_the_reports_totals_and_they_are_of_all_parts() -> None:
    first = re.sub(rb'"R[FC]",.*\n', b"", SAMPLE)
    assert why_held(*read(first)) == []
    last = changed(changed(SAMPLE, b'"RC",3', b'"RC",9'), b'"RF","EUR",10000', b'"RF","EUR",99999')
    assert why_held(*read(last, name="STL-20261126.02.011.CSV")) == []
    assert read(last, name="STL-20261126.02.011.CSV")[0].sections[0].name != read(first)[0].sections[0].name


def test_a_new_version_has_the_same_sections_and_names() -> None:
    first, lines = read(SAMPLE)
    again, others = read(SAMPLE.replace(b"05:12:40", b"09:00:00"), name="STL-20261126.01.012.CSV")

    assert [each.name for each in first.sections] == [each.name for each in again.sections]
    assert [line.entry_ref for line in lines] == [line.entry_ref for line in others]
    assert first.sha256 != again.sha256
    assert read(SAMPLE, name="STL-20261126.H.01.011.CSV")[1] == lines


def test_nothing_of_the_fields_of_rh_and_fh_is_used() -> None:
    other = re.sub(rb'"RH",.*\n"FH",.*\n', b'"RH"\n"FH","x","y"\n', SAMPLE)

    assert read(other)[1] == read(SAMPLE)[1]
    assert why_held(*read(other)) == []


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("settlement.csv", "rows RH and FH"),
        ("STL-20261126.CSV", "rows RH and FH"),
        ("ADSF13S-9HBKUHNC34696-BRR-BALANCE_RECONCILIATION_REPORT-20261126-1-1-20261127.csv", "major units"),
        ("ADSF13S-9HBKUHNC34696-DRR-X-20261126-1-1-20261127.csv", "major units"),
        ("Disbursement report.csv", "major units"),
    ],
)
def test_another_report_or_a_renamed_one_is_refused_in_words(name: str, word: str) -> None:
    with pytest.raises(UnreadableReportError, match=word):
        read(SAMPLE, name=name)


@pytest.mark.parametrize("data", [b'{"transaction_details": []}', b"\xef\xbb\xbf\n [{}]"])
def test_what_its_api_answers_is_no_file_and_the_fetch_is_named(data: bytes) -> None:
    with pytest.raises(UnreadableReportError, match=r"this is JSON, as PayPal's API answers.*fetch reads that API"):
        read(data, name="paypal-transactions.json")


@pytest.mark.parametrize(
    ("data", "line", "word"),
    [
        (b"", None, "empty"),
        (b"Transfer ID,Amount\n1,2.00\n", 1, "major units"),
        (SAMPLE.replace(b'"CH"', b'"ZZ"', 1), 4, "'ZZ' where none can be"),
        (SAMPLE.replace(b'"Fee Amount"', b'"Fee"'), 4, "feeamount"),
        (SAMPLE.replace(b'"Store ID"', b'"Fee Amount"'), 4, "feeamount"),
        (SAMPLE.replace(b'"CR",10000', b'"CR",100.00'), 5, "whole number of minor units"),
        (SAMPLE.replace(b'"CR",10000', b'"CR",-10000'), 5, "whole number of minor units"),
        (SAMPLE.replace(b'"CR",10000', b'"",10000', 1), 5, "neither CR nor DR"),
        (SAMPLE.replace(b'"CR",10000', b'"XX",10000', 1), 5, "neither CR nor DR"),
        (SAMPLE.replace(b'"CR",10000', b'"CR",' + b"9" * 16), 5, "whole number"),
        (SAMPLE.replace(b'"CR",10000', '"CR",１００'.encode()), 5, "whole number"),
        (SAMPLE.replace(b'10000,"EUR","DR"', b'10000,"XQX","DR"'), 5, "another currency"),
        (SAMPLE.replace(b'3000,"EUR"', b'3000,"BTC"'), 6, "how many decimals"),
        (SAMPLE.replace(b"2026/11/26 08:00:30 -0800", b"2026-11-26 08:00:30"), 5, "Initiation Date"),
        (SAMPLE.replace(b"2026/11/26 08:00:30 -0800", b"9999/12/31 23:00:30 -0800"), 5, "Initiation Date"),
        (SAMPLE.replace(b'"T0006"', b'""'), 5, "event code"),
        (SAMPLE.replace(b'"1MADEUP0000000002"', b'"\0"'), 6, "printable"),
        (SAMPLE.replace(b'"FF",3\n', b""), 11, "cut short"),
        (SAMPLE + SAMPLE, 13, "after the last one"),
        (SAMPLE.replace(b'"FF",3', b'"FF",three'), 12, "no number"),
        (SAMPLE.replace(b'"T0400"', b'"T0400').replace(b'",,,\n"SF"', b',,,\n"SF"'), None, "line "),
        (SAMPLE.replace(b"T-3001", b"\xff\xfe", 1), None, "no text"),
        (SAMPLE[:400] + b'"' + b"x" * (LONGEST_LINE + 9), None, "line "),
        (SAMPLE[:-60] + b'\n"SB"\n', None, "line "),
        (SAMPLE.decode().encode("utf-16")[:-1], None, "no text"),
    ],
)
def test_a_row_that_cannot_be_read_names_its_line(data: bytes, line: int | None, word: str) -> None:
    with pytest.raises(UnreadableReportError, match=re.escape(word)) as caught:
        read(data)
    if line is not None:
        assert caught.value.line == line


def test_a_row_that_a_quotation_mark_opens_is_bounded_and_so_is_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = SAMPLE.splitlines()[:4]
    many = b"\n".join([*endless, b'"SB",' + b'"\n",' * LONGEST_LINE])
    with pytest.raises(UnreadableReportError, match=f"more than {LONGEST_LINE} characters"):
        read(many)

    monkeypatch.setattr(reports_rows, "LARGEST_FILE", len(SAMPLE))
    assert len(read(SAMPLE)[1]) == 3
    with pytest.raises(UnreadableReportError, match="bytes"):
        read(SAMPLE + b"\n")


def test_withdrawals_that_are_kept_in_memory_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports_lines, "MOST_PAYOUTS", 2)
    rows = [row(str(number), "T0400", "DR 100 EUR") for number in range(3)]

    assert len(read(built(rows[:2]))[0].payouts) == 2
    with pytest.raises(UnreadableReportError, match="withdrawals") as caught:
        read(built(rows))
    assert caught.value.line == 7


def test_a_withdrawal_has_one_payout_and_two_of_one_name_that_differ_hold_the_file() -> None:
    same = [row("W", "T0400", "DR 100 EUR"), row("W", "T0400", "DR 100 EUR")]
    report, lines = read(built(same))
    assert (len(lines), len(report.payouts), why_held(report, lines)) == (2, 1, [])

    report, lines = read(built([*same, row("W", "T0400", "DR 101 EUR")]))
    assert why_held(report, lines) == ["two withdrawals that differ have the transaction ID W"]


@given(st.binary(max_size=300), st.integers(0, len(SAMPLE)))
@settings(max_examples=150, deadline=None)
def test_whatever_bytes_stand_in_a_file_it_is_read_or_refused(junk: bytes, at: int) -> None:
    for data in (junk, SAMPLE[:at] + junk, SAMPLE[:at] + junk + SAMPLE[at:]):
        with suppress(UnreadableReportError):
            read(data)


@given(st.permutations(range(5)), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_any_order_and_split_into_days_gives_the_same_names(order: list[int], cut: int) -> None:
    rows = [
        row("1", fee="DR 5 EUR"), row("1", fee="DR 5 EUR"), row("1", "T1110", "DR 100 EUR"),
        row("1", "T1111", "CR 100 EUR"), row("2", "T1107", "DR 30 JPY"),
    ]  # fmt: skip
    mixed = [rows[place] for place in order]
    whole = Counter(line.entry_ref for line in read(built(rows))[1])

    report, lines = read(built(mixed[:cut], mixed[cut:]))

    assert Counter(line.entry_ref for line in lines) == whole
    assert sorted(whole.values()) == [1, 1, 1, 2]
    assert why_held(report, lines) == []


@pytest.mark.parametrize(
    ("code", "came", "kind"),
    [
        ("T0006", True, EntryKind.CAPTURE), ("T0006", False, EntryKind.ADJUSTMENT), ("T0018", True, EntryKind.CAPTURE),
        ("T0106", False, EntryKind.FEE), ("T0113", False, EntryKind.FEE), ("T1108", True, EntryKind.FEE),
        ("T1109", True, EntryKind.FEE), ("T0202", True, EntryKind.CONVERSION), ("T0300", True, EntryKind.TRANSFER),
        ("T0401", False, EntryKind.PAYOUT), ("T0403", False, EntryKind.PAYOUT),
        ("T0400", True, EntryKind.PAYOUT_REVERSAL), ("T1101", True, EntryKind.PAYOUT_REVERSAL),
        ("T0700", True, EntryKind.TRANSFER), ("T1106", False, EntryKind.DISPUTE),
        ("T1106", True, EntryKind.DISPUTE_REVERSAL), ("T1107", False, EntryKind.REFUND),
        ("T1107", True, EntryKind.ADJUSTMENT), ("T1110", False, EntryKind.RESERVE), ("T1111", True, EntryKind.RESERVE),
        ("T1201", False, EntryKind.DISPUTE), ("T1202", True, EntryKind.DISPUTE_REVERSAL),
        ("T1500", False, EntryKind.RESERVE), ("T2103", False, EntryKind.RESERVE), ("T2104", True, EntryKind.RESERVE),
        ("T1900", True, EntryKind.ADJUSTMENT), ("T2001", False, EntryKind.TRANSFER),
        ("T9700", False, EntryKind.ADJUSTMENT), ("T9900", True, EntryKind.UNKNOWN), ("T4242", True, EntryKind.UNKNOWN),
        ("00", True, EntryKind.UNKNOWN), ("X0006", True, EntryKind.UNKNOWN),
    ],
)  # fmt: skip
def test_a_kind_is_of_the_code_and_the_sign(code: str, came: bool, kind: EntryKind) -> None:
    assert kind_of(code, came=came) is kind


def test_an_unknown_code_is_summed_and_shown() -> None:
    report, [line] = read(built([row(code="T9988", gross="CR 7 EUR")]))

    assert (line.kind, line.provider_type, line.net) == (EntryKind.UNKNOWN, "T9988", Decimal("0.07"))
    assert why_held(report, [line]) == []


def test_a_file_is_read_as_a_stream() -> None:
    """A file's lines come before its end was read, so that no file is held in memory."""
    body = b"\n".join(SAMPLE.splitlines()[:4]) + b"\n" + SALE * 20_000

    class Watched(io.BytesIO):
        read_so_far = 0

        def read(self, size: int | None = -1, /) -> bytes:
            piece = super().read(size)
            self.read_so_far += len(piece)
            return piece

    file = Watched(body)
    report = read_settlement_report(file, name=NAME, account="")
    assert next(report.lines).gross == Decimal(100)
    assert file.read_so_far < len(body) / 10


@pytest.mark.parametrize("name", ["transactions.json", "answer.txt"])
def test_an_answer_of_the_api_is_not_imported_and_says_so(name: str) -> None:
    with pytest.raises(UnreadableReportError, match="this is JSON"):
        read_settlement_report(io.BytesIO(b'{"transaction_details": []}'), name=name, account="")
