"""The words for what became of an order, and for why there is none."""

from __future__ import annotations

from enum import Enum, StrEnum


class OrderStatus(Enum):
    """What became of an order, computed of its payment and its lines by the database (``orders_statuses``)."""

    PLACED = "placed"
    SHORT = "short"
    """Money came after the hold was given back, and there are too few pieces."""
    PARTIALLY_FULFILLED = "partially_fulfilled"
    FULFILLED = "fulfilled"
    ON_HOLD = "on_hold"
    """Its payment is reversed, or has an open chargeback: nothing is handed over meanwhile."""
    CANCELED = "canceled"


class NoOrder(StrEnum):
    """Why a payment with money has no order."""

    DUPLICATE_OF = "duplicate_of"
    """Another payment for the same filling of the cart has it."""
    MISMATCH = "mismatch"
    """Less came than is due."""
    NO_SESSION = "no_session"
    BEFORE_ORDERS = "before_orders"
    """It was paid before there were orders."""
