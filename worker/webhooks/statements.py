"""The statements on webhooks: claimed, read, given back and settled, each for a whole set."""

from __future__ import annotations

from typing import Final

from checkout_service.database.statements import Statement
from checkout_service.delivery_states import PENDING, DeliveryState, listed
from worker.webhooks.attempts import logged

SET: Final = 500
"""Webhooks a claim takes at most: enough to make the fixed cost of a transaction small, few enough for a lease."""

LARGE: Final = 16 * 1024
"""Bytes above which a body is fetched when its turn comes, so that a set of large webhooks does not fill the memory."""

_PENDING: Final = listed(PENDING)
_RECEIVED: Final = f"'{DeliveryState.RECEIVED}'"
_PARKED: Final = f"'{DeliveryState.PARKED}'"

PLACE: Final = "id, tableoid AS part, ctid AS place"
"""Where a row is on disk: which part of the table, and where there. Each part has a row at that place."""


def at_place(locked: str) -> str:
    """That ``webhook`` is the row whose place ``locked`` has.

    It is locked, so it stays where it is, and by its place it is found again for less than by its key. Where the table
    is partitioned, the id leads to the one partition that is looked at.
    """
    return f"webhook.id = {locked}.id AND webhook.tableoid = {locked}.part AND webhook.ctid = {locked}.place"


CLAIMED: Final = f"""
    webhook.id, webhook.provider, webhook.headers::text AS headers, webhook.received_at, webhook.attempts,
        webhook.next_attempt_at, old.state AS state_before,
        octet_length(webhook.body) AS size,
        CASE WHEN octet_length(webhook.body) <= {LARGE} THEN webhook.body END AS body,
        webhook.replay_of, webhook.trace_context, (webhook.attempt_log -> -1)::text AS last_attempt
"""
"""What a claim returns of each webhook."""

# What was never tried is due within seconds; to look further would lead through all that is parked. Nobody waits until
# a first claim is on disk: should PostgreSQL crash before, it never was, nor was anything that came of it.
# The function (migrations/webhooks/parts.sql) walks the index, in parts or not. Each webhook that was done leaves two
# dead entries there: a walk marks them for the next ones to step over. By a bitmap, which the planner takes where there
# are no statistics yet, nobody does, and each claim would read all that were done since the last vacuum.
# One in a final state is taken by its id alone, and only where a command has marked it: see replays.py.
# What is locked and not written came, or changed, after the statement began: each row says how many are locked, and one
# without an id where none was written. Whoever is woken for such a one passes over it meanwhile: see ``claims.claim``.
CLAIM: Final = Statement(
    f"""
    WITH own AS (
        SELECT {PLACE}, attempts > 0 OR state <> {_RECEIVED} AS tried FROM webhook_deliveries
        WHERE id = :id AND (
            state = {_RECEIVED} AND attempts = 0
            OR state IN ({_PENDING}) AND next_attempt_at <= now()
            OR state NOT IN ({_PENDING}) AND replay_of IS NOT NULL
        )
        FOR NO KEY UPDATE SKIP LOCKED
    ), others AS (
        SELECT id, part, place FROM webhooks_untried(:id, {SET}) WHERE NOT EXISTS (SELECT FROM own WHERE tried)
    ), locked AS MATERIALIZED (
        SELECT id, part, place FROM own UNION ALL SELECT * FROM others
    ), claimed AS (
        UPDATE webhook_deliveries AS webhook
        SET state = {_RECEIVED}, attempts = webhook.attempts + 1, next_attempt_at = now() + :lease, updated_at = now()
        FROM locked
        WHERE {at_place("locked")} AND (
            SELECT set_config('synchronous_commit', 'off', true) WHERE NOT EXISTS (SELECT FROM own WHERE tried)
        ) IS DISTINCT FROM ''
        RETURNING {CLAIMED}, (SELECT count(*) FROM locked) AS locked
    )
    SELECT claimed.* FROM (VALUES (true)) AS once LEFT JOIN claimed ON true
    WHERE claimed.id IS NOT NULL OR EXISTS (SELECT FROM locked)
    """,  # noqa: S608 (only our own constants)
    binary=True,
)

BODIES: Final = Statement("SELECT id, body FROM webhook_deliveries WHERE id = ANY(CAST(:ids AS uuid[]))", binary=True)

_STILL_RECEIVED: Final = f"state || '' = {_RECEIVED}"
"""True of a webhook that is received, in words that keep the planner from the index of those that are due. Where the
statistics say that none is, it would read all that are under lease for each webhook of a set: 0.2 s for 250."""


def still_ours(given: str, attempts: str) -> str:
    """The webhooks, under lock, that rows ``given`` name with ``id`` and ``lease``, those that still are as claimed.

    As ``webhook``, which is joined to rows in the order of their ids: every writer of several locks them in this one.
    The fence has each found by its key. Without it, 500 of a table in parts are reason enough for the planner to read
    all parts from end to end, since it counts an index of each part for each webhook. The lease stands outside as
    well, so that it takes few for left: to write them it would read all parts again.
    """
    return f"""
        CROSS JOIN LATERAL (
            SELECT {PLACE}, next_attempt_at FROM webhook_deliveries
            WHERE id = {given}.id AND {_STILL_RECEIVED} AND attempts = {attempts} AND next_attempt_at = {given}.lease
            OFFSET 0 FOR NO KEY UPDATE
        ) AS webhook
        WHERE webhook.next_attempt_at = {given}.lease
    """  # noqa: S608 (only our own constants)


# As if they had never been claimed, and due before what came since.
RELEASE: Final = Statement(f"""
    WITH released AS (
        SELECT webhook.id, webhook.part, webhook.place
        FROM (
            SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:leases AS timestamptz[])) AS given (id, lease) ORDER BY id
        ) AS released
        {still_ours("released", "1")}
    )
    UPDATE webhook_deliveries AS webhook SET attempts = 0, next_attempt_at = now(), updated_at = now()
    FROM released WHERE {at_place("released")}
""")  # noqa: S608 (only our own constants)

# Locked by id before they are updated, as every writer of several webhooks does: a zombie may hold some of them. The
# results are joined once and carried along: a second join of 500 rows that the planner takes for ten is a slow one.
# A replay is over with its result; one that is due again is still the same replay.
SETTLE: Final = Statement(
    f"""
    WITH result AS (
        SELECT webhook.id, webhook.part, webhook.place, result.number, result.state, result.provider_ref, result.detail,
            result.delay, result.returned, result.mismatch, result.names, result.progress
        FROM (
            SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS integer[]), CAST(:leases AS timestamptz[]),
                CAST(:states AS text[]), CAST(:references AS text[]), CAST(:details AS text[]),
                CAST(:delays AS double precision[]), CAST(:returned AS integer[]), CAST(:mismatches AS boolean[]),
                CAST(:names AS jsonb[]), CAST(:progress AS jsonb[])) WITH ORDINALITY AS given (
                    id, attempts, lease, state, provider_ref, detail, delay, returned, mismatch, names, progress,
                    number)
            ORDER BY id
        ) AS result
        {still_ours("result", "result.attempts")}
    )
    UPDATE webhook_deliveries AS webhook
    SET state = result.state,
        attempts = greatest(webhook.attempts - result.returned, CASE WHEN result.state = {_PARKED} THEN 0 ELSE 1 END),
        next_attempt_at = CASE result.state
            WHEN {_RECEIVED} THEN now() + make_interval(secs => result.delay)
            WHEN {_PARKED} THEN webhook.received_at + CAST(:parked_for AS interval) END,
        provider_ref = coalesce(result.provider_ref, webhook.provider_ref),
        detail = result.detail,
        attempt_log = {logged("result.state", "result.detail", "result.progress")},
        mismatch = result.mismatch,
        names = CASE WHEN result.names IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text(result.names)) END,
        replay_of = CASE result.state WHEN {_RECEIVED} THEN webhook.replay_of END,
        processed_at = CASE WHEN result.state NOT IN ({_PENDING}) THEN now() END,
        updated_at = now()
    FROM result
    WHERE {at_place("result")}
    RETURNING result.number
    """,  # noqa: S608 (only our own constants)
    binary=True,
    named=False,
)
