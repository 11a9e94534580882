"""Granian as this service runs it: one child a core, dead children started again, a drain before the end.

It listens on nothing: the supervisor hands it the sockets. Reads WEB_CONCURRENCY (the cores) and WEB_THREADS (4), and
where PORT and MANAGEMENT_PORT are.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from importlib import import_module
from multiprocessing.util import Finalize
from typing import Any

import structlog
from granian import _signals as granian_signals
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server import MPServer
from granian.server import mp as granian_server

from checkout_service.server import granian_calls
from checkout_service.server.bodies import BodyReader, hang_up_on_slow_senders
from checkout_service.server.cors import CORS_KEY, Cors
from checkout_service.server.draining import KNOWN_WITHIN, LINGER, Drain
from checkout_service.server.even_shares import EvenShare, Rates
from checkout_service.server.generation import Generation, Served
from checkout_service.server.granian_calls import Target, serve_child
from checkout_service.server.listening import BACKLOG
from checkout_service.server.long_polls import LOOKS_KEY, Look
from checkout_service.server.management import MANAGEMENT_KEY, ManagementPort
from checkout_service.server.readers import Readers, hang_up_on_slow_readers
from checkout_service.server.slots import Slots
from checkout_service.server.sockets import OwnSockets
from checkout_service.server.wsgi_adapter import PROBES_KEY, Probes, Wsgi, WsgiAdapter
from checkout_service.settings.tracing import TracingSettings
from checkout_service.settings.values import ServerSettings, SettingsError
from checkout_service.telemetry import tracing, tracing_start
from checkout_service.telemetry.metrics import forget_process
from checkout_service.threads import BackgroundThread

CALLERS = 2
"""Threads of Granian's beside one for each slot, in which webhooks are worked on. So these are free for what comes."""

MOST_READING = 768
"""Bodies that a child reads at a time, each from a sender who has 30 s for it. No thread waits for any."""

MOST_BODIES = 64 * 2**20
"""Bytes of bodies that a child holds at a time."""

READERS_OF_LARGE = 256
MOST_UNREAD = 16 * 2**20
"""Large answers that go out of a child at a time, and the bytes that are held for them. Each takes a thread of ours,
one of Granian's for files, and three open files."""

WAITING = 64
"""Requests that may wait for a provider in a child, each with a thread."""

LARGEST_HEAD = 32 * 1024
"""Bytes of a request's head, which Granian holds for each connection; the largest token that is read has 8 KiB."""

LONGEST_QUEUE = 512
"""Requests of one kind that wait for a slot in a child, some 0.2 s of webhooks. Whoever comes then is answered 503."""

CONNECTIONS = 4096
"""Open connections that a child takes, idle ones included; more wait in the backlog."""

LONG_POLLS = 2200
"""Requests of a child that wait for a change, each with its connection: about half of those that it takes. 2,000 may be
customers', and 200 programs'."""

DRAIN_SECONDS = 20

ACCEPTS_WITHIN = 0.25
"""Seconds until a child whose signals are set accepts, or has failed."""

LOOKS_WITHIN = 3.0
"""Seconds until a child has seen what surrounds it."""

PRELOADS_KEY = "preloads"
"""Where an app lists functions that load what its first requests would; none of them opens or starts anything."""

log = structlog.get_logger(__name__)


class WebServer(MPServer):
    """Granian, which gives up when a child dies twice in seconds; but not if something outside killed the child."""

    def __init__(self, *arguments: Any, generation: Generation, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._generation = generation

    def _init_shared_socket(self) -> None:
        """In place of a listener for each child, which ends with it, all have the supervisor's."""
        self._ssp, self._sso = None, None
        holder: Any = granian_server.SocketHolder  # type: ignore[attr-defined]  # Granian hands it to none of its users
        self._shd: Any = holder(self._generation.listener, False, self.backlog)

    # Granian's own departs from its base class in the same way.
    def _spawn_worker(self, idx: int, target: Any, callback_loader: Callable[..., object]) -> Any:  # type: ignore[override]
        """Have a child know which one it is, also when it is started again."""
        return super()._spawn_worker(idx=idx, target=target, callback_loader=partial(callback_loader, idx))

    def signal_handler_reload(self, *_: Any) -> None:
        """A terminal's SIGHUP is for all of its processes; it is the supervisor that replaces us."""

    def _stop_workers(self) -> None:
        self._give_listener_up()
        ended = [child.inner.pid for child in self.wrks]
        super()._stop_workers()  # type: ignore[no-untyped-call]  # Granian is partly untyped
        for pid in ended:
            forget_process(pid)

    def _give_listener_up(self) -> None:
        """Hold the listener open no longer than its children, if it ends with the service."""
        until = time.monotonic() + KNOWN_WITHIN
        while not (ends := self._generation.listener_ends()) and time.monotonic() < until:
            time.sleep(0.02)
        if ends:
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, self._generation.listener, inheritable=False)
            os.close(nothing)

    def _respawn_workers(self, workers: Sequence[int], *arguments: Any, **options: Any) -> None:
        killed = all((self.wrks[index].inner.exitcode or 0) < 0 for index in workers)
        ended = [self.wrks[index].inner.pid for index in workers]
        super()._respawn_workers(workers, *arguments, **options)
        for pid in ended:
            forget_process(pid)
        if killed:
            self.respawned_wrks.clear()


def make_adapter(
    app: Wsgi,
    port: int,
    *,
    probes: Probes | None = None,
    ends: Callable[[], bool] = lambda: False,
    share: EvenShare | None = None,
    looks: Mapping[str, Look] | None = None,
    cors: Cors | None = None,
) -> WsgiAdapter:
    """The app behind its slots. A body is read before its request takes a slot, a large answer sent when it has none.

    Otherwise as many slow senders or readers as there are slots would stop everybody else.
    """
    slots = Slots(working=_slots(), waiting=WAITING, queue=LONGEST_QUEUE)
    body_reader = BodyReader(readers=MOST_READING, most_bytes=MOST_BODIES)
    readers = Readers(readers=READERS_OF_LARGE, most_bytes=MOST_UNREAD)
    BackgroundThread("slow-senders", partial(hang_up_on_slow_senders, body_reader, OwnSockets(port))).start()
    BackgroundThread("slow-readers", partial(hang_up_on_slow_readers, readers, OwnSockets(port))).start()
    return WsgiAdapter(
        app,
        slots=slots,
        body_reader=body_reader,
        readers=readers,
        probes=probes,
        ends=ends,
        share=share,
        looks=looks,
        most_polls=LONG_POLLS,
        cors=cors,
    )


def load(target: str, index: int, *, parent: int, generation: Generation, served: Served, rates: Rates) -> Target:
    """What a child of ``parent`` serves, which the master has loaded; returns once it may take requests.

    Where another generation serves meanwhile, that is when this child is ready, and not before. Else it is when it has
    looked around as well, so that it tells no balancer that it knows nothing.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)  # it serves nobody yet, and has nothing to finish
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    BackgroundThread("end-with-parent", partial(end_with_parent, parent, generation.is_orphaned)).start()
    app = _app_at(target)
    tracing_start.start(TracingSettings.from_environment(), "checkout-web")
    # What ends in this child calls no atexit handler (CPython's multiprocessing, before 3.13).
    Finalize(None, tracing.stop, exitpriority=1)
    port = ServerSettings.from_environment().port
    extensions = getattr(app, "extensions", {})  # an app that answers its own probes has none
    management = None
    if generation.management is not None and MANAGEMENT_KEY in extensions:
        management = ManagementPort(socket.socket(fileno=generation.management), extensions[MANAGEMENT_KEY])
    drain = Drain(
        port,
        listener_ends=generation.listener_ends,
        stop_accepting=management.stop_accepting if management else lambda: None,
        drained=partial(generation.tell_drained, index),
        listener_closes=generation.listener_closes,
    )

    def tell_serving() -> None:
        served.note(index)
        generation.tell_serving(index)

    granian_signals.set_sync_signals = partial(
        _drained_first, drain, granian_signals.set_sync_signals, serving=tell_serving
    )
    if not granian_calls.is_known():
        sys.exit("this version of Granian calls apps in another way: checkout_service/server has to follow it")
    probes = extensions.get(PROBES_KEY)
    if probes is not None:
        # Where others follow, this host goes on: no balancer is to leave it.
        probes.start(is_ending=lambda: drain.has_begun() and generation.service_ends())
        _await_ready(probes, others_serve=lambda: generation.follows and not served.by_all())
    if management is not None:
        management.start()
    looks, cors = extensions.get(LOOKS_KEY), extensions.get(CORS_KEY)
    share = EvenShare(rates, index)
    adapter = make_adapter(app, port, probes=probes, ends=drain.has_begun, share=share, looks=looks, cors=cors)
    return Target(serve=adapter, threads=_slots() + CALLERS)


def load_before_fork(target: str) -> None:
    """Load the application in the master: children share the memory that it takes, and a restarted one serves at once.

    It connects to nothing and starts no thread before its first request, so nothing that is open is shared. What is
    loaded stays for good. Frozen, it is never looked through for garbage, which would write to each of its pages and
    so have each child make its own copy of them.
    """
    for preload in getattr(_app_at(target), "extensions", {}).get(PRELOADS_KEY, ()):
        preload()
    gc.collect()
    gc.freeze()


def _app_at(target: str) -> Wsgi:
    module, _, name = target.partition(":")
    found: Wsgi = getattr(import_module(module), name)
    return found


def _await_ready(probes: Probes, *, others_serve: Callable[[], bool]) -> None:
    """Return once the app is ready, or has waited for long while no other generation serves.

    For how long it waits for one that follows, the supervisor knows.
    """
    began, is_logged = time.monotonic(), False
    while (answer := probes.answer("/readyz")) is not None and answer[0] != HTTPStatus.OK:
        waited = time.monotonic() - began
        if waited > LOOKS_WITHIN and not others_serve():
            return
        if waited > LOOKS_WITHIN and not is_logged:
            is_logged = True
            log.warning("waits_to_be_ready", answer=answer[2].decode())
        time.sleep(0.05)


def end_with_parent(parent: int, is_orphaned: Callable[[], bool] = lambda: False) -> Iterator[float | None]:
    """End this process soon after its parent, or its parent's; the rounds of a background thread.

    A child whose parent was killed would go on serving, with nobody left to stop or restart it.
    """
    while os.getppid() == parent and not is_orphaned():
        yield 0.25
    while True:
        # At once: whoever is to follow waits for the port. And again: a child that was still loading lost the first.
        os.kill(os.getpid(), signal.SIGINT)
        yield 1


def _drained_first(drain: Drain, set_signals: Callable[[], Any], *, serving: Callable[[], None]) -> Any:
    """Let Granian set its handlers in this child, and have SIGTERM reach them only when the drain is over.

    SIGINT, a developer's own, reaches them at once. It too ends requests that wait for a change.

    The master does not wait so: whoever runs us may send the signal to the whole group.
    """
    event = set_signals()
    signal.signal(signal.SIGTERM, lambda *_: drain.begin(event.set))
    signal.signal(signal.SIGINT, lambda *_: drain.skip(event.set))
    BackgroundThread("serving", partial(_tell_serving, serving)).start()
    return event


def _tell_serving(tell: Callable[[], None]) -> Iterator[float | None]:
    """Tell once that this child serves. What Granian does after its signals are set may fail, and at once."""
    yield ACCEPTS_WITHIN
    tell()


def main(target: str, generation: Generation, *, check: Callable[[], object]) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are finished.

    ``check`` reads the app's settings once, so that what is wrong with them is told before a child is started.
    """
    try:
        web, traces = ServerSettings.from_environment(), TracingSettings.from_environment()
        check()
    except SettingsError as error:
        sys.exit(f"settings:\n{error}")
    _allow_many_files()
    tracing_start.load(traces)
    load_before_fork(target)
    children = web.children or _cores()
    generation.tell_size(children)
    BackgroundThread("end-with-parent", partial(end_with_parent, os.getppid(), generation.is_orphaned)).start()
    WebServer(
        target,
        generation=generation,
        address=web.host,
        port=web.port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        workers=children,
        runtime_blocking_threads=READERS_OF_LARGE,
        websockets=False,
        backlog=BACKLOG,
        backpressure=CONNECTIONS,
        http1_settings=HTTP1Settings(header_read_timeout=30_000, keep_alive=True, max_buffer_size=LARGEST_HEAD),
        respawn_failed_workers=True,
        workers_kill_timeout=DRAIN_SECONDS + int(LINGER),
    ).serve(
        spawn_target=serve_child,
        # Granian hands on what it returns, and looks at nothing of it.
        target_loader=partial(
            load, parent=os.getpid(), generation=generation, served=Served(children), rates=Rates(children)
        ),  # type: ignore[arg-type]
    )


def _allow_many_files() -> None:
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = 4 * CONNECTIONS
    if most != resource.RLIM_INFINITY:
        target = min(target, most)
    if allowed == resource.RLIM_INFINITY or allowed >= target:
        return
    # A limit that the system does not let us raise (macOS has one of its own) means fewer connections, not no service.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, most))


def _slots() -> int:
    return int(os.environ.get("WEB_THREADS", "4"))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
