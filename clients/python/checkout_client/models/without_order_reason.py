from typing import Literal, cast

WithoutOrderReason = Literal["before_orders", "duplicate_of", "mismatch", "no_session"]


def check_without_order_reason(value: str) -> WithoutOrderReason:
    # A word that is newer than this client is let through.
    return cast(WithoutOrderReason, value)
