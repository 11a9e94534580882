"""A movement on a PayPal account as a line of a report, the same whether a file or the API tells of it: pure.

PayPal's transaction id is not unique: a movement is named by what both sources say of it alike.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Final

from checkout_service.money import KNOWN_CURRENCIES, decimals
from checkout_service.providers.adapters.paypal.reports_kinds import about, kind_of
from checkout_service.providers.adapters.paypal.resources import REFERENCE
from checkout_service.providers.adapters.paypal.spec import MINOR_UNITS
from checkout_service.providers.fields import LONGEST_ID
from checkout_service.providers.minor_units import exceptions_of
from checkout_service.providers.reports import Report, ReportLine, ReportPayout
from checkout_service.settlement_words import EntryKind, PayoutStatus, Subject

ZERO: Final = Decimal(0)

DECIMALS: Final = {currency: decimals(currency, exceptions_of(MINOR_UNITS)) for currency in KNOWN_CURRENCIES}
"""How many decimals PayPal gives a currency. Of another one nobody here knows what its minor units are."""

MOST_PAYOUTS: Final = 10_000
_MOST_FAULTS: Final = 20

_OF_PAYMENTS: Final = frozenset({"", "TXN", "ODR"})
"""Types of what a movement refers to: a transaction and an order; not a subscription, nor an agreement."""

_CUSTOMERS: Final = frozenset({EntryKind.CAPTURE, EntryKind.REFUND, EntryKind.DISPUTE, EntryKind.DISPUTE_REVERSAL})


class UnlikeError(ValueError):
    """A value that is not what stands there in any report that PayPal documents."""


def reference(value: object, what: str) -> str:
    """A printable text of at most 255 characters, or ''. Raises UnlikeError."""
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or len(value) > LONGEST_ID or not value.isprintable():
        raise UnlikeError(f"{what} is no printable text of at most {LONGEST_ID} characters")
    return value


def line_of(
    *,
    line: int,
    account: str,
    section: str,
    transaction: str,
    code: str,
    at: datetime,
    local: str,
    gross: Decimal,
    fee: Decimal,
    currency: str,
    refers_to: str,
    refers_as: str,
    invoice: str,
    custom: str,
) -> ReportLine:
    """One movement, its amounts in the major unit with PayPal's decimals, ``fee`` positive where it is charged.

    ``at`` is when it was initiated, aware and in UTC. ``refers_to`` is another transaction or an order of PayPal's, by
    its type ``refers_as``. What stands in ``custom`` counts only where it is ours: others write customers' names there.
    """
    kind = kind_of(code, came=gross >= ZERO)
    subject = about(kind)
    ours = REFERENCE.fullmatch(custom) or REFERENCE.fullmatch(invoice)
    of_customer = kind in _CUSTOMERS
    return ReportLine(
        line=line,
        account=account,
        section=section,
        entry_ref=_made_ref(account, transaction, code, at, gross, currency, fee),
        is_made=True,
        kind=kind,
        provider_type=code,
        gross=gross,
        fee=fee,
        net=gross - fee,
        currency=currency,
        occurred_at=at,
        occurred_local=local,
        payout_ref=transaction if kind is EntryKind.PAYOUT else "",
        customer_amount=gross if of_customer else None,
        customer_currency=currency if of_customer else None,
        about=subject,
        # What comes back of a dispute has a name of its own, which nothing of ours has.
        subject_ref="" if subject is Subject.NONE or kind is EntryKind.DISPUTE_REVERSAL else transaction,
        payment_ref=refers_to if refers_as in _OF_PAYMENTS else "",
        merchant_ref=ours[1] if ours else invoice,
    )


def payout_of(
    line: ReportLine, *, status: PayoutStatus, bank_reference: str, failed_at: datetime | None = None
) -> ReportPayout:
    """The withdrawal that a line is: PayPal pays out of a balance, so nobody can list what it is made of."""
    return ReportPayout(
        account=line.account,
        payout_ref=line.payout_ref,
        amount=-line.gross,
        currency=line.currency,
        status=status,
        itemized=False,
        issued_at=line.occurred_at,
        bank_reference=bank_reference,
        failed_at=failed_at,
    )


class Withdrawals:
    """The payouts of a report, each once: a transaction id is not unique, and a name has one payout."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._known: dict[tuple[str, str], ReportPayout] = {}

    def add(self, payout: ReportPayout) -> None:
        """One more. Raises UnlikeError for more than anybody has: they are in memory until the report ends."""
        known = self._known.setdefault((payout.account, payout.payout_ref), payout)
        if known is payout:
            if len(self._known) > MOST_PAYOUTS:
                raise UnlikeError(f"a report of more than {MOST_PAYOUTS} withdrawals")
            self._report.payouts.append(payout)
        elif known != payout and len(self._report.faults) < _MOST_FAULTS:
            self._report.faults.append(f"two withdrawals that differ have the transaction ID {payout.payout_ref}")


def _made_ref(
    account: str, transaction: str, code: str, at: datetime, gross: Decimal, currency: str, fee: Decimal
) -> str:
    """Of names and amounts that the file and the API have alike; never of the section, nor of a column's place."""
    instant = at.astimezone(UTC).isoformat(timespec="seconds")
    parts = (account, transaction, code, instant, str(gross) if gross else "0", currency, str(fee) if fee else "0")
    return sha256("\x1f".join(parts).encode()).hexdigest()[:32]
