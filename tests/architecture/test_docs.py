"""The pages under docs/ name what is there: paths, headings, rooms and metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.sources import TIERS, name, paths, texts, tree
from tests.conftest import ROOT

PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
ARCHITECTURE = ROOT / "docs" / "architecture.md"
PICTURE = ROOT / "docs" / "architecture.svg"

SUFFIXES = (
    *(".py", ".md", ".sql", ".toml", ".txt", ".lock", ".yaml", ".yml"),
    *(".service", ".html", ".css", ".js", ".svg", ".png", ".ini"),
)

MADE_WHEN_RUN = frozenset({".bench", ".data", ".image", ".node", ".profiles", ".site", ".venv", "node_modules"})
"""Folders that are there only once a command has made them."""

_FENCE = re.compile(r"^ *```.*?^ *```", re.M | re.S)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_PATH = re.compile(r"[\w.*<>-]+(?:/[\w.*<>-]+)*/?")
_PLACEHOLDER = re.compile(r"<[^>]+>|\bNAME\b|\bROOM\b|000N")
_METRIC = re.compile(r"`([a-z]+(?:_[a-z]+)+)")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    missing = sorted({written for written in _paths_in(page.read_text(encoding="utf-8")) if not _exists(written)})

    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(page: Path) -> None:
    for target in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        if target.startswith(("http://", "https://")):
            continue
        path, _, heading = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not heading or heading in _headings(file), target


def test_the_architecture_names_every_room_and_every_module_outside_of_one() -> None:
    page = ARCHITECTURE.read_text(encoding="utf-8")
    missing = [place for place in _rooms() if f"`{place}`" not in page]

    assert not missing


def test_the_picture_shows_every_room() -> None:
    shown = set(re.findall(r">(\w+)</text>", PICTURE.read_text(encoding="utf-8")))
    missing = [place for place in _rooms() if Path(place).stem not in shown]

    assert not missing


def test_every_rule_in_the_database_is_in_the_file_that_the_architecture_names() -> None:
    rules = _rows(ARCHITECTURE, "Where a rule lives in the database")[2:]

    assert len(rules) >= 8
    for _, kept_by, files in rules:
        written = "".join((ROOT / file).read_text(encoding="utf-8") for file in _CODE.findall(files))
        missing = [kept for kept in _CODE.findall(kept_by) if not re.search(rf"\b{kept}\b", written)]
        assert not missing, files


def test_every_metric_of_the_alarms_is_one_that_we_expose() -> None:
    alarms = _rows(ROOT / "docs" / "operating.md", "An alarm")[2:]
    named = {metric for metrics, *_ in alarms for metric in _METRIC.findall(metrics)}
    exposed = {text for path in paths("checkout_service") for text in texts(tree(path))}

    assert named
    assert not named - exposed


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see `worker/app.py` and `docs/`", ["worker/app.py", "docs/"]),
        ("`checkout_service/providers/adapters/NAME/spec.py`", ["checkout_service/providers/adapters/NAME/spec.py"]),
        ("`bodies.py` of the server", ["bodies.py"]),
        ("`POST /api/payments/webhook/<provider>` and `application/json`", []),
        ("`python -m pytest tests/races -q`", ["tests/races"]),
        ("```\ncat worker/gone.py\n```", ["worker/gone.py"]),
        ("plain worker/gone.py", []),
    ],
)
def test_paths_are_found_in_code_alone(text: str, found: list[str]) -> None:
    assert list(_paths_in(text)) == found


def test_a_path_that_is_missing_is_seen() -> None:
    assert _exists("worker/app.py")
    assert _exists("checkout_service/providers/adapters/NAME/")
    assert _exists("bodies.py")
    assert not _exists("worker/gone.py")
    assert not _exists("operators/")
    assert not _exists("gone.py")


def _paths_in(text: str) -> Iterator[str]:
    """What is written as code and looks like a path of this project."""
    for block in _FENCE.findall(text):
        yield from (written for written in _words(block) if "/" in written and written.partition("/")[0] in _tops())
    for code in _CODE.findall(_FENCE.sub("", text)):
        yield from (written for written in _words(code) if _looks_like_ours(written))


def _words(code: str) -> Iterator[str]:
    for word in code.split():
        plain = word.strip(",;:()'\"")
        if _PATH.fullmatch(plain):
            yield plain


def _looks_like_ours(written: str) -> bool:
    first, slash, _ = written.partition("/")
    if first in MADE_WHEN_RUN:
        return False
    return written.endswith(SUFFIXES) or bool(slash and (written.endswith("/") or first in _tops()))


def _exists(written: str) -> bool:
    pattern = _PLACEHOLDER.sub("*", written).rstrip("/")
    if "/" not in pattern and not written.endswith("/"):
        return pattern in _file_names()
    return any(ROOT.glob(pattern))


@cache
def _tops() -> set[str]:
    return {path.name for path in ROOT.iterdir() if path.is_dir()} - MADE_WHEN_RUN


@cache
def _file_names() -> set[str]:
    folders = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return {path.name for path in ROOT.iterdir()} | {path.name for folder in folders for path in folder.rglob("*.*")}


def _rows(page: Path, heading: str) -> list[list[str]]:
    """The rows of the table below a heading, its own heading and its line of dashes first; each as its cells."""
    _, _, after = page.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    table = [line for line in after.partition("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def _headings(page: Path) -> set[str]:
    """The anchors that GitHub gives to headings."""
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _rooms() -> list[str]:
    found = []
    for tier in TIERS:
        for path in sorted((ROOT / tier).iterdir()):
            if path.is_dir() and (path / "__init__.py").exists():
                found.append(f"{tier}/{path.name}/")
            elif path.suffix == ".py" and path.name != "__init__.py":
                found.append(f"{tier}/{path.name}")
    return found
