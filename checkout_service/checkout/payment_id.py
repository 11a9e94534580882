"""The payment's id, made of the customer and their Idempotency-Key."""

from __future__ import annotations

from uuid import UUID, uuid5


def payment_id_for(*, namespace: UUID, user_id: UUID, key: str) -> UUID:
    """The payment's id, which concurrent retries and retries after a crash compute alike (RFC 9562 version 5)."""
    return uuid5(namespace, f"{user_id}:{key}")
