"""Finds customers for operators by what their tokens call them."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text

from checkout_service.database.engine import execute

_called = text("SELECT id FROM users WHERE subject IS NOT NULL AND issuer = :issuer AND subject = :subject")


def customer_called(subject: str, *, issuer: str) -> UUID | None:
    """The id of the customer whom tokens of this issuer call so, if there is one. Raises DatabaseUnavailableError."""
    return next((row.id for row in execute(_called, {"issuer": issuer, "subject": subject})), None)
