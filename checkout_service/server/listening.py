"""Where the web process listens: on sockets that systemd holds, or on its own; and where its code lies."""

from __future__ import annotations

import errno
import socket
import sys
import time
from collections.abc import MutableMapping, Sequence
from pathlib import Path

from checkout_service.server.supervisor import Supervisor
from checkout_service.server.systemd import Notifier, take_sockets
from checkout_service.settings.values import ServerSettings, SettingsError
from checkout_service.telemetry import logs
from checkout_service.telemetry.metrics_folder import WEB_FOLDER, name_metrics_folder

BACKLOG = 2048
"""Connections that wait to be accepted; the system may allow fewer (net.core.somaxconn)."""


FREED_WITHIN = 5.0
"""Seconds until the children of a supervisor that was killed have noticed, and left the port."""


def main(arguments: Sequence[str], environment: MutableMapping[str, str]) -> int:
    """Listen, and have generations of this very command serve; the status to end with.

    ``arguments`` are those that Python was given, its own options among them. Whatever is meant for this process alone
    is taken out of the environment, which its generations inherit. All of these count in one folder. Raises
    MetricsFolderError.
    """
    try:
        web = ServerSettings.from_environment()
    except SettingsError as error:
        sys.exit(f"settings:\n{error}")
    logs.configure(production=web.production)
    held = _by_port(take_sockets(environment), {web.port, web.management_port})
    listener = held.get(web.port) or _listen(web.host, web.port, "PORT")
    management = None
    if web.management_port:
        port = web.management_port
        management = held.get(port) or _listen(web.host, port, "MANAGEMENT_PORT")
    name_metrics_folder(WEB_FOLDER)  # only now: who held the port before has left its own folder
    return Supervisor(
        [sys.executable, *arguments],
        folder=_folder_by_name(environment),
        notifier=Notifier(environment),
        environment=environment,
        listener=listener,
        management=management,
        is_outlived=web.port in held,
    ).run()


def _by_port(sockets: Sequence[socket.socket], expected: set[int]) -> dict[int, socket.socket]:
    """The sockets that systemd holds, by their ports."""
    found = {each.getsockname()[1]: each for each in sockets}
    if others := found.keys() - expected:
        sys.exit(f"systemd listens on {sorted(others)}, which neither PORT nor MANAGEMENT_PORT is: change one of them.")
    return found


def _listen(host: str, port: int, setting: str) -> socket.socket:
    """A listener that all children of all generations accept from.

    One for all, and without SO_REUSEPORT: so no other server of the same user shares the port in silence.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what is accepted inherits it
    listener.setblocking(False)
    until = time.monotonic() + FREED_WITHIN
    while True:
        try:
            listener.bind((host, port))
            listener.listen(BACKLOG)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < until:
                time.sleep(0.1)
                continue
            sys.exit(f"port {port} on {host} cannot be used: {error.strerror}. Set {setting} to another one.")
        return listener


def _folder_by_name(environment: MutableMapping[str, str]) -> Path:
    """This folder by the name that led to it, whose links may lead to another release one day.

    The system knows a process's folder without its links. A shell keeps the name; systemd does not, but a virtual
    environment within the folder has been named the same way.
    """
    here = Path.cwd()
    for named in (Path(environment.get("PWD", "")), *Path(sys.executable).parents):
        if named.is_absolute() and named.is_dir() and named.samefile(here):
            return named
    return here
