"""Guesses at operators' passwords, and tokens that name keys which nobody knows."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Final
from uuid import uuid4

from checkout_service.identity.jwks import MOST_WAITING
from checkout_service.identity.passwords import FREE
from tests.attack.attacks import Found, Values, attack
from tests.attack.neighbours import measured, provider, strangers
from tests.faults.stack import House, await_that
from tests.faults.wire import Threads, Wire

GUESSERS: Final = 8
SECONDS: Final = 4.0
TRIES: Final = FREE + 3
"""Passwords of one address that a process looks at in ``SECONDS``: after the free ones, pauses of 1, 2 and 4 s begin;
one more for each guess that is on its way while another begins a pause."""

STRANGER, OPERATOR = {"X-Forwarded-For": "198.51.100.7"}, {"X-Forwarded-For": "203.0.113.1"}

ISSUER: Final = 18_409
"""A port at which an issuer takes connections and says nothing."""

WEBHOOKS_WITHIN: Final = 500.0
"""Milliseconds, at p99."""


@attack("a stranger guesses at the console's password, eight at a time", quick=True)
def guess_at_the_console(house: House) -> Found:
    return _guessed(house, house.address, "/ops", house.environment["CONSOLE_BASIC_AUTH"], processes=2)


@attack("a stranger guesses at Flower's password, eight at a time")
def guess_at_flower(house: House) -> Found:
    address = ("127.0.0.1", int(house.environment["FLOWER_PORT"]))
    with house.another("flower", ["celery", "-A", "worker.app", "flower"]):
        await_that(lambda: _status(address, "/healthcheck", {}) == 200, "Flower answers")
        return _guessed(house, address, "/metrics", house.environment["FLOWER_BASIC_AUTH"], processes=1)


@attack(
    "thirty connections send tokens with keys that nobody knows, and the issuer says nothing",
    JWT_JWKS_URL=f"http://127.0.0.1:{ISSUER}/keys",
    WEB_CONCURRENCY="1",
)
def unknown_keys(house: House) -> Found:
    neighbours = [provider(house)]
    with socket.create_server(("127.0.0.1", ISSUER)):
        control = measured(house, neighbours, seconds=10)
        statuses: dict[int, int] = {}
        with strangers(_sending_tokens(house, statuses), 30):
            attacked = measured(house, neighbours, seconds=20)
    attacked = {**attacked, "strangers_503": statuses.get(503, 0), "most_that_wait": MOST_WAITING}
    p99 = attacked["webhooks_p99_ms"]
    held = isinstance(p99, float) and p99 < WEBHOOKS_WITHIN and attacked["webhooks_other"] == 0
    return Found(control=control, attacked=attacked, held=held and set(statuses) == {503})


def _guessed(house: House, address: tuple[str, int], path: str, right: str, *, processes: int) -> Found:
    """What an operator gets with the right password, without a stranger and beside one who guesses."""
    known = OPERATOR | _basic(right)
    control = _looks(address, path, known)
    counted: dict[int, int] = {}
    over = time.monotonic() + SECONDS
    threads = Threads()
    for number in range(GUESSERS):
        threads.start(_guess, address, path, counted, over, name=f"guesser {number}")
    attacked = _looks(address, path, known)
    threads.join(within=SECONDS + 20)
    attacked = {**attacked, "guesses_looked_at": counted.get(401, 0), "guesses_paused": counted.get(429, 0)}
    held = (
        attacked["operator_other"] == 0
        and set(counted) <= {401, 429}
        and 0 < counted.get(401, 0) <= processes * (TRIES + GUESSERS)
    )
    return Found(control=control, attacked=attacked, held=held)


def _looks(address: tuple[str, int], path: str, headers: dict[str, str]) -> Values:
    """An operator looks at a page, four times a second for as long as guesses last."""
    wire = Wire(address)
    over = time.monotonic() + SECONDS
    seconds, other = [], 0
    while time.monotonic() < over:
        answer = wire.ask("GET", path, headers=headers)
        seconds.append(answer.seconds)
        other += answer.status != 200
        time.sleep(0.25)
    wire.close()
    return {
        "operator_good": len(seconds) - other,
        "operator_other": other,
        "operator_longest_ms": round(1000 * max(seconds), 1),
    }


def _guess(address: tuple[str, int], path: str, counted: dict[int, int], over: float) -> None:
    wire = Wire(address)
    while time.monotonic() < over:
        status = wire.ask("GET", path, headers=STRANGER | _basic(f"ops:{uuid4()}")).status
        counted[status] = counted.get(status, 0) + 1
        time.sleep(0.01)
    wire.close()


def _sending_tokens(house: House, statuses: dict[int, int]) -> Callable[[threading.Event, int], None]:
    def work(over: threading.Event, _number: int) -> None:
        wire = Wire(house.address, timeout=20)
        while not over.is_set():
            status = wire.ask("GET", "/api/cart", headers={"Authorization": f"Bearer {_made_up()}"}).status
            statuses[status] = statuses.get(status, 0) + 1
        wire.close()

    return work


def _made_up() -> str:
    parts = ({"alg": "ES256", "kid": str(uuid4())}, {"sub": str(uuid4()), "exp": 4_000_000_000})
    coded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*coded, "A" * 86])


def _basic(pair: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _status(address: tuple[str, int], path: str, headers: dict[str, str]) -> int:
    wire = Wire(address)
    status = wire.ask("GET", path, headers=headers).status
    wire.close()
    return status
