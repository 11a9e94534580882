"""Large tables, made on the server: forty days of webhooks in all states, with payments, sessions, events and audit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

LARGE: Final = frozenset(
    {
        *("webhook_deliveries", "payments", "checkout_sessions", "payment_events"),
        *("audit", "command_runs", "session_addresses", "api_keys"),
    }
)
"""Tables that no statement reads from end to end."""


def fill(run: Callable[..., Any], webhooks: int, few: int) -> None:
    """So many webhooks, and ``few`` payments and commands. ``run`` runs a statement as a superuser.

    The newest hundredth waits, a hundredth of the rest failed or was rejected, one of twelve came twice.
    """
    run("INSERT INTO users DEFAULT VALUES")
    run(f"""
        INSERT INTO payments (id, user_id, provider, provider_ref, amount, currency, status, created_at)
        SELECT uuidv7(-age), users.id, 'mock', 'mock_pi_' || number, 20, 'USD', (ARRAY['paid', 'paid', 'paid', 'failed',
            'pending', 'expired'])[1 + number % 6]::payment_status, now() - age
        FROM users, (
            SELECT number, number * interval '40 days' / {few} AS age FROM generate_series(1, {few}) AS number
        ) AS each""")
    run(f"""
        INSERT INTO webhook_deliveries
            (id, provider, body, received_at, state, attempts, provider_ref, processed_at, next_attempt_at)
        SELECT uuidv7(-age), CASE WHEN number % {webhooks // 5} = 7 THEN 'stripe' ELSE 'mock' END, '{{}}', now() - age,
            state, CASE state WHEN 'received' THEN 0 ELSE 1 END, 'mock_pi_' || (1 + number % {few}),
            CASE WHEN state NOT IN ('received', 'parked') THEN now() - age END,
            CASE WHEN state IN ('received', 'parked') THEN now() + interval '30 seconds' END
        FROM (
            SELECT number, number * interval '40 days' / {webhooks} AS age, CASE
                WHEN number * 100 <= {webhooks} THEN 'received'
                WHEN number % 12 = 0 THEN 'duplicate' WHEN number % 400 = 1 THEN 'failed'
                WHEN number % 400 = 2 THEN 'rejected' WHEN number % 900 = 3 AND number * 20 < {webhooks} THEN 'parked'
                ELSE 'applied' END AS state
            FROM generate_series(1, {webhooks}) AS number
        ) AS each""")
    run("INSERT INTO carts (user_id) SELECT id FROM users")
    run("""
        INSERT INTO checkout_sessions (id, user_id, cart_id, idempotency_key, request_hash, payment_id, payment_token,
            amount, currency, lines, expires_at, created_at)
        SELECT uuidv7(payments.created_at - now()), payments.user_id, carts.id, payments.id::text, '', payments.id,
            payments.id::text, amount, payments.currency, '[]', payments.created_at + interval '1 day',
            payments.created_at
        FROM payments JOIN carts USING (user_id)""")
    run(f"""
        INSERT INTO payment_events (id, payment_id, provider, event_id, status, outcome, delivery_id, received_at)
        SELECT uuidv7(payments.created_at - now()), payments.id, 'mock', payments.id::text, 'paid', 'applied',
            webhook.id, payments.created_at
        FROM payments LEFT JOIN (
            SELECT DISTINCT ON (provider_ref) id, provider_ref FROM webhook_deliveries WHERE state = 'applied'
        ) AS webhook USING (provider_ref) LIMIT {few}""")
    run(f"""
        INSERT INTO audit (id, key, door, operator, action, subject, why, created_at)
        SELECT uuidv7(number * interval '-1 minute'), gen_random_uuid(), 'console', 'ops', 'process', number::text, '',
            now() - number * interval '1 minute'
        FROM generate_series(1, {few}) AS number""")
    run("INSERT INTO command_runs (id, state, replayed, all_taken) SELECT id, 'done', 1, true FROM audit")
    run(f"""
        INSERT INTO session_addresses (id, payment_id, address, ends_at)
        SELECT uuidv7(created_at - now()), id, '\\x01', created_at + interval '1 day' FROM payments LIMIT {few}""")
    run(f"""
        INSERT INTO api_keys (id, name, prefix, hash, scopes, created_by)
        SELECT uuidv7(number * interval '-1 minute'), '', 'csk_' || lpad(number::text, 8, '0'),
            sha256(number::text::bytea), '{{ops}}', 'ops' FROM generate_series(1, {few} / 10) AS number""")
    run("VACUUM ANALYZE")
