"""The words of settled money, written once: of the tables, of what providers' reports are read as, and of the pages.

Several rooms share them: adapters read reports into them, and know no table.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class EntryKind(StrEnum):
    """What a line of a report is, by the provider's own type and the sign of its money."""

    CAPTURE = "capture"
    """Money of a customer came."""
    RELEASE = "release"
    """A part of a capture that was never taken: Stripe writes the whole authorised amount, and takes this off it."""
    REFUND = "refund"
    """Money went back to a customer."""
    REFUND_FAILURE = "refund_failure"
    """A refund came back."""
    DISPUTE = "dispute"
    """A dispute took money, perhaps with its fee in the same line."""
    DISPUTE_REVERSAL = "dispute_reversal"
    """A dispute gave it back."""
    FEE = "fee"
    """The provider charges, or gives back, a fee that is a line of its own."""
    RESERVE = "reserve"
    """Withheld now and released later: negative and positive."""
    CONVERSION = "conversion"
    """One side of an exchange between two currencies of the account."""
    TRANSFER = "transfer"
    """Between balances: of two accounts, or of one batch and the next."""
    ADJUSTMENT = "adjustment"
    """A correction, or another movement that no purchase of ours is behind."""
    ROUNDING = "rounding"
    """What is between the sum of rounded lines and a rounded sum."""
    PAYOUT = "payout"
    """The payout itself, in an account that is listed as a whole. It is no part of what a payout is made of."""
    PAYOUT_REVERSAL = "payout_reversal"
    """A payout came back."""
    BANK = "bank"
    """An entry of a bank's statement."""
    UNKNOWN = "unknown"
    """Of a type that nobody knows yet: it is summed and shown."""


class Subject(StrEnum):
    """What of ours a line, or a match, is about."""

    NONE = "none"
    CAPTURE = "capture"
    """Money that came; where its provider names no capture, the attempt whose money is presumed."""
    REFUND = "refund"
    DISPUTE = "dispute"


class PayoutStatus(StrEnum):
    """What the provider says of a payout, in an order in which it only moves on: it can fail after it was paid."""

    PENDING = "pending"
    IN_TRANSIT = "in_transit"
    PAID = "paid"
    CANCELED = "canceled"
    FAILED = "failed"


class PayoutState(StrEnum):
    """How far we are with a payout."""

    OPEN = "open"
    """What it is made of is not here, or does not add up to it."""
    UNMATCHED = "unmatched"
    """It adds up, or was accepted with a residue, and a line of it needs a person."""
    RECONCILED = "reconciled"
    """It adds up, or was accepted with a residue, and each line is matched, needs no counterpart, or was settled."""
    BY_BALANCE = "by_balance"
    """Nobody can list what it is made of: it is part of an account whose balance adds up."""
    NOT_PAID = "not_paid"
    """It failed or was canceled, and no line is part of it: what it would have been comes with another payout."""


class FileState(StrEnum):
    """How far a file is."""

    HELD = "held"
    """It does not prove itself: nothing of it is entered."""
    ENTERED = "entered"
    SUPERSEDED = "superseded"
    """It was held, and a later file about the same was entered."""
    DISMISSED = "dismissed"
    """It was held, and a person said that nobody needs it: nothing of it is entered, unless they take that back."""


class MatchState(StrEnum):
    """What came of a line beside ours, or of ours beside the lines."""

    MATCHED = "matched"
    DIFFERS = "differs"
    """It is ours; amount, currency or date are others."""
    UNKNOWN_HERE = "unknown_here"
    """It names what we do not have, or is of a type that nobody knows."""
    MISSING_THERE = "missing_there"
    """Ours, and no line tells of it."""
    UNOWNED_FEE = "unowned_fee"
    """A fee that belongs to no payment. It keeps no payout from being reconciled."""
    WITHDRAWN = "withdrawn"
    """A file that was issued again has this line no more."""
    PROPOSED = "proposed"
    """Of a bank's entry: the amount fits a payout and no reference says so, or several would fit. A person says."""
    NOT_OURS = "not_ours"
    """Of a bank's entry: no payout of ours is behind it."""


EXCEPTIONS: Final = (
    MatchState.DIFFERS,
    MatchState.UNKNOWN_HERE,
    MatchState.MISSING_THERE,
    MatchState.UNOWNED_FEE,
    MatchState.WITHDRAWN,
    MatchState.PROPOSED,
)
"""Those that are listed until a person has settled them, or later lines have."""

BLOCKING: Final = (MatchState.DIFFERS, MatchState.UNKNOWN_HERE, MatchState.WITHDRAWN)
"""Those that keep their payout from being reconciled."""

BANK: Final = "bank"
"""What stands in a provider's place where a file is a bank's; its account is the bank account (IBAN)."""
