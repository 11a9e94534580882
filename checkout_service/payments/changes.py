"""Whether anything changed of what is shown of payments: of thousands at once, by one statement."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, Final, cast
from uuid import UUID

from flask import Flask, request

from checkout_service.api.addresses import caller_address
from checkout_service.api.callers import Caller
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.payments.mates import mates_of
from checkout_service.server.long_polls import LOOKS_KEY, Seen

LOOK: Final = "payments"
"""The name by which requests wait for a change of a payment, whose id is their subject."""

WAITING_OF_CALLER: Final = 8
WAITING_OF_ADDRESS: Final = 200
WAITING_OF_GUESTS: Final = 1500
WAITING_OF_STAFF: Final = 1500
WAITING_OF_ALL: Final = 2000
"""Of the 2,200 long polls of a process: who throws the shop's cookie away is another guest, and leaves room. So does a
program that waits in its customers' place, or forgets that it does. And all of them leave room for events."""

# Of each row the transaction that last wrote it: no change of any column can be forgotten here. Beside what the API
# shows there is what the payment's page shows. Each branch reads by an index, in one walk for all payments.
_OF_PAYMENT: Final = (
    *("payment_attempts", "captures", "refunds", "disputes", "capture_requests", "voids", "payment_acceptances"),
    *("payment_notices", "payment_reviews", "payment_events", "cancel_requests", "orders"),
)

_ENTRIES: Final = "".join(
    f"UNION ALL SELECT entry.payment_id, entry.xmin FROM {table} AS entry WHERE entry.payment_id = ANY(:ids)\n"  # noqa: S608 (only our own constants)
    for table in _OF_PAYMENT
)

_versions = Statement(
    f"""
    SELECT part.id, CAST(sum(CAST(hashint8(CAST(CAST(part.written_by AS text) AS bigint)) AS bigint)) AS bigint)
    FROM (
        SELECT payment.id, payment.xmin AS written_by FROM payments AS payment WHERE payment.id = ANY(:ids)
        UNION ALL
        SELECT waited.id, mate.xmin
        FROM unnest(CAST(:ids AS uuid[])) AS waited (id) CROSS JOIN LATERAL {mates_of("waited.id")} AS other
        JOIN payments AS mate ON mate.id = other.payment_id
        {_ENTRIES}
    ) AS part GROUP BY part.id
    """,  # noqa: S608 (only our own constants)
    named=False,
)


def connect_changes(app: Flask) -> None:
    """Let the server look for changes of the payments that requests wait for."""

    def look(seen: Collection[Seen]) -> Collection[Seen]:
        with app.app_context():
            return changed(cast("Collection[tuple[UUID, int]]", seen))

    app.extensions.setdefault(LOOKS_KEY, {})[LOOK] = look


def changed(seen: Collection[tuple[UUID, int]]) -> set[tuple[Hashable, int]]:
    """Those of these payments, each with the version that somebody has of it, that are at another one now.

    Raises DatabaseUnavailableError.
    """
    versions = versions_of(list({payment_id for payment_id, _ in seen}))
    return {(payment_id, version) for payment_id, version in seen if versions.get(payment_id) != version}


def versions_of(ids: Sequence[UUID]) -> dict[UUID, int]:
    """A number for each payment, which is another one whenever anything that is shown of it has changed.

    It may change without that, too. None for a payment that there is not. Raises DatabaseUnavailableError.
    """
    return dict(execute(_versions, {"ids": list(ids)}))


def version_of(payment_id: UUID) -> int:
    """The same of one payment; 0 where there is none."""
    return versions_of([payment_id]).get(payment_id, 0)


def offers_to_wait(seconds: int) -> bool:
    """Whether the client of the request at work waits for a change of what it has already."""
    return seconds > 0 and bool(request.if_none_match) and not request.if_none_match.star_tag


def shares_of(caller: Caller, environ: Mapping[str, Any], *, as_staff: bool = False) -> Mapping[str, int]:
    """Whose place a request takes while it waits, and how many each may have. Staff have theirs in common."""
    if as_staff:
        return {"payments": WAITING_OF_ALL, "staff": WAITING_OF_STAFF}
    shares = {"payments": WAITING_OF_ALL, str(caller.user_id): WAITING_OF_CALLER}
    if (address := caller_address(environ)) is not None:
        shares[address] = WAITING_OF_ADDRESS
    if caller.is_guest:
        shares["guests"] = WAITING_OF_GUESTS
    return shares
