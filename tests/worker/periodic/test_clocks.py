"""The clocks of a worker and of beat beside the database's: seen, shown, and nothing goes by them."""

from __future__ import annotations

from collections.abc import Iterator
from time import time

import pytest
from prometheus_client import REGISTRY

from checkout_service.cache import cache
from checkout_service.database.clock import BEAT_CLOCK
from checkout_service.settings.secret import Secret
from tests.worker.conftest import MakeWorker
from worker.periodic import clocks as module
from worker.periodic.clocks import Clocks


@pytest.fixture
def inside(make_worker: MakeWorker) -> Iterator[None]:
    with make_worker().app_context():
        yield


def shown(process: str) -> float | None:
    return REGISTRY.get_sample_value("checkout_clock_skew_seconds", {"process": process})


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("wrong_by", [-120.0, 0.0, 120.0])
def test_the_clock_of_a_worker_is_compared_with_the_databases(wrong_by: float, monkeypatch: pytest.MonkeyPatch) -> None:
    shift(monkeypatch, wrong_by)
    Clocks().look(node="housekeeping@there", sent_at=None)
    assert shown("housekeeping") == pytest.approx(wrong_by, abs=30)
    seen_at = REGISTRY.get_sample_value("beat_last_message_timestamp_seconds")
    assert seen_at == pytest.approx(time() + wrong_by, abs=30), "by the worker's own clock"


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("worker", [-120.0, 0.0, 120.0])
@pytest.mark.parametrize("beat", [-120.0, 0.0, 120.0])
def test_the_clock_of_beat_is_seen_whatever_the_workers_is(
    beat: float, worker: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Clocks()
    shift(monkeypatch, worker)
    monkeypatch.setattr(module, "EVERY", 0.0)
    for waited in (400.0, 0.0, 7.0):
        seen.look(node="worker@here", sent_at=time() + beat - waited)
    seen.look(node="worker@here", sent_at=None)
    assert shown("beat") == pytest.approx(beat, abs=5), "what waited longest says least"
    assert float(cache().get(BEAT_CLOCK) or b"nan") == pytest.approx(beat, abs=5)


def test_without_a_database_nothing_is_shown_and_nothing_fails(make_worker: MakeWorker) -> None:
    away = Secret("postgresql+psycopg://checkout_worker@127.0.0.1:1/nowhere")
    with make_worker(database_url=away).app_context():
        Clocks().look(node="sender@nowhere", sent_at=time())
    assert shown("sender") is None


def shift(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Have the worker's clock be wrong by so much, wherever it is read for this."""
    for place in ("worker.periodic.clocks.time", "checkout_service.database.clock.time"):
        monkeypatch.setattr(place, lambda: time() + seconds)
