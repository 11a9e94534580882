"""A long outage is worked off in as many runs as it takes, and nothing stands before all else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from checkout_service.cache import cache
from checkout_service.providers.base import ProviderRefusedError, ProviderUnavailableError, Reference, ThinEvent
from checkout_service.providers.undelivered import UndeliveredEvent, UndeliveredPage
from tests.conftest import Sql
from tests.webhook_bodies import insert_payment, status_of
from tests.worker.conftest import MakeWorker
from tests.worker.scripted import ScriptedProvider, event
from worker.payments.backfill import backfill
from worker.payments.status_queries import WORK_FOR
from worker.payments.undelivered_walks import FAR, NEAR, TURN

A_RUN = 80
"""Look-ups, of half a second each, that a run has time for."""


class Clock:
    """Time as the run reads it, which goes by with calls alone."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Keeper(ScriptedProvider):
    """Keeps webhooks by their ids, each with news of payments; one a page, the newest first."""

    def __init__(self, clock: Clock, name: str = "mock") -> None:
        super().__init__()
        self.name = name  # type: ignore[misc]  # the class has it for others
        self.kept: dict[str, Sequence[str]] = {}
        self.listed: list[tuple[timedelta, str | None]] = []
        self.lists_for = 0.0
        self.lists_all = True
        self.known_places: set[str] | None = None
        self._clock = clock

    def undelivered(self, *, since: datetime, after: str | None = None) -> UndeliveredPage:
        self._clock.now += self.lists_for
        self.listed.append((datetime.now(UTC) - since, after))
        if after is not None and self.known_places is not None and after not in self.known_places:
            raise ProviderRefusedError("there is no such place")
        ids = sorted(self.kept, reverse=True)
        place = 0 if after is None else ids.index(after) + 1
        if place >= len(ids):
            return UndeliveredPage(events=())
        thin = [ThinEvent(provider=self.name, provider_ref=each) for each in self.kept[ids[place]]]
        following = ids[place] if place + 1 < len(ids) else None
        return UndeliveredPage(
            events=[UndeliveredEvent(event_id=ids[place], events=thin)], after=following, whole=self.lists_all
        )

    def look_up(self, reference: Reference) -> Any:
        self._clock.now += WORK_FOR / A_RUN
        return super().look_up(reference)

    @property
    def places(self) -> list[str | None]:
        return [after for _, after in self.listed]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr("worker.payments.status_queries.monotonic", found)
    monkeypatch.setattr("worker.payments.undelivered_walks.monotonic", found)
    return found


@pytest.fixture
def keeper(make_worker: MakeWorker, clock: Clock) -> Iterator[Keeper]:
    app = make_worker(payment_namespace=uuid4())
    found = Keeper(clock)
    app.extensions["providers"] = {"mock": found}
    with app.app_context():
        yield found


def payments(sql: Sql, count: int, **values: str) -> list[str]:
    return [insert_payment(sql, **values) for _ in range(count)]


def run(keeper: Keeper) -> list[str]:
    """What a run looked up."""
    before = len(keeper.looked_up)
    backfill()
    return keeper.looked_up[before:]


def test_a_webhook_of_many_payments_is_got_through_in_a_few_runs(sql: Sql, keeper: Keeper) -> None:
    keeper.kept["1"] = payments(sql, 2 * A_RUN + 10)
    last = max(keeper.kept["1"])
    keeper.truths[last] = [event(last, "paid")]

    assert [len(run(keeper)) for _ in range(4)] == [A_RUN, A_RUN, 10, 0]

    assert set(Counter(keeper.looked_up).values()) == {1}
    assert status_of(sql, last) == "paid"
    far = [since > NEAR * 2 for since, _ in keeper.listed]
    assert far == [True, True, True, False], "the far walk came to its end"


def test_what_a_run_looked_up_counts_whatever_ends_it(sql: Sql, keeper: Keeper) -> None:
    keeper.kept["1"] = payments(sql, 10)
    order = list(keeper.kept["1"])

    def die() -> None:
        raise KeyboardInterrupt

    keeper.truths[order[5]] = die
    with pytest.raises(KeyboardInterrupt):
        backfill()
    del keeper.truths[order[5]]

    assert keeper.looked_up == order[:6]
    assert run(keeper) == order[5:]


def test_a_payment_whose_answer_cannot_be_used_keeps_nothing_behind_it_and_is_looked_up_once_a_run(
    sql: Sql, keeper: Keeper
) -> None:
    behind, *others = payments(sql, 6)
    keeper.truths[behind] = ProviderUnavailableError("its events are behind", in_progress=True)
    keeper.kept = {"3": [behind, *others[:2]], "2": [behind, others[2]], "1": [behind, *others[3:]]}

    assert run(keeper) == [behind, *others]
    assert run(keeper) == [behind]
    assert keeper.listed[-1][0] < NEAR * 2, "the far walk came to its end"

    keeper.truths[behind] = [event(behind, "paid")]
    assert run(keeper) == [behind]
    assert status_of(sql, behind) == "paid"


def test_a_payment_with_news_in_two_pages_is_looked_up_once_a_run_and_not_forgotten(sql: Sql, keeper: Keeper) -> None:
    """What an answer from before a page was listed says need not be all that the page has news of."""
    (reference,) = payments(sql, 1)
    keeper.kept = {"2": [reference], "1": [reference]}

    assert run(keeper) == [reference]
    assert run(keeper) == [reference]
    assert run(keeper) == []


def test_a_run_goes_on_where_the_one_before_had_no_time_left_and_sees_what_is_new(sql: Sql, keeper: Keeper) -> None:
    keeper.lists_for = WORK_FOR / 4
    references = payments(sql, 9)
    keeper.kept = {str(number): [references[number]] for number in range(8)}
    run(keeper)
    assert keeper.places == [None, "7", "6", "5"]
    keeper.kept["8"] = [references[8]]

    keeper.listed.clear()
    assert references[8] in run(keeper)
    assert keeper.places == ["5", None, "4", "8"], "both in turns, and of the last page none was looked up"
    for _ in range(3):
        run(keeper)

    assert set(keeper.looked_up) == set(references)
    keeper.listed.clear()
    run(keeper)
    assert keeper.listed[0][0] < NEAR * 2, "the far walk came to its end"


def test_a_place_that_the_provider_does_not_know_any_more_is_forgotten(sql: Sql, keeper: Keeper) -> None:
    keeper.lists_for = WORK_FOR * 0.6
    keeper.kept = {str(number): payments(sql, 1) for number in range(3)}
    run(keeper)
    assert keeper.places == [None, "2"]
    keeper.known_places, keeper.lists_for = {"1"}, 0
    keeper.kept = {"1": keeper.kept["1"], "0": keeper.kept["0"]}

    run(keeper)
    assert keeper.places[2:4] == ["2", None]
    keeper.listed.clear()
    run(keeper)

    assert keeper.places == [None, "1"]
    assert set(keeper.looked_up) >= {*keeper.kept["1"], *keeper.kept["0"]}


@pytest.mark.parametrize("kept", [b"", b"{}", b"[1, 2, 3]", b'["2026-01-01T00:00:00+00:00", "1"]', b"nothing"])
def test_a_place_of_another_release_is_none(
    sql: Sql, keeper: Keeper, monkeypatch: pytest.MonkeyPatch, kept: bytes
) -> None:
    monkeypatch.setattr(type(cache()), "get", lambda *_: kept)
    keeper.kept["1"] = payments(sql, 1)

    assert run(keeper) == list(keeper.kept["1"])
    assert keeper.listed[0][0] == pytest.approx(FAR, abs=timedelta(minutes=1))


def test_a_far_walk_that_could_not_list_all_is_begun_anew(sql: Sql, keeper: Keeper) -> None:
    keeper.kept["1"] = payments(sql, 1)
    for lists_all in (False, True, True):
        keeper.lists_all = lists_all
        run(keeper)

    assert [since > NEAR * 2 for since, _ in keeper.listed] == [True, True, False]


def test_a_far_walk_that_could_not_list_all_is_begun_anew_though_another_run_ends_it(keeper: Keeper) -> None:
    keeper.kept = {"1": ["pi_elsewhere"], "0": ["pi_elsewhere"]}
    keeper.lists_for, keeper.lists_all = WORK_FOR, False
    run(keeper)
    keeper.lists_for, keeper.lists_all = 0, True
    run(keeper)
    assert keeper.places[:2] == [None, "1"], "the second run ends the walk of the first"
    keeper.listed.clear()
    run(keeper)

    assert keeper.listed[0][0] > NEAR * 2


def test_the_look_ups_of_one_provider_leave_the_others_their_turns(
    sql: Sql, make_worker: MakeWorker, clock: Clock
) -> None:
    much, little = Keeper(clock), Keeper(clock, "mollie")
    much.kept["1"] = payments(sql, 3 * A_RUN)
    little.kept["1"] = payments(sql, 1, provider="mollie")
    app = make_worker(payment_namespace=uuid4())
    app.extensions["providers"] = {"mock": much, "mollie": little}
    with app.app_context():
        backfill()

    assert little.looked_up == little.kept["1"]
    assert len(much.looked_up) == A_RUN - 1 > TURN


def test_a_provider_that_is_away_ends_its_walk_and_nothing_is_marked(sql: Sql, keeper: Keeper) -> None:
    keeper.kept["1"] = payments(sql, 8)
    keeper.truths = dict.fromkeys(keeper.kept["1"], ProviderUnavailableError("no answer"))

    assert len(run(keeper)) == 3
    assert len(keeper.listed) == 1
    keeper.truths = {}
    assert sorted(run(keeper)) == sorted(keeper.kept["1"])
