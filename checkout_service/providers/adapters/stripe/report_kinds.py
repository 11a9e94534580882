"""What a line of Stripe's balance is, by Stripe's own word for it and the sign of its money; and what of ours it names.

A file has the reporting category alone, the API the type beside it. So the category decides wherever there is one, and
both give the same entry. The type decides of an object that has no category.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Final

from checkout_service.money import decimals
from checkout_service.providers.adapters.stripe.objects import EXCEPTIONS
from checkout_service.providers.fields import LONGEST_ID
from checkout_service.settlement_words import EntryKind, Subject

_UNKNOWN: Final = (EntryKind.UNKNOWN, EntryKind.UNKNOWN)


def _either(kind: EntryKind, *words: str) -> dict[str, tuple[EntryKind, EntryKind]]:
    """Words that say the same whatever the sign."""
    return dict.fromkeys(words, (kind, kind))


def _by_sign(came: EntryKind, went: EntryKind, *words: str) -> dict[str, tuple[EntryKind, EntryKind]]:
    """Words of which the sign says whether money came or went."""
    return dict.fromkeys(words, (came, went))


# Reporting categories: docs.stripe.com/reports/reporting-categories, and those that a report run may be filtered by
# (stripe 16.1.0, ReportRunCreateParamsParameters.reporting_category). Types: docs.stripe.com/reports/
# balance-transaction-types and stripe 16.1.0, BalanceTransaction.type. Both are open lists. A word of both is one line.
KINDS: Final[Mapping[str, tuple[EntryKind, EntryKind]]] = {
    **_by_sign(EntryKind.CAPTURE, EntryKind.UNKNOWN, "charge", "payment"),
    # Its type is refund, though nothing was refunded: the part of an authorisation that was not captured.
    **_by_sign(EntryKind.UNKNOWN, EntryKind.RELEASE, "partial_capture_reversal"),
    # A debit that failed after it had come: the source is a refund, which Stripe made for it.
    **_by_sign(
        EntryKind.REFUND_FAILURE,
        EntryKind.REFUND,
        *("refund", "refund_failure", "payment_refund"),
        *("charge_failure", "payment_failure_refund", "payment_reversal"),
    ),
    **_by_sign(EntryKind.DISPUTE_REVERSAL, EntryKind.DISPUTE, "dispute", "dispute_reversal"),
    **_either(EntryKind.FEE, "fee", "network_cost", "tax"),
    **_either(EntryKind.FEE, "stripe_fee", "stripe_fx_fee", "tax_fee", "fee_credit_funding"),
    **_either(
        EntryKind.RESERVE,
        *("connect_reserved_funds", "risk_reserved_funds", "reserved_funds", "reserve_transaction"),
        *("reserve_hold", "reserve_release", "payment_network_reserve_hold", "payment_network_reserve_release"),
        *("payout_minimum_balance_hold", "payout_minimum_balance_release", "minimum_balance_hold"),
        *("payment_network_reserved_funds", "issuing_authorization_hold", "issuing_authorization_release"),
    ),
    **_either(EntryKind.CONVERSION, "currency_conversion"),
    **_either(
        EntryKind.TRANSFER,
        *("transfer", "transfer_reversal", "transfer_cancel", "transfer_failure", "transfer_refund"),
        *("connect_collection_transfer", "topup", "topup_reversal", "inbound_transfer", "inbound_transfer_reversal"),
        *("tax_fund", "balance_transfer"),
    ),
    **_either(
        EntryKind.ADJUSTMENT,
        *("other_adjustment", "adjustment", "contribution", "climate_order_purchase", "climate_order_refund"),
        *("platform_earning", "platform_earning_refund", "application_fee", "application_fee_refund"),
        *("advance", "advance_funding", "anticipation_repayment"),
        *("financing_paydown", "financing_paydown_reversal", "financing_payout", "financing_payout_reversal"),
        *("issuing_transaction", "issuing_dispute", "issuing_dispute_provisional_credit"),
        "issuing_dispute_provisional_credit_reversal",
        *("obligation_outbound", "obligation_reversal_inbound"),
        *("payment_unreconciled", "unreconciled_customer_funds"),
        *("stripe_balance_payment_debit", "stripe_balance_payment_debit_reversal"),
    ),
    **_either(EntryKind.PAYOUT, "payout"),
    **_either(EntryKind.PAYOUT_REVERSAL, "payout_reversal", "payout_cancel", "payout_failure"),
}
"""By the word: the kind of a line that brings money or moves none, and of one that takes some."""

_SUBJECTS: Final = {
    EntryKind.CAPTURE: Subject.CAPTURE,
    EntryKind.RELEASE: Subject.CAPTURE,
    EntryKind.REFUND: Subject.REFUND,
    EntryKind.REFUND_FAILURE: Subject.REFUND,
    EntryKind.DISPUTE: Subject.DISPUTE,
    EntryKind.DISPUTE_REVERSAL: Subject.DISPUTE,
}

_BEGINNINGS: Final = {
    Subject.CAPTURE: ("ch_", "py_"),
    Subject.REFUND: ("re_", "pyr_"),
    Subject.DISPUTE: ("du_", "dp_"),
}
"""Of Stripe's ids of a charge, a refund and a dispute, which our captures, refunds and disputes are called by."""

OF_A_PURCHASE: Final = ("ch_", "py_", "re_", "pyr_", "du_", "dp_")

DESCRIBED: Final = frozenset(
    {
        *(EntryKind.FEE, EntryKind.RESERVE, EntryKind.CONVERSION, EntryKind.TRANSFER, EntryKind.ADJUSTMENT),
        EntryKind.PAYOUT_REVERSAL,
    }
)
"""Those whose description is read, unless it names a purchase: of one it is what the merchant wrote of a customer."""

OF_REFUNDS: Final = frozenset({EntryKind.REFUND, EntryKind.REFUND_FAILURE})

OF_CUSTOMERS: Final = frozenset(_SUBJECTS)
"""Those that a customer paid or got something by."""

_LONGEST_DESCRIPTION: Final = 255


def kind_of(word: str, gross: Decimal) -> EntryKind:
    """What a line is, by its reporting category (or its type) and the sign of ``gross``.

    A sign that a word is not documented with makes it unknown, as a word does that nobody knows: it is summed and
    shown.
    """
    came, went = KINDS.get(word, _UNKNOWN)
    return went if gross < 0 or (word in _GOES and not gross) else came


_GOES: Final = frozenset(
    {
        *("partial_capture_reversal", "refund", "payment_refund", "charge_failure", "payment_failure_refund"),
        *("payment_reversal", "dispute"),
    }
)
"""Words that take money: a line of theirs that moves none (its fee alone does) is what they mean."""


def subject_of(kind: EntryKind, source: str, charge: str) -> tuple[Subject, str]:
    """What of ours a line is about, and Stripe's name for that; '' where the line names none of that kind.

    ``source`` is the id of the object that it came of, ``charge`` of the charge behind that.
    """
    about = _SUBJECTS.get(kind, Subject.NONE)
    if about is Subject.NONE:
        return about, ""
    if source.startswith(_BEGINNINGS[about]):
        return about, source
    if about is Subject.CAPTURE and charge.startswith(_BEGINNINGS[Subject.CAPTURE]):
        return about, charge
    return about, ""


def is_ref(value: str) -> bool:
    """Whether a text may be an id of Stripe's: of A-Z, a-z, digits and ``_`` alone."""
    return value.isidentifier() and value.isascii() and len(value) <= LONGEST_ID


_OURS: Final = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def ours(value: object) -> str:
    """The id of a payment of ours as ``str(UUID)`` writes it; '' for anything else, which others may have written."""
    return value if isinstance(value, str) and _OURS.fullmatch(value) else ""


def plain_description(value: str) -> str:
    """A description in one line, without what PostgreSQL or a terminal could trip over."""
    return "".join(each if each.isprintable() else " " for each in value)[:_LONGEST_DESCRIPTION].strip()


def places_of(currency: str) -> int:
    """How many decimals an amount of a currency may have here: as ISO 4217 has it, or as Stripe counts."""
    return max(decimals(currency), decimals(currency, EXCEPTIONS))


@lru_cache(maxsize=512)
def _unit(places: int) -> Decimal:
    return Decimal(1).scaleb(-places)


def exact(amount: Decimal, currency: str) -> Decimal:
    """The amount with the decimals that ISO 4217 gives its currency; as it is where it has more, which Stripe may."""
    plain = amount.quantize(_unit(decimals(currency)))
    return plain if plain == amount else amount


def from_smallest(minor: int, currency: str) -> Decimal:
    """The amount, signed, of so many of Stripe's smallest units: those of ISO 4217 but for ISK, UGX and MGA."""
    return exact(Decimal(minor).scaleb(-decimals(currency, EXCEPTIONS)), currency)
