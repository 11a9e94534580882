"""The doors between rooms: import contracts, and the pure modules that know nothing but each other."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.architecture.sources import TIERS, name, paths, tree
from tests.conftest import ROOT

PURE = {
    "checkout_service.api_versions",
    "checkout_service.cursors",
    "checkout_service.durations",
    "checkout_service.spellings",
    "checkout_service.money",
    "checkout_service.payments.outcomes",
    "checkout_service.payments.next_action",
    "checkout_service.payments.status",
    "checkout_service.providers.raw_webhook",
    "checkout_service.providers.base",
    "checkout_service.providers.entries",
}


def test_import_contracts_are_kept() -> None:
    lint = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    result = subprocess.run(
        [sys.executable, "-c", lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("module", sorted(PURE))
def test_pure_modules_import_the_standard_library_and_each_other(module: str) -> None:
    imported = set()
    for node in ast.walk(tree(ROOT / f"{module.replace('.', '/')}.py")):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(node.module)

    foreign = {found for found in imported - PURE if found.partition(".")[0] not in sys.stdlib_module_names}
    assert not foreign


def test_no_import_stands_inside_a_function() -> None:
    found = [
        f"{name(path)}:{node.lineno}"
        for path in paths(*TIERS, ".", "migrations")
        for function in ast.walk(tree(path))
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for node in ast.walk(function)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        or (isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"__import__"})
    ]
    assert not found


def test_no_import_is_relative_or_takes_everything() -> None:
    found = [
        f"{name(path)}:{node.lineno}"
        for path in paths(*TIERS, ".", "migrations", "tests")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom) and (node.level or any(alias.name == "*" for alias in node.names))
    ]
    assert not found
