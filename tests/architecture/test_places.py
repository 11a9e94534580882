"""No row is found by its place on disk alone: in each part of a partitioned table that is another row's, too."""

from __future__ import annotations

import re

import pytest

from tests.architecture.sources import name, paths, texts, tree
from tests.conftest import ROOT

PLACE = re.compile(r"\bctid\b")
# Of a text that is put together the piece before it names the part.
BESIDE = re.compile(r"\btableoid\b|^\.part\b")

RELEASED = {
    "migrations/events/days.sql": "a default partition is named, which has no parts",
    "migrations/events/dues.sql": "pages of stock_counters are read in their order; no row is found again by it",
}
"""Files that no release edits any more, and why it does no harm there."""


def faults(sql: str) -> list[str]:
    """Lines that name the place of a row without its table's part."""
    lines = [line.partition("--")[0] for line in sql.splitlines()]
    return [line.strip() for line in lines if PLACE.search(line) and not BESIDE.search(line)]


@pytest.mark.parametrize("path", paths("checkout_service", "worker", "migrations"), ids=name)
def test_statements_find_rows_by_more_than_their_place(path: object) -> None:
    named = [text for text in texts(tree(path)) if PLACE.search(text)]  # type: ignore[arg-type]
    # An f-string comes whole, and each piece of it once more.
    whole = [text for text in named if not any(text in other and text != other for other in named)]
    assert [fault for text in whole for fault in faults(text)] == []


def test_neither_do_the_migrations_files() -> None:
    files = sorted((ROOT / "migrations").rglob("*.sql"))
    found = {name(path) for path in files if faults(path.read_text(encoding="utf-8"))}

    assert found == RELEASED.keys()


@pytest.mark.parametrize(
    ("sql", "is_fault"),
    [
        ("WHERE webhook.ctid = claimed.place", True),
        ("SELECT ctid AS place FROM webhook_deliveries", True),
        ("WHERE webhook.id = own.id AND webhook.tableoid = own.part AND webhook.ctid = own.place", False),
        ("-- by its ctid", False),
    ],
)
def test_the_law_finds_what_it_forbids(sql: str, *, is_fault: bool) -> None:
    assert bool(faults(sql)) is is_fault
