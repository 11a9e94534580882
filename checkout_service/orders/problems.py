"""Why an order is not fulfilled, or not canceled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from checkout_service.api.problems import Problem


class OrderCanceled(Problem):
    status = 409
    slug = "order-canceled"
    title = "The order is canceled"
    default_detail = "This order is canceled: nothing of it is fulfilled, and it is not canceled once more."


class OrderOnHold(Problem):
    status = 409
    slug = "order-on-hold"
    title = "The order is on hold"
    default_detail = (
        "The money for this order is disputed, or went back: nothing is handed over before that is decided. See its "
        "payment."
    )


class NothingLeftToFulfil(Problem):
    status = 409
    slug = "nothing-left-to-fulfil"
    title = "Nothing left to fulfil"
    default_detail = "All pieces of this order were fulfilled."


class FulfilmentTooLarge(Problem):
    """``lines`` names each line that has too little: its id, how many pieces it should be, and how many are left."""

    status = 409
    slug = "fulfilment-too-large"
    title = "Fulfilment too large"
    default_detail = "Fewer pieces than that are left to fulfil: see lines."
    example: ClassVar[Mapping[str, Any]] = {
        "lines": [{"line_id": "01a206b6-2617-7632-98bf-296e992e5f9d", "qty": 2, "left": 1}]
    }


class VoidOutstanding(Problem):
    status = 409
    slug = "void-outstanding"
    title = "The money is being released"
    default_detail = (
        "Somebody asked to release what is authorized for this order: nothing is handed over before it is known what "
        "became of that. See its payment."
    )


class CaptureOutstanding(Problem):
    status = 409
    slug = "capture-outstanding"
    title = "The money is being captured"
    default_detail = (
        "A capture of this order's payment is under way: cancel the order once it is known what became of that."
    )


class OrderFulfilled(Problem):
    """``lines`` names each line of which something was fulfilled, and how many pieces."""

    status = 409
    slug = "order-fulfilled"
    title = "Something of the order was fulfilled"
    default_detail = "Pieces of this order were handed over, see lines: give back what is due by a refund of lines."
    example: ClassVar[Mapping[str, Any]] = {
        "lines": [{"line_id": "01a206b6-2617-7632-98bf-296e992e5f9d", "qty_fulfilled": 1}]
    }
