"""Reads the audit page: what people had done by a command, and what they asked for of orders and money, as one list.

Both are rows whose ids are made in the order of time (UUID version 7), so one id is the place of a page in all tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from checkout_service.commands.queries import PAGE, Command, commands_page
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.refunds.operations import SERVICE, operator_id

_KINDS: Final = {
    "fulfilment": ("fulfilments", "order_id", "NULL", "NULL", "order_status::text", "NULL"),
    "cancellation": ("order_cancellations", "order_id", "NULL", "NULL", "'canceled'", "reason"),
    "refund": ("refunds", "payment_id", "amount", "currency", "status::text", "reason"),
    "capture": ("capture_requests", "payment_id", "amount", "currency", "status::text", "NULL"),
    "void": ("voids", "payment_id", "releases", "currency", "status::text", "NULL"),
}
"""Of each kind its table, and the columns of what it is about, amount, currency, where it is now, and the reason."""


def _requests(edge: str) -> Statement:
    # Each table by its key, from the newest on: as many rows as the page has, however many there are.
    parts = " UNION ALL ".join(
        f"""(SELECT '{kind}' AS kind, id, created_at, requested_by, {subject} AS subject,
            CAST({amount} AS numeric) AS amount, CAST({currency} AS text) AS currency, {status} AS status,
            CAST({reason} AS text) AS reason
        FROM {table} WHERE {edge} AND requested_by <> CAST(:service AS uuid) ORDER BY id DESC LIMIT :limit)"""  # noqa: S608 (only our own constants)
        for kind, (table, subject, amount, currency, status, reason) in _KINDS.items()
    )
    return Statement(f"""
        SELECT request.*, used.prefix, used.name
        FROM (SELECT * FROM ({parts}) AS one ORDER BY id DESC LIMIT :limit) AS request
        LEFT JOIN api_keys AS used ON used.id = request.requested_by
        ORDER BY request.id DESC
    """)  # noqa: S608 (as above)


_signed_in = Statement("""
    SELECT found.operator FROM unnest(CAST(:ids AS text[])) AS sought (id) CROSS JOIN LATERAL (
        SELECT operator FROM audit WHERE subject = sought.id AND action = 'sign_in' ORDER BY subject, id DESC LIMIT 1
    ) AS found
""")
"""Those of the ids who signed in at a provider: their names are in no setting."""

_newest, _older = _requests("true"), _requests("id < CAST(:before AS uuid)")


class Request(NamedTuple):
    """What a person, or a program by its API key, asked for of an order (``fulfilment``, ``cancellation``) or of money.

    ``subject`` is the order's id or the payment's. ``amount`` is in the major unit of ``currency``; both are None of
    what has no amount of its own. ``status`` is where it is now, of a fulfilment the order's status after it.
    ``key_prefix`` and ``key_name`` are None unless an API key asked.
    """

    kind: str
    id: UUID
    created_at: datetime
    requested_by: UUID
    subject: UUID
    amount: Decimal | None
    currency: str | None
    status: str
    reason: str | None
    key_prefix: str | None
    key_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """A page of the audit, newest first, and the id that the next page begins before, if there is one.

    ``names`` are the operators behind ids of ``requested_by``, as far as they are known.
    """

    rows: Sequence[Command | Request]
    following: UUID | None
    names: Mapping[UUID, str]


def audit_page(*, before: UUID | None, operators: Iterable[str]) -> AuditPage:
    """The newest commands and requests, or the newest of those before one. ``operators`` are names to know people by.

    Raises DatabaseUnavailableError.
    """
    commands = commands_page(before=before)
    edge = {"before": before} if before else {}
    found = execute(_older if before else _newest, {"limit": PAGE + 1, "service": SERVICE} | edge)
    every: list[Command | Request] = [*commands.commands, *(Request(*row) for row in found)]
    rows = sorted(every, key=lambda row: row.id, reverse=True)
    known = {*operators, *(command.operator for command in commands.commands)}
    more = len(rows) > PAGE or commands.following is not None
    names = {operator_id(name): name for name in known}
    requesters = {row.requested_by for row in rows[:PAGE] if isinstance(row, Request) and row.key_prefix is None}
    if unknown := requesters - names.keys():
        found = execute(_signed_in, {"ids": [str(each) for each in unknown]})
        names |= {operator_id(name): name for (name,) in found}
    return AuditPage(rows=rows[:PAGE], following=rows[PAGE - 1].id if more else None, names=names)
