"""One scenario under load: what is done, what was promised, and the line of JSON that says whether it was kept."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final
from uuid import UUID

from tests.cluster.cluster import Cluster, environment
from tests.faults.goods import await_numbers, check_goods
from tests.faults.invariant import FINAL_WITHIN, broken_promises
from tests.faults.journal import Journal
from tests.faults.load import Load
from tests.faults.stack import await_that
from tests.faults.wire import Balancer

WARM_UP: Final = 4.0
DELIVERED_WITHIN: Final = 120.0
LONGEST: Final = 600.0
"""Seconds of a scenario's load."""

REQUEST_WITHIN: Final = 10.0
"""A client that repeats on 503 has its answer within so many seconds, unless a scenario says otherwise."""

_APPLIED: Final = """
    SELECT coalesce(extract(epoch FROM max(processed_at - received_at)), 0)::float,
        coalesce(extract(epoch FROM max(processed_at) - max(received_at)), 0)::float
    FROM webhook_deliveries WHERE id = ANY(%(ids)s)
"""

_PENDING: Final = """
    SELECT count(*) FROM webhook_deliveries WHERE id = ANY(%(ids)s) AND state IN ('received', 'parked')
"""
_THERE: Final = "SELECT id FROM webhook_deliveries WHERE id = ANY(%(ids)s)"
_PAYMENTS: Final = "SELECT provider_ref FROM payments WHERE provider_ref = ANY(%(tokens)s)"

_BESIDE: Final = """
    SELECT count(*) FROM payments WHERE created_at >= %(first)s AND NOT provider_ref = ANY(%(tokens)s)
"""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What fails, and what must hold. ``strike`` returns the moment from which silence counts; None: its beginning."""

    name: str
    strike: Callable[[Cluster], float | None]
    payments_a_second: float = 5.0
    afterwards: float = 12.0
    """Seconds of load after the strike."""
    requests: int = 0
    """The load goes on until so many were sent."""
    silent_within: float = 3.0
    """The longest time without any answer that acknowledges something."""
    applied_within: float | None = None
    """The longest time that a webhook waits between 202 and being applied."""
    answered_within: float | None = REQUEST_WITHIN
    unanswered_at_most: int | None = None
    internal_errors_at_most: int = 0
    reads_may_be_old: bool = False
    """A host goes on reading from a primary that was cut off."""
    loses: bool = False
    """What was acknowledged last is lost, and delivered again; each payment that is there has to be right."""
    newer: bool = False
    """Another release answers in the end, whose answers may have more members. The one before it answered 500, not
    503, to a customer whom PostgreSQL ended for a deadlock with the migration; such a request is repeated too."""


@dataclass(kw_only=True)
class Outcome:
    """The line. Times are in seconds; counts are of webhooks, payments and keys."""

    name: str
    acknowledged: int
    """Webhooks answered 202, and keys answered 201."""
    lost: int
    doubled: int
    differing: int
    silent_s: float
    last_applied_s: float
    """From the last 202 to the last webhook that was applied."""
    waited_s: float
    """The longest time from 202 to applied."""
    answered_s: float
    """The longest time from a request's first try to its answer."""
    requests: int
    late: int
    """Requests that took longer than 10 s, repeats and all."""
    old_reads: int
    """Sessions refused for a cart that only a server that was left has."""
    unanswered: int
    """Requests that were sent and got no answer. Each was repeated."""
    refused: int
    """Answers 503."""
    internal_errors: int
    """Answers 500."""
    held: bool
    wrong: list[str] = field(default_factory=list)

    def line(self) -> str:
        return json.dumps(asdict(self))


def run(cluster: Cluster, scenario: Scenario, listing: str) -> Outcome:
    """Load, the strike, load; then everything is held against what clients were answered."""
    load = Load(
        lambda: Balancer(cluster.addresses, timeout=REQUEST_WITHIN, keep_alive=True),
        environment(cluster),
        listing,
        payments_a_second=scenario.payments_a_second,
        reads_may_be_old=scenario.reads_may_be_old,
    )
    wrong: list[str] = []
    cluster.journal = load.journal
    if scenario.newer:
        load.journal.refusals |= {500}
    ((first,),) = cluster.sql("SELECT now()")
    load.start()
    time.sleep(WARM_UP)
    began = time.monotonic()
    try:
        since = scenario.strike(cluster) or began
    except Exception as error:  # noqa: BLE001 (the other scenarios go on, and this one did not hold)
        since = began
        wrong.append(f"{type(error).__name__}: {error}")
    time.sleep(scenario.afterwards)
    while len(load.journal.waits) < scenario.requests and time.monotonic() - began < LONGEST:
        time.sleep(0.5)
    if len(load.journal.waits) < scenario.requests:
        wrong.append(f"only {len(load.journal.waits)} requests came through")
    ended = time.monotonic()
    lost = _ask_again(cluster, load, began - WARM_UP) if scenario.loses else 0
    if scenario.loses and not lost:
        wrong.append("nothing was lost, so nothing was tried")
    try:
        load.finish(within=DELIVERED_WITHIN)
    except TimeoutError as error:
        wrong.append(str(error))
    acknowledged = len(load.journal.deliveries) + len(load.journal.keys)
    if scenario.loses:
        _forget_lost(cluster, load.journal, before=since)
    wrong += _await_final(cluster, load.journal)
    await_numbers(cluster.sql)
    found = _outcome(cluster, scenario, load.journal, longest_gap(load.journal.acknowledged, since, ended), wrong)
    found.wrong += _beside(cluster, load.journal, first)
    return replace(found, acknowledged=acknowledged, lost=found.lost + lost, held=found.held and not found.wrong)


def _beside(cluster: Cluster, journal: Journal, first: Any) -> list[str]:
    """Payments of this time that nobody was answered: a session that was made twice would leave one."""
    ((count,),) = cluster.sql(_BESIDE, first=first, tokens=[key.answer["payment_token"] for key in journal.keys])
    return [f"{count} payments are nobody's answer"] if count else []


def _await_final(cluster: Cluster, journal: Journal) -> list[str]:
    """Wait until each webhook that was answered 202 is in a final state; what is wrong if that does not come."""
    ids = [UUID(delivery) for delivery in journal.deliveries]
    with suppress(TimeoutError):
        await_that(lambda: cluster.sql(_PENDING, ids=ids) == [(0,)], "webhooks are final", within=FINAL_WITHIN)
    ((pending,),) = cluster.sql(_PENDING, ids=ids)
    return [f"{pending} webhooks are not final"] if pending else []


def _ask_again(cluster: Cluster, load: Load, since: float) -> int:
    """Have all webhooks of payments that are there delivered again; how many of them the database had lost."""
    taken = [one for one in load.journal.taken if one.moment >= since]
    there = {str(delivery) for (delivery,) in cluster.sql(_THERE, ids=[UUID(one.delivery) for one in taken])}
    payments = {token for (token,) in cluster.sql(_PAYMENTS, tokens=[one.token for one in taken])}
    load.deliver_again([one for one in taken if one.token in payments])
    return len({one.delivery for one in taken} - there)


def _forget_lost(cluster: Cluster, journal: Journal, *, before: float) -> None:
    """What was acknowledged before the promotion, and is not there."""
    ids = [UUID(delivery) for delivery in journal.deliveries]
    there = {str(delivery) for (delivery,) in cluster.sql(_THERE, ids=ids)}
    payments = {token for (token,) in cluster.sql(_PAYMENTS, tokens=list(journal.events))}
    since = {one.delivery for one in journal.taken if one.moment >= before}
    opened = {key.answer["payment_token"] for key in journal.keys if key.moment < before}
    journal.forget_lost((journal.events.keys() & opened) - payments, journal.deliveries - there - since)


def _outcome(cluster: Cluster, scenario: Scenario, journal: Journal, silent: float, wrong: list[str]) -> Outcome:
    broken = list(broken_promises(cluster, journal, newer=scenario.newer))
    ((waited, last),) = cluster.sql(_APPLIED, ids=[UUID(delivery) for delivery in journal.deliveries])
    late = sum(seconds > REQUEST_WITHIN for seconds in journal.waits)
    wrong += [*journal.wrong, *map(str, broken), *check_goods(cluster.sql, journal)]
    if scenario.unanswered_at_most is not None and journal.answers[0] > scenario.unanswered_at_most:
        wrong.append(f"{journal.answers[0]} requests got no answer")
    if journal.answers[500] > scenario.internal_errors_at_most:
        wrong.append(f"{journal.answers[500]} requests were answered 500")
    wrong += _over("silent", silent, scenario.silent_within)
    wrong += _over("a webhook waited", waited, scenario.applied_within)
    wrong += _over("a request waited", max(journal.waits, default=0.0), scenario.answered_within)
    kinds = {
        kind: sum(found.count for found in broken if found.kind == kind) for kind in ("lost", "doubled", "differing")
    }
    return Outcome(
        name=scenario.name,
        acknowledged=len(journal.deliveries) + len(journal.keys),
        **kinds,
        silent_s=round(silent, 1),
        last_applied_s=round(max(0.0, last), 1),
        waited_s=round(waited, 1),
        answered_s=round(max(journal.waits, default=0.0), 1),
        requests=len(journal.waits),
        late=late,
        old_reads=journal.old_reads,
        unanswered=journal.answers[0],
        refused=journal.answers[503],
        internal_errors=journal.answers[500],
        held=not wrong,
        wrong=wrong[:10],
    )


def _over(what: str, seconds: float, within: float | None) -> list[str]:
    return [f"{what} for {seconds:.1f} s"] if within is not None and seconds > within else []


def longest_gap(acknowledged: Sequence[float], since: float, until: float) -> float:
    moments = [since, *sorted(moment for moment in acknowledged if since < moment < until), until]
    return max(after - before for before, after in itertools.pairwise(moments))
