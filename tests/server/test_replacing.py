"""The web process replaces its own code: nobody is refused, nobody is lost, and what does not work is not taken."""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from checkout_service.server.closing import CLOSED_WITHIN
from tests.server.releases import Asker, Clients, Releases, Serving, eventually, serving

REPLACEMENTS = 2


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
            web.replace()  # two at once are one
            eventually(lambda number=number: web.serves(f"r{number}"))
            eventually(lambda number=number: clients.total() > requests * (number + 1) / REPLACEMENTS)
    finally:
        answers = clients.stop()
    return answers


def test_no_request_is_lost_or_refused_while_the_code_is_replaced(web: Serving, releases: Releases) -> None:
    pid = web.process.pid
    answers = _replace_under_load(web, releases, requests=1_000)

    assert set(answers) == {200}
    assert answers[200] >= 1_000
    assert web.process.poll() is None
    assert web.process.pid == pid
    eventually(lambda: len(web.masters()) == 1)
    assert web.logged("replaced  ") == REPLACEMENTS


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_none_of_ten_thousand_is_lost(web: Serving, releases: Releases) -> None:
    answers = _replace_under_load(web, releases, requests=10_000)

    assert set(answers) == {200}


BROKEN = "raise RuntimeError('this release cannot be loaded')"


def test_code_that_does_not_come_to_serve_takes_no_request_and_a_later_try_does(
    web: Serving, releases: Releases
) -> None:
    before = {child.pid for child in web.children()}
    clients = Clients(web.address)
    releases.put("broken", app=BROKEN)
    web.replace()
    eventually(lambda: web.logged("replacement_failed"))
    assert web.logged("replacement_failed") == 1
    assert {child.pid for child in web.children()} & before == before, "they were left alone"

    # One that is not ready yet, while children of both die.
    releases.put("second", ready=False)
    web.replace()
    eventually(lambda: len(web.children()) == 4)
    time.sleep(1)
    assert {web.ask().split()[0] for _ in range(8)} == {"first"}
    assert set(clients.stop()) == {200}
    for master in web.masters():
        master.children()[0].kill()
    eventually(lambda: len(web.children()) == 4)
    (releases.folder / "second" / "ready").touch()
    eventually(lambda: web.serves("second"))


def test_a_stop_during_a_replacement_ends_both_and_answers_what_is_in_flight(web: Serving, releases: Releases) -> None:
    releases.put("second", ready=False)
    web.replace()
    eventually(lambda: len(web.masters()) == 2)
    with Asker(web) as slow:
        eventually((releases.folder / "first" / "in-flight").exists)
        everyone = psutil.Process(web.process.pid).children(recursive=True)
        web.process.send_signal(signal.SIGTERM)
        assert web.process.wait(timeout=60) == 0

    assert slow.answer.startswith("first")
    assert not web.logged("refused to gracefully stop")
    eventually(lambda: not [process for process in everyone if process.is_running()])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a listener refuses once all have closed it")
def test_who_connects_to_a_host_that_ends_is_refused_at_once(releases: Releases, tmp_path: Path) -> None:
    releases.put("slow", slow=9)
    with serving(releases, tmp_path / "log") as web, Asker(web) as slow:
        eventually((releases.folder / "slow" / "in-flight").exists)
        web.process.send_signal(signal.SIGTERM)
        time.sleep(CLOSED_WITHIN + 1)
        assert web.process.poll() is None, "a request is in flight"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(web.address, timeout=2)
        assert web.process.wait(timeout=60) == 0
    assert slow.answer.startswith("slow")
    assert not web.logged("refused to gracefully stop"), "the last answer ends it, and not the time"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_after_a_replacement_children_that_die_serve_again_though_nothing_is_ready(
    web: Serving, releases: Releases
) -> None:
    releases.put("second")
    web.replace()
    eventually(lambda: web.serves("second") and len(web.masters()) == 1)
    (releases.folder / "second" / "ready").unlink()
    before = web.children()
    for child in before:
        child.kill()
    gone = {child.pid for child in before}
    eventually(lambda: web.ask().split()[0] == "second", within=60)
    assert not gone & {child.pid for child in web.children()}


@pytest.mark.slow
def test_all_end_when_the_supervisor_is_killed_during_a_replacement(web: Serving, releases: Releases) -> None:
    releases.put("second", ready=False)
    web.replace()
    eventually(lambda: len(web.children()) == 4)
    everyone = psutil.Process(web.process.pid).children(recursive=True)
    web.process.kill()

    _, alive = psutil.wait_procs(everyone, timeout=60)
    assert not alive
