"""Where the web process listens: on sockets that systemd holds, or on its own; and where its code lies.

This process is there for as long as the service, above each generation that serves. So it loads no more than it needs:
no structlog, and nothing that reads settings.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import time
import traceback
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

from checkout_service.server.supervisor import Supervisor
from checkout_service.server.systemd import Notifier, take_sockets
from checkout_service.telemetry import plain_log
from checkout_service.telemetry.metrics_folder import WEB_FOLDER, name_metrics_folder

BACKLOG = 2048
"""Connections that wait to be accepted; the system may allow fewer (net.core.somaxconn)."""

_LISTEN_STREAM: Final = "have one ListenStream=HOST:PORT in checkout-web.socket for each port (systemctl edit)."

FREED_WITHIN = 5.0
"""Seconds until the children of a supervisor that was killed have noticed, and left the port."""


def main(arguments: Sequence[str], environment: MutableMapping[str, str]) -> int:
    """Listen, and have generations of this very command serve; the status to end with.

    ``arguments`` are those that Python was given, its own options among them. Whatever is meant for this process alone
    is taken out of the environment, which its generations inherit. All of these count in one folder. Raises
    MetricsFolderError.
    """
    web = _read_settings()
    plain_log.configure(production=web.production)
    held = _by_port(take_sockets(environment), web.host, {web.port, web.management_port})
    listener = held.get(web.port) or _listen(web.host, web.port, "PORT")
    management = None
    if web.management_port:
        port = web.management_port
        management = held.get(port) or _listen(web.host, port, "MANAGEMENT_PORT")
    # Only now: who held the port before has mostly left its own folder. One that ends just now is removed another time.
    name_metrics_folder(WEB_FOLDER)
    return Supervisor(
        [sys.executable, *arguments],
        folder=_folder_by_name(environment),
        notifier=Notifier(environment),
        environment=environment,
        listener=listener,
        management=management,
        is_outlived=web.port in held,
    ).run()


class _Settings(NamedTuple):
    """What this process has to know of ServerSettings."""

    host: str
    port: int
    management_port: int
    production: bool


def _read_settings() -> _Settings:
    """Have a child read them, which ends: it loads 2 MiB. Ends the process where they are wrong; the child says how."""
    source, target = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(source)
        _hand_settings_over(target)
    os.close(target)
    with open(source, encoding="utf-8") as pipe:
        found = pipe.read()
    with suppress(ChildProcessError):  # whoever started us ignores children that end, and so do we
        os.waitpid(pid, 0)
    if not found:
        sys.exit(1)
    return _Settings(**json.loads(found))


def _hand_settings_over(target: int) -> NoReturn:
    """Write to the other process what it has to know, or to standard error what is wrong."""
    status = 1
    try:
        # By its name, and only here.
        values: Any = import_module("checkout_service.settings.values")
        try:
            web = values.ServerSettings.from_environment()
        except values.SettingsError as error:
            sys.stderr.write(f"settings:\n{error}\n")
            sys.stderr.flush()
        else:
            os.write(target, json.dumps({name: getattr(web, name) for name in _Settings._fields}).encode())
            status = 0
    except Exception:  # noqa: BLE001 (the process is another's copy, and may not go on as that)
        traceback.print_exc()
    finally:
        os._exit(status)


def _by_port(sockets: Sequence[socket.socket], host: str, expected: set[int]) -> dict[int, socket.socket]:
    """The sockets that systemd holds, by their ports. Ends the process with a line where they are not those of HOST."""
    found: dict[int, socket.socket] = {}
    for each in sockets:
        if each.family not in {socket.AF_INET, socket.AF_INET6} or each.type != socket.SOCK_STREAM:
            sys.exit(f"systemd listens on {each.getsockname()!r}, which is no address of TCP: {_LISTEN_STREAM}")
        address, port = each.getsockname()[:2]
        if port not in expected:
            sys.exit(f"systemd listens on port {port}, which neither PORT nor MANAGEMENT_PORT is: change one of them.")
        if port in found:
            sys.exit(f"systemd listens on port {port} twice, of which one would be answered: {_LISTEN_STREAM}")
        if address not in _addresses(host):
            sys.exit(f"systemd listens on {address}, port {port}, but HOST is {host}: {_LISTEN_STREAM}")
        found[port] = each
    return found


def _addresses(host: str) -> set[str]:
    """Where a socket that is held may listen for this HOST.

    For every address of IPv4 also that of both families, as ``ListenStream=8000`` makes it: on a machine that is open
    to all, that is the same. The reverse would be closed to some.
    """
    try:
        found = {str(each[4][0]) for each in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError:  # no name that is known here
        return {host}
    return found | {"::"} if "0.0.0.0" in found else found  # noqa: S104 (compared, not bound)


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
