"""Files a webhook: one INSERT, committed before the answer."""

from __future__ import annotations

from typing import Any

import orjson

from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.telemetry import tracing

_insert = Statement("""
    INSERT INTO webhook_deliveries (provider, headers, body, trace_context)
    VALUES (:provider, CAST(:headers AS jsonb), :body, :trace_context)
    RETURNING id
""")


def insert_webhook(*, provider: str, headers: dict[str, Any], body: bytes) -> str:
    """Commit the webhook and return its id. Raises DatabaseUnavailableError: then nothing was promised."""
    values = {"provider": provider, "headers": orjson.dumps(headers).decode(), "body": body}
    (row,) = execute(_insert, values | {"trace_context": tracing.context()})
    return str(row.id)
