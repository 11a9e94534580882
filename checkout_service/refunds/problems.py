"""Why a refund is not taken."""

from __future__ import annotations

from checkout_service.api.problems import Problem


class NotRefundable(Problem):
    status = 409
    slug = "not-refundable"
    title = "Nothing to refund"
    default_detail = "No money of this payment is here, so none can be given back; see its status."


class NothingLeftToRefund(Problem):
    status = 409
    slug = "nothing-left-to-refund"
    title = "Nothing left to refund"
    default_detail = "All of this payment has been given back, or is on its way."


class RefundTooLarge(Problem):
    status = 409
    slug = "refund-too-large"
    title = "Refund too large"
    default_detail = "Less than that is left of this payment: ask for amount_left or less."


class RefundLinesTooLarge(Problem):
    """``lines`` names each line that has too little: its id, how many pieces it should be, and how many are left."""

    status = 409
    slug = "refund-lines-too-large"
    title = "More pieces than were bought"
    default_detail = "Fewer pieces than that are left to give back of a line: see lines."
