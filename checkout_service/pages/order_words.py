"""An order in plain words: its status, and what became of its lines."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, NamedTuple

from checkout_service.orders.status import OrderStatus
from checkout_service.pages.amounts import Write


class OrderWords(NamedTuple):
    """A status as its customer reads it. ``tone`` is a colour, ``sign`` an icon; neither says anything alone."""

    name: str
    meaning: str
    tone: str
    sign: str


ORDER_WORDS: Final[dict[OrderStatus, OrderWords]] = {
    OrderStatus.PLACED: OrderWords("placed", "We have your order and get it ready.", "busy", "box"),
    OrderStatus.SHORT: OrderWords(
        "waiting for stock",
        "Something you bought is gone meanwhile. A person looks at it: you get it later, or its money back.",
        "odd",
        "clock",
    ),
    OrderStatus.PARTIALLY_FULFILLED: OrderWords("partly sent", "A part is sent, the rest follows.", "busy", "box"),
    OrderStatus.FULFILLED: OrderWords("sent", "All of it is sent.", "good", "check"),
    OrderStatus.ON_HOLD: OrderWords(
        "on hold", "Your bank questions the payment, so nothing is sent until that is settled.", "odd", "pause"
    ),
    OrderStatus.CANCELED: OrderWords("canceled", "It was canceled, and nothing more is sent.", "past", "barred"),
}


_ON_HOLD: Final = {
    None: ORDER_WORDS[OrderStatus.ON_HOLD].meaning,
    False: "Your bank questions the payment, so nothing more is sent until that is settled.",
    True: "Your bank questions the payment. All of it is sent.",
}
"""By whether all of it is sent."""

_NOT_DONE: Final = (OrderStatus.PLACED, OrderStatus.SHORT, OrderStatus.PARTIALLY_FULFILLED)


def order_words(order: dict[str, Any]) -> OrderWords:
    """The words of an order as the API shows it; one whose money went back promises nothing."""
    status = OrderStatus(order["status"])
    words = ORDER_WORDS[status]
    if status in _NOT_DONE and Decimal(order["amount_refunded"]) >= Decimal(order["amount"]):
        return words._replace(meaning="All that you paid for it was given back.", tone="past", sign="back")
    if status is OrderStatus.ON_HOLD:
        return words._replace(meaning=_ON_HOLD[_sent(order)])
    if status is OrderStatus.FULFILLED and any(line["qty_canceled"] for line in order["lines"]):
        return words._replace(meaning="All that was not given back is sent.")
    return words


def _sent(order: dict[str, Any]) -> bool | None:
    """Whether all that is to be sent of the order is sent; None where nothing is."""
    if not any(line["qty_fulfilled"] for line in order["lines"]):
        return None
    return all(line["qty_fulfilled"] + line["qty_canceled"] >= line["qty"] for line in order["lines"])


def after_payment(order: dict[str, Any] | None) -> str:
    """How "The money came" goes on, with what becomes of the order; without one it says no more."""
    if order is None:
        return "."
    status = OrderStatus(order["status"])
    if status is OrderStatus.PLACED:
        return ", and your order is placed."
    meaning = order_words(order).meaning
    return f". Your order: {meaning[0].lower()}{meaning[1:]}"


def not_yet_back(left: Decimal, came: Decimal) -> str:
    """What is said of the money of an order that was canceled, where ``left`` of it is not even on its way back."""
    if left <= 0:
        return ""
    what = "What you paid" if left == came else "The rest of what you paid"
    return f" {what} is not on its way back yet: the shop will see to it."


def money_of_canceled(payment: dict[str, Any], write: Write) -> str:
    """What became of the money of an order that was canceled; the payment is as the API shows it."""
    names = ("captured", "lost", "refunded", "refunding")
    came, lost, back, coming = (Decimal(payment[f"amount_{name}"]) for name in names)
    if came == 0:
        return " Its money was only reserved, and is not taken."
    moved = {
        "is on its way back to you": coming,
        "was given back": back,
        "was taken back by your bank": lost,
    }
    found = [f" {write(amount, payment['currency'])} {words}." for words, amount in moved.items() if amount > 0]
    return "".join([*found, not_yet_back(came - lost - back - coming, came)])


def line_words(line: dict[str, Any]) -> list[str]:
    """What became of the pieces of an order's line as the API shows it, such as "2 sent"."""
    counts = {
        "sent": line["qty_fulfilled"],
        "given back": line["qty_refunded"],
        "on the way back to you": line["qty_refunding"],
    }
    return [f"{count} {words}" for words, count in counts.items() if count]
