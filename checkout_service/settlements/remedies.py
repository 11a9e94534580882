"""What a person does about each kind of exception, in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from checkout_service.settlement_words import MatchState

HELD: Final = "held"
"""The kind of a file that does not prove itself. It is no match: nothing of such a file is matched."""

OPEN_PAYOUT: Final = (
    "Its lines are not here, or do not add up to it: fetch or import the provider's report of it; where a file of it "
    "is held, look at that; else ask the provider with its reference."
)
"""What is done about a payout that stays open."""

REMEDIES: Final[Mapping[str, str]] = {
    MatchState.DIFFERS: (
        "Compare both amounts at the provider: a fee, a rate or a part that was never taken explains it, then resolve "
        "it; else ask the provider."
    ),
    MatchState.UNKNOWN_HERE: (
        "Look for the payment at the provider: of another shop or made by hand there, resolve it; lost here, have its "
        "webhook sent again."
    ),
    MatchState.MISSING_THERE: (
        "Fetch or import what is missing; where the provider does not list it at all, ask there with the payment's "
        "reference."
    ),
    MatchState.UNOWNED_FEE: "Nothing is wrong: a fee that no payment is behind. Resolve it once it is booked.",
    MatchState.WITHDRAWN: (
        "The provider issued the report again without this line: ask why, then resolve it. Nothing was deleted."
    ),
    MatchState.PROPOSED: (
        "The amount fits, and no reference says that it is this payout: look at the bank's entry, then link it to its "
        "payout, or undo this."
    ),
    HELD: (
        "It does not add up, and nothing of it is entered: import or fetch it again whole, or accept it with its "
        "residue."
    ),
}
"""By the kind of the exception."""
