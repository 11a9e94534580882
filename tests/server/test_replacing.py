"""The web process replaces its own code: nobody is refused, nobody is lost, and what does not work is not taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.releases import Clients, Releases, Serving, eventually, serving

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
