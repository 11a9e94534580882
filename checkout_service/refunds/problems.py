"""Why a refund is not taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from checkout_service.api.problems import Problem


class NotRefundable(Problem):
    status = 409
    slug = "not-refundable"
    title = "Nothing to refund"
    default_detail = "No money of this payment is here, so none can be given back; see its status."
    example: ClassVar[Mapping[str, Any]] = {"payment_status": "pending"}


class NothingLeftToRefund(Problem):
    status = 409
    slug = "nothing-left-to-refund"
    title = "Nothing left to refund"
    default_detail = "All of this payment has been given back, or is on its way."
    example: ClassVar[Mapping[str, Any]] = {"amount_left": "0.00", "currency": "USD"}


class RefundTooLarge(Problem):
    status = 409
    slug = "refund-too-large"
    title = "Refund too large"
    default_detail = "Less than that is left of this payment: ask for amount_left or less."
    example: ClassVar[Mapping[str, Any]] = {"amount_left": "40.00", "currency": "USD"}


class RefundLinesTooLarge(Problem):
    """``lines`` names each line that has too little: its id, how many pieces it should be, and how many are left."""

    status = 409
    slug = "refund-lines-too-large"
    title = "More pieces than were bought"
    default_detail = "Fewer pieces than that are left to give back of a line: see lines."
    example: ClassVar[Mapping[str, Any]] = {
        "lines": [{"line_id": "01a206b6-2617-7632-98bf-296e992e5f9d", "qty": 2, "left": 1}]
    }
