"""Keeps rejected webhooks for a while, within bounds: a secret set wrongly is mended by processing them again.

Anybody can send unverified webhooks. So what names a payment of ours is kept apart from what names nothing, each class
of each provider has bounds of its own in rows and bytes, and one payment keeps a few: who knows no payment pushes out
nothing of worth, and a customer who knows their own pushes out only themselves. The oldest goes first, of those
payments that keep the most. A replayed one keeps its place: somebody cares about it, and others make room.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

from checkout_service.database.statements import Statement
from checkout_service.delivery_states import DeliveryState, RejectedClass
from worker.context import settings
from worker.webhooks.attempts import logged
from worker.webhooks.claims import Result
from worker.webhooks.named import Named, named_in
from worker.webhooks.replays import count_results
from worker.webhooks.statements import at_place, still_ours

PAYMENT_ROWS: Final = 20
"""Rejected webhooks that one payment keeps: several times what a payment has in an hour."""

PAYMENT_BYTES: Final = 256 * 1024
"""And their bytes: as large as the largest body, so that the newest alone always has its place."""

_STATE: Final = f"'{DeliveryState.REJECTED}'"
_REJECTED: Final = f"state = {_STATE}"

# Held to the end of the transaction, so that two workers do not fill the last place twice. Only the owner and the
# worker may lock this table; an advisory lock may be held by whoever can connect.
_lock = text("LOCK TABLE webhook_rejections IN SHARE ROW EXCLUSIVE MODE")

_REJECT: Final = Statement(
    f"""
    WITH result AS (
        SELECT webhook.id, webhook.part, webhook.place, result.number, result.detail, result.delay,
            result.rejected_class, result.payment
        FROM (
            SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS integer[]), CAST(:leases AS timestamptz[]),
                CAST(:details AS text[]), CAST(:delays AS double precision[]), CAST(:classes AS smallint[]),
                CAST(:payments AS uuid[])) WITH ORDINALITY
                AS given (id, attempts, lease, detail, delay, rejected_class, payment, number)
            ORDER BY id
        ) AS result
        {still_ours("result", "result.attempts")}
    )
    UPDATE webhook_deliveries AS webhook
    SET {_REJECTED}, rejected_class = result.rejected_class, rejected_payment = result.payment,
        next_attempt_at = CASE WHEN result.delay > 0 THEN now() + make_interval(secs => result.delay) END,
        detail = result.detail, attempt_log = {logged(_STATE, "result.detail")},
        mismatch = false, names = NULL, replay_of = NULL,
        processed_at = now(), updated_at = now()
    FROM result
    WHERE {at_place("result")}
    RETURNING result.number
    """,  # noqa: S608 (only our own constants)
    binary=True,
    named=False,
)

_COUNT: Final = Statement(f"""
    SELECT kept.provider, kept.rejected_class, count(*), coalesce(sum(octet_length(kept.body)), 0)::bigint
    FROM unnest(CAST(:providers AS text[]), CAST(:classes AS smallint[])) AS given (provider, rejected_class)
    JOIN webhook_deliveries AS kept ON kept.provider = given.provider AND kept.rejected_class = given.rejected_class
    WHERE kept.{_REJECTED}
    GROUP BY kept.provider, kept.rejected_class
""")  # noqa: S608 (only our own constants)

# Whoever holds a row at this moment replays it or removes it, so nobody waits for it here.
_DROP: Final = f"""
    DELETE FROM webhook_deliveries WHERE id = ANY(ARRAY(
        SELECT id FROM webhook_deliveries
        WHERE id = ANY(ARRAY(%s)) AND {_REJECTED} AND id <> ALL(CAST(:spared AS uuid[]))
        ORDER BY id FOR UPDATE SKIP LOCKED
    ))
    RETURNING rejected_class
"""  # noqa: S608 (only our own constants)

_DROP_OF_PAYMENTS: Final = Statement(
    _DROP
    % f"""
        SELECT kept.id FROM unnest(CAST(:payments AS uuid[])) AS payment (id) CROSS JOIN LATERAL (
            SELECT id, row_number() OVER newest AS place, sum(octet_length(body)) OVER newest AS size
            FROM webhook_deliveries WHERE {_REJECTED} AND rejected_payment = payment.id
            WINDOW newest AS (ORDER BY received_at DESC, id DESC ROWS UNBOUNDED PRECEDING)
        ) AS kept
        WHERE kept.place > {PAYMENT_ROWS} OR kept.size > {PAYMENT_BYTES}
    """  # noqa: S608 (only our own constants)
)

_EXCESS: Final = """
    FROM unnest(CAST(:providers AS text[]), CAST(:classes AS smallint[]), CAST(:rows AS bigint[]),
        CAST(:sizes AS bigint[])) AS excess (provider, rejected_class, rows, size)
"""

_OF_CLASS: Final = f"""
    FROM webhook_deliveries
    WHERE {_REJECTED} AND provider = excess.provider AND rejected_class = excess.rejected_class
        AND id <> ALL(CAST(:spared AS uuid[]))
"""

# In the order of their index, and no further than the excess in rows, unless the bytes are what is too much.
_DROP_OF_UNKNOWN: Final = Statement(
    _DROP
    % f"""
        SELECT kept.id {_EXCESS} CROSS JOIN LATERAL (
            SELECT id, row_number() OVER oldest AS place,
                sum(octet_length(body)) OVER oldest - octet_length(body) AS size_before
            {_OF_CLASS}
            WINDOW oldest AS (ORDER BY received_at, id ROWS UNBOUNDED PRECEDING)
            ORDER BY received_at, id LIMIT CASE excess.size WHEN 0 THEN excess.rows END
        ) AS kept
        WHERE kept.place <= excess.rows OR kept.size_before < excess.size
    """
)

# The oldest of those payments that keep the most: who has many payments, and floods with each, pushes out their own.
_DROP_OF_NAMED: Final = Statement(
    _DROP
    % f"""
        SELECT kept.id {_EXCESS} CROSS JOIN LATERAL (
            SELECT id, row_number() OVER first AS place, sum(size) OVER first - size AS size_before
            FROM (
                SELECT id, received_at, octet_length(body) AS size, row_number() OVER
                    (PARTITION BY rejected_payment ORDER BY received_at DESC, id DESC) AS number_of_payment
                {_OF_CLASS}
            ) AS numbered
            WINDOW first AS (ORDER BY number_of_payment DESC, received_at, id ROWS UNBOUNDED PRECEDING)
        ) AS kept
        WHERE kept.place <= excess.rows OR kept.size_before < excess.size
    """  # noqa: S608 (only our own constants)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """The results that were written, and by class how many webhooks were removed, new ones or those kept before."""

    written: list[Result]
    dropped: Counter[RejectedClass]


def reject(connection: Connection, results: Sequence[Result]) -> Rejection:
    """Settle rejected webhooks, whose bodies are here, and drop the oldest beyond the bounds that they reach.

    The caller counts what was dropped, once it is committed.
    """
    named = named_in(connection, [result.webhook.raw for result in results])
    connection.execute(_lock)
    rows = _REJECT.within(
        connection,
        {
            "ids": [result.webhook.id for result in results],
            "attempts": [result.webhook.attempts for result in results],
            "leases": [result.webhook.lease for result in results],
            "details": [result.detail for result in results],
            "delays": [result.delay.total_seconds() for result in results],
            "classes": [each.rejected_class.value for each in named],
            "payments": [each.payment_id for each in named],
        },
    )
    places = [number - 1 for (number,) in rows]
    written = [results[place] for place in places]
    spared = [result.webhook.id for result in written if result.webhook.is_replay]
    payments = {found for place in places if (found := named[place].payment_id) is not None}
    dropped = _drop_of_payments(connection, payments, spared) if payments else Counter()
    dropped += _drop_of_classes(connection, {_bounded(results[place], named[place]) for place in places}, spared)
    count_results(connection, written)
    return Rejection(written=written, dropped=dropped)


def _bounded(result: Result, named: Named) -> tuple[str, RejectedClass]:
    return result.webhook.raw.provider, named.rejected_class


def _drop_of_payments(
    connection: Connection, payments: Collection[UUID], spared: Sequence[UUID]
) -> Counter[RejectedClass]:
    return _classes(_DROP_OF_PAYMENTS.within(connection, {"payments": sorted(payments), "spared": spared}))


def _drop_of_classes(
    connection: Connection, reached: Collection[tuple[str, RejectedClass]], spared: Sequence[UUID]
) -> Counter[RejectedClass]:
    given = sorted(reached)
    values: dict[str, Any] = {
        "providers": [provider for provider, _ in given],
        "classes": [rejected_class.value for _, rejected_class in given],
    }
    excess: dict[Statement, list[tuple[str, int, int, int]]] = {_DROP_OF_UNKNOWN: [], _DROP_OF_NAMED: []}
    for provider, of_class, count, size in _COUNT.within(connection, values):
        most = settings().rejected_bounds[RejectedClass(of_class)]
        if count > most.rows or size > most.size:
            drop = _DROP_OF_UNKNOWN if of_class == RejectedClass.UNKNOWN else _DROP_OF_NAMED
            excess[drop].append((provider, of_class, max(0, count - most.rows), max(0, size - most.size)))
    dropped: Counter[RejectedClass] = Counter()
    for drop, classes in excess.items():
        if classes:
            names = ("providers", "classes", "rows", "sizes")
            values = {name: list(column) for name, column in zip(names, zip(*classes, strict=True), strict=True)}
            dropped += _classes(drop.within(connection, values | {"spared": spared}))
    return dropped


def _classes(rows: Sequence[Any]) -> Counter[RejectedClass]:
    return Counter(RejectedClass(row.rejected_class) for row in rows)
