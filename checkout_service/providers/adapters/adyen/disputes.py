"""Disputes as Adyen reports them: one event code a step, in an order of our own, since no time is signed.

All events of a dispute have one pspReference. What became of the money is said by codes alone; the code for the reason
and the deadline are unsigned, so they are only shown. (Adyen, "Dispute webhooks" and "Dispute flow".)
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.status import DisputeStage, DisputeStatus
from checkout_service.providers.adapters.adyen.items import Item
from checkout_service.providers.base import UnreadableError
from checkout_service.providers.entries import DisputeEntry, DisputeReason, Entry, NoticeEntry
from checkout_service.providers.fields import moment_of


class Step(NamedTuple):
    """What an event code says of its dispute: its place in the stage, and the movement of money that it reports."""

    stage: DisputeStage
    status: DisputeStatus
    rank: int
    step: int = 0
    money_out: bool = False
    blocks_refund: bool = False


_OPEN, _ANSWERED = DisputeStatus.NEEDS_RESPONSE, DisputeStatus.UNDER_REVIEW
_WON, _LOST = DisputeStatus.WON, DisputeStatus.LOST
_CHARGEBACK, _BEFORE, _SCHEME = DisputeStage.CHARGEBACK, DisputeStage.PRE_ARBITRATION, DisputeStage.ARBITRATION

STEPS: Final = {
    # Nothing is to be answered, so it waits for nobody.
    "NOTIFICATION_OF_FRAUD": Step(DisputeStage.INQUIRY, DisputeStatus.CLOSED, 0),
    "REQUEST_FOR_INFORMATION": Step(DisputeStage.INQUIRY, _OPEN, 1),
    # The money goes some days later. DISPUTE_OPENED_WITH_CHARGEBACK comes beside a CHARGEBACK, which tells of it.
    "NOTIFICATION_OF_CHARGEBACK": Step(_CHARGEBACK, _OPEN, 0, blocks_refund=True),
    "DISPUTE_OPENED_WITH_CHARGEBACK": Step(_CHARGEBACK, _OPEN, 1, blocks_refund=True),
    "CHARGEBACK": Step(_CHARGEBACK, _OPEN, 2, 1, money_out=True, blocks_refund=True),
    "INFORMATION_SUPPLIED": Step(_CHARGEBACK, _ANSWERED, 3, blocks_refund=True),
    "DISPUTE_DEFENSE_PERIOD_ENDED": Step(_CHARGEBACK, _LOST, 4, blocks_refund=True),
    "CHARGEBACK_REVERSED": Step(_CHARGEBACK, _WON, 5, 2),
    "ISSUER_RESPONSE_TIMEFRAME_EXPIRED": Step(_CHARGEBACK, _WON, 6),
    "SECOND_CHARGEBACK": Step(_CHARGEBACK, _LOST, 7, 3, money_out=True),
    # Of these only the end tells who has the money; who accepted or declined what does not.
    "PREARBITRATION_OPEN": Step(_BEFORE, _OPEN, 0, blocks_refund=True),
    "PREARBITRATION_DECLINED": Step(_BEFORE, _ANSWERED, 1, blocks_refund=True),
    "PREARBITRATION_ACCEPTED": Step(_BEFORE, DisputeStatus.ACCEPTED, 2, blocks_refund=True),
    "PREARBITRATION_ISSUER_WITHDRAWN": Step(_BEFORE, _WON, 3),
    "PREARBITRATION_WON": Step(_BEFORE, _WON, 4, 4),
    "PREARBITRATION_LOST": Step(_BEFORE, _LOST, 5, 4, money_out=True),
    "SCHEME_ARBITRATION": Step(_SCHEME, _ANSWERED, 0, blocks_refund=True),
    "SCHEME_ARBITRATION_WON": Step(_SCHEME, _WON, 1, 5),
    "SCHEME_ARBITRATION_LOST": Step(_SCHEME, _LOST, 2, 5, money_out=True),
}

_CODES: Final = {
    # Visa
    DisputeReason.NOT_RECEIVED: "13.1 13.9 4855 4859 C08 RG",
    DisputeReason.SUBSCRIPTION_CANCELED: "13.2 4841 C28 AP",
    DisputeReason.NOT_AS_DESCRIBED: "13.3 13.4 13.5 C31 C32 RM",
    DisputeReason.CREDIT_NOT_PROCESSED: "13.6 13.7 13.8 4860 C02 C04 C05 C18 RN2",
    DisputeReason.DUPLICATE: "12.6 12.6.1 12.6.2 C14 P08 DP",
    DisputeReason.PROCESSING_ERROR: "12.1 12.2 12.3 12.4 12.5 12.7 4831 4834 4842 4846 P01 P03 P04 P05 P07 P22 P23 AW",
    DisputeReason.FRAUDULENT: (
        "10.1 10.2 10.3 10.4 10.5 4837 4840 4849 4870 4871 F10 F14 F24 F29 F30 F31 UA01 UA02 UA05 UA06"
    ),
    DisputeReason.UNRECOGNIZED: "4863",
    DisputeReason.BANK_CANNOT_PROCESS: "AC01 AC04 AC06 AC13 AG01 AG02 AM04 MD01 MD07 MS02 MS03 RC01 SL01",
}
"""Codes of Visa, Mastercard, American Express, Discover and SEPA's direct debits, as the schemes publish them."""

_REASONS: Final = {code: reason for reason, codes in _CODES.items() for code in codes.split()}


def dispute_entries(item: Item) -> list[Entry]:
    """What an item says of its dispute; none where its code is not one of a dispute's."""
    step = STEPS.get(item.code) if item.success else None
    if step is None:
        return []
    entries: list[Entry] = [
        DisputeEntry(
            ref=item.psp_ref,
            stage=step.stage,
            status=step.status,
            rank=step.rank,
            reason=_reason(item),
            evidence_due_at=_deadline(item) if step.status is _OPEN else None,
            blocks_refund=step.blocks_refund,
            step=step.step,
            money_out=step.money_out,
            amount=_amount(item, step),
            currency=item.currency,
            attempt_ref=item.original_ref,
        )
    ]
    if item.code == "NOTIFICATION_OF_FRAUD":
        entries.append(NoticeEntry(reason=ReviewReason.FRAUD_WARNING, ref=item.psp_ref))
    return entries


def _amount(item: Item, step: Step) -> Decimal | None:
    """None of an inquiry: the greatest amount of a dispute counts, and what is charged back may be less."""
    return None if step.stage is DisputeStage.INQUIRY else item.amount


def _reason(item: Item) -> DisputeReason | None:
    code = next(filter(None, map(item.shown_in_data, ("chargebackReasonCode", "rfiReasonCode", "nofReasonCode"))), "")
    if item.code == "NOTIFICATION_OF_FRAUD":
        return DisputeReason.FRAUDULENT
    return _REASONS.get(code, DisputeReason.GENERAL) if code else None


def _deadline(item: Item) -> datetime | None:
    try:
        return moment_of(item.shown_in_data("defensePeriodEndsAt"))
    except UnreadableError:
        return None
