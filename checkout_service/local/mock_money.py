"""What the mock provider does with money beyond a plain payment: it holds it back, captures, loses and returns it.

Each function changes a payment as the bank holds it (``attempts``, ``captures`` and ``disputes`` are lists in it, by
names of its own) and returns the reports that the provider makes of that. Where nothing was paid yet, it is paid first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final
from uuid import uuid4

from checkout_service.money import decimals, show
from checkout_service.providers.adapters.mock.events import CAPTURE_PREFIX, REFUND_PREFIX

HELD_FOR: Final = timedelta(days=7)
"""How long an authorisation is good."""

EVIDENCE_WITHIN: Final = timedelta(days=14)

_MONEY_CAME: Final = frozenset({"paid", "partially_paid"})

Payment = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a webhook says beside the payment's reference."""

    status: str
    details: dict[str, Any] = field(default_factory=dict)


Moves = Callable[[Payment], list[Report]]


def came(payment: Payment) -> Decimal:
    """All that was paid, whatever was asked for: a customer may pay more, or a part."""
    named = [each for each in payment.get("captures", ()) if each["status"] == "succeeded"]
    named += [each for each in payment.get("attempts", ()) if each["status"] == "paid"]
    if named:
        return sum((Decimal(each["amount"]) for each in named), Decimal(0))
    if "received" in payment:
        return Decimal(payment["received"])
    return Decimal(payment["amount"]) if payment.get("status") in {"paid", "reversed"} else Decimal(0)


def refundable(payment: Payment) -> Decimal:
    """What can be given back, with what was already: all that came and that no bank took.

    A reversal without a name took all, unless the disputes by name say how much.
    """
    lost = sum((Decimal(each["amount"]) for each in payment.get("disputes", ()) if each["step"] % 2 == 1), Decimal(0))
    if payment.get("status") == "reversed" and not lost:
        return Decimal(0)
    return came(payment) - lost


def shown(payment: Payment) -> Payment:
    """The payment as the provider's server answers about it: money without a name is seen by its amount."""
    named = payment.get("captures") or payment.get("attempts")
    return payment | {"amount": payment["received"]} if "received" in payment and not named else payment


def take_report(payment: Payment, status: str, details: Mapping[str, str]) -> None:
    """Let the bank know what a webhook tells: a status, and perhaps ``amount``, ``capture_ref`` and ``attempt``.

    Money that came stays, whatever is reported after it: it leaves by a refund, or is reversed.
    """
    amount = details.get("amount", payment.get("amount"))
    named = {name: details[name] for name in ("capture_ref", "attempt") if name in details}
    if status in _MONEY_CAME and amount is not None:
        if named and ("currency" in details or "currency" in payment):
            word, kept = ("succeeded", "captures") if "capture_ref" in named else ("paid", "attempts")
            made = named | {
                "status": word,
                "amount": amount,
                "currency": details.get("currency", payment.get("currency")),
            }
            others = [each for each in payment.get(kept, ()) if not named.items() <= each.items()]
            payment[kept] = [*others, made]
        elif "amount" in details:
            payment["received"] = str(max(Decimal(amount), Decimal(payment.get("received", 0))))
    if status in _MONEY_CAME or status == "reversed" or "amount" not in payment or came(payment) == 0:
        payment["status"] = status


def uncaptured(payment: Payment) -> Decimal:
    """What is held back and was not captured."""
    open_ones = [each for each in payment.get("attempts", ()) if each["status"] == "authorized"]
    return sum((Decimal(each["amount"]) for each in open_ones), Decimal(0)) - (came(payment) if open_ones else 0)


def authorize(payment: Payment) -> list[Report]:
    """Hold all of it back."""
    if uncaptured(payment) > 0 or came(payment) > 0:
        return []
    attempt = _tried(payment, "authorized", expires_at=_text(datetime.now(UTC) + HELD_FOR))
    payment["status"] = "authorized"
    return [_report(attempt)]


def capture_all(payment: Payment) -> list[Report]:
    """Capture what is held back."""
    reports = authorize(payment)
    left = uncaptured(payment)
    return [*reports, *capture(payment, left, final=True)] if left > 0 else reports


def capture_half(payment: Payment) -> list[Report]:
    """Capture half of what is held back, and release the rest."""
    reports = authorize(payment)
    left = uncaptured(payment)
    return [*reports, *capture(payment, _half(left, payment["currency"]), final=True)] if left > 0 else reports


def capture(payment: Payment, amount: Decimal, *, final: bool, request_id: str | None = None) -> list[Report]:
    """Capture so much; ``request_id`` is the shop's own, where the shop asked for it."""
    attempt = next(each for each in payment["attempts"] if each["status"] == "authorized")
    made = {
        "capture_ref": CAPTURE_PREFIX + uuid4().hex,
        "attempt": attempt["attempt"],
        "status": "succeeded",
        "amount": show(amount, payment["currency"]),
        "currency": payment["currency"],
    } | ({"request_id": request_id} if request_id else {})
    payment.setdefault("captures", []).append(made)
    reports = [_report(made)]
    whole = came(payment) >= Decimal(attempt["amount"])
    payment["status"] = "paid" if whole else "partially_paid"
    if final and not whole:
        attempt["status"] = "canceled"
        reports.append(_report(attempt))
    return reports


def release(payment: Payment) -> list[Report]:
    """Give up what is held back and was not captured."""
    reports = authorize(payment)
    for attempt in payment.get("attempts", ()):
        if attempt["status"] == "authorized" and uncaptured(payment) > 0:
            attempt["status"] = "canceled"
            reports.append(_report(attempt))
            if came(payment) == 0:
                payment["status"] = "canceled"
    return reports


def charge_twice(payment: Payment) -> list[Report]:
    """The customer pays in two tabs."""
    payment["status"] = "paid"
    return [_report(_tried(payment, "paid")) for _ in range(2)]


def open_dispute(payment: Payment) -> list[Report]:
    """The customer's bank opens a chargeback over half of it; the money is still here."""
    reports = _paid_first(payment)
    dispute = {
        "dispute_ref": f"mock_dp_{uuid4().hex}",
        "status": "needs_response",
        "stage": "chargeback",
        "step": 0,
        "amount": show(_half(came(payment), payment["currency"]), payment["currency"]),
        "currency": payment["currency"],
        "reason": "not_received",
        "evidence_due_at": _text(datetime.now(UTC) + EVIDENCE_WITHIN),
        "at": _text(datetime.now(UTC)),
    }
    payment.setdefault("disputes", []).append(dispute)
    return [*reports, _report(dispute)]


def lose_dispute(payment: Payment) -> list[Report]:
    """The bank decides for the customer, and takes the money."""
    return _decide(payment, "lost")


def win_dispute(payment: Payment) -> list[Report]:
    """The bank decides for the shop. Money that it took before comes back."""
    return _decide(payment, "won")


def refund_half(payment: Payment) -> list[Report]:
    """Somebody gives half of it back in the provider's dashboard."""
    reports = _paid_first(payment)
    details = {
        "refund_ref": REFUND_PREFIX + uuid4().hex,
        "amount": show(_half(came(payment), payment["currency"]), payment["currency"]),
        "currency": payment["currency"],
    }
    return [*reports, Report(status="succeeded", details=details)]


def _decide(payment: Payment, word: str) -> list[Report]:
    reports = [] if payment.get("disputes") else open_dispute(payment)
    dispute = payment["disputes"][-1]
    taken = dispute["step"] % 2 == 1
    if taken != (word == "lost"):
        dispute["step"] += 1
    dispute |= {"status": word, "at": _text(datetime.now(UTC))}
    return [*reports, _report(dispute)]


def _paid_first(payment: Payment) -> list[Report]:
    if came(payment) > 0:
        return []
    if uncaptured(payment) > 0:
        return capture_all(payment)
    payment["status"] = "paid"
    return [Report(status="paid")]


def _tried(payment: Payment, status: str, **fields: str) -> dict[str, Any]:
    made = {"attempt": f"mock_at_{uuid4().hex}", "status": status}
    made |= {"amount": payment["amount"], "currency": payment["currency"]} | fields
    payment.setdefault("attempts", []).append(made)
    return made


def _report(entry: dict[str, Any]) -> Report:
    """A webhook about an entry as it stands now."""
    details = {name: value for name, value in entry.items() if name not in {"status", "at"}}
    return Report(status=entry["status"], details=details)


def _half(amount: Decimal, currency: str) -> Decimal:
    return (amount / 2).quantize(Decimal(1).scaleb(-decimals(currency)), ROUND_DOWN)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
