"""A movement of Stripe's balance, an object of the API, as the line that a report file has for it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from checkout_service.providers.adapters.stripe.objects import id_of, metadata_of, optional_id_of
from checkout_service.providers.adapters.stripe.report_amounts import currency_in
from checkout_service.providers.adapters.stripe.report_kinds import (
    DESCRIBED,
    OF_A_PURCHASE,
    OF_CUSTOMERS,
    OF_REFUNDS,
    is_ref,
    kind_of,
    ours,
    plain_description,
    subject_of,
)
from checkout_service.providers.adapters.stripe.report_payouts import minor_amount
from checkout_service.providers.base import UnreadableError
from checkout_service.providers.fields import text, unix_moment_of
from checkout_service.providers.reports import ReportLine, UnreadableReportError
from checkout_service.settlement_words import EntryKind, Subject


def line_of(found: Mapping[str, Any], number: int, *, payout_ref: str) -> ReportLine:
    """A movement of the balance as the line that a report file has for it.

    ``number`` is its place in the list, from 1; its ``source`` stands whole where the list was asked for that. Raises
    UnreadableError or UnreadableReportError.
    """
    try:
        return _line(found, number, payout_ref)
    except UnreadableError as error:
        raise UnreadableReportError(f"{payout_ref}: movement {number}: {error}") from None


def _line(found: Mapping[str, Any], number: int, payout_ref: str) -> ReportLine:
    ref, word = text(found, "id"), text(found, "reporting_category" if found.get("reporting_category") else "type")
    currency = currency_in(text(found, "currency"))
    if found.get("object") != "balance_transaction" or not (is_ref(ref) and is_ref(word)) or currency is None:
        raise UnreadableError("it is no movement of a balance")
    gross, fee, net = (minor_amount(found, name, currency.code) for name in ("amount", "fee", "net"))
    kind = kind_of(word, gross)
    source = found.get("source")
    whole: Mapping[str, Any] = source if isinstance(source, dict) else {}
    source_ref = optional_id_of(source)
    charge = optional_id_of(whole.get("charge")) if whole.get("object") != "charge" else id_of(source)
    intent = optional_id_of(whole.get("payment_intent"))
    about, subject = subject_of(kind, source_ref, charge)
    if not all(is_ref(each) for each in (subject, intent) if each):
        raise UnreadableError("its source has an id that is none")
    customer_amount, paid_in = _customers(whole, kind, about)
    made = unix_moment_of(found.get("created"))
    available = found.get("available_on")
    written = metadata_of(whole).get("payment_id") if kind is EntryKind.CAPTURE or kind in OF_REFUNDS else None
    is_described = kind in DESCRIBED and not source_ref.startswith(OF_A_PURCHASE) and not intent
    return ReportLine(
        line=number,
        account="",
        section=payout_ref,
        entry_ref=ref,
        is_made=False,
        kind=kind,
        provider_type=word,
        gross=gross,
        fee=fee,
        net=net,
        currency=currency.code,
        occurred_at=made,
        occurred_local=f"{made:%Y-%m-%d %H:%M:%S}",
        payout_ref=payout_ref,
        available_on=unix_moment_of(available).date() if available is not None else None,
        customer_amount=customer_amount,
        customer_currency=paid_in,
        rate=_rate(found.get("exchange_rate")),
        about=about,
        subject_ref=subject,
        payment_ref=intent,
        merchant_ref=ours(written),
        description=plain_description(found.get("description") or "") if is_described else "",
    )


def _customers(source: Mapping[str, Any], kind: EntryKind, about: Subject) -> tuple[Decimal | None, str | None]:
    """What a customer paid or got, signed as the line is, and in what: the amount of the object that it came of.

    Of a charge that is all that was authorised, as the line has it too.
    """
    if kind not in OF_CUSTOMERS or source.get("object") not in _OBJECTS[about]:
        return None, None
    currency = currency_in(text(source, "currency"))
    if currency is None:
        raise UnreadableError("the currency of its source is not three characters")
    amount = minor_amount(source, "amount", currency.code)
    return (-amount if kind in _GOING else amount), currency.code


_OBJECTS: Final = {Subject.CAPTURE: ("charge", "refund"), Subject.REFUND: ("refund",), Subject.DISPUTE: ("dispute",)}
_GOING: Final = frozenset({EntryKind.RELEASE, EntryKind.REFUND, EntryKind.DISPUTE})


def _rate(value: object) -> Decimal | None:
    """From the customer's currency to the balance's; None where nothing was converted."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    rate = Decimal(str(value))
    return rate if rate.is_finite() else None
