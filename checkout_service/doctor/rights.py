"""Which rights each login role has in the database: the one list, for the doctor and for the tests.

Migrations grant them. A right is the role's by whatever way: granted to it, to PUBLIC, or to a role that it is a member
of. So what is looked at is what PostgreSQL would let it do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

Columns = frozenset[str] | None
"""To which columns of a table a right is narrowed; None is the whole table."""

Rights = Mapping[tuple[str, str], Columns]
"""By table and right."""


def _columns(*names: str) -> frozenset[str]:
    return frozenset(" ".join(names).split())


_SETTLED: Final = (
    "balance_entries payouts settlement_accounts settlement_files settlement_leases settlement_lines settlement_matches"
)
"""Tables of settled money."""

TABLES: Final = _columns(
    "alembic_version api_keys audit believed_certificates cancel_requests capture_requests captures cart_items carts",
    "checkout_sessions command_results command_runs disputes erasures listings payment_acceptances payment_attempts",
    "payment_events payment_notices payment_reviews payments refund_events refunds schools session_addresses specs",
    "guests prune_marks users vendors voids webhook_deliveries webhook_rejections",
    "fulfilments holds order_cancellations order_lines order_numbering order_numbers order_reasons orders refund_lines",
    "stock_counters unnumbered_orders settlement_marks",
    "listing_prices listing_words look_ups_after_restore payment_mates catalog_syncs source_listings",
    "event_days event_dues event_numbers event_series event_types events unsequenced_events",
    "endpoint_secrets event_attempts event_replays pending_deliveries webhook_endpoints",
    _SETTLED,
)

_OWNERS: Final = _columns("erasures order_numbering settlement_marks")
"""Tables that the owner's functions alone read."""

_WEBS: Final = _columns("api_keys guests", _SETTLED)
"""Tables that the worker does not even read."""

_NOT_READ: Final = _columns("believed_certificates endpoint_secrets prune_marks webhook_rejections") | _OWNERS
"""Tables that the web tier does not even read."""


_REQUEST: Final = "status decline attempts sent_at next_attempt_at detail version updated_at"
_ATTEMPT: Final = (
    "status reported_at currency amount_presumed amount_authorized rest_released expires_at times_out_at replaces "
    "decline"
)
_DISPUTE: Final = (
    "capture_ref attempt_ref stage status reported_at rank event_id reason evidence_due_at blocks_refund money_step "
    "money_out money_only amount currency"
)
_EVENT: Final = "delivery_id provider event_id status amount currency outcome occurred_at received_at"

WEB: Final[Rights] = {
    **{(table, "SELECT"): None for table in TABLES - _NOT_READ},
    ("users", "INSERT"): _columns("id issuer subject"),
    ("guests", "INSERT"): _columns("id token_hash last_used_at"),
    ("guests", "UPDATE"): _columns("last_used_at"),
    ("carts", "INSERT"): _columns("user_id currency currency_chosen"),
    ("carts", "UPDATE"): _columns("currency currency_chosen updated_at"),
    ("cart_items", "INSERT"): _columns("cart_id listing_id qty currency"),
    ("cart_items", "UPDATE"): _columns("qty currency updated_at"),
    ("cart_items", "DELETE"): None,
    ("payments", "INSERT"): _columns("id user_id provider provider_ref amount currency trace_context"),
    ("checkout_sessions", "INSERT"): _columns(
        "user_id cart_id generation idempotency_key request_hash payment_id payment_token amount currency lines",
        "expires_at held_until also_under_way buyer delivery_address merges",
    ),
    ("session_addresses", "INSERT"): _columns("payment_id address ends_at"),
    ("webhook_deliveries", "INSERT"): _columns("provider headers body trace_context"),
    ("refunds", "INSERT"): _columns(
        "payment_id amount reason requested_by idempotency_key request_hash capture_ref attempt_ref part",
        "trace_context",
    ),
    ("capture_requests", "INSERT"): _columns(
        "payment_id attempt_ref amount final requested_by idempotency_key request_hash trace_context"
    ),
    ("voids", "INSERT"): _columns("payment_id requested_by idempotency_key request_hash trace_context"),
    ("cancel_requests", "INSERT"): _columns("payment_id requested_by trace_context"),
    ("fulfilments", "INSERT"): _columns(
        "order_id lines carrier tracking several_captures requested_by idempotency_key request_hash"
    ),
    ("order_cancellations", "INSERT"): _columns("order_id reason requested_by idempotency_key request_hash"),
    ("refund_lines", "INSERT"): _columns("refund_id order_line_id qty amount"),
    ("audit", "INSERT"): _columns("key door operator action subject why details"),
    ("command_runs", "INSERT"): _columns("id trace_context"),
    ("api_keys", "UPDATE"): _columns("last_used_at"),
    ("webhook_endpoints", "INSERT"): _columns("url types payload in_order signing description api_version"),
    ("webhook_endpoints", "UPDATE"): _columns(
        "url types payload in_order description api_version state state_reason deleted_at updated_at"
    ),
    ("endpoint_secrets", "INSERT"): _columns("endpoint_id scheme ciphertext"),
    ("event_replays", "INSERT"): _columns("endpoint_id event_id since types only_failed requested_by"),
    ("event_replays", "UPDATE"): _columns("stop_requested_at updated_at"),
}

WORKER: Final[Rights] = {
    **{(table, "SELECT"): None for table in TABLES - _OWNERS - _WEBS},
    ("payments", "UPDATE"): _columns("next_look_up_at look_ups look_up_log"),
    ("payment_events", "INSERT"): _columns(_EVENT, "payment_id entries"),
    ("payment_events", "UPDATE"): _columns("outcome"),
    ("payment_events", "DELETE"): None,
    ("payment_attempts", "INSERT"): _columns(_ATTEMPT, "payment_id provider attempt_ref"),
    ("payment_attempts", "UPDATE"): _columns(_ATTEMPT, "given_up_at version updated_at"),
    ("captures", "INSERT"): _columns("payment_id provider capture_ref attempt_ref status amount currency"),
    ("captures", "UPDATE"): _columns("attempt_ref status amount currency version updated_at"),
    ("disputes", "INSERT"): _columns(_DISPUTE, "payment_id provider dispute_ref"),
    ("disputes", "UPDATE"): _columns(_DISPUTE, "version updated_at"),
    ("payment_notices", "INSERT"): _columns("payment_id reason ref detail"),
    ("payment_reviews", "INSERT"): _columns("payment_id reason amounts command_id"),
    ("payment_acceptances", "INSERT"): _columns("payment_id amount operator why command_id"),
    ("capture_requests", "UPDATE"): _columns(_REQUEST, "provider_ref in_doubt"),
    ("voids", "UPDATE"): _columns(_REQUEST),
    ("cancel_requests", "INSERT"): _columns("payment_id requested_by"),  # by an operator's command
    ("cancel_requests", "UPDATE"): _columns("attempts next_attempt_at detail updated_at revived_at"),
    ("refunds", "INSERT"): _columns(
        "payment_id provider_ref amount status decline next_attempt_at capture_ref attempt_ref made_for"
    ),
    ("refunds", "UPDATE"): _columns(
        _REQUEST, "named_by_operator provider_ref in_doubt capture_ref attempt_ref made_for"
    ),
    ("refund_events", "INSERT"): _columns(_EVENT, "refund_id"),
    ("refund_events", "UPDATE"): _columns("outcome"),
    ("refund_events", "DELETE"): None,
    ("webhook_deliveries", "UPDATE"): _columns(
        "state attempts next_attempt_at provider_ref names detail mismatch replay_of processed_at updated_at",
        "rejected_class rejected_payment attempt_log",
    ),
    ("webhook_deliveries", "DELETE"): None,
    ("look_ups_after_restore", "UPDATE"): _columns("due_at answered_at updated_at"),
    ("look_ups_after_restore", "DELETE"): None,
    ("prune_marks", "INSERT"): _columns("kind after_id began_at"),
    ("prune_marks", "UPDATE"): _columns("after_id began_at updated_at"),
    ("webhook_rejections", "UPDATE"): None,  # which lets it lock the table
    ("session_addresses", "DELETE"): None,
    ("believed_certificates", "INSERT"): _columns("address fingerprint chain ends_at"),
    ("believed_certificates", "UPDATE"): _columns("fingerprint chain ends_at updated_at"),
    ("believed_certificates", "DELETE"): None,
    ("audit", "INSERT"): _columns("key door operator action subject why"),
    ("command_runs", "INSERT"): _columns("id state replayed all_taken"),
    ("command_runs", "UPDATE"): _columns("state leased_until after_id replayed all_taken message updated_at"),
    ("command_results", "INSERT"): _columns("command_id state count"),
    ("command_results", "UPDATE"): _columns("count updated_at"),
    ("webhook_endpoints", "UPDATE"): _columns(
        "place lease_token leased_until next_due_at last_success_at failing_since failures pace probes updated_at"
    ),
    ("pending_deliveries", "INSERT"): _columns(
        "endpoint_id event_id seq type lane replay_id state attempts first_attempt_at next_attempt_at"
    ),
    ("pending_deliveries", "UPDATE"): _columns("state attempts first_attempt_at next_attempt_at updated_at"),
    ("pending_deliveries", "DELETE"): None,
    ("event_attempts", "INSERT"): _columns(
        "id endpoint_id event_id type seq replay_id attempt succeeded status error answer duration_ms"
    ),
    ("event_replays", "UPDATE"): _columns("state place sent failed updated_at"),
}

SETTLEMENTS: Final[Rights] = {
    **{(table, "SELECT"): None for table in (*_SETTLED.split(), "alembic_version")},
    ("payments", "SELECT"): _columns("id provider provider_ref status amount currency created_at"),
    ("payment_attempts", "SELECT"): _columns(
        "id payment_id provider attempt_ref status currency amount_presumed reported_at created_at"
    ),
    ("captures", "SELECT"): _columns(
        "id payment_id provider capture_ref attempt_ref status amount currency created_at updated_at"
    ),
    ("refunds", "SELECT"): _columns("id payment_id provider provider_ref status amount currency created_at updated_at"),
    ("disputes", "SELECT"): _columns(
        "id payment_id provider dispute_ref status stage money_step money_out amount currency created_at updated_at"
    ),
    **{(table, "INSERT"): None for table in _SETTLED.split() if table != "settlement_leases"},
    ("settlement_files", "UPDATE"): _columns(
        "form columns rows payouts sections faults residues state entered_at accepted_by accepted_why dismissed_by",
        "dismissed_why resolved_by updated_at",
    ),
    ("payouts", "UPDATE"): _columns(
        "status state amount itemized issued_at arrival_on bank_reference descriptor failed_at failure_code",
        "original_ref entries gross fee net exceptions amount_at_bank reconciled_at version updated_at",
    ),
    ("balance_entries", "UPDATE"): _columns("payout_id payout_ref section withdrawn_by updated_at"),
    # They are planned by what was put there a moment ago; the last one is what whoever changes settled money locks.
    **{
        (table, "MAINTAIN"): None
        for table in ("settlement_lines", "payouts", "balance_entries", "settlement_matches", "settlement_accounts")
    },
    ("settlement_lines", "UPDATE"): _columns(
        "file_id section entry_ref kind payout_ref subject_ref payment_ref customer_amount customer_currency"
    ),
    ("settlement_lines", "DELETE"): None,
    ("audit", "INSERT"): _columns("key door operator action subject why details"),
    ("settlement_matches", "UPDATE"): _columns(
        "resolved_at resolved_by resolved_why undone_at undone_by undone_why updated_at"
    ),
    ("settlement_accounts", "UPDATE"): _columns("cursor first_entry_at fetched_at updated_at"),
    ("settlement_leases", "INSERT"): _columns("name holder lease_until"),
    ("settlement_leases", "UPDATE"): _columns("holder lease_until updated_at"),
}
"""Of the commands about settled money: nothing of a customer."""

WEB_FUNCTIONS: Final = frozenset(
    {"guest_merge", "hold_take", "hold_release", "endpoint_rotate_secret", "endpoint_send_test"}
)
"""Functions that run as the owner, which the web tier may call."""

WORKER_FUNCTIONS: Final = frozenset(
    {
        *("carts_lock_for_payments", "payments_fold", "person_erase_step", "holds_sweep", "orders_number"),
        *("orders_cancel_short", "order_take_over", "orders_strike_out", "events_sequence", "endpoint_move"),
        *("events_write_evidence_due", "events_write_authorizations_expiring", "events_write_low_stock"),
        *("events_forget_low_stock", "events_make_days", "events_outgrow", "events_drop_day", "events_sweep_strays"),
        *("endpoints_sweep_deleted", "guests_sweep"),
        *("catalog_sync_begin", "catalog_sync_go_on", "catalog_sync_write", "catalog_sync_retire", "catalog_sync_end"),
        *("catalog_sync_write_counted", "catalog_sync_retire_counted"),
        *("webhooks_make_part", "webhooks_validate_bound", "webhooks_drop_part", "webhooks_drop_bound"),
        *("webhooks_empty_part", "webhooks_detach_part", "events_detach_day"),
    }
)
"""The same of the worker."""

SETTLEMENTS_FUNCTIONS: Final = frozenset({"settlement_notices"})
"""The same of the commands about settled money."""

HELD: Final = """
    SELECT class.relname::text AS name, right_name, CASE
        WHEN has_table_privilege(class.oid, right_name) THEN NULL
        WHEN right_name IN ('DELETE', 'TRUNCATE', 'TRIGGER', 'MAINTAIN') THEN '{}'
        ELSE ARRAY(
            SELECT attname::text FROM pg_attribute
            WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped
                AND has_column_privilege(class.oid, attnum, right_name)) END AS columns
    FROM pg_class AS class
    CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN'])
        AS right_name
    WHERE class.relnamespace = current_schema()::regnamespace AND class.relkind IN ('r', 'p', 'v', 'm', 'f')
"""
"""What the role that asks may do with each table of the schema."""

CALLABLE: Final = """
    SELECT proname::text AS name FROM pg_proc
    WHERE pronamespace = current_schema()::regnamespace AND prosecdef AND has_function_privilege(oid, 'EXECUTE')
"""
"""Which functions that run as their owner the role may call."""


def held_rights(rows: Iterable[Any]) -> Rights:
    """The rows of HELD, without what is no right at all."""
    return {
        (name, right): None if columns is None else frozenset(columns)
        for name, right, columns in rows
        if columns is None or columns
    }


def differences(expected: Rights, held: Rights) -> tuple[list[str], list[str]]:
    """What the role may do and should not, and what it may not do and should: ``INSERT users (id)``."""
    return _missing(held, of=expected), _missing(expected, of=held)


def _missing(rights: Rights, *, of: Rights) -> list[str]:
    found = []
    nothing: frozenset[str] = frozenset()
    for (table, right), columns in sorted(rights.items(), key=lambda item: item[0]):
        others = of.get((table, right), nothing)
        if others is None:
            continue
        if columns is None:
            found.append(f"{right} {table}")
        elif columns - others:
            found.append(f"{right} {table} ({', '.join(sorted(columns - others))})")
    return found
