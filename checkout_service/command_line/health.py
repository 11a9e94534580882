"""``checkout health``: whether a process of this host works, by its own word, for whoever watches containers.

Bounded in time, in what is read, and in what is loaded: it runs every few seconds.
"""

from __future__ import annotations

import http.client
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

from checkout_service.settings.errors import SettingsError
from checkout_service.settings.reader import Reader
from checkout_service.settings.values import ServerSettings

ANSWERS_WITHIN: Final = 4.0
"""Seconds, for all of it; below the 5 s that a HEALTHCHECK may be given."""

_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 (compared, not bound)


class UnhealthyError(Exception):
    """The process is not ready, or does not answer; the message says which."""


def ask(process: str, *, alive: bool = False) -> str:
    """What the process of this host says of itself, in a line. ``alive`` asks the web whether it lives, and no more.

    Raises UnhealthyError, and SettingsError where the environment does not say where to ask.
    """
    host, port, path = _address(process, alive=alive)
    where = f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"
    try:
        with _bounded():
            connection = http.client.HTTPConnection(host, port, timeout=ANSWERS_WITHIN)
            try:
                connection.request("GET", path, headers={"Connection": "close", "User-Agent": "checkout-health"})
                status = connection.getresponse().status
            finally:
                connection.close()
    except TimeoutError:
        raise UnhealthyError(f"{process} did not answer within {ANSWERS_WITHIN:.0f} s: {where}") from None
    except (OSError, http.client.HTTPException) as error:
        raise UnhealthyError(f"{process} does not answer: {where}: {error}") from None
    if status != http.client.OK:
        raise UnhealthyError(f"{process} is not ready: {where} answers {status}")
    return f"{process} is {'alive' if path == '/livez' else 'ready'}"


def _address(process: str, *, alive: bool) -> tuple[str, int, str]:
    """Host, port and path to ask."""
    if process == "web":
        web = ServerSettings.from_environment()
        return _EVERYWHERE.get(web.host, web.host), web.management_port or web.port, "/livez" if alive else "/readyz"
    env, name = Reader(), "FLOWER_PORT"
    if process == "flower":
        host, port = env.text("FLOWER_ADDRESS", ""), env.number(name, 5555, most=65_535)
        prefix = env.text("FLOWER_URL_PREFIX", "").strip("/")
        path = f"/{prefix}/healthcheck" if prefix else "/healthcheck"
    else:
        host, path = env.text("WORKER_METRICS_HOST", ""), "/livez"
        name = f"{process.upper()}_METRICS_PORT"
        port = env.number(name, env.number("WORKER_METRICS_PORT", 0, least=0, most=65_535), least=0, most=65_535)
    env.finish()
    if not port:
        raise SettingsError(f"{name}: is not set, and without a port nobody can be asked")
    return _EVERYWHERE.get(host, host), port, path


@contextmanager
def _bounded() -> Iterator[None]:
    """Raise TimeoutError when it takes longer, however slowly it is answered."""

    def is_over(_number: int, _frame: FrameType | None) -> NoReturn:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, is_over)
    signal.setitimer(signal.ITIMER_REAL, ANSWERS_WITHIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
