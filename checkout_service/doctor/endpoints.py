"""Checks of webhook endpoints: whether their secrets can be kept, and which of them get nothing, or too little."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from flask import current_app

from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.doctor.findings import Finding, advice, ok, wrong
from checkout_service.settings.values import WebSettings

NAMED: Final = 3
"""How many endpoints a finding names; the rest is counted."""

_endpoints = Statement("""
    SELECT state::text AS state, lagging_since IS NOT NULL AS lagging, id::text AS id
    FROM webhook_endpoints WHERE deleted_at IS NULL ORDER BY id DESC LIMIT 10000
""")


def check_endpoints() -> Iterator[Finding]:
    """Suspended and disabled endpoints get nothing, and one that lags is about to lose events."""
    web: WebSettings = current_app.extensions["settings"]
    rows = execute(_endpoints)
    if web.webhook_secrets_keys:
        yield ok("webhook secrets", "can be kept")
    elif rows:
        yield wrong("webhook secrets", "WEBHOOK_SECRETS_KEY is not set", f"Nothing can be signed: {_HOW}")
    else:
        yield advice("webhook secrets", "WEBHOOK_SECRETS_KEY is not set", f"No webhook endpoint can be made: {_HOW}")
    suspended = [row.id for row in rows if row.state == "suspended"]
    disabled = [row.id for row in rows if row.state == "disabled"]
    lagging = [row.id for row in rows if row.lagging]
    if lagging:
        remedy = "The log drops what they did not get within a day: see why they take so little, or enable them."
        yield wrong("webhook endpoints", f"{_named(lagging)} lag", remedy)
    if suspended:
        remedy = "They took nothing for minutes, and are tried on. `webhook-endpoints show ID` has their answers."
        yield advice("webhook endpoints", f"{_named(suspended)} suspended", remedy)
    if disabled:
        remedy = "Nothing is sent there: `webhook-endpoints enable ID`, or delete what is not needed."
        yield advice("webhook endpoints", f"{_named(disabled)} disabled", remedy)
    if not (lagging or suspended or disabled):
        yield ok("webhook endpoints", f"{len(rows)}, all enabled")


_HOW: Final = "set it, for the web tier and for workers alike; docs/webhook-endpoints.md says how a key is made."


def _named(ids: list[str]) -> str:
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return f"{', '.join(ids[:NAMED])}{more}"
