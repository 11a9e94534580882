"""The breaker: while the other side is away one caller at a time finds out, and nobody else waits."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

import pytest

from checkout_service import breaker as breaking
from checkout_service.breaker import Breaker, BreakerOpenError

PAUSE = 5.0

Pass = Callable[[float], None]


class AwayError(Exception):
    pass


@pytest.fixture
def let_pass(monkeypatch: pytest.MonkeyPatch) -> Pass:
    """Let so many seconds pass; no others do."""
    passed = [1000.0]
    monkeypatch.setattr(breaking, "monotonic", lambda: sum(passed))
    return passed.append


@pytest.fixture
def breaker(let_pass: Pass) -> Breaker:
    return Breaker(pause=PAUSE)


def fail(breaker: Breaker) -> None:
    with pytest.raises(AwayError), breaker.guard(AwayError):
        raise AwayError


def test_failure_refuses_the_next_without_trying(breaker: Breaker) -> None:
    fail(breaker)

    with pytest.raises(BreakerOpenError), breaker.guard(AwayError):
        pytest.fail("the body ran")


def test_trial_after_the_pause_decides(breaker: Breaker, let_pass: Pass) -> None:
    fail(breaker)
    let_pass(PAUSE)
    fail(breaker)
    with pytest.raises(BreakerOpenError), breaker.guard(AwayError):
        pytest.fail("the body ran")

    let_pass(PAUSE)
    for _ in range(2):
        with breaker.guard(AwayError):
            pass


def test_one_trial_at_a_time_however_long_it_takes(breaker: Breaker, let_pass: Pass) -> None:
    fail(breaker)
    let_pass(PAUSE)
    trying, over = Event(), Event()

    def try_for_long() -> None:
        with breaker.guard(AwayError):
            trying.set()
            over.wait(30)

    thread = Thread(target=try_for_long)
    thread.start()
    assert trying.wait(30)
    let_pass(2 * PAUSE)
    with pytest.raises(BreakerOpenError), breaker.guard(AwayError):
        pytest.fail("two trials at once")
    over.set()
    thread.join()

    with breaker.guard(AwayError):
        pass


def test_trial_that_ends_otherwise_leaves_the_way_free_for_the_next(breaker: Breaker, let_pass: Pass) -> None:
    fail(breaker)
    let_pass(PAUSE)
    with pytest.raises(KeyError), breaker.guard(AwayError):
        raise KeyError

    with breaker.guard(AwayError):
        pass
