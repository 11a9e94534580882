"""How a statement that writes the result of a webhook also writes down what came of the attempt.

In that very statement, so that nothing is sent to the database more than before. One that came to its end by its first
attempt needs no log: the webhook's own columns say all of it. So nearly every webhook has none, and a stranger's that
is rejected has none either. The last entry also says what the next attempt is to know: what was entered, and how many
thin events are left.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson

from checkout_service.delivery_states import PENDING, DeliveryState, listed
from worker.transitions.outcomes import Outcome

MOST: Final = 20
"""Attempts that are kept of one webhook: the last ones."""

LONGEST: Final = 300
"""Characters that are kept of why an attempt ended so."""


_DID: Final = (Outcome.MISMATCH, Outcome.APPLIED, Outcome.STALE, Outcome.DUPLICATE, Outcome.FOREIGN)
"""What an event did for good: with the next attempt it does nothing more, or is not read again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What the attempts before came to: what events ``did``, and how many thin events are ``left``, where known."""

    did: frozenset[Outcome] = frozenset()
    left: int | None = None


NOTHING_BEFORE: Final = Before()


def before_of(last_attempt: str | None, replay_of: UUID | None) -> Before:
    """What the last entry of a log (JSON, None without a log) says to the next attempt, which is under this command.

    A replay looks at everything anew: how far the attempts before it came, and what they found wrong, is nothing to it.
    """
    if last_attempt is None:
        return NOTHING_BEFORE
    entry = orjson.loads(last_attempt)
    did = frozenset(Outcome(each) for each in entry.get("did", ()) if each in _DID)
    if entry.get("command") != (str(replay_of) if replay_of else None):
        return Before(did=did - {Outcome.MISMATCH})
    return Before(did=did, left=entry.get("left"))


def progress_of(before: Before, outcomes: Collection[Outcome], left: int | None) -> dict[str, Any]:
    """What the entry of an attempt says besides its result; empty where nothing was done and nothing is left."""
    did = sorted(before.did.union(each for each in outcomes if each in _DID))
    return ({"did": did} if did else {}) | ({"left": left} if left else {})


def logged(state: str, detail: str, progress: str = "NULL::jsonb") -> str:
    """The value of ``attempt_log`` of ``webhook``, which a statement updates, after an attempt that ended so.

    ``state``, ``detail`` and ``progress`` (of ``progress_of``, as jsonb) are SQL. What stood there of a webhook that
    was done with, by an attempt that left no log, is its first entry then.
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
                    'detail', left({detail}, {LONGEST}), 'command', webhook.replay_of))
                    || coalesce({progress}, '{{}}'))
        END"""
