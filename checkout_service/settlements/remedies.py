"""What a person does about each kind of exception, in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from checkout_service.settlement_words import BANK, MatchState

HELD: Final = "held"
"""The kind of a file that does not prove itself. It is no match: nothing of such a file is matched."""

OPEN_PAYOUT: Final = (
    "Its lines are not here, or do not add up to it: fetch or import the provider's report of it; where a file of it "
    "is held, look at that; else ask the provider with its reference, and accept the payout if it is right so."
)
"""What is done about a payout that stays open."""

REMEDIES: Final[Mapping[str, str]] = {
    MatchState.DIFFERS: (
        "Compare both amounts at the provider: a fee, a rate or a part that was never taken explains it, then resolve "
        "it; else ask the provider. What it corrects in a later report ends this by itself; else resolve it with its "
        "answer."
    ),
    MatchState.UNKNOWN_HERE: (
        "Look for the payment at the provider by the names that it has there: of another shop or made by hand there, "
        "resolve it; lost here, have its webhook sent again."
    ),
    MatchState.MISSING_THERE: (
        "Fetch or import what is missing: a line about it ends this by itself. Where the provider does not list it at "
        "all, ask there with the payment's reference, and resolve it with the answer."
    ),
    MatchState.UNOWNED_FEE: "Nothing is wrong: a fee that no payment is behind. Resolve it once it is booked.",
    MatchState.WITHDRAWN: (
        "The provider issued the report again without this line: ask why, then resolve it. Nothing was deleted."
    ),
    MatchState.PROPOSED: (
        "The amount fits, and no reference says that it is this payout: look at the bank's entry, then link it to its "
        "payout; where it is none of ours, resolve this."
    ),
    HELD: (
        "It does not add up, and nothing of it is entered: import or fetch it again whole, or accept it with its "
        "residue. Where nothing is expected yet, the report that lists the payout is missing: import it, or fetch. "
        "Where all of it is here already, dismiss it."
    ),
}
"""By the kind of the exception."""

_SEVERAL_BROUGHT_IT: Final = (
    "What the bank's entries brought of this payout is not its amount: where the same money came in two statements, "
    "undo the match of the wrong one; where the bank took a fee or exchanged it, resolve it; where a part is still to "
    "come, wait."
)


def remedy_of(kind: str, provider: str) -> str:
    """What to do about an exception of this kind; ``provider`` may be ``bank``. Raises KeyError for another kind."""
    return _SEVERAL_BROUGHT_IT if (kind, provider) == (MatchState.DIFFERS, BANK) else REMEDIES[kind]
