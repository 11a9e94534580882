"""An app with all routes that there are, and an address of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from flask import Flask
from werkzeug.routing import Rule

from checkout_service.settings.secret import Secret
from tests.apps import MakeApp

OPERATOR: Final = ("mira", "a password for the console in tests")

NAMES: Final[Mapping[str, str]] = {
    "digest": "0", "name": "site.css", "slug": "not-found", "provider": "mock", "filename": "x",
}  # fmt: skip


@pytest.fixture
def everything(make_app: MakeApp) -> Flask:
    """An app with the pages and the console."""
    return make_app(pages=True, console=True, console_users={OPERATOR[0]: Secret(OPERATOR[1])})


def routes(app: Flask) -> Iterator[tuple[Rule, str]]:
    """Each route with each of its methods."""
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/test/"):
            continue  # of the tests themselves
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield rule, method


def path_of(rule: Rule, known: str | UUID | None = None, **given: str) -> str:
    """A path of the route, with this id wherever one is named."""
    values: dict[str, Any] = {name: (NAMES | given).get(name) or str(known or uuid4()) for name in rule.arguments}
    path = rule.rule
    for name, value in values.items():
        path = path.replace(f"<uuid:{name}>", value).replace(f"<{name}>", value).replace(f"<path:{name}>", value)
    assert "<" not in path, path
    return path
