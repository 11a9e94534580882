"""The issuer's keys: fetched seldom, kept through outages, and never waited for by many."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from checkout_service.identity import jwks
from checkout_service.identity.jwks import (
    ANSWER_WITHIN,
    FRESH_FOR,
    KEPT_FOR,
    MOST_WAITING,
    PAUSE,
    Jwks,
    JwksUnavailable,
)
from checkout_service.identity.jwks_fetch import WITHIN
from tests.identity.conftest import PATIENCE
from tests.identity.issuer import Issuer


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    issuer.add_key("one", "ES256")
    yield issuer
    issuer.go_away()


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let so many seconds have passed, as the keys see it."""
    passed = [0.0]
    monkeypatch.setattr(jwks, "monotonic", lambda: time.monotonic() + sum(passed))
    return passed.append


def eventually(check: object, within: float = 60.0) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if check():  # type: ignore[operator]
            return True
        time.sleep(0.01)
    return False


def test_keys_are_fetched_once_for_many_questions(issuer: Issuer) -> None:
    keys = Jwks(issuer.url)
    with ThreadPoolExecutor(MOST_WAITING) as threads:
        found = list(threads.map(lambda _: keys.find("one", "ES256"), range(50)))
    assert all(found)
    assert issuer.requests == 1


def test_an_unknown_key_is_fetched_once_in_a_while_and_not_by_everybody(
    issuer: Issuer, pass_time: Callable[[float], None]
) -> None:
    keys = Jwks(issuer.url)
    assert keys.find("one", "ES256")
    assert [keys.find(f"made up {n}", "ES256") for n in range(50)] == [()] * 50
    assert issuer.requests == 2
    pass_time(PAUSE + 1)
    assert [keys.find(f"made up {n}", "ES256") for n in range(50)] == [()] * 50
    assert issuer.requests == 3


def test_a_new_key_is_found_at_once_unless_a_stranger_was_first(
    issuer: Issuer, pass_time: Callable[[float], None]
) -> None:
    keys = Jwks(issuer.url)
    assert keys.find("one", "ES256")
    issuer.add_key("two", "ES256")
    assert keys.find("two", "ES256"), "the fetch that was due anyway has spent nothing"
    assert keys.find("one", "ES256")
    issuer.add_key("three", "ES256")
    assert keys.find("three", "ES256") == ()
    pass_time(PAUSE + 1)
    assert keys.find("three", "ES256")
    assert issuer.requests == 3


def test_known_keys_go_on_while_the_issuer_is_away(issuer: Issuer, pass_time: Callable[[float], None]) -> None:
    keys = Jwks(issuer.url)
    assert keys.find("one", "ES256")
    issuer.go_away()
    for _ in range(5):
        pass_time(FRESH_FOR + 1)
        assert keys.find("one", "ES256")
    pass_time(PAUSE + 1)
    with pytest.raises(JwksUnavailable):
        keys.find("two", "ES256")


def test_known_keys_go_on_without_waiting_while_the_issuer_is_frozen(
    issuer: Issuer, pass_time: Callable[[float], None]
) -> None:
    keys = Jwks(issuer.url)
    assert keys.find("one", "ES256")
    issuer.answering.clear()
    pass_time(FRESH_FOR + 1)
    started = time.monotonic()
    assert all(keys.find("one", "ES256") for _ in range(100))
    assert time.monotonic() - started < PATIENCE / 2, "it was waited for"
    assert eventually(lambda: issuer.requests == 2)


@pytest.mark.usefixtures("usual_bounds")
def test_a_frozen_issuer_holds_each_caller_a_second_at_most_and_those_after_it_not_at_all(issuer: Issuer) -> None:
    issuer.answering.clear()
    keys = Jwks(issuer.url)

    def ask(_: int) -> float:
        started = time.monotonic()
        with pytest.raises(JwksUnavailable):
            keys.find("one", "ES256")
        return time.monotonic() - started

    with ThreadPoolExecutor(8) as threads:
        assert max(threads.map(ask, range(8))) < WITHIN / 2
    assert ask(0) < 0.9 * ANSWER_WITHIN
    assert issuer.requests == 1


def test_keys_that_were_kept_too_long_no_longer_count(issuer: Issuer, pass_time: Callable[[float], None]) -> None:
    keys = Jwks(issuer.url)
    assert keys.find("one", "ES256")
    before = keys.generation()
    issuer.go_away()
    pass_time(KEPT_FOR + 1)
    assert keys.generation() != before
    with pytest.raises(JwksUnavailable):
        keys.find("one", "ES256")


def test_a_withdrawn_key_takes_its_tokens_along(issuer: Issuer, pass_time: Callable[[float], None]) -> None:
    keys = Jwks(issuer.url)
    assert keys.find("one", "ES256")
    before = keys.generation()
    issuer.add_key("two", "ES256")
    issuer.withdraw("one")
    pass_time(FRESH_FOR + 1)
    assert eventually(lambda: keys.generation() != before)
    assert keys.find("one", "ES256") == ()


def test_an_answer_that_is_no_jwks_changes_nothing(issuer: Issuer, pass_time: Callable[[float], None]) -> None:
    keys = Jwks(issuer.url)
    assert keys.find("one", "ES256")
    issuer.keys = []
    pass_time(FRESH_FOR + 1)
    assert keys.find("one", "ES256")
    assert eventually(lambda: issuer.requests > 1)
    assert keys.find("one", "ES256")
