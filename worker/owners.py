"""Whose a provider's name is: of a payment itself, or of one of its attempts, captures, disputes or refunds."""

from __future__ import annotations

from typing import Final

OWNERS: Final = """
        SELECT id FROM payments WHERE provider_ref = given.name AND provider = given.provider
        UNION ALL
        SELECT payment_id FROM payment_attempts
        WHERE provider = given.provider AND attempt_ref = given.name AND attempt_ref <> ''
        UNION ALL
        SELECT payment_id FROM captures WHERE provider = given.provider AND capture_ref = given.name
        UNION ALL
        SELECT payment_id FROM disputes
        WHERE provider = given.provider AND dispute_ref = given.name AND dispute_ref <> ''
        UNION ALL
        SELECT payment_id FROM refunds WHERE provider = given.provider AND provider_ref = given.name
        UNION ALL
        SELECT payment_id FROM capture_requests WHERE provider = given.provider AND provider_ref = given.name
"""
"""SQL for the ids of the payments that have, or whose entries have, ``given.name`` at ``given.provider``."""
