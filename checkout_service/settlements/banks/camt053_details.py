"""The details of an entry of camt.053: what is kept of each, and whether they are its parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from sys import intern
from typing import Final, NamedTuple

from checkout_service.providers.reports import UnreadableReportError
from checkout_service.settlements.banks.bookings import NO_REFERENCES, bounded
from checkout_service.settlements.banks.xml_elements import Element

_AMOUNT: Final = re.compile(r"\+?(?:[0-9]{1,18}(?:\.[0-9]{0,10})?|\.[0-9]{1,10})")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
SIGNS: Final = {"CRDT": 1, "DBIT": -1}
"""By CdtDbtInd."""


_BETWEEN: Final = "\x1f"
"""Stands between texts where they are kept together: no XML has it."""


class Detail(NamedTuple):
    """What is kept of a part of an entry. One entry may have 200,000, so texts are kept as bytes, together."""

    amount: Decimal | None
    currency: str
    sign: int | None
    bank_ref: str
    packed: bytes

    @property
    def texts(self) -> tuple[str, ...]:
        """What the bank says of it, each text by itself."""
        return tuple(self.packed.decode().split(_BETWEEN)) if self.packed else ()


def are_parts(entry: Element, details: list[Detail], currency: str, total: Decimal, sign: int) -> bool:
    """Whether an entry is entered by its details, and not as a whole.

    Each has to have an amount in its currency, and one of them a text. Where they are more than it, as a detail
    that stands there twice would be, its batch has to say so many.
    """
    if not details or any(each.amount is None or each.currency != currency for each in details):
        return False
    if not any(each.packed for each in details):
        return False
    parts = sum(((each.sign or sign) * (each.amount or Decimal(0)) for each in details), Decimal(0))
    if len(details) == 1 and parts == total:
        return False
    if abs(parts) <= abs(total) and parts * total >= 0:
        return True
    batches = [found for group in entry.all("NtryDtls") if (found := group.first("Btch", "TtlAmt")) is not None]
    return sum((plain_amount(each, each.line)[0] for each in batches), Decimal(0)) == abs(parts)


def contradictions(group: Element, currency: str, sign: int) -> Iterator[str]:
    """How the details of a group are not what its batch says; a batch without details says it of none."""
    details = [element.value for element in group.all("TxDtls") if isinstance(element.value, Detail)]
    if not details:
        return
    count = group.text_at("Btch", "NbOfTxs")
    if count.isdecimal() and len(count) <= 15 and int(count) != len(details):
        yield f"the count of its batch is {int(count)}, and of its details that are there {len(details)}"
    batch = group.first("Btch", "TtlAmt")
    if batch is None or any(each.amount is None or each.currency != currency for each in details):
        return
    amount, batch_currency = plain_amount(batch, batch.line)
    parts = sum(((each.sign or sign) * (each.amount or Decimal(0)) for each in details), Decimal(0))
    if batch_currency == currency and amount != abs(parts):
        yield f"its batch is of {amount} {currency}, and its details are {abs(parts)}"


def detail_of(element: Element) -> Detail:
    """What is kept of a TxDtls. Raises UnreadableReportError."""
    found = element.first("Amt") or element.first("AmtDtls", "TxAmt", "Amt")
    amount, currency = (None, "") if found is None else plain_amount(found, element.line)
    references = [
        plain_reference(element.text_at("Refs", name))
        for name in ("EndToEndId", "InstrId", "TxId", "ClrSysRef", "PmtInfId", "MsgId")
    ]
    remittance = element.first("RmtInf")
    free, structured = [], []
    if remittance is not None:
        free = [" ".join(text for each in remittance.all("Ustrd") if (text := each.text))]
        structured = [
            plain_reference(reference)
            for each in remittance.all("Strd")
            if (reference := each.text_at("CdtrRefInf", "Ref"))
        ]
    texts = bounded((*free, *structured, *references, element.text_at("AddtlTxInf")))
    return Detail(
        amount=amount,
        currency=intern(currency),
        sign=SIGNS.get(element.text_at("CdtDbtInd")),
        bank_ref=plain_reference(element.text_at("Refs", "AcctSvcrRef")),
        packed=_BETWEEN.join(texts).encode(),
    )


def plain_reference(text: str) -> str:
    """A reference, '' where it is a word for none."""
    return "" if text.upper() in NO_REFERENCES else text


def plain_amount(found: Element, line: int) -> tuple[Decimal, str]:
    """An amount without a sign, in the major unit, and its currency. Raises UnreadableReportError."""
    text, currency = found.text, found.currency.strip()
    if not _AMOUNT.fullmatch(text):
        raise UnreadableReportError(f"{text[:40]!r} is no amount", line=line)
    if not _CURRENCY.fullmatch(currency):
        raise UnreadableReportError(f"{currency[:40]!r} is no currency", line=line)
    return Decimal(text), currency
