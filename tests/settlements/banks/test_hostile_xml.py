"""XML that somebody wrote to do harm is refused in words, and bounded. The forms here are small, and harm nobody."""

from __future__ import annotations

import tracemalloc
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout_service.providers.reports import UnreadableReportError
from checkout_service.settlements.banks import xml_elements
from checkout_service.settlements.banks.reading import read_statement
from tests.settlements.banks.documents import balance, booked, detail, document, read, statement
from tests.settlements.banks.samples import DETAILS_OF_02, PAYOUTS_OF_08

PLAIN = document(statement(balance("OPBD", "0"), balance("CLBD", "5"), booked("5", more="HERE")))


def with_dtd(declaration: str, *, text: str = "HERE") -> str:
    head, rest = PLAIN.split("\n", 1)
    return f"{head}\n{declaration}\n{rest.replace('HERE', text)}"


@pytest.mark.parametrize(
    "content",
    [
        with_dtd("<!DOCTYPE Document>"),
        with_dtd('<!DOCTYPE Document [<!ENTITY a "b">]>', text="&a;"),
        with_dtd('<!DOCTYPE Document [<!ENTITY a "b"><!ENTITY c "&a;&a;">]>', text="&c;"),
        with_dtd('<!DOCTYPE Document [<!ENTITY a SYSTEM "file:///dev/null">]>', text="&a;"),
        with_dtd('<!DOCTYPE Document SYSTEM "http://127.0.0.1:1/none.dtd">'),
        with_dtd('<!DOCTYPE Document [<!ENTITY % a SYSTEM "http://127.0.0.1:1/none.dtd">%a;]>'),
        with_dtd('<!DOCTYPE Document [<!ATTLIST Document x CDATA "y">]>'),
    ],
)
def test_a_dtd_is_refused_whatever_it_declares(content: str) -> None:
    assert len(read(PLAIN)[1]) == 1
    with pytest.raises(UnreadableReportError, match="line 2: a DTD is not read"):
        read(content)


def test_an_entity_that_nobody_declared_is_refused() -> None:
    with pytest.raises(UnreadableReportError, match="no well-formed XML"):
        read(PLAIN.replace("HERE", "&a;"))


def test_depth_is_bounded_also_where_nothing_is_kept() -> None:
    def nested(depth: int) -> str:
        return PLAIN.replace("HERE", "HERE" + "<x>" * depth + "</x>" * depth)

    assert len(read(nested(50))[1]) == 1
    with pytest.raises(UnreadableReportError, match="nested more than 64 deep"):
        read(nested(100))


@pytest.mark.parametrize(
    "long",
    ['<x y="{}"/>', "<!--{}-->", "<?x {}?>", "<x{}/>", "<{}/>", '<x xmlns="{}"/>'],
)
def test_one_long_tag_is_refused_and_not_read_again_and_again(long: str) -> None:
    assert len(read(PLAIN.replace("HERE", "HERE" + long.format(" " if "<x{" in long else "a" * 1000)))[1]) == 1
    with pytest.raises(UnreadableReportError, match="a tag or a comment is too long"):
        read(PLAIN.replace("HERE", "HERE" + long.format((" " if "<x{" in long else "a") * 2_000_000)))


@pytest.mark.parametrize("piece", ["a", "a<!-- -->", "<![CDATA[a]]>"])
def test_a_long_text_is_refused(piece: str) -> None:
    with pytest.raises(UnreadableReportError, match="a text is too long"):
        read(PLAIN.replace("HERE", piece * 70_000))


def test_blanks_between_many_indented_parts_are_no_long_text() -> None:
    many = booked("5", details=("\n" + " " * 40 + detail(text="x")) * 2000)
    assert len(read(document(statement(balance("OPBD", "0"), balance("CLBD", "5"), many)))[1]) == 1


def test_so_are_too_many_elements_in_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_elements, "_MOST_ELEMENTS", 1000)
    many = booked("5", details=detail(text="x") * 2000)
    with pytest.raises(UnreadableReportError, match="an entry has too many elements"):
        read(document(statement(balance("OPBD", "0"), balance("CLBD", "5"), many)))
    # Each by itself is small, however many there are.
    others = booked("1", details=detail(text="x") * 50) * 100
    assert len(read(document(statement(balance("OPBD", "0"), balance("CLBD", "100"), others)))[1]) == 100


def test_a_document_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_elements, "LARGEST_XML", len(PLAIN) - 1)
    with pytest.raises(UnreadableReportError, match="larger than"):
        read(PLAIN)


def test_what_is_of_another_namespace_is_passed_over() -> None:
    other = '<Ntry xmlns="urn:other"><Amt Ccy="EUR">9</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts></Ntry>'
    assert len(read(PLAIN.replace("</Stmt>", f"{other}</Stmt>"))[1]) == 1


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.replace("UTF-8", "UTF-16").encode("utf-16"),
        PLAIN.replace("UTF-8", "ISO-8859-1").replace("HERE", "Blumenl\u00e4den").encode("latin-1"),
        PLAIN.replace("UTF-8", "windows-1252").replace("HERE", "\u20ac").encode("cp1252"),
        b"\xef\xbb\xbf" + PLAIN.encode(),
        ("\n \n" + PLAIN.split("\n", 1)[1]).encode(),
    ],
)
def test_encodings_are_read(content: bytes) -> None:
    assert len(read(content)[1]) == 1


@pytest.mark.parametrize("encoding", ["UTF-7", "made-up", "rot13", "base64", "idna", "UTF-32"])
def test_an_encoding_that_is_not_known_is_refused(encoding: str) -> None:
    with pytest.raises(UnreadableReportError):
        read(PLAIN.replace("UTF-8", encoding))


def test_memory_is_that_of_an_entry_and_not_of_the_document() -> None:
    def peak(entries: int) -> int:
        content = document(
            statement(
                balance("OPBD", "0"), balance("CLBD", str(5 * entries)), booked("5", ref="B", more="x" * 300) * entries
            )
        )
        encoded = content.encode()
        tracemalloc.start()
        report = read_statement(BytesIO(encoded), name="statement", account="")
        assert sum(1 for _ in report.lines) == entries
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found - len(encoded)

    few, many = peak(500), peak(5000)
    assert many < few + 2**20


SAMPLES = [PAYOUTS_OF_08.encode(), DETAILS_OF_02.encode()]


@given(st.sampled_from(SAMPLES), st.data())
def test_any_change_is_read_or_refused_in_words(content: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(content)))
    length = data.draw(st.integers(0, 60))
    instead = data.draw(
        st.one_of(st.binary(max_size=8), st.sampled_from([b"<", b">", b"&", b"\0", b"</Ntry>", b"<Bal>"]))
    )
    try:
        report, lines = read(content[:start] + instead + content[start + length :])
    except UnreadableReportError:
        return
    assert all(line.net == line.gross and line.currency for line in lines)
    assert report.sections


def test_so_is_too_much_text_in_one_entry_and_not_in_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_elements, "_LONGEST_TEXTS", 20_000)
    long = booked("5", details=detail(text="x" * 15_000) + detail(text="y" * 15_000))
    assert len(read(document(statement(balance("OPBD", "0"), balance("CLBD", "10"), long * 2)))[1]) == 2
    one = booked("5", details=detail(text="x" * 15_000 + "</Ustrd><Ustrd>" + "y" * 15_000))
    with pytest.raises(UnreadableReportError, match="an entry has too much text"):
        read(document(statement(balance("OPBD", "0"), balance("CLBD", "5"), one)))


def test_what_is_kept_of_many_parts_is_little() -> None:
    parts = 5_000
    many = booked(str(parts), details=detail("1", text="invoice 0123456789 of a customer") * parts)
    whole = document(statement(balance("OPBD", "0"), balance("CLBD", str(parts)), many)).encode()
    report = read_statement(BytesIO(whole), name="many.xml", account="")
    tracemalloc.start()
    try:
        next(report.lines)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak / parts < 700
