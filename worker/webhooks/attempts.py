"""How a statement that writes the result of a webhook also writes down what came of the attempt.

In that very statement, so that nothing is sent to the database more than before. One that came to its end by its first
attempt needs no log: the webhook's own columns say all of it. So nearly every webhook has none, and a stranger's that
is rejected has none either.
"""

from __future__ import annotations

from typing import Final

from checkout_service.delivery_states import PENDING, DeliveryState, listed

MOST: Final = 20
"""Attempts that are kept of one webhook: the last ones."""

LONGEST: Final = 300
"""Characters that are kept of why an attempt ended so."""


def logged(state: str, detail: str) -> str:
    """The value of ``attempt_log`` of ``webhook``, which a statement updates, after an attempt that ended so.

    ``state`` and ``detail`` are SQL. What stood there of a webhook that was done with, by an attempt that left no log,
    is its first entry then.
    """
    return f"""CASE
            WHEN webhook.attempts = 1 AND webhook.attempt_log IS NULL AND webhook.processed_at IS NULL
                AND {state} NOT IN ({listed(PENDING)}, '{DeliveryState.FAILED}') THEN NULL
            ELSE CASE
                WHEN webhook.attempt_log IS NULL AND webhook.processed_at IS NOT NULL THEN jsonb_build_array(
                    jsonb_build_object('at', webhook.processed_at, 'detail', left(webhook.detail, {LONGEST})))
                WHEN jsonb_array_length(webhook.attempt_log) >= {MOST} THEN webhook.attempt_log - 0
                ELSE coalesce(webhook.attempt_log, '[]') END
                || jsonb_build_array(jsonb_strip_nulls(jsonb_build_object('at', now(), 'state', {state},
                    'detail', left({detail}, {LONGEST}), 'command', webhook.replay_of)))
        END"""
