"""The sources as syntax trees, for laws about what is written where."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.conftest import ROOT

TIERS = ("checkout_service", "worker")

GENERATED = re.compile(r"clients/(?:python/checkout_client/(?:api|models)/|typescript/src/(?:schema|version)\.ts)")
"""What ``make clients`` writes: of no law of ours."""


def paths(*folders: str) -> list[Path]:
    """Python files below the folders, or the modules at the root for "."."""
    found: list[Path] = []
    for folder in folders:
        found += ROOT.glob("*.py") if folder == "." else (ROOT / folder).rglob("*.py")
    return sorted(found)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of an attribute or a name; calls in between are left out: ``cache().get`` is ``cache.get``."""
    match node:
        case ast.Name():
            return node.id
        case ast.Attribute():
            return f"{dotted(node.value)}.{node.attr}"
        case ast.Call():
            return dotted(node.func)
        case _:
            return ""


def calls(within: ast.AST) -> Iterator[str]:
    for node in ast.walk(within):
        if isinstance(node, ast.Call):
            yield dotted(node.func)


def texts(within: ast.AST) -> Iterator[str]:
    """Every string, f-strings with their holes left open."""
    for node in ast.walk(within):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
