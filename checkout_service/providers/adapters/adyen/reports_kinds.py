"""The types of Adyen's settlement details report, and what each is; a type that is not here is summed and shown.

Adyen, "Settlement details report" and "Journal types". SuspendInstallment is named there and explained nowhere, so it
is one that nobody knows.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

from checkout_service.settlement_words import EntryKind, Subject


class RowType(NamedTuple):
    """What rows of a type are: of a payment, with its gross amount in the customer's currency, or of the account.

    ``is_checked`` says that gross by the rate less fees has to be net. Rows whose money is not in their net columns
    (cards that a balance platform pays to, what another acquirer settles) have no such rule. ``side`` is the only one
    that Adyen books it on: 1 the credit side, -1 the debit side, 0 where it may be either.
    """

    kind: EntryKind
    about: Subject = Subject.NONE
    of_payment: bool = False
    is_checked: bool = False
    side: int = 0

    def meaning(self, moved: Decimal) -> tuple[EntryKind, Subject]:
        """What a row is that moved so much, and what of ours it is about; on the other side nobody knows what it is."""
        if moved * self.side < 0:
            return EntryKind.UNKNOWN, Subject.NONE
        return self.kind, self.about


PAYOUT: Final = "MerchantPayout"
"""The payout itself: no line, but what the others add up to."""

_CAPTURE: Final = RowType(EntryKind.CAPTURE, Subject.CAPTURE, True, True, 1)
_RELEASE: Final = RowType(EntryKind.RELEASE, Subject.CAPTURE, True, True, -1)
_REFUND: Final = RowType(EntryKind.REFUND, Subject.REFUND, True, True, -1)
_REFUND_FAILURE: Final = RowType(EntryKind.REFUND_FAILURE, Subject.REFUND, True, True, 1)
_DISPUTE: Final = RowType(EntryKind.DISPUTE, Subject.DISPUTE, True, True, -1)
_DISPUTE_REVERSAL: Final = RowType(EntryKind.DISPUTE_REVERSAL, Subject.DISPUTE, True, True, 1)
_FEE: Final = RowType(EntryKind.FEE)
_ADJUSTMENT: Final = RowType(EntryKind.ADJUSTMENT)
_TRANSFER: Final = RowType(EntryKind.TRANSFER)

_OWN_MONEY: Final = {
    "Settled": _CAPTURE,
    "SettledInstallment": _CAPTURE,
    # What sales-day payout credited before it came, and takes back.
    "CaptureFailed": _RELEASE,
    "SettledReversed": _RELEASE,
    "Refunded": _REFUND,
    "RefundedInstallment": _REFUND,
    "RefundedReversed": _REFUND_FAILURE,
    "RefundFailed": _REFUND_FAILURE,
    "RefundNotCleared": _REFUND_FAILURE,
    "Chargeback": _DISPUTE,
    "SecondChargeback": _DISPUTE,
    "ChargebackReversed": _DISPUTE_REVERSAL,
}

TYPES: Final[dict[str, RowType]] = {
    **_OWN_MONEY,
    # Another acquirer has the money: nothing of it is in the net columns.
    **{
        f"{name}Externally{ending}": row_type._replace(is_checked=False)
        for name, row_type in _OWN_MONEY.items()
        for ending in ("", "WithInfo")
    },
    # A rebate or a late cost of one payment: it has no gross amount.
    "PaymentCost": _FEE._replace(of_payment=True),
    # Only what the payment to a card costs; the money is the balance platform's.
    "BPPaidOut": _FEE,
    "Fee": _FEE._replace(side=-1),
    "MiscCosts": _FEE,
    "InvoiceDeduction": _FEE,
    "AuthorisationSchemeFee": _FEE,
    # Money to somebody's card or account, which this service never sends.
    "PaidOut": _ADJUSTMENT._replace(of_payment=True, is_checked=True),
    "PaidOutReversed": _ADJUSTMENT._replace(of_payment=True, is_checked=True),
    "MatchedStatement": _ADJUSTMENT,
    "ManualCorrected": _ADJUSTMENT,
    "DepositCorrection": RowType(EntryKind.RESERVE),
    "ReserveAdjustment": RowType(EntryKind.RESERVE),
    "Balancetransfer": _TRANSFER,
    "InternalCompanyPayout": _TRANSFER,
    "AcquirerPayout": _TRANSFER,
    "EpaPaid": _TRANSFER,
    "XASTransfer": _TRANSFER,
    # The merchant's own money, sent to Adyen.
    "MerchantPayin": _TRANSFER,
    "MerchantPayinReversed": _TRANSFER,
    "BankInstructionReturned": RowType(EntryKind.PAYOUT_REVERSAL, side=1),
}

UNKNOWN: Final = RowType(EntryKind.UNKNOWN)
