"""SIGHUP to what runs one machine: the web replaces itself, the others start again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from checkout_service.local.guard import Guard
from checkout_service.local.processes import Processes
from checkout_service.local.session import replacing_on_hangup
from tests.flower_pages.stack import eventually

WEB = "import signal, time; signal.signal(1, lambda *_: print('replaced', flush=True)); print('up', flush=True)"


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with closing(Guard()) as guard:
        made = Processes(folder=tmp_path, environment=os.environ, logs=tmp_path, guard=guard)
        made.start({"web": ["python", "-c", f"{WEB}\nwhile True: time.sleep(1)"], "worker": ["sleep", "600"]})
        yield made
        made.stop()


def test_the_web_is_signalled_and_stays_and_the_others_are_started_again(processes: Processes) -> None:
    web, worker = processes.named("web"), processes.named("worker")
    before = web.target, worker.target
    eventually(lambda: "up" in web.logged())

    reported: list[str] = []
    processes.replace(reported.append)

    eventually(lambda: "replaced" in web.logged())
    assert web.target == before[0]
    assert worker.target not in {None, before[1]}
    assert reported == ["web is replaced", "worker is replaced"]
    processes.check()


def test_a_hangup_that_no_terminal_sent_asks_for_it() -> None:
    """The tests have no terminal, or one that is open."""
    with replacing_on_hangup() as requested:
        os.kill(os.getpid(), signal.SIGHUP)
        assert requested.is_set()
