"""The web process replaces its own code: nobody is refused, nobody is lost, and what does not work is not taken."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.server.releases import APP, Asker, Clients, Releases, Serving, eventually, serving

REPLACEMENTS = 3


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    made = Releases(tmp_path)
    made.put("first")
    return made


@pytest.fixture
def web(releases: Releases, tmp_path: Path) -> Iterator[Serving]:
    with serving(releases, tmp_path / "log") as web:
        yield web


def _replace_under_load(web: Serving, releases: Releases, *, requests: int) -> Counter[int]:
    """Replace some times, and until so many requests were made; what they were answered."""
    clients = Clients(web.address)
    try:
        for number in range(REPLACEMENTS):
            releases.put(f"r{number}")
            web.replace()
            eventually(lambda number=number: web.serves(f"r{number}"))
            eventually(lambda number=number: clients.asked() > requests * (number + 1) / REPLACEMENTS)
    finally:
        answers = clients.stop()
    return answers


def test_no_request_is_lost_or_refused_while_the_code_is_replaced(web: Serving, releases: Releases) -> None:
    pid = web.process.pid
    answers = _replace_under_load(web, releases, requests=2_000)

    assert set(answers) == {200}
    assert answers[200] >= 2_000
    assert web.process.poll() is None
    assert web.process.pid == pid
    eventually(lambda: len(web.masters()) == 1)
    assert web.logged("Crash loop") == web.logged("Unexpected exit") == 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_none_of_ten_thousand_is_lost(web: Serving, releases: Releases) -> None:
    answers = _replace_under_load(web, releases, requests=10_000)

    assert set(answers) == {200}


BROKEN = "raise RuntimeError('this release cannot be loaded')"


@pytest.mark.parametrize(("app", "ready"), [(BROKEN, True), (APP, False)], ids=["broken", "never ready"])
def test_code_that_does_not_come_to_serve_takes_no_request_and_a_later_try_does(
    tmp_path: Path, releases: Releases, app: str, *, ready: bool
) -> None:
    with serving(releases, tmp_path / "log", within=5) as web:
        before = {child.pid for child in web.children()}
        clients = Clients(web.address)
        releases.put("second", app=app, ready=ready)
        web.replace()
        eventually(lambda: web.logged("replacement_failed"))
        answers = clients.stop()

        assert set(answers) == {200}
        assert web.logged("replacement_failed") == 1
        assert {web.ask().split()[0] for _ in range(8)} == {"first"}
        assert {child.pid for child in web.children()} & before == before, "they were left alone"
        releases.put("third")
        web.replace()
        eventually(lambda: web.serves("third"))


def test_two_signals_at_once_are_one(web: Serving, releases: Releases) -> None:
    releases.put("second")
    web.replace()
    web.replace()
    eventually(lambda: web.logged("replaced  "))
    time.sleep(1)

    assert web.serves("second")
    assert web.logged("replaced  ") == 1
    eventually(lambda: len(web.masters()) == 1)


def test_a_stop_during_a_replacement_ends_both_and_answers_what_is_in_flight(web: Serving, releases: Releases) -> None:
    with Asker(web) as slow:
        releases.put("second")
        web.replace()
        eventually(lambda: len(web.masters()) == 2)
        everyone = psutil.Process(web.process.pid).children(recursive=True)
        web.process.send_signal(signal.SIGTERM)
        assert web.process.wait(timeout=40) == 0

    assert slow.answer.startswith("first")
    assert not [process for process in everyone if process.is_running()]


def test_all_end_when_the_supervisor_is_killed_during_a_replacement(web: Serving, releases: Releases) -> None:
    releases.put("second")
    web.replace()
    eventually(lambda: len(web.children()) == 4)
    everyone = psutil.Process(web.process.pid).children(recursive=True)
    web.process.kill()

    _, alive = psutil.wait_procs(everyone, timeout=20)
    assert not alive


def test_a_child_that_dies_during_a_replacement_is_started_again(web: Serving, releases: Releases) -> None:
    releases.put("second", ready=False)
    web.replace()
    eventually(lambda: len(web.children()) == 4)
    former, coming = web.masters()
    for master in (former, coming):
        master.children()[0].kill()
    eventually(lambda: len(web.children()) == 4)
    (releases.folder / "second" / "ready").touch()

    eventually(lambda: web.serves("second"))
