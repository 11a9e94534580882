"""What each column that may hold words says of a person, and what becomes of it when they are erased.

A new column of text, JSON or bytes has to be decided on here: tests/privacy/test_columns.py compares the list with the
tables. Amounts, times, counts and ids made by us say nothing of anybody once the subject is random.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Says(StrEnum):
    """What a column says, and what erasing does about it."""

    NOBODY = "nobody"
    """Words of ours, of the catalogue, or the name of a provider: they stay."""
    ID = "id"
    """A provider's name for a payment, a movement of money or an event: the money is found by it, and it stays."""
    PERSON = "person"
    """Words that may name the person: they are struck out, or the row is deleted."""
    OPERATOR = "operator"
    """Who gave a command, and why: the audit stays as it is, so its words should name nobody else."""
    STATEMENT = "statement"
    """What a bank's statement says of an entry, which may name whoever paid: it leads to no customer here, and stays as
    bookkeeping."""


_SETTLED: Final = {
    **dict.fromkeys(("account", "section", "entry_ref", "payout_ref", "subject_ref", "payment_ref"), Says.ID),
    **dict.fromkeys(("provider_type", "occurred_local"), Says.NOBODY),
    "merchant_ref": Says.ID,
    "description": Says.STATEMENT,
}
"""Of a line of a report, and of what it becomes."""

_MOVEMENT: Final = {"provider": Says.NOBODY, "decline": Says.NOBODY, "attempt_ref": Says.ID}

COLUMNS: Final[Mapping[str, Mapping[str, Says]]] = {
    "api_keys": {
        **dict.fromkeys(("prefix", "hash", "scopes"), Says.NOBODY),
        **dict.fromkeys(("name", "created_by"), Says.OPERATOR),
    },
    "audit": {
        **dict.fromkeys(("door", "action"), Says.NOBODY),
        **dict.fromkeys(("operator", "why"), Says.OPERATOR),
        **dict.fromkeys(("subject", "details"), Says.ID),
    },
    "balance_entries": {"provider": Says.NOBODY, **_SETTLED},
    "believed_certificates": dict.fromkeys(("address", "fingerprint", "chain"), Says.NOBODY),
    "cancel_requests": {"detail": Says.PERSON, "trace_context": Says.NOBODY},
    "capture_requests": {
        **_MOVEMENT,
        "provider_ref": Says.ID,
        "idempotency_key": Says.PERSON,
        "request_hash": Says.NOBODY,
        "detail": Says.NOBODY,
        "trace_context": Says.NOBODY,
    },
    "captures": {"provider": Says.NOBODY, "capture_ref": Says.ID, "attempt_ref": Says.ID},
    "checkout_sessions": {
        "idempotency_key": Says.PERSON,
        "payment_token": Says.PERSON,
        **dict.fromkeys(("buyer", "delivery_address"), Says.PERSON),
        "request_hash": Says.NOBODY,
        "lines": Says.NOBODY,
        "also_under_way": Says.ID,
    },
    "command_results": {"state": Says.NOBODY},
    "command_runs": {"state": Says.NOBODY, "message": Says.NOBODY, "trace_context": Says.NOBODY},
    "disputes": {
        **dict.fromkeys(("provider", "reason"), Says.NOBODY),
        **dict.fromkeys(("dispute_ref", "capture_ref", "attempt_ref", "event_id"), Says.ID),
    },
    "endpoint_secrets": dict.fromkeys(("scheme", "ciphertext"), Says.NOBODY),
    "event_attempts": {**dict.fromkeys(("type", "error"), Says.NOBODY), "answer": Says.PERSON},
    "event_dues": {"type": Says.NOBODY},
    "event_numbers": {"type": Says.NOBODY, "order_number": Says.ID},
    "event_replays": {**dict.fromkeys(("types", "state"), Says.NOBODY), "requested_by": Says.OPERATOR},
    "event_types": {"type": Says.NOBODY},
    "events": {
        **dict.fromkeys(("type", "object_type", "api_version"), Says.NOBODY),
        "body": Says.PERSON,
        "trace_context": Says.NOBODY,
    },
    "fulfilments": {
        **dict.fromkeys(("carrier", "tracking", "idempotency_key"), Says.PERSON),
        **dict.fromkeys(("lines", "request_hash"), Says.NOBODY),
    },
    "guests": dict.fromkeys(("token_hash", "capped"), Says.NOBODY),
    "listing_words": {"word": Says.NOBODY},
    "catalog_syncs": {"moved": Says.NOBODY, "detail": Says.NOBODY},
    "source_listings": dict.fromkeys(("key", "digest"), Says.NOBODY),
    "listings": dict.fromkeys(("title", "title_key", "description", "images"), Says.NOBODY),
    "order_cancellations": {
        **dict.fromkeys(("reason", "idempotency_key"), Says.PERSON),
        "refund_ids": Says.ID,
        "request_hash": Says.NOBODY,
    },
    "look_ups_after_restore": {"provider": Says.NOBODY},
    "order_lines": dict.fromkeys(("title", "vendor", "school", "spec"), Says.NOBODY),
    "order_reasons": {"reason": Says.NOBODY},
    "orders": {
        "number_prefix": Says.NOBODY,
        **dict.fromkeys(("buyer", "delivery_address"), Says.PERSON),
    },
    "payment_acceptances": dict.fromkeys(("operator", "why"), Says.OPERATOR),
    "payment_attempts": {**_MOVEMENT, "replaces": Says.ID},
    "payment_events": {
        **dict.fromkeys(("provider", "outcome"), Says.NOBODY),
        "event_id": Says.ID,
        "entries": Says.PERSON,
    },
    "payment_notices": {"reason": Says.NOBODY, "ref": Says.ID, "detail": Says.PERSON},
    "payment_reviews": dict.fromkeys(("reason", "amounts"), Says.NOBODY),
    "payments": {
        **dict.fromkeys(("provider", "review_reason"), Says.NOBODY),
        **dict.fromkeys(("provider_ref", "capture_ref"), Says.ID),
        **dict.fromkeys(("raw_payload", "look_up_log"), Says.PERSON),
        "trace_context": Says.NOBODY,
    },
    "payouts": {
        **dict.fromkeys(("provider", "failure_code"), Says.NOBODY),
        **dict.fromkeys(("account", "payout_ref", "bank_reference", "descriptor", "original_ref"), Says.ID),
    },
    "pending_deliveries": dict.fromkeys(("type", "state"), Says.NOBODY),
    "prune_marks": {"kind": Says.NOBODY},
    "refund_events": {"provider": Says.NOBODY, "event_id": Says.ID, "outcome": Says.NOBODY},
    "refunds": {
        **_MOVEMENT,
        **dict.fromkeys(("provider_ref", "capture_ref"), Says.ID),
        **dict.fromkeys(("reason", "detail", "idempotency_key"), Says.PERSON),
        "request_hash": Says.NOBODY,
        "trace_context": Says.NOBODY,
    },
    "schools": {"name": Says.NOBODY},
    "session_addresses": {"address": Says.PERSON},
    "settlement_accounts": {"provider": Says.NOBODY, **dict.fromkeys(("account", "cursor"), Says.ID)},
    "settlement_files": {
        **dict.fromkeys(("provider", "name", "sha256", "form", "columns"), Says.NOBODY),
        **dict.fromkeys(("account", "payouts", "sections", "faults", "residues"), Says.ID),
        **dict.fromkeys(("accepted_by", "accepted_why", "dismissed_by", "dismissed_why"), Says.OPERATOR),
    },
    "settlement_leases": {"name": Says.NOBODY},
    "settlement_lines": dict(_SETTLED),
    "settlement_matches": {
        **dict.fromkeys(("provider", "differs"), Says.NOBODY),
        **dict.fromkeys(("account", "detail"), Says.ID),
        **dict.fromkeys(
            ("made_by", "made_why", "resolved_by", "resolved_why", "undone_by", "undone_why"), Says.OPERATOR
        ),
    },
    "specs": dict.fromkeys(("name", "attributes"), Says.NOBODY),
    "unnumbered_orders": {"orders": Says.ID},
    "unsequenced_events": {**dict.fromkeys(("events", "objects", "lanes"), Says.ID), "types": Says.NOBODY},
    "users": {"issuer": Says.NOBODY, "subject": Says.PERSON},
    "vendors": {"name": Says.NOBODY},
    "voids": {
        **dict.fromkeys(("provider", "decline", "request_hash", "detail"), Says.NOBODY),
        "idempotency_key": Says.PERSON,
        "trace_context": Says.NOBODY,
    },
    "webhook_deliveries": {
        **dict.fromkeys(("provider", "state"), Says.NOBODY),
        **dict.fromkeys(("provider_ref", "names"), Says.ID),
        **dict.fromkeys(("headers", "body", "detail", "attempt_log"), Says.PERSON),
        "trace_context": Says.NOBODY,
    },
    "webhook_endpoints": {
        **dict.fromkeys(("types", "payload", "signing", "api_version", "state_reason"), Says.NOBODY),
        **dict.fromkeys(("url", "description"), Says.OPERATOR),
    },
}
"""By table and column."""
