"""Collects the tests without looking for cyclic garbage, and puts the long files first.

Python looks for it each time that it has made some more objects, and the more there are the longer it looks: with the
objects of ten thousand tests, that was half of what it took to collect them. What was collected is also looked
through no more later on.

The processes of a run take one file after the other. A file of a minute that comes last has one of them work and the
others idle; so files with real processes, browsers and databases of their own come first. ``make test`` keeps that
order, in which xdist would put the files with the most tests first, and they are the quick ones.

Loaded by ``-p`` in pyproject.toml, to be in place before the first conftest is imported.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest

LONG = frozenset(
    {
        "attack",
        "brokers",
        "clients",
        "command_line",
        "console",
        "database",
        "deploying",
        "faults",
        "flower_pages",
        "journeys",
        "local",
        "migrations",
        "observability",
        "packaging",
        "pages",
        "races",
        "server",
        "test_schemathesis.py",
    }
)
"""Rooms with files that take most of a minute, and such files."""

gc.disable()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """From here on garbage is looked for as ever, but for what is there by now."""
    try:
        result: Any = yield
    finally:
        gc.freeze()
        gc.enable()
    return result


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order of the rooms, and within them, stays."""
    items.sort(key=lambda item: LONG.isdisjoint(item.path.parts))
