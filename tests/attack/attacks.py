"""What an attack is: a name, what others got without it and beside it, and whether what was promised to them held.

A file in ``tests/attack/cases/`` registers its attacks with ``@attack``. Each runs against a whole deployment of real
processes on 127.0.0.1, whose settings are those of ``SETTINGS`` and the attack's own.
"""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Final

from tests.attack import cases
from tests.faults.stack import Broker, House

Value = str | float | int | bool | None
Values = Mapping[str, Value]

SETTINGS: Final = {
    # A case plays callers of several addresses by X-Forwarded-For.
    "TRUSTED_PROXIES": "127.0.0.0/8",
    "REJECTED_MAX_ROWS": "2000",
}
"""What the deployments of all attacks are set to, beside the defaults of ``make run``."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was measured: of the control, which is the same without the attack, and of the attacked."""

    control: Values
    attacked: Values
    held: bool


Run = Callable[[House], Found]


@dataclass(frozen=True, kw_only=True)
class Attack:
    """``settings`` differ from ``SETTINGS``; a ``quick`` attack takes a few seconds, and runs in ``make test`` too.

    One that is ``timed`` is judged by how long others waited, which a busy machine decides as much as we do: it is for
    ``make test-slow``.
    """

    name: str
    run: Run
    quick: bool
    timed: bool
    settings: Mapping[str, str]
    brokers: tuple[Broker, ...]

    def line(self, broker: Broker, found: Found) -> str:
        """One line of JSON about it."""
        whole = {"name": self.name, "broker": broker, "control": found.control, "attacked": found.attacked}
        return json.dumps(whole | {"held": found.held})


_ATTACKS: Final[dict[str, Attack]] = {}


def attack(
    name: str,
    *,
    quick: bool = False,
    timed: bool = False,
    brokers: tuple[Broker, ...] = ("redis", "amqp"),
    **settings: str,
) -> Callable[[Run], Run]:
    """Register a function as an attack; its name is a sentence that says what a stranger tries."""

    def register(run: Run) -> Run:
        if name in _ATTACKS:
            raise ValueError(f"two attacks are called {name!r}")
        if quick and settings:
            raise ValueError(f"{name!r}: a quick attack shares its deployment with all others, and their settings")
        _ATTACKS[name] = Attack(name=name, run=run, quick=quick, timed=timed, settings=settings, brokers=brokers)
        return run

    return register


def attacks() -> list[Attack]:
    """All attacks, those of the same settings beside each other."""
    for module in sorted(pkgutil.iter_modules(cases.__path__), key=lambda module: module.name):
        import_module(f"{cases.__name__}.{module.name}")
    return sorted(_ATTACKS.values(), key=lambda attack: sorted(attack.settings.items()))
