"""A page of a scrape is made once a second, by one at a time, and is the same for all processes that count together."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from checkout_service.telemetry import scrape_page
from checkout_service.telemetry.scrape_page import BeingMadeError, ScrapePage


class Maker:
    """Makes numbered pages; one that is ``held`` is not finished until the block ends."""

    def __init__(self) -> None:
        self.made = 0
        self._lock = threading.Lock()
        self._goes_on = threading.Event()
        self._goes_on.set()

    def __call__(self) -> bytes:
        with self._lock:
            self.made += 1
            number = self.made
        assert self._goes_on.wait(30)
        return b"page %d" % number

    @contextmanager
    def held(self) -> Iterator[None]:
        self._goes_on.clear()
        yield
        self._goes_on.set()

    def wait_for(self, made: int) -> None:
        until = time.monotonic() + 60
        while self.made < made:
            assert time.monotonic() < until
            time.sleep(0.005)


@pytest.fixture(params=["alone", "together"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    return str(tmp_path) if request.param == "together" else None


def test_who_asks_within_a_second_gets_the_same_page(folder: str | None) -> None:
    maker = Maker()
    page = ScrapePage(maker, folder=folder)

    assert {page.text() for _ in range(100)} == {b"page 1"}
    assert maker.made == 1


def test_a_page_older_than_a_second_is_made_anew(folder: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ScrapePage(Maker(), folder=folder)
    page.text()

    _later(monkeypatch, 1.1)

    assert page.text() == b"page 2"


def test_while_one_makes_it_the_others_get_the_one_before_and_nobody_waits(
    folder: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = Maker()
    page = ScrapePage(maker, folder=folder)
    page.text()
    _later(monkeypatch, 5)

    with ThreadPoolExecutor(1) as threads:
        with maker.held():
            maked = threads.submit(page.text)
            maker.wait_for(2)
            assert {page.text() for _ in range(60)} == {b"page 1"}
        assert maked.result() == b"page 2"
    assert maker.made == 2


def test_the_first_page_is_waited_for_by_nobody_but_its_maker(folder: str | None) -> None:
    maker = Maker()
    page = ScrapePage(maker, folder=folder)

    with ThreadPoolExecutor(1) as threads, maker.held():
        threads.submit(page.text)
        maker.wait_for(1)
        with pytest.raises(BeingMadeError):
            page.text()
    assert maker.made == 1


def test_an_old_page_is_not_shown_for_ever(folder: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    maker = Maker()
    page = ScrapePage(maker, folder=folder)
    page.text()
    _later(monkeypatch, scrape_page.KEPT_FOR + 1)

    with ThreadPoolExecutor(1) as threads, maker.held():
        threads.submit(page.text)
        maker.wait_for(2)
        with pytest.raises(BeingMadeError):
            page.text()


def test_a_page_that_failed_is_tried_again_by_the_next(folder: str | None) -> None:
    pages: list[bytes | Exception] = [ValueError("broken"), b"a page"]

    def make() -> bytes:
        made = pages.pop(0)
        if isinstance(made, Exception):
            raise made
        return made

    page = ScrapePage(make, folder=folder)
    with pytest.raises(ValueError, match="broken"):
        page.text()
    assert page.text() == b"a page"


def test_a_clock_that_is_set_back_stops_no_page(folder: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    maker = Maker()
    page = ScrapePage(maker, folder=folder)
    page.text()
    _later(monkeypatch, -3600)

    assert {page.text() for _ in range(3)} == {b"page 2"}
    assert maker.made == 2


def test_processes_that_count_together_show_one_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a counter would seem to fall whenever the next process answers."""
    one, other = Maker(), Maker()
    pages = [ScrapePage(maker, folder=str(tmp_path)) for maker in (one, other)]

    assert [page.text() for page in pages] == [b"page 1", b"page 1"]
    assert (one.made, other.made) == (1, 0)
    _later(monkeypatch, 2)
    with ThreadPoolExecutor(1) as threads, one.held():
        threads.submit(pages[0].text)
        one.wait_for(2)
        assert _in_a_child(pages[1].text) == b"page 1"
    assert [page.text() for page in pages] == [b"page 2", b"page 2"]
    assert (one.made, other.made) == (2, 0)


def test_pages_of_another_name_are_apart(tmp_path: Path) -> None:
    assert ScrapePage(lambda: b"of the web", folder=str(tmp_path)).text() == b"of the web"
    assert ScrapePage(lambda: b"of a worker", folder=str(tmp_path), name="worker").text() == b"of a worker"


def test_a_disk_without_space_leaves_each_process_its_own_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    maker = Maker()
    page = ScrapePage(maker, folder=str(tmp_path))

    assert {page.text() for _ in range(5)} == {b"page 1"}
    assert maker.made == 1


def test_a_page_that_is_shown_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape_page, "FRESH_FOR", 0.0)
    whole = {(b"%d" % number) * 100_000 for number in range(10)}
    numbers = iter(list(range(10)) * 30)
    writing = ScrapePage(lambda: (b"%d" % next(numbers)) * 100_000, folder=str(tmp_path))
    reading = ScrapePage(Maker(), folder=str(tmp_path))
    writing.text()
    monkeypatch.setattr(reading, "_turn", _nobodys_turn)

    with ThreadPoolExecutor(1) as threads:
        written = threads.submit(lambda: [writing.text() for _ in range(200)])
        while not written.done():
            assert reading.text() in whole
    assert {path.name for path in tmp_path.iterdir()} == {"web.page", "web.making"}
    assert os.stat(tmp_path / "web.page").st_size == 100_000


@contextmanager
def _nobodys_turn() -> Iterator[bool]:
    yield False


def _later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = time.time
    monkeypatch.setattr(scrape_page.time, "time", lambda: now() + seconds)


def test_a_child_that_is_forked_while_a_page_is_made_keeps_no_later_one_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    children: list[int] = []

    def forking() -> bytes:
        if not children:
            child = _forked()
            if not child:
                signal.pause()
            children.append(child)
            return b"first"
        return b"second"

    page = ScrapePage(forking, folder=str(tmp_path))
    assert page.text() == b"first"
    try:
        monkeypatch.setattr(scrape_page, "FRESH_FOR", 0.0)
        assert page.text() == b"second"
    finally:
        os.kill(children[0], signal.SIGKILL)
        os.waitpid(children[0], 0)


def _forked() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer Pythons warn of threads; of these children none needs one
        return os.fork()


def _in_a_child(call: Callable[[], bytes]) -> bytes:
    """What the call returns in another process, which is as this one at this moment."""
    reads, writes = os.pipe()
    child = _forked()
    if not child:
        try:
            os.write(writes, call())
        finally:
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as answer:
        found = answer.read()
    os.waitpid(child, 0)
    return found
