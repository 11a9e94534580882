"""What deploy/observability holds, read as data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import ROOT

HOME = ROOT / "deploy" / "observability"
PAGES = ROOT / "docs" / "alarms"
RULES = sorted((HOME / "rules").glob("*.yaml"))
CASES = sorted((ROOT / "tests" / "observability" / "rules").glob("*.yaml"))
DASHBOARDS = sorted((HOME / "grafana").glob("*.json"))

_FUNCTIONS = (
    "abs",
    "absent",
    "clamp_max",
    "clamp_min",
    "group",
    "histogram_quantile",
    "increase",
    "label_replace",
    "last_over_time",
    "min_over_time",
    "rate",
    "round",
)
_WORDS = frozenset(
    [*_FUNCTIONS, "time", "vector", "by", "on", "and", "or", "unless", "offset", "sum", "max", "min", "count", "topk"]
)


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def alarms() -> dict[str, dict[str, Any]]:
    """Every alarm by its name."""
    rules = [rule for path in RULES for group in read(path)["groups"] for rule in group["rules"]]
    return {rule["alert"]: rule for rule in rules if "alert" in rule}


def expressions() -> Iterator[str]:
    """What rules and panels ask of Prometheus."""
    for path in RULES:
        yield from (rule["expr"] for group in read(path)["groups"] for rule in group["rules"])
    for panel in panels():
        yield from (target["expr"] for target in panel["targets"])


def panels() -> list[dict[str, Any]]:
    """Every panel that asks for something, of all dashboards."""
    found = [panel for path in DASHBOARDS for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]]
    return [panel for panel in found if panel["type"] != "row"]


def metrics_in(expression: str) -> set[str]:
    """The names of series in an expression: words that are neither functions nor labels."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(?:by|on|without|ignoring) *\([^)]*\)', " ", expression)
    return {word for word in re.findall(r"(?<![\w$:.])[a-z_][\w:]*", bare) if word not in _WORDS and len(word) > 1}
