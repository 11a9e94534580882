"""What of MT940's texts is kept: what was paid for, and references; no names and accounts where a bank marks them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from checkout_service.settlements.banks.bookings import NO_REFERENCES

_FULL_LINE: Final = 65
"""Characters of a line of text: one that is full goes on in the next, perhaps within a word."""

# The codes of Dutch banks' text. Of those that are not kept, most name people and their accounts.
_KEPT_CODES: Final = ("EREF", "KREF", "PREF", "REMI", "TRTP")
_PASSED_CODES: Final = (
    *("ACCW", "ADDR", "BENM", "BIC", "BNAM", "CHGS", "CNTP", "CSID", "EXCH", "IBAN", "ID", "ISDT", "MARF", "NAME"),
    *("NRTX", "OCMT", "ORDP", "PURP", "RTRN", "SVCL", "ULTB", "ULTC", "ULTD"),
)
_MARKED: Final = re.compile(r"(?:[0-9]{3})?\n?([^\w\s?/:.,+()'-])[0-9]{2}")
_KEPT_PARTS: Final = frozenset({"00", *(str(number) for number in range(20, 27))})
"""Of Polish banks' text, whose other parts are names, addresses and accounts, or codes."""

_CODE: Final = re.compile(rf"/({'|'.join((*_KEPT_CODES, *_PASSED_CODES))})/")


def without_parties(text: str) -> str:
    """A text in numbered parts behind another mark than the library's ``?``: what was paid for, without who paid."""
    match = _MARKED.match(text)
    if match is None:
        return text
    parts = re.split(rf"\n?{re.escape(match[1])}([0-9]{{2}})", text)
    kept: dict[str, str] = {}
    for number, part in zip(parts[1::2], parts[2::2], strict=True):
        if number in _KEPT_PARTS:
            kept[number] = kept.get(number, "") + part.replace("\n", "")
    return " ".join(filter(None, (part.strip() for _, part in sorted(kept.items()))))


def texts_of(data: dict[str, Any]) -> Iterator[str]:
    """What the bank wrote of an entry, without names and accounts of others where it marks them."""
    for name in ("purpose", "additional_purpose", "end_to_end_reference", "posting_text"):
        if data.get(name):
            yield data[name]
    details = data.get("transaction_details")
    if details:
        yield from _of_codes(_joined(details))
    yield plain_reference(data.get("customer_reference"))


def _joined(text: str) -> str:
    joined = ""
    for line in text.split("\n"):
        joined += line if len(line) >= _FULL_LINE else f"{line} "
    return joined.strip()


def _of_codes(text: str) -> Iterator[str]:
    """The parts of a text that is marked by codes between slashes; the whole where it has none."""
    parts = _CODE.split(text)
    if len(parts) == 1:
        yield text
        return
    yield parts[0]
    for code, part in zip(parts[1::2], parts[2::2], strict=True):
        if code in _KEPT_CODES:
            yield part.replace("USTD//", "").strip("/ ")


def plain_reference(text: str | None) -> str:
    """A reference, '' where it is a word for none."""
    reference = (text or "").strip()
    return "" if reference.upper() in NO_REFERENCES else reference
