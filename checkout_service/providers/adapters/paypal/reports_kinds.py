"""What a movement of PayPal's is, by its event code and by which way its money went.

The same code is a credit for one side and a debit for the other (PayPal, "Transaction event codes"). Its two digits
after the T are a group, which is enough for most; codes that are not listed follow their group, and a group that is not
listed is of a kind that nobody knows.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from checkout_service.settlement_words import EntryKind, Subject


class _Ways(NamedTuple):
    """What it is where money came, and where it went."""

    came: EntryKind
    went: EntryKind


def _either(kind: EntryKind) -> _Ways:
    return _Ways(kind, kind)


_DISPUTE: Final = _Ways(EntryKind.DISPUTE_REVERSAL, EntryKind.DISPUTE)

_GROUPS: Final = {
    # A payment that the merchant made is no purchase at the shop.
    "00": _Ways(EntryKind.CAPTURE, EntryKind.ADJUSTMENT),
    "01": _either(EntryKind.FEE),
    "02": _either(EntryKind.CONVERSION),
    "03": _either(EntryKind.TRANSFER),
    "04": _Ways(EntryKind.PAYOUT_REVERSAL, EntryKind.PAYOUT),
    "05": _either(EntryKind.ADJUSTMENT),
    "06": _either(EntryKind.TRANSFER),
    "07": _either(EntryKind.TRANSFER),
    "08": _either(EntryKind.ADJUSTMENT),
    "09": _either(EntryKind.ADJUSTMENT),
    "10": _either(EntryKind.ADJUSTMENT),
    "11": _either(EntryKind.ADJUSTMENT),
    "12": _either(EntryKind.ADJUSTMENT),
    "14": _either(EntryKind.ADJUSTMENT),
    "15": _either(EntryKind.RESERVE),
    "16": _either(EntryKind.ADJUSTMENT),
    "17": _either(EntryKind.TRANSFER),
    "18": _either(EntryKind.ADJUSTMENT),
    "19": _either(EntryKind.ADJUSTMENT),
    "20": _either(EntryKind.TRANSFER),
    "21": _either(EntryKind.RESERVE),
    "22": _either(EntryKind.TRANSFER),
    "97": _either(EntryKind.ADJUSTMENT),
}

_CODES: Final = {
    "T0014": _either(EntryKind.ADJUSTMENT),  # a rebate
    "T0015": _either(EntryKind.TRANSFER),  # to and from third parties, and between stores
    "T0016": _either(EntryKind.TRANSFER),
    "T0017": _either(EntryKind.TRANSFER),
    "T1101": _Ways(EntryKind.PAYOUT_REVERSAL, EntryKind.ADJUSTMENT),  # a withdrawal to a bank that came back
    "T1105": _either(EntryKind.RESERVE),
    "T1106": _DISPUTE,  # taken back by PayPal
    "T1107": _Ways(EntryKind.ADJUSTMENT, EntryKind.REFUND),  # what came is a refund of what the merchant bought
    "T1108": _either(EntryKind.FEE),
    "T1109": _either(EntryKind.FEE),
    # Booked and released before the chargeback itself, so these take nothing of a dispute's amount.
    "T1110": _either(EntryKind.RESERVE),
    "T1111": _either(EntryKind.RESERVE),
    "T1201": _Ways(EntryKind.UNKNOWN, EntryKind.DISPUTE),  # a chargeback
    "T1202": _Ways(EntryKind.DISPUTE_REVERSAL, EntryKind.UNKNOWN),  # it was taken back
    "T1205": _Ways(EntryKind.DISPUTE_REVERSAL, EntryKind.UNKNOWN),  # PayPal paid for it
    "T1207": _DISPUTE,
    "T1208": _DISPUTE,
}

_ABOUT: Final = {
    EntryKind.CAPTURE: Subject.CAPTURE,
    EntryKind.REFUND: Subject.REFUND,
    EntryKind.DISPUTE: Subject.DISPUTE,
    EntryKind.DISPUTE_REVERSAL: Subject.DISPUTE,
}

WITHDRAWAL: Final = "T04"
"""The group of what goes to a bank account."""


def kind_of(code: str, *, came: bool) -> EntryKind:
    """The kind of a movement with that event code (``T0006``); ``came`` says that its money came to the account."""
    ways = _CODES.get(code) or _GROUPS.get(code[1:3] if code.startswith("T") and len(code) == 5 else "")
    if ways is None:
        return EntryKind.UNKNOWN
    return ways.came if came else ways.went


def about(kind: EntryKind) -> Subject:
    """What of ours a movement of that kind is about."""
    return _ABOUT.get(kind, Subject.NONE)
