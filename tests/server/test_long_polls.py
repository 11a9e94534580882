"""Long polls of one process: kept without a slot, run again when changed, answered in any case, and bounded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask, Response, request

from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.server import long_polls
from checkout_service.server.bodies import BodyReader
from checkout_service.server.long_polls import (
    LARGEST_HEAD,
    MOST_AT_ONCE,
    LongPolls,
    Poll,
    Seen,
    answer_at_change,
    seen_before,
)
from checkout_service.server.readers import Readers
from checkout_service.server.slots import Kind, Slots
from checkout_service.server.wsgi_adapter import WsgiAdapter
from checkout_service.telemetry import request_log
from checkout_service.telemetry.metrics import long_polls as waiting
from checkout_service.telemetry.metrics import long_polls_total, request_seconds, requests_total
from checkout_service.threads import BackgroundThread
from tests.flower_pages.stack import eventually
from tests.server.arriving import Arriving
from tests.server.slots_here import SlotsHere

ROUTE = "/api/things/<uuid:thing>"


class Client:
    """Granian's side of a request: the answers that it was given."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], bytes]] = []

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.answers.append((status, dict(headers), body))

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Any) -> None:
        raise AssertionError("nothing here is large")

    @property
    def statuses(self) -> list[int]:
        return [status for status, _, _ in self.answers]


class Things:
    """An app whose view shows the version of a thing, and what tells the versions of many."""

    def __init__(self) -> None:
        self.versions: dict[UUID, int] = {}
        self.shown: dict[UUID, int] = {}
        """What the view shows, where that is not the version."""
        self.shares: Mapping[str, int] = {}
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.views = 0
        self.at_work = self.most_at_work = 0
        self.looks: list[int] = []
        self.fails: list[BaseException] = []
        self.refuses = False
        self.ends = False
        self.ids: list[str] = []
        self.lock = threading.Lock()
        self.app = Flask("things")
        request_log.init_app(self.app)
        self.app.get(ROUTE)(self.show)

    def show(self, thing: UUID) -> Response:
        with self.lock:
            self.views += 1
            self.at_work += 1
            self.most_at_work = max(self.at_work, self.most_at_work)
        try:
            return self._show(thing)
        finally:
            with self.lock:
                self.at_work -= 1

    def _show(self, thing: UUID) -> Response:
        if self.views > 1:
            assert self.may_answer.wait(30)
        if self.refuses:
            return Response("gone", status=401)
        request.environ[request_log.KEY_PREFIX] = "csk_of_a_test"
        version = self.versions[thing]
        answer = Response(b"x" * 100)
        answer.set_etag(str(self.shown.get(thing, version)))
        answer.make_conditional(request)
        if answer.status_code != 304:
            return answer
        seconds = int(request.args.get("wait", 0))
        return answer_at_change(
            answer, look="things", subject=thing, version=version, seconds=seconds, shares=self.shares
        )

    def look(self, seen: Collection[Seen]) -> Collection[Seen]:
        self.looks.append(len(seen))
        if self.fails:
            raise self.fails.pop()
        return {(thing, version) for thing, version in seen if self.versions[thing] != version}


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_polls, "EVERY", 0.02)
    monkeypatch.setattr(long_polls, "LONGEST_PAUSE", 0.05)


@pytest.fixture
def things() -> Iterator[Things]:
    things = Things()
    yield things
    things.may_answer.set()
    things.ends = True
    eventually(lambda: waiting._value.get() == 0)


def adapter(
    things: Things, *, working: int = 2, queue: int = 512, most: int = 100, slots: type[Slots] = SlotsHere
) -> WsgiAdapter:
    return WsgiAdapter(
        things.app,
        slots=slots(working=working, waiting=1, queue=queue),
        body_reader=BodyReader(readers=1, most_bytes=1000),
        readers=Readers(readers=1, most_bytes=2**20),
        ends=lambda: things.ends,
        looks={"things": things.look},
        most_polls=most,
    )


def ask(front: WsgiAdapter, thing: UUID, version: int, *, wait: int = 300, **environ: Any) -> Client:
    client = Client()
    scope = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": f"/api/things/{thing}",
        "QUERY_STRING": f"wait={wait}",
        "SERVER_NAME": "test",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": Arriving(),
        "HTTP_IF_NONE_MATCH": f'"{version}"',
    }
    front(client, scope | environ)
    return client


def thing_of(things: Things) -> UUID:
    thing = uuid4()
    things.versions[thing] = 1
    return thing


def outcomes(outcome: str) -> float:
    found: float = long_polls_total.labels(outcome)._value.get()
    return found


def counted(status: int) -> tuple[float, float]:
    """Answers of the route with this status, and how many of the route were timed."""
    timed = sum(bucket.get() for bucket in request_seconds.labels(ROUTE)._buckets)
    return requests_total.labels("GET", ROUTE, str(status))._value.get(), timed


def test_it_is_kept_in_no_slot_and_answered_at_the_change(things: Things) -> None:
    thing, other, before, count = thing_of(things), thing_of(things), outcomes("changed"), counted(200)
    front = adapter(things, working=1)
    kept = ask(front, thing, 1, HTTP_X_REQUEST_ID="own")
    assert ask(front, other, 7).statuses == [200], "another finds the slot free"
    assert not kept.answers
    assert waiting._value.get() == 1

    things.versions[thing] = 2
    eventually(lambda: kept.answers)

    ((status, headers, body),) = kept.answers
    assert (status, headers["ETag"], headers["X-Request-Id"], len(body)) == (200, '"2"', "own", 100)
    eventually(lambda: waiting._value.get() == 0)
    eventually(lambda: outcomes("changed") == before + 1)
    assert counted(200) == (count[0] + 2, count[1] + 1), "what was kept is counted, and not timed"


def test_at_its_deadline_it_is_answered_without_the_app_though_the_database_is_away(
    things: Things, capfd: pytest.CaptureFixture[str]
) -> None:
    thing, before, count = thing_of(things), outcomes("unchanged"), counted(304)
    things.fails = [DatabaseUnavailableError() for _ in range(1000)]
    kept = ask(adapter(things), thing, 1, wait=1, HTTP_X_REQUEST_ID="own-2")

    eventually(lambda: kept.answers)

    ((status, headers, body),) = kept.answers
    assert (status, headers["ETag"], headers["X-Request-Id"], body) == (304, '"1"', "own-2", b"")
    assert things.views == 1
    assert things.looks
    eventually(lambda: outcomes("unchanged") == before + 1)
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "own-2" in line]
    assert "csk_of_a_test" in line, "whose key it was"
    assert counted(304) == (count[0] + 1, count[1])


def test_a_database_that_comes_back_and_a_look_that_breaks_are_gone_on_with(things: Things) -> None:
    thing = thing_of(things)
    things.fails = [DatabaseUnavailableError(), RuntimeError("broken"), DatabaseUnavailableError()]
    kept = ask(adapter(things), thing, 1)
    things.versions[thing] = 2

    eventually(lambda: kept.answers)

    assert kept.statuses == [200]


def test_who_is_shown_nothing_of_the_change_waits_on_until_the_same_deadline(things: Things) -> None:
    thing, before = thing_of(things), outcomes("unchanged")
    things.shown[thing] = 1
    began = time.monotonic()
    kept = ask(adapter(things), thing, 1, wait=4)
    for version in range(2, 6):
        things.versions[thing] = version
        eventually(lambda version=version: things.views >= version)
    assert not kept.answers

    eventually(lambda: kept.answers)

    assert kept.statuses == [304]
    assert time.monotonic() - began >= 4
    assert things.views == 5
    eventually(lambda: outcomes("unchanged") == before + 1)


def test_who_may_no_longer_read_it_is_answered_so(things: Things) -> None:
    thing = thing_of(things)
    kept = ask(adapter(things), thing, 1)
    things.refuses = True
    things.versions[thing] = 2
    eventually(lambda: kept.answers)
    assert kept.statuses == [401]


def test_all_are_answered_when_the_process_ends_and_no_more_are_kept(things: Things) -> None:
    thing, before = thing_of(things), outcomes("ended")
    front = adapter(things)
    kept = [ask(front, thing, 1) for _ in range(50)]

    things.ends = True
    eventually(lambda: all(client.answers for client in kept))

    assert {(status, headers["Connection"]) for client in kept for status, headers, _ in client.answers} == {
        (304, "close")
    }
    eventually(lambda: outcomes("ended") == before + 50)
    assert ask(front, thing, 1).statuses == [304]


@pytest.mark.parametrize(("shares", "most"), [({}, 3), ({"ann": 3}, 100), ({"ann": 9, "address": 3}, 100)])
def test_beyond_its_bounds_it_is_answered_at_once(things: Things, shares: Mapping[str, int], most: int) -> None:
    thing, before = thing_of(things), outcomes("refused")
    things.shares = shares
    front = adapter(things, most=most)
    kept = [ask(front, thing, 1) for _ in range(3)]

    excess = ask(front, thing, 1)

    ((status, headers, _),) = excess.answers
    assert (status, headers["Retry-After"]) == (304, "5")
    assert outcomes("refused") == before + 1
    assert not any(client.answers for client in kept)
    things.versions[thing] = 2
    eventually(lambda: all(client.statuses == [200] for client in kept))
    eventually(lambda: waiting._value.get() == 0)
    assert not ask(front, thing, 2).answers, "there is room again"


@pytest.mark.parametrize(
    "environ", [{"CONTENT_LENGTH": "2", "wsgi.input": Arriving(b"{}")}, {"QUERY_STRING": "wait=0"}]
)
def test_what_brings_a_body_or_does_not_wait_is_answered_at_once(things: Things, environ: dict[str, Any]) -> None:
    thing = thing_of(things)
    assert ask(adapter(things), thing, 1, **environ).statuses == [304]


def test_of_many_that_have_changed_some_are_in_line_at_a_time(things: Things) -> None:
    crowd = [thing_of(things) for _ in range(3 * MOST_AT_ONCE)]
    front = adapter(things, working=4, most=1000, slots=Slots)  # one of them is for webhooks
    kept = [ask(front, thing, 1) for thing in crowd]
    assert front._polls is not None
    eventually(lambda: front._polls and len(front._polls._waiting) == len(crowd))
    things.may_answer.clear()
    things.versions = dict.fromkeys(things.versions, 2)

    eventually(lambda: front._polls and front._polls._at_work == MOST_AT_ONCE)
    eventually(lambda: things.at_work == 3)
    assert sum(map(len, front._slots._lines)) == MOST_AT_ONCE - 3, "others find room in the line"
    things.may_answer.set()

    eventually(lambda: all(client.statuses == [200] for client in kept))
    assert things.most_at_work == 3
    assert max(things.looks) == len(crowd)
    eventually(lambda: front._polls and front._polls._at_work == 0)


def test_where_the_line_is_full_what_has_changed_is_tried_again(things: Things) -> None:
    thing = thing_of(things)
    front = adapter(things, working=1, queue=0)
    kept = ask(front, thing, 1)
    begun, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        may_end.wait(30)

    holder_thread = threading.Thread(target=front._slots.admit, args=(hold, Kind.API), daemon=True)
    holder_thread.start()
    assert begun.wait(30)
    things.versions[thing] = 2
    eventually(lambda: front._polls and front._polls._changed)
    assert not kept.answers
    may_end.set()

    eventually(lambda: kept.answers)
    assert kept.statuses == [200]


class Clock:
    """Stands in for the module ``time``."""

    def __init__(self) -> None:
        self.now = 1000.0

    def perf_counter(self) -> float:
        return self.now


@pytest.mark.parametrize(("took", "pause"), [(0.001, 0.5), (0.2, 0.8), (60.0, 4.0)])
def test_looks_that_take_long_leave_the_database_time_for_others(
    monkeypatch: pytest.MonkeyPatch, took: float, pause: float
) -> None:
    clock, thing = Clock(), uuid4()

    def look(_seen: Collection[Seen]) -> Collection[Seen]:
        clock.now += took
        return set()

    monkeypatch.setattr(long_polls, "EVERY", 0.5)
    monkeypatch.setattr(long_polls, "LONGEST_PAUSE", 4.0)
    monkeypatch.setattr(long_polls, "time", clock)
    monkeypatch.setattr(BackgroundThread, "start", lambda _self: True)  # the test makes its rounds
    polls = LongPolls({"things": look}, slots=SlotsHere(working=1, waiting=1, queue=1), most=1, ended=Things())  # type: ignore[arg-type]
    poll = Poll("things", thing, 1, deadline=2000.0, shares=(), kind=Kind.API)
    assert polls.begin({})
    polls.keep(poll)
    assert next(polls._looks()) == pytest.approx(pause)
    polls.end(poll)


class LateLine:
    """Slots that take the first of what has changed, and then, after some rounds of both threads, say they are full."""

    def __init__(self, things: Things) -> None:
        self.things = things
        self.taken: list[Callable[[], None]] = []
        self.is_full = True

    def admit_elsewhere(self, work: Callable[[], None], _kind: Kind) -> bool:
        if not self.taken:
            self.taken.append(work)
            return True
        if not self.is_full:
            threading.Thread(target=work, daemon=True).start()
            return True
        self.is_full = False
        time.sleep(0.3)  # long enough for both threads to find nothing there, and to rest
        return False


def test_what_is_put_back_while_nothing_else_waits_is_not_forgotten(
    things: Things, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread took it out to find its line full: meanwhile nobody sees it."""
    monkeypatch.setattr(long_polls, "MOST_AT_ONCE", 1)
    crowd = [thing_of(things) for _ in range(2)]
    front = adapter(things)
    assert front._polls is not None
    line = LateLine(things)
    front._polls._slots = line  # type: ignore[assignment]
    kept = [ask(front, thing, 1) for thing in crowd]
    things.versions = dict.fromkeys(things.versions, 2)
    eventually(lambda: line.taken and front._polls and len(front._polls._changed) == 1)

    line.taken[0]()

    eventually(lambda: all(client.statuses == [200] for client in kept), within=60)


def test_what_cannot_be_kept_gives_its_place_back(things: Things, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_environ: object) -> None:
        raise RuntimeError("broken")

    thing = thing_of(things)
    monkeypatch.setattr(request_log, "interrupt", broken)

    assert ask(adapter(things), thing, 1).statuses == [500]
    assert waiting._value.get() == 0


def test_a_large_head_is_not_kept(things: Things) -> None:
    """Thousands of them would be a process's memory; a token, a cookie and what proxies add are no large head."""
    thing = thing_of(things)
    front = adapter(things)
    large = ask(front, thing, 1, HTTP_COOKIE="x" * LARGEST_HEAD)

    ((status, headers, _),) = large.answers
    assert (status, headers["Retry-After"]) == (304, "5")
    assert not ask(front, thing, 1, HTTP_AUTHORIZATION="x" * 8 * 1024, HTTP_COOKIE="y" * 2048).answers


def test_nothing_of_the_app_is_kept_with_it(things: Things) -> None:
    thing = thing_of(things)
    front = adapter(things)
    ask(front, thing, 1, HTTP_AUTHORIZATION="Bearer x")
    assert front._polls is not None
    (poll,) = front._polls._waiting
    assert set(poll.scope) == {
        *("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL"),
        *("HTTP_IF_NONE_MATCH", "HTTP_AUTHORIZATION", "wsgi.url_scheme", "SCRIPT_NAME"),
    }


def test_where_there_are_no_threads_it_is_answered_at_once(things: Things, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    thing = thing_of(things)
    assert ask(adapter(things), thing, 1).statuses == [304]


def test_a_server_that_keeps_none_answers_at_once(things: Things) -> None:
    thing = thing_of(things)
    answer = things.app.test_client().get(f"/api/things/{thing}?wait=30", headers={"If-None-Match": '"1"'})
    assert answer.status_code == 304
    assert "Retry-After" not in answer.headers


def test_work_for_another_thread_is_begun_there_or_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    slots, threads = Slots(working=1, waiting=1, queue=1), list[int]()
    may_end, done = threading.Event(), threading.Event()

    def first() -> None:
        threads.append(threading.get_ident())
        may_end.wait(30)

    assert slots.admit_elsewhere(first, Kind.API)
    assert slots.admit_elsewhere(done.set, Kind.API), "it is queued"
    assert not slots.admit_elsewhere(done.set, Kind.API), "the line is full"
    may_end.set()
    assert done.wait(30)
    assert threading.get_ident() not in threads


def test_without_a_thread_nothing_is_lost_of_a_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    slots, done = Slots(working=1, waiting=1, queue=1), list[str]()
    start: Callable[[threading.Thread], None] = threading.Thread.start

    def fail(_thread: threading.Thread) -> None:
        slots.admit(lambda: done.append("queued meanwhile"), Kind.API)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    assert not slots.admit_elsewhere(lambda: done.append("never"), Kind.API)
    monkeypatch.setattr(threading.Thread, "start", start)
    assert done == ["queued meanwhile"]
    assert slots.admit(lambda: done.append("free"), Kind.API)
    assert done == ["queued meanwhile", "free"]


def test_what_a_view_answers_is_kept_whatever_it_is_and_a_place_moves(things: Things) -> None:
    """As one that reads a log: an empty page in place of 304, from where it was when it was kept."""
    thing, places = thing_of(things), list[int | None]()

    def read_on(thing: UUID) -> Response:
        places.append(seen_before())
        if things.refuses:
            return Response("gone", status=410)
        answer, version = Response(b"nothing yet"), things.versions[thing]
        return answer_at_change(answer, look="things", subject=thing, version=version, seconds=300, shares={})

    things.app.view_functions["show"] = read_on
    front = adapter(things)
    kept = ask(front, thing, 1, HTTP_X_REQUEST_ID="kept")
    things.versions[thing] = 2
    eventually(lambda: len(places) == 2 and front._polls and front._polls._waiting)
    things.versions[thing] = 3
    eventually(lambda: len(places) == 3 and front._polls and front._polls._waiting)
    assert not kept.answers
    other = thing_of(things)
    refused = ask(front, other, 1)
    things.refuses = True
    things.versions[other] = 2
    eventually(lambda: refused.answers)
    assert refused.statuses == [410], "what comes of it at the end is no page"
    things.ends = True
    eventually(lambda: kept.answers)

    ((status, headers, body),) = kept.answers
    assert (status, headers["X-Request-Id"], body) == (200, "kept", b"nothing yet")
    assert places == [None, 1, 2, None, 1]


def test_a_look_that_breaks_stops_no_other(things: Things) -> None:
    thing = thing_of(things)
    polls = LongPolls(
        {"broken": lambda _seen: 1 / 0, "things": things.look},  # type: ignore[dict-item,return-value]
        slots=SlotsHere(working=1, waiting=1, queue=1),
        most=2,
        ended=adapter(things),
        ends=lambda: things.ends,
    )
    for look, version in (("broken", 1), ("things", 0)):
        assert polls.begin({})
        polls.keep(Poll(look, thing, version, deadline=time.perf_counter() + 300, shares=(), kind=Kind.API))
    eventually(lambda: [poll.look for poll in polls._waiting] == ["broken"])
