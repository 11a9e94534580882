"""What is called for each request: it reads the body, finds a slot, and has the app answer (PEP 3333).

Body and answer come and go whenever they are there, in whatever thread has them. So nothing that waits, for its body,
for a slot or for its answer, holds a thread of the server's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from io import BytesIO
from time import perf_counter
from typing import Any, Final, Protocol

import structlog

from checkout_service.api.callers import CALLER_KEY
from checkout_service.api.compressing import COMPRESS_KEY
from checkout_service.api.problems import TooManyAtOnce, TooManyReaders, TooManyWaiting
from checkout_service.server import late_answers, long_polls
from checkout_service.server.bodies import CLOSES_KEY, GONE_KEY, WEBHOOK_PATH, BodyReader, has_body
from checkout_service.server.compression import Answer, Compressor
from checkout_service.server.cors import API, Cors
from checkout_service.server.even_shares import EvenShare, Rates
from checkout_service.server.late_answers import LateAnswer, Work
from checkout_service.server.long_polls import LongPolls, Look, Poll
from checkout_service.server.own_answers import OF_PROBES, Announcing, Granian, Own
from checkout_service.server.readers import LARGE, Answered, CallerReadsEnoughError, Readers, TooManyReadersError
from checkout_service.server.slots import ENVIRON_KEY, Kind, Slots
from checkout_service.server.spools import SPOOL_KEY, Spool
from checkout_service.server.streams import STREAM_KEY, Stream
from checkout_service.telemetry import request_log
from checkout_service.threads import start_again

log = structlog.get_logger(__name__)

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


PROBES_KEY: Final = "checkout_service.server.probes"
"""Under this key of an app's extensions stands what answers its probes."""

WAITS_FOR: Final = 10.0
"""Seconds in the queue after which a request is answered with nothing done: its sender has given up, or will."""


_WEBHOOKS: Final = f"{WEBHOOK_PATH}/"

SEARCH: Final = ("q=", "%71=")
"""In the query of the shop's front page, however it is written: the app reads a name's escapes too."""

PAGES_OF_API: Final = ("/api/docs", "/api/openapi.json", "/api/listings")
"""What of the API is there to be looked at, by anybody."""

LISTINGS: Final = "/api/listings"

CHEAP: Final = frozenset({"limit", "cursor", "sort"})
"""Parameters with which listings are read along an index, and no others are looked at."""


class Probes(Protocol):
    """Answers from memory, without waiting for anything."""

    def answer(self, path: str, /) -> tuple[int, Mapping[str, str], bytes] | None:
        """Status, headers and body; None if the path is no probe's."""


class WsgiAdapter:
    """Serves one WSGI app (PEP 3333) with a few slots. Bodies are read before a request takes a slot.

    An answer is made in the slot; it is compressed outside of it, and a large one is sent outside of it. What the
    adapter answers by itself is a problem document, and is counted and logged like any other answer. The route of such
    an answer is ``gone`` (408: the body came too slowly or not whole), ``refused`` (503: too many wait, or read; 429:
    the caller reads as much as one may) or ``broken`` (500: the app raised). Probes are answered at once, in no slot:
    whoever sends many of them takes nobody's place.

    Where the connection ends with an answer, whoever gave it, the answer says so: ``ends`` tells whether all do now,
    and with a ``share`` of several children some do now and then.

    A view may leave its answer to another thread, which sends it later: see ``late_answers``.

    With ``looks`` the app may have requests wait for a change, ``most_polls`` at a time: see ``long_polls``.

    With ``cors`` every answer, whoever gave it, lets pages of other origins read it, and their browsers' preflights are
    answered at once, in no slot (route ``preflight``, or ``preflight-refused``).
    """

    def __init__(
        self,
        app: Wsgi,
        *,
        slots: Slots,
        body_reader: BodyReader,
        readers: Readers,
        probes: Probes | None = None,
        ends: Callable[[], bool] = lambda: False,
        share: EvenShare | None = None,
        looks: Mapping[str, Look] | None = None,
        most_polls: int = 0,
        cors: Cors | None = None,
    ) -> None:
        self._app = app
        self._cors = cors
        self._probes = probes
        self._readers = readers
        self._slots = slots
        self._body_reader = body_reader
        self._compressor = Compressor()
        self._polls = LongPolls(looks, slots=slots, most=most_polls, ended=self, ends=ends) if looks else None
        common = _ENVIRON | {"wsgi.errors": sys.stderr, long_polls.ENVIRON_KEY: self._polls}
        self._environs = [common | {ENVIRON_KEY: slots.share(kind)} for kind in Kind]
        self._ends = ends
        self._share = share or EvenShare(Rates(1), 0)

    def __call__(self, client: Granian, scope: dict[str, Any]) -> None:
        arrived = perf_counter()
        start_again()  # this child's guards may have found the system without threads, and nobody wakes them
        kind = kind_of(scope["PATH_INFO"], scope["QUERY_STRING"])
        environ: dict[str, Any] = self._environs[kind] | scope
        late_answers.offer(environ)
        way_back = self._way_back(client, environ)
        if kind is Kind.PROBE and self._answer_probe(way_back, environ, arrived):
            return
        if self._cors is not None and self._cors.is_preflight(environ):
            self._close_unread(environ)
            Own(way_back, environ, arrived).answer_preflight(self._cors.preflight_headers(environ))
            return
        self._body_reader.take(environ, partial(self._admit, way_back, environ, kind, arrived))

    def _admit(self, way_back: Announcing, environ: dict[str, Any], kind: Kind, arrived: float, held: int) -> None:
        if GONE_KEY in environ:
            self._body_reader.let_go(held)
            Own(way_back, environ, arrived).time_out()
            return
        work = partial(self._serve, way_back, environ, held, arrived)
        # A webhook waits for nobody but the database, and where many come not even for that: this thread does it.
        admit = self._slots.admit if kind is Kind.WEBHOOK else self._slots.admit_elsewhere
        if not admit(work, kind):
            self._body_reader.let_go(held)
            Own(way_back, environ, arrived).refuse(TooManyWaiting())

    def _answer_probe(self, client: Granian, environ: dict[str, Any], arrived: float) -> bool:
        """Answer a probe from memory; False if that is the app's. Its body, if it has one, is left unread."""
        if self._probes is None:
            return False
        own = Own(client, environ, arrived)  # first: the answer names the request's id
        answer = self._probes.answer(environ["PATH_INFO"])
        if answer is None:
            return False
        self._close_unread(environ)
        if environ["REQUEST_METHOD"] in OF_PROBES:
            own.answer_probe(*answer)
        else:
            own.refuse_method()
        return True

    def _way_back(self, client: Granian, environ: dict[str, Any]) -> Announcing:
        return Announcing(client, environ, self._closes, self._cors)

    def _closes(self, port: str) -> bool:
        return self._ends() or self._share.gives_up(port)

    @staticmethod
    def _close_unread(environ: dict[str, Any]) -> None:
        """The body, if there is one, is left unread."""
        if has_body(environ):
            environ[CLOSES_KEY] = True

    def run_again(self, poll: Poll) -> None:
        """Answer a long poll that has changed, as if it had just come."""
        poll.waits = False
        environ = self._environs[poll.kind] | poll.scope | {"wsgi.input": BytesIO(), long_polls.POLL_KEY: poll}
        if poll.begun is not None:
            request_log.resume(environ, poll.begun)
        self._serve(self._way_back(poll.client, environ), environ, 0, perf_counter())

    def answer_unchanged(self, poll: Poll) -> None:
        """Send what the view of a long poll has answered, without asking the app."""
        environ: dict[str, Any] = {**poll.scope}
        if poll.begun is not None:
            request_log.resume(environ, poll.begun)
            request_log.end(environ, route=poll.begun.route, status=poll.status)
        self._way_back(poll.client, environ).response_bytes(poll.status, poll.headers, poll.body)

    def _serve(self, client: Announcing, environ: dict[str, Any], held: int, arrived: float) -> None:
        """Answer one request, or have its view's work answer it, whatever happens."""
        self._share.begin()
        try:
            if perf_counter() - arrived > WAITS_FOR:
                Own(client, environ, arrived).refuse(TooManyWaiting())
            elif self._answer(client, environ, held, arrived):
                held = 0
        except BaseException:
            # Nobody is above us: a panic of the server's own is no reason to lose the slot.
            own = Own(client, environ, arrived)
            log.exception("request_failed")
            own.fail()
        finally:
            self._share.end()
            self._body_reader.let_go(held)
            if (left := environ.pop(late_answers.LEFT_KEY, None)) is not None:
                left[0].drop()
            poll: Poll | None = environ.get(long_polls.POLL_KEY)
            if poll is not None and self._polls is not None:
                self._polls.end(poll)

    def _answer(self, client: Announcing, environ: dict[str, Any], held: int, arrived: float) -> bool:
        """Answer it by the app; True: its view's work has it from here on, and the bytes of its body."""
        status, headers = 500, list[tuple[str, str]]()

        def start_response(line: str, named: list[tuple[str, str]], _error: Any = None) -> None:
            nonlocal status, headers
            status, headers = int(line[:3]), named

        body = self._app(environ, start_response)
        made: Spool | Stream | None = environ.get(SPOOL_KEY) or environ.get(STREAM_KEY)
        if made is not None and status == 200:
            if isinstance(made, Stream):
                made.work_in(self._slots)
            self._send(client, environ, arrived, (status, headers, made))
            return False
        # Whole, as one message to the server in place of one for each piece and one for the end. Nothing of ours is
        # longer than fits into memory, but for what lies in a spool, or is sent while it is still being made.
        try:
            whole = b"".join(body)
        finally:
            _close(body)
        if self._kept(client, environ, (status, headers, whole)):
            return False
        if late_answers.LEFT_KEY in environ and self._left(client, environ, status, headers, held):
            return True
        answer = status, headers, whole
        send = partial(self._send_whole, client, environ, arrived)
        if COMPRESS_KEY not in environ or not self._compressor.send(environ, answer, send):
            send(answer)
        return False

    def _left(
        self, client: Announcing, environ: dict[str, Any], status: int, headers: list[tuple[str, str]], held: int
    ) -> bool:
        """Whether the view has left this very answer. Then another thread may send it from here on."""
        work: Work
        work, left_status = environ[late_answers.LEFT_KEY]
        if status != left_status:
            return False
        let_go, serve = self._body_reader.let_go, self._serve_again
        answer = LateAnswer(client, environ, status, headers, held=held, let_go=let_go, serve=serve)
        del environ[late_answers.LEFT_KEY]  # last: what raises before this has the work dropped
        work.begin(answer)
        return True

    def _serve_again(self, client: Announcing, environ: dict[str, Any]) -> None:
        """Have the app make the answer that its view has left, since the work failed."""
        environ["wsgi.input"] = BytesIO()
        self._serve(self._way_back(client.inner, environ), environ, 0, perf_counter())

    def _send_whole(self, client: Announcing, environ: dict[str, Any], arrived: float, answer: Answer) -> None:
        status, headers, whole = answer
        if len(whole) <= LARGE:
            client.response_bytes(status, headers, whole)
            return
        if not any(name.lower() == "content-length" for name, _ in headers):
            headers = [*headers, ("Content-Length", str(len(whole)))]
        self._send(client, environ, arrived, (status, headers, whole))

    def _kept(
        self, client: Announcing, environ: dict[str, Any], answer: tuple[int, list[tuple[str, str]], bytes]
    ) -> bool:
        """Whether it is a long poll whose view has nothing new to tell. Then another thread may end it from here on."""
        poll: Poll | None = environ.get(long_polls.POLL_KEY)
        if poll is None or self._polls is None or not poll.waits or answer[0] != poll.status:
            return False
        _, poll.headers, poll.body = answer
        poll.client, poll.begun = client.inner, request_log.interrupt(environ)
        poll.scope = long_polls.head_of(environ)
        del environ[long_polls.POLL_KEY]  # last: what raises before this gives the place back
        self._polls.keep(poll)
        return True

    def _send(
        self,
        client: Granian,
        environ: dict[str, Any],
        arrived: float,
        answer: tuple[int, list[tuple[str, str]], Answered],
    ) -> None:
        """Send a large answer, or refuse to where there is no room for its reader."""
        address, caller = environ.get("REMOTE_ADDR", ""), environ.get(CALLER_KEY)
        try:
            self._readers.send(client, *answer, address=address, caller=caller)
        except TooManyReadersError as error:
            if not isinstance(answer[2], bytes):
                answer[2].close()
            excess = isinstance(error, CallerReadsEnoughError)
            Own(client, environ, arrived).refuse(TooManyAtOnce() if excess else TooManyReaders())


def kind_of(path: str, query: str) -> Kind:
    """What a request for this path may take of the slots. What is neither a probe nor of the API is a page.

    Both are as WSGI has them. Routing may refuse the path later: then it took a share that was meant for another, for
    the length of a 404.
    """
    if path.startswith(API):
        if path == WEBHOOK_PATH or path.startswith(_WEBHOOKS):
            return Kind.WEBHOOK
        if path == LISTINGS and any(part.partition("=")[0] not in CHEAP for part in query.split("&") if part):
            return Kind.SEARCH
        return Kind.PAGE if path.startswith(PAGES_OF_API) else Kind.API
    if path in request_log.PROBES:
        # They go first: an orchestrator must not take us for dead because many others ask for something.
        return Kind.PROBE
    return Kind.SEARCH if path == "/" and any(name in query for name in SEARCH) else Kind.PAGE


def _close(body: Iterable[bytes]) -> None:
    if hasattr(body, "close"):
        body.close()


_ENVIRON: Final = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.input_terminated": True,  # so that werkzeug reads bodies that declare no length
}
