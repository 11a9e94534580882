"""The sentences of a payment's headline. None that asks to wait stands over a button to pay."""

from __future__ import annotations

from typing import Final

from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.status import PaymentStatus

Words = tuple[str, str, str, str]
"""Title, meaning, tone and sign."""

REVIEWED: Final[dict[str, str]] = {
    ReviewReason.MISMATCH: "Another amount came than you were asked for. A person looks at it.",
    ReviewReason.OVERPAID: "More came than you were asked for. A person looks at what is too much.",
    ReviewReason.PAID_AFTER_CLOSE: "Money came although this payment was closed already.",
    ReviewReason.PAID_TWICE: "The same cart was paid for twice.",
}
"""What a customer reads of the reasons for a review. Those about refunds and disputes are for operators alone; what is
short is told by the order."""

PAID: Final = "Paid. Thank you!"

BY_STATUS: Final[dict[PaymentStatus, Words]] = {
    PaymentStatus.PENDING: (
        "Waiting for your payment",
        "The provider has not reported anything yet. As soon as it does, you see it here.",
        "calm",
        "dots",
    ),
    PaymentStatus.PROCESSING: (
        "Your bank is working on it",
        "The provider has your payment and is waiting for the money. You can close this page and come back later.",
        "busy",
        "turning",
    ),
    PaymentStatus.FAILED: (
        "The payment did not go through",
        "The provider declined it. Nothing was charged, and nothing left your cart.",
        "bad",
        "cross",
    ),
    PaymentStatus.AUTHORIZED: (
        "Your payment is authorized",
        "The money is reserved for your order. It is taken when your order is sent.",
        "busy",
        "lock",
    ),
    PaymentStatus.EXPIRED: (
        "This payment has expired",
        "Its time ran out before any money came. Nothing was charged, and nothing left your cart.",
        "past",
        "clock",
    ),
    PaymentStatus.CANCELED: (
        "This payment was canceled",
        "It was called off before any money came. Nothing was charged, and nothing left your cart.",
        "past",
        "barred",
    ),
    PaymentStatus.REVERSED: (
        "The money went back",
        "It had come, and was taken back by the bank, so this order is not paid.",
        "odd",
        "back",
    ),
}
"""By every status but those that depend on amounts and on the order."""

RELEASED: Final = (
    "Your order was canceled",
    "Nothing more is sent. Its money was only reserved: it is not taken, and we ask the provider to release it.",
    "past",
    "barred",
)
"""Of money that is authorized for an order that was canceled."""

ORDER_CANCELED: Final = "Your order was canceled"

BEGUN: Final = (
    "Waiting for your payment",
    "You began to pay, and the provider has not reported how it ended. As soon as it does, you see it here.",
    "calm",
    "dots",
)

FAILED_AND_ENDING: Final = (
    "The payment did not go through",
    "The provider declined it, and it is to be canceled. Nothing was charged, and nothing left your cart.",
    "bad",
    "cross",
)

IN_VAIN: Final[dict[PaymentStatus, Words]] = {
    PaymentStatus.FAILED: (
        "The payment did not go through",
        "The provider declined it. Nothing was charged by it.",
        "bad",
        "cross",
    ),
    PaymentStatus.EXPIRED: (
        "This payment has expired",
        "Its time ran out before any money came. Nothing was charged by it.",
        "past",
        "clock",
    ),
}
"""Of a payment in whose place another one stands: what became of the cart is told there."""

CANCELED_ON_REQUEST: Final = (
    "This payment was canceled",
    "You asked for it before any money came. Nothing was charged, and nothing left your cart.",
    "past",
    "barred",
)

CANCELED_FOR_NEWER: Final = (
    "This payment was canceled",
    "You began to pay for the same cart anew, so this one was called off. Nothing was charged by it.",
    "past",
    "barred",
)

CANCELED_FOR_PAID: Final = (
    "This payment was canceled",
    "The same cart is paid for by another payment, so this one was called off. Nothing was charged by it.",
    "past",
    "barred",
)

ENDING: Final = (
    "This payment is being canceled",
    "We are asking the provider to call it off. Should money have come in this very moment, you see it here.",
    "past",
    "barred",
)

ENDING_UNDER_WAY: Final = (
    "This payment is to be canceled",
    (
        "It is under way at your bank, and what is under way cannot be stopped. If it fails, nothing is charged. If "
        "the money comes all the same, you have bought it: write to us if you do not want it."
    ),
    "past",
    "clock",
)

STILL_WAITING: Final = (
    "Still waiting",
    (
        "More than a minute has passed without news. If you have paid, nothing is lost: we ask the provider ourselves. "
        "If you have not, you can still do it."
    ),
    "past",
    "clock",
)

STILL_UNDER_WAY: Final = (
    "Still waiting",
    (
        "Your bank is working on it, and more than a minute has passed without news. Nothing is lost: if no word "
        "comes, we ask the provider ourselves. Please do not pay a second time."
    ),
    "past",
    "clock",
)

IN_REVIEW: Final = (
    "Somebody has to look at this",
    (
        "What the provider reported does not fit, so a person looks at it before anything is decided. "
        "Please do not pay a second time."
    ),
    "odd",
    "flag",
)
