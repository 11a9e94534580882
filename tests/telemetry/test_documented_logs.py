"""docs/logs.md names each field that the code gives a line."""

from __future__ import annotations

import ast
import re

import pytest

from checkout_service.delivery_states import DeliveryState
from tests.conftest import ROOT

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}

NO_FIELD = {"exc_info"}
"""Words of structlog's: what it makes of them has another name."""


def written() -> dict[str, str]:
    """The fields that calls of our loggers name, each with a file in which one does."""
    found = {}
    for tier in ("checkout_service", "worker"):
        for path in (ROOT / tier).rglob("*.py"):
            for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(call, ast.Call) and _logs(call.func):
                    found |= {keyword.arg: path.name for keyword in call.keywords if keyword.arg is not None}
    return found


def _logs(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and function.attr in LEVELS
        and isinstance(function.value, ast.Name)
        and function.value.id in {"log", "logger", "_log"}
    )


@pytest.fixture
def documented() -> set[str]:
    page = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")
    return {*re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)}


def test_each_field_that_the_code_names_is_documented(documented: set[str]) -> None:
    found = written()

    assert len(found) > 40
    assert {field: file for field, file in found.items() if field not in documented | NO_FIELD} == {}


def test_states_of_webhooks_are_fields_too(documented: set[str]) -> None:
    assert {*map(str, DeliveryState)} <= documented
