"""Files webhooks: one INSERT, committed before the answer, for one of them or for all that came meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson

from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.telemetry import tracing

_insert = Statement("""
    INSERT INTO webhook_deliveries (provider, headers, body, trace_context)
    VALUES (:provider, CAST(:headers AS jsonb), :body, :trace_context)
    RETURNING id
""")

# The ids are the database's own: in one process of it each is above the one before (uuidv7), and they are given after
# the rows were sorted. So they come back in the order in which the webhooks were handed in.
_insert_each = Statement(
    """
    INSERT INTO webhook_deliveries (provider, headers, body, trace_context)
    SELECT provider, CAST(headers AS jsonb), body, trace_context
    FROM unnest(
        CAST(:providers AS text[]), CAST(:headers AS text[]), CAST(:bodies AS bytea[]), CAST(:trace_contexts AS text[])
    ) WITH ORDINALITY AS given (provider, headers, body, trace_context, place)
    ORDER BY place
    RETURNING CAST(id AS text)
    """,
    named=False,
)

_BESIDE: Final = 128
"""Bytes for what is not counted of a webhook: its provider's name, its trace and four lengths."""


class NewWebhook(NamedTuple):
    """A webhook as it came: what its row is made of."""

    provider: str
    headers: str
    """Those that are kept, as a JSON object."""
    body: bytes
    trace_context: str | None

    @property
    def size(self) -> int:
        """Bytes that it takes of a statement, and a little more. The server hands on no header beyond ASCII."""
        return len(self.body) + len(self.headers) + _BESIDE


def new_webhook(*, provider: str, headers: dict[str, Any], body: bytes) -> NewWebhook:
    """A webhook that came by the request at work."""
    return NewWebhook(provider, orjson.dumps(headers).decode(), body, tracing.context())


def insert_webhook(webhook: NewWebhook) -> str:
    """Commit the webhook and return its id. Raises DatabaseUnavailableError: then nothing was promised."""
    (row,) = execute(_insert, webhook._asdict())
    return str(row.id)


def insert_webhooks(webhooks: Sequence[NewWebhook]) -> list[str]:
    """Commit all of them by one statement and return their ids in the same order.

    Raises DatabaseUnavailableError, then nothing was promised of any, and what else the database refuses one of them
    by, then none was committed.
    """
    providers, headers, bodies, trace_contexts = zip(*webhooks, strict=True)
    values = {"providers": providers, "headers": headers, "bodies": bodies, "trace_contexts": trace_contexts}
    rows = execute(_insert_each, {name: list(each) for name, each in values.items()})
    if len(rows) != len(webhooks):
        raise MissingRowsError(f"{len(rows)} of {len(webhooks)} rows were inserted")
    return [row[0] for row in rows]


class MissingRowsError(Exception):
    """Some rows were not inserted, and which is not known."""
