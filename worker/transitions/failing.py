"""Counts attempts to pay that failed, by caller and by address: who tries card after card is slowed down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import structlog

from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.database.statements import Statement
from checkout_service.rates import counts

_whose: Final = Statement(
    """
    SELECT payment.user_id, here.address
    FROM unnest(CAST(:ids AS uuid[])) AS given (id) JOIN payments AS payment ON payment.id = given.id
    LEFT JOIN session_addresses AS here ON here.payment_id = payment.id
    """,
    binary=True,
    named=False,
)

_log = structlog.get_logger()


def count_failed_attempts(payments: Sequence[UUID]) -> None:
    """Count for the customers of these payments, and for the addresses from where they were opened. Never raises.

    Call it after the commit. What is not counted, since the database or the cache went away, is lost: it is a bound.
    """
    try:
        rows = execute(_whose, {"ids": list(payments)})
    except DatabaseUnavailableError:
        _log.warning("failed_attempts_not_counted", payments=len(payments))
        return
    counts.count_failed_attempts(
        whose for user, address in rows for whose in (str(user), address and bytes(address).hex()) if whose
    )
