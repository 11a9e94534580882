from typing import Literal, cast

WholePaymentReviewReasonsItem = Literal[
    "attempt_timed_out",
    "authorization_adjusted",
    "cancellation_unpaid",
    "dispute_mismatch",
    "fraud_warning",
    "fulfilled_unpaid",
    "mismatch",
    "name_of_another",
    "overpaid",
    "paid_after_close",
    "paid_twice",
    "paid_without_stock",
    "recaptured",
    "refund_mismatch",
    "refund_too_large",
    "unclear_cancellation",
]


def check_whole_payment_review_reasons_item(value: str) -> WholePaymentReviewReasonsItem:
    # A word that is newer than this client is let through.
    return cast(WholePaymentReviewReasonsItem, value)
