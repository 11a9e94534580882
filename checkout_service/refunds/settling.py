"""What is known of a refund that is in doubt: what a person says, and which webhooks wait that may be about it.

A webhook about a refund without our id waits while one of ours with its amount has no reference. It was verified, so it
goes before what somebody copied out of a dashboard.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from checkout_service.database.engine import execute
from checkout_service.money import show

LONGEST_REFERENCE: Final = 255

_AWAITS: Final = "a refund of ours with this amount has no reference yet"

_AWAITING: Final = re.compile(rf"(?P<name>.+?)(?:, (?P<amount>[0-9.]+ [A-Z]{{3}}))?: {_AWAITS}", re.DOTALL)

MOST: Final = 50
"""Webhooks of one payment that are looked at."""

# Those that wait for their next attempt, by an index of these alone (webhook_deliveries_waits_for_refund), and those
# that were given up. A worker asks under the payment's lock, however many others are pending.
_waiting = text(f"""
    SELECT id, detail FROM webhook_deliveries
    WHERE state IN ('received', 'parked') AND provider = :provider AND provider_ref = :payment_ref
        AND right(detail, {len(_AWAITS)}) = '{_AWAITS}'
    UNION ALL
    SELECT id, detail FROM webhook_deliveries
    WHERE state = 'failed' AND provider = :provider AND provider_ref = :payment_ref
        AND right(detail, {len(_AWAITS)}) = '{_AWAITS}'
    ORDER BY id LIMIT {MOST}
""")  # noqa: S608 (only our own constants)


class WaitingReport(NamedTuple):
    """A verified webhook that speaks of a refund, by the provider's name, and waits to be entered."""

    delivery_id: UUID
    reference: str


class InvalidReferenceError(Exception):
    """It is no provider's name for a refund; the message says why."""


def read_reference(typed: str) -> str:
    """The provider's name for a refund, as somebody copied it out of its dashboard. Raises InvalidReferenceError."""
    reference = typed.strip()
    if not reference:
        raise InvalidReferenceError("what the provider calls the refund is needed")
    if len(reference) > LONGEST_REFERENCE:
        raise InvalidReferenceError(f"a reference has up to {LONGEST_REFERENCE} characters")
    if not reference.isascii() or not reference.isprintable() or " " in reference:
        raise InvalidReferenceError("a reference is printable ASCII without a space")
    return reference


def awaits(reference: str, amount: Decimal | None, currency: str) -> str:
    """What a webhook waits for that speaks of a refund without our id; the amount where it names one."""
    return f"{reference}{'' if amount is None else f', {show(amount, currency)} {currency}'}: {_AWAITS}"


def waiting_reports(
    provider: str, payment_ref: str, *, amount: Decimal, currency: str, connection: Connection | None = None
) -> list[WaitingReport]:
    """Verified webhooks about this payment that wait and may speak of a refund of this amount, oldest first.

    With a ``connection`` within the caller's transaction. Up to MOST are looked at, however many others are pending.
    Raises DatabaseUnavailableError.
    """
    values = {"provider": provider, "payment_ref": payment_ref}
    rows = execute(_waiting, values) if connection is None else connection.execute(_waiting, values).all()
    found = [(row.id, _AWAITING.fullmatch(row.detail)) for row in rows]
    own = {None, f"{show(amount, currency)} {currency}"}
    return [WaitingReport(key, match["name"]) for key, match in found if match and match["amount"] in own]
