"""Granian as this service runs it: one child a core, dead children started again, a drain before the end.

Reads HOST (0.0.0.0), PORT (8000), MANAGEMENT_PORT (0, off), WEB_CONCURRENCY (the cores) and WEB_THREADS (4).
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any

from granian import _signals as granian_signals
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server import MPServer
from granian.server import mp as granian_server

from checkout_service.server.bodies import BodyReader, hang_up_on_slow_senders
from checkout_service.server.cors import CORS_KEY, Cors
from checkout_service.server.draining import LINGER, Drain
from checkout_service.server.long_polls import LOOKS_KEY, Look
from checkout_service.server.management import MANAGEMENT_KEY, ManagementPort, listen
from checkout_service.server.readers import Readers, hang_up_on_slow_readers
from checkout_service.server.slots import Slots
from checkout_service.server.sockets import OwnSockets
from checkout_service.server.wsgi_adapter import PROBES_KEY, Probes, Wsgi, WsgiAdapter
from checkout_service.settings.values import ServerSettings, SettingsError
from checkout_service.telemetry.metrics import forget_process
from checkout_service.threads import BackgroundThread

# Granian starts these threads as they are needed. One that waits for a body costs about 60 KiB. It waits up to 30 s for
# a slow sender, so there must be far more threads than a handful of bad clients can hold.
READERS = 1024
MOST_READING = READERS * 3 // 4
"""So many of them may wait for bodies. Probes and requests without a body find the others free."""

MOST_BODIES = 64 * 2**20
"""Bytes of bodies that a child holds at a time."""

READERS_OF_LARGE = 256
MOST_UNREAD = 16 * 2**20
"""Large answers that go out of a child at a time, each by a thread that waits, and the bytes that are held for them."""

WAITING = 64
"""Requests that may wait for a provider in a child; well below READERS, so that webhooks are always read."""

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


class WebServer(MPServer):
    """Granian, which gives up when a child dies twice in seconds; but not if something outside killed the child."""

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
    looks: Mapping[str, Look] | None = None,
    cors: Cors | None = None,
) -> WsgiAdapter:
    """The app behind its slots. A body is read before its request takes a slot, a large answer sent when it has none.

    Otherwise as many slow senders or readers as there are slots would stop everybody else.
    """
    slots = Slots(working=int(os.environ.get("WEB_THREADS", "4")), waiting=WAITING, queue=LONGEST_QUEUE)
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
        looks=looks,
        most_polls=LONG_POLLS,
        cors=cors,
    )


def load(target: str, *, parent: int, management: socket.socket | None = None) -> WsgiAdapter:
    """What a child of ``parent`` serves, loaded in the child. All children share the management port's listener."""
    BackgroundThread("end-with-parent", partial(end_with_parent, parent)).start()
    module, _, name = target.partition(":")
    app: Wsgi = getattr(import_module(module), name)
    port = ServerSettings.from_environment().port
    drain = Drain(port)
    granian_signals.set_sync_signals = partial(_drained_first, drain, granian_signals.set_sync_signals)
    # Granian would wrap what it is given in a WSGI adapter of its own; ours speaks to Granian directly.
    if not hasattr(granian_server, "_wsgi_call_wrap"):
        sys.exit("this version of Granian calls WSGI apps in another way: checkout_service/server has to follow it")
    granian_server._wsgi_call_wrap = lambda adapter, *_: adapter
    extensions = getattr(app, "extensions", {})  # an app that answers its own probes has none
    probes = extensions.get(PROBES_KEY)
    if probes is not None:
        probes.start(is_ending=drain.has_begun)
    if management is not None and MANAGEMENT_KEY in extensions:
        ManagementPort(management, extensions[MANAGEMENT_KEY]).start()
    looks, cors = extensions.get(LOOKS_KEY), extensions.get(CORS_KEY)
    return make_adapter(app, port, probes=probes, ends=drain.has_begun, looks=looks, cors=cors)


def end_with_parent(parent: int) -> Iterator[float | None]:
    """End this process soon after its parent; the rounds of a background thread.

    A child whose parent was killed would go on serving, with nobody left to stop or restart it.
    """
    while os.getppid() == parent:
        yield 1
    while True:
        # At once: whoever is to follow waits for the port. And again: a child that was still loading lost the first.
        os.kill(os.getpid(), signal.SIGINT)
        yield 1


def _drained_first(drain: Drain, set_signals: Callable[[], Any]) -> Any:
    """Let Granian set its handlers in this child, and have SIGTERM reach them only when the drain is over.

    SIGINT, a developer's own, reaches them at once. It too ends requests that wait for a change.

    The master does not wait so: whoever runs us may send the signal to the whole group.
    """
    event = set_signals()
    signal.signal(signal.SIGTERM, lambda *_: drain.begin(event.set))
    signal.signal(signal.SIGINT, lambda *_: drain.skip(event.set))
    return event


def main(target: str, *, check: Callable[[], object]) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are finished.

    ``check`` reads the app's settings once, so that what is wrong with them is told before a child is started.
    """
    try:
        web = ServerSettings.from_environment()
        check()
    except SettingsError as error:
        sys.exit(f"settings:\n{error}")
    _refuse_taken_port(web.host, web.port)
    management = _listen_for_management(web.host, web.management_port)
    _allow_many_files()
    import_module("checkout_service.app")  # forked children share its pages, and a restarted one serves at once
    WebServer(
        target,
        address=web.host,
        port=web.port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        workers=web.children or _cores(),
        blocking_threads=READERS,
        backlog=2048,
        backpressure=CONNECTIONS,
        http1_settings=HTTP1Settings(header_read_timeout=30_000, keep_alive=True, max_buffer_size=LARGEST_HEAD),
        respawn_failed_workers=True,
        workers_kill_timeout=DRAIN_SECONDS + int(LINGER),
    ).serve(target_loader=partial(load, parent=os.getpid(), management=management))


def _refuse_taken_port(host: str, port: int) -> None:
    # Granian binds with SO_REUSEPORT, so it would share the port with another server of the same user in silence.
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            sys.exit(f"port {port} on {host} cannot be used: {error.strerror}. Set PORT to another one.")


def _listen_for_management(host: str, port: int) -> socket.socket | None:
    """The listener that every child takes connections from; None if the port is 0.

    One for all, made before the children: a child that ends takes no connection with it that waits to be accepted.
    """
    if not port:
        return None
    try:
        return listen(host, port)
    except OSError as error:
        sys.exit(f"port {port} on {host} cannot be used: {error.strerror}. Set MANAGEMENT_PORT to another one.")


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


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
