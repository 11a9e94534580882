"""Which columns the statements of a package write, read from the SQL that its modules hold."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import TextClause

from checkout_service.database.statements import Statement

OF_THE_OWNER: Final = (
    "checkout_service.catalog.operations",
    "checkout_service.identity.key_operations",
    "checkout_service.stock.counting",
    "checkout_service.local",
)
"""Modules that write as the owner, or on one machine alone."""

_WRITES: Final = re.compile(r"\bINSERT INTO |\bUPDATE |\binsert\(|\bupdate\(")
_INSERT: Final = re.compile(r"\bINSERT INTO (\w+)(?: AS \w+)?\s*\(([^()]*)\)", re.IGNORECASE)
_UPDATE: Final = re.compile(r"\bUPDATE (\w+)(?: (?:AS )?(?!SET\b)\w+)? SET\b", re.IGNORECASE)
_CONFLICT: Final = re.compile(r"\bDO UPDATE SET\b", re.IGNORECASE)
_TEXT: Final = re.compile(r"'(?:[^']|'')*'")
_END: Final = re.compile(r"FROM|WHERE|RETURNING", re.IGNORECASE)


def written_columns(package: str) -> dict[tuple[str, str], frozenset[str]]:
    """By table and right: the columns that an INSERT or UPDATE of the package's modules names."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for sql in set(_statements(package)):
        source = _TEXT.sub("''", " ".join(sql.split()))
        for match in _INSERT.finditer(source):
            found[match[1], "INSERT"].update(name.strip() for name in match[2].split(","))
        for match in _UPDATE.finditer(source):
            found[match[1], "UPDATE"].update(_assigned(source[match.end() :]))
        for match in _CONFLICT.finditer(source):
            *_, into = _INSERT.finditer(source[: match.start()])
            found[into[1], "UPDATE"].update(_assigned(source[match.end() :]))
    return {key: frozenset(columns) for key, columns in found.items()}


def _assigned(source: str) -> Iterator[str]:
    """The columns of a SET, up to the end of its list: ``a = 1, (b, c) = (2, 3)``. Brackets else belong to values."""
    depth, column, value = 0, "", False
    for part in re.findall(r"\w+|[^\w\s]", source):
        depth += {"(": 1, ")": -1}.get(part, 0)
        if depth < 0 or (depth == 0 and _END.fullmatch(part)):
            break
        if depth == 0 and part == ",":
            column, value = "", False
        elif part == "=" and not value:
            yield from column.split()
            value = True
        elif not value and part not in "(),":
            column = f"{column} {part}"


def _statements(package: str) -> Iterator[str]:
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        source = Path(importlib.util.find_spec(module.name).origin).read_text(encoding="utf-8")
        # The others are not imported: what starts a process reads its environment.
        if module.name.startswith(OF_THE_OWNER) or not _WRITES.search(source):
            continue
        for value in vars(importlib.import_module(module.name)).values():
            yield from _sql_of(value)


def _sql_of(value: Any) -> Iterator[str]:
    if isinstance(value, Statement):
        yield value.sql
    elif isinstance(value, TextClause):
        yield value.text
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _sql_of(each)
