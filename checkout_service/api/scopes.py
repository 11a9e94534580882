"""What tokens and API keys may be good for, beyond a customer's own data: each scope by its name.

A route that takes one is marked with it (``checkout_service.api.callers.scoped``). docs/security.md has the table of
which scope opens which route, and a test compares it with the marks.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """The scopes that there are: of tokens in the claim ``scope``, of API keys as they were made."""

    PAYMENTS_READ = "payments:read"
    PAYOUTS_READ = "payouts:read"
    ORDERS_READ = "orders:read"
    ORDERS_WRITE = "orders:write"
    REFUNDS = "refunds"
    CAPTURES = "captures"
    EVENTS_READ = "events:read"
    WEBHOOKS_WRITE = "webhooks:write"
    OPS = "ops"


OPENS: Final[Mapping[Scope, str]] = {
    Scope.PAYMENTS_READ: "reads all payments, their captures, refunds and disputes",
    Scope.PAYOUTS_READ: "reads what providers paid out, what that is made of, and entries of the bank's statements",
    Scope.ORDERS_READ: "reads all orders, with buyers and addresses",
    Scope.ORDERS_WRITE: "fulfils orders and cancels them, with the captures, refunds and voids that this takes",
    Scope.REFUNDS: "gives money back, accepts another amount, cancels open payments",
    Scope.CAPTURES: "captures what is authorized, or releases it",
    Scope.EVENTS_READ: "reads the log of events",
    Scope.WEBHOOKS_WRITE: "reads and changes webhook endpoints",
    Scope.OPS: "opens the operators' console",
}
"""What each is good for, in words."""
