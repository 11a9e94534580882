from typing import Literal, cast

SettlementExceptionKind = Literal["differs", "missing_there", "proposed", "unknown_here", "unowned_fee", "withdrawn"]


def check_settlement_exception_kind(value: str) -> SettlementExceptionKind:
    # A word that is newer than this client is let through.
    return cast(SettlementExceptionKind, value)
