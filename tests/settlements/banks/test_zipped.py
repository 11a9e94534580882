"""Statements in a ZIP: all of its members, bounded, and each fault with the member's name."""

from __future__ import annotations

import struct
from contextlib import suppress
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, ZipFile, ZipInfo

import pytest

from checkout_service.providers.reports import UnreadableReportError
from checkout_service.settlements.banks import zipped
from tests.settlements.banks.documents import balance, booked, document, is_proved, read, statement
from tests.settlements.banks.samples import DETAILS_OF_02, DUTCH, PAYOUTS_OF_08


def packed(*members: tuple[str, str | bytes], compression: int = ZIP_DEFLATED) -> bytes:
    file = BytesIO()
    with ZipFile(file, "w", compression) as archive:
        for name, content in members:
            # Of a fixed moment: the bytes are part of a test's name, and each process has to find the same ones.
            archive.writestr(ZipInfo(name, (2026, 11, 27, 0, 0, 0)), content, compression)
    return file.getvalue()


@pytest.mark.parametrize("compression", [ZIP_DEFLATED, ZIP_STORED])
def test_all_members_are_read(compression: int) -> None:
    report, lines = read(
        packed(("folder/", ""), ("a.xml", PAYOUTS_OF_08), ("folder/b.xml", DETAILS_OF_02), compression=compression)
    )
    assert [line.line for line in lines] == list(range(1, 8))
    assert report.form == "camt.053.001.08, camt.053.001.02 in a ZIP"
    assert is_proved(report, lines)
    assert len({(section.account, section.name) for section in report.sections}) == 2


def test_what_macos_puts_into_a_zip_is_passed_over() -> None:
    report, lines = read(packed(("a.xml", PAYOUTS_OF_08), ("__MACOSX/._a.xml", b"\0\5"), ("folder/._b.xml", b"\0\5")))
    assert is_proved(report, lines)
    assert len(lines) == 5


def test_the_same_statement_twice_is_two_sections_of_equal_entries() -> None:
    report, lines = read(packed(("a.xml", PAYOUTS_OF_08), ("b.xml", PAYOUTS_OF_08)))
    assert len({section.name for section in report.sections}) == 2
    assert [line.entry_ref for line in lines[:5]] == [line.entry_ref for line in lines[5:]]


def test_a_reversal_that_counts_the_other_way_is_seen_in_a_zip() -> None:
    content = document(statement(balance("OPBD", "100"), balance("CLBD", "40"), booked("60", reversal="true")))
    assert is_proved(*read(packed(("a.xml", content))))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (packed(), "the ZIP is empty"),
        (packed(("a/", "")), "the ZIP is empty"),
        (packed(("a.xml", PAYOUTS_OF_08), ("b.txt", "text")), "'b.txt' of the ZIP, line 1: this is no well-formed XML"),
        (packed(("a.sta", DUTCH)), "'a.sta' of the ZIP"),
        (packed(("a.zip", packed(("b.xml", PAYOUTS_OF_08)))), "'a.zip' of the ZIP"),
        (packed(("a.xml", document(version="camt.052.001.08"))), "'a.xml' of the ZIP, this is camt.052"),
        (packed(("a.xml", PAYOUTS_OF_08), compression=ZIP_LZMA), "packed in a way that is not read"),
        (packed(("a.xml", PAYOUTS_OF_08))[:-10], "the ZIP"),
        (packed(("a.xml", PAYOUTS_OF_08))[:100], "the ZIP has no end"),
        (packed(*((f"{number}.xml", "") for number in range(1001))), "more than 1000 members"),
    ],
)
def test_what_is_no_zip_of_statements_is_refused_in_words(content: bytes, words: str) -> None:
    with pytest.raises(UnreadableReportError) as refused:
        read(content if not content.startswith(b"PK\x05\x06") else b"PK\x03\x04" + content)
    assert words in str(refused.value)


def test_an_encrypted_member_is_refused() -> None:
    content = bytearray(packed(("a.xml", PAYOUTS_OF_08)))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(UnreadableReportError, match="is encrypted"):
        read(bytes(content))


def test_a_member_is_bounded_by_what_it_says_and_by_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    large = packed(("a.xml", PAYOUTS_OF_08), ("b.xml", PAYOUTS_OF_08.replace("TULIP SHOP", " " * 5_000_000)))
    assert len(large) < 20_000
    monkeypatch.setattr(zipped, "LARGEST_XML", 1_000_000)
    with pytest.raises(UnreadableReportError, match=r"'b.xml' of the ZIP is too large"):
        read(large)
    # Its directory says less than there is: no more than that is unpacked, and its checksum does not fit.
    at = large.rindex(b"PK\x01\x02") + 24
    lying = large[:at] + struct.pack("<I", 5000) + large[at + 4 :]
    with pytest.raises(UnreadableReportError, match=r"'b.xml' of the ZIP"):
        read(lying)


def test_all_members_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipped, "_MOST_BYTES", len(PAYOUTS_OF_08) + len(DETAILS_OF_02) - 1)
    with pytest.raises(UnreadableReportError, match=r"'b.xml' of the ZIP is too large"):
        read(packed(("a.xml", PAYOUTS_OF_08), ("b.xml", DETAILS_OF_02)))


@pytest.mark.parametrize("at", range(0, 1500, 7))
def test_a_broken_zip_is_read_or_refused_in_words(at: int) -> None:
    content = bytearray(packed(("a.xml", PAYOUTS_OF_08), ("b.xml", DETAILS_OF_02)))
    content[at % len(content)] ^= 0xFF
    with suppress(UnreadableReportError):
        report, lines = read(bytes(content))
        assert is_proved(report, lines)
