"""One thing has one name: the words that were given up are used nowhere, and some others name nothing.

docs/glossary.md explains the words that stay. The first list holds metaphors that hid the field's own words. The second
list holds good English words that say too little as a name.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.sources import GENERATED, name, tree
from tests.conftest import ROOT

NOWHERE = frozenset(
    {
        *("letter", "letters", "letterbox", "letterboxes", "letterhead", "letterheads"),
        *("ringer", "ringers", "rung", "errand", "errands", "twin", "twins"),
        *("forge", "forged", "forger", "forgery", "forgeries", "genuine", "genuinely"),
        *("translator", "translators", "visitor", "visitors", "chronicle", "chronicles"),
        *("verdict", "verdicts", "desk", "desks", "deed", "deeds"),
    }
)
"""In no text at all: not in code, comments, pages, settings or documentation."""

IN_NO_NAME = frozenset(
    {
        *("bell", "bells", "hint", "hints", "fact", "facts", "owed", "said", "told", "asked", "wanted", "became"),
        *("ledger", "ledgers", "gateway", "gateways", "envelope", "envelopes", "intake", "keeping"),
        *("story", "stories", "standing"),
    }
)
"""In no name of ours: identifiers, columns, metrics, settings, slugs, operationIds, tasks, log events."""

PHRASES = re.compile(r"\bone-way[ -]+street\b(?!\.md)", re.I)
DEAD_LETTER = re.compile(r"\bdead[ -_]letters?\b", re.I)
"""The field's own word for a message that nobody could process."""

KEEPS_THE_PHRASE = "docs/decisions/0002-one-way-street.md"
"""The decision explains the rule by this picture once; its links are known."""

TEXTS = frozenset(
    {".py", ".md", ".html", ".css", ".js", ".ts", ".yaml", ".yml", ".toml", ".service", ".ini", ".lua", ".mako", ".sql"}
)
WITHOUT_SUFFIX = frozenset({"Makefile", "Procfile", "run"})
WORK_OF_OTHERS = frozenset({"requirements.lock", "LICENSE"})
THIS = "tests/architecture/test_vocabulary.py"

NAMES_OF_OTHERS = re.compile(
    r"\bWantedBy\b|\bletter-spacing\b|\b(?:BadGateway|BAD_GATEWAY)\b|\bLETTERS_(?:MAX_ROWS|MAX_BYTES|RETENTION_DAYS)\b"
)
"""Names that systemd, CSS and HTTP chose, and settings of old that are refused by name: we have to repeat them."""

PROMISED = frozenset({"wanted"})
"""Members of the API's documents that others build against already: of out-of-stock."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:[-.:/][A-Za-z0-9_]+)*")
_SQL = re.compile(r"\b(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|ALTER|DROP|GRANT|WHERE|RETURNING)\b")
_SETTING = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
_CODE_IN_PROSE = re.compile(r"`+([^`\n]+)`+")
_JINJA = re.compile(r"\{[{%](.+?)[%}]\}", re.S)
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_BLOCK_COMMENT = re.compile(r"/\*.*?\*/", re.S)
_LINE_COMMENT = re.compile(r"(?<!:)(?://|--).*")
_RELEASED = re.compile(r"^## \[\d.*", re.M | re.S)
_RENAMES = re.compile(
    r"^- (?:(?!\n- |\n\n).)*\brenamed\b(?:(?!\n- |\n\n).)*|^### Renamed\n(?:(?!\n##).)*", re.M | re.S | re.I
)
_HASH_COMMENT = re.compile(r"#.*")
_MARKED = re.compile(r"\b(?:class|id|name|for|data-[a-z-]+)=\"([^\"{}]*)\"")


def test_no_word_that_was_given_up_is_used() -> None:
    found = [
        f"{name(path)}:{number}: {word}"
        for path in _texts()
        for number, line in _lines(path)
        for word in _given_up(line, phrase=name(path) != KEEPS_THE_PHRASE)
    ]

    assert not found, _report(found)


def test_no_file_is_named_by_a_word_that_was_given_up() -> None:
    found = [name(path) for path in _texts() if set(_words(name(path))) & (NOWHERE | IN_NO_NAME)]

    assert not found, _report(found)


def test_no_name_says_too_little() -> None:
    found = [
        f"{name(path)}:{number}: {written}"
        for path in _texts()
        for number, written in _names(path)
        if set(_words(written)) & IN_NO_NAME
    ]

    assert not found, _report(found)


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("def the_letters(): ...", "letters"),
        ("class LetterBox: ...", "letter"),
        ("x = 'a forged webhook'", "forged"),
        ("# the twin's key", "twin"),
        ("TAKE_LETTER = 1", "letter"),
        ("# a one-way street", "one-way street"),
    ],
)
def test_words_are_found_however_they_are_written(source: str, word: str) -> None:
    assert list(_given_up(source, phrase=True)) == [word]


@pytest.mark.parametrize(
    "source", ["# indeed, a desktop", "# a dead letter", "x = growing", "see 0002-one-way-street.md"]
)
def test_other_words_are_not(source: str) -> None:
    assert not list(_given_up(source, phrase=True))


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def tell(asked, *, told=1): ...", ["asked", "told"]),
        ("class Fact:\n    said: str", ["Fact", "said"]),
        ("fact = row.said", ["fact"]),
        ("log.info('bell_lost', owed=3)", ["owed", "bell_lost"]),
        ("x = 'SELECT a AS said FROM b'", ["said"]),
        ("x = f'SELECT {a} AS said FROM b'", ["said"]),
        ("# the customer asked, and was told", []),
        ("'''What the customer asked for.'''", []),
        ("x = 'The customer asked for it.'", []),
        ("from typing import get_type_hints as find", []),
        ("import ours as hint", ["hint"]),
    ],
)
def test_names_are_found_and_prose_is_left_alone(source: str, names: list[str]) -> None:
    written = [written for _, written in _names_of_python(ast.parse(source)) if set(_words(written)) & IN_NO_NAME]

    assert sorted(written) == sorted(names)


@pytest.mark.parametrize(
    ("suffix", "source", "names"),
    [
        (
            ".md",
            "What is `owed` is told by `refunds_owed`; set LETTERS_TOLD.",
            ["owed", "refunds_owed", "LETTERS_TOLD"],
        ),
        (".html", '<p class="story">The story {{ fact.title }}</p>', ["story", "fact.title"]),
        (".css", "/* the story */ .story { color: red }", ["story"]),
        (".js", "// the story\nconst story = 1;", ["story"]),
        (".yaml", "# what was told\nTOLD_AT: 1\nname: ledger", ["TOLD_AT", "ledger"]),
    ],
)
def test_names_in_other_texts_are_found(suffix: str, source: str, names: list[str]) -> None:
    written = [written for _, written in _names_of_text(suffix, source) if set(_words(written)) & IN_NO_NAME]

    assert sorted(written) == sorted(names)


def test_of_the_changelog_only_what_is_new_counts_and_no_list_of_renames() -> None:
    log = "- One.\n\n- A twin.\n  Renamed: a desk.\n- A deed.\n\n### Renamed\n\n- verdict\n\n## [0.1.0]\n- A letter."

    kept = _emptied(_RENAMES, _emptied(_RELEASED, log))

    assert list(_given_up(kept, phrase=True)) == ["deed"]
    assert kept.count("\n") == log.count("\n")


@cache
def _texts() -> tuple[Path, ...]:
    """Every text of the project that people read or write, but for this file."""
    found: list[Path] = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [one for one in folders if one == ".ci" or not one.startswith((".", "__", "node_modules"))]
        found += [Path(folder, one) for one in files]
    return tuple(sorted(path for path in found if _is_ours(path)))


def _is_ours(path: Path) -> bool:
    readable = path.suffix in TEXTS or path.name in WITHOUT_SUFFIX
    return readable and path.name not in WORK_OF_OTHERS and name(path) != THIS and not GENERATED.match(name(path))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text with their numbers; of the changelog what is new, but for entries that list renames."""
    text = path.read_text(encoding="utf-8")
    if path.name == "CHANGELOG.md":
        text = _emptied(_RELEASED, text)
        text = _emptied(_RENAMES, text)
    yield from enumerate(text.splitlines(), 1)


def _given_up(line: str, *, phrase: bool) -> Iterator[str]:
    """The words of the line that are used nowhere."""
    yield from (word for word in _words(DEAD_LETTER.sub("", line)) if word in NOWHERE)
    if phrase:
        yield from (found[0].lower() for found in PHRASES.finditer(line))


def _words(text: str) -> Iterator[str]:
    """The words of a text in small letters, also those inside a name: ``take_RawBody`` is take, raw and body."""
    for found in _WORD.finditer(NAMES_OF_OTHERS.sub("", text)):
        yield found[0].lower()


def _names(path: Path) -> Iterator[tuple[int, str]]:
    """The names that a file writes down, with their lines."""
    if path.suffix == ".py":
        yield from _names_of_python(tree(path))
    else:
        yield from _names_of_text(path.suffix, "\n".join(line for _, line in _lines(path)))


def _names_of_python(module: ast.AST) -> Iterator[tuple[int, str]]:
    """What the module names itself: not what it only uses of others, and no prose."""
    prose = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}
    parts = {id(part) for node in ast.walk(module) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(module):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.keyword(arg=str(written)):
                yield node.value.lineno, written
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, node.attr
            case ast.alias(asname=str(written)):
                yield node.lineno, written
            case ast.Constant(value=str(text)) if id(node) not in prose | parts:
                yield from ((node.lineno, written) for written in _names_in(text))
            case ast.JoinedStr():
                text = "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
                yield from ((node.lineno, written) for written in _names_in(text))


def _names_in(text: str) -> Iterator[str]:
    """The names in a string: the string itself if it is a name, each of a statement, none of a sentence."""
    if _NAME.fullmatch(text):
        if text not in PROMISED:
            yield text
    elif _SQL.search(text):
        yield from (found[0] for found in _NAME.finditer(re.sub(r"--.*", "", text)))


def _names_of_text(suffix: str, text: str) -> Iterator[tuple[int, str]]:
    """The names in a text that is not Python: settings everywhere, and what each kind of text marks as a name."""
    match suffix:
        case ".md":
            parts = [(found.start(1), found[1]) for found in _CODE_IN_PROSE.finditer(text)]
        case ".html" | ".mako":
            parts = [(found.start(1), found[1]) for found in _MARKED.finditer(text)]
            parts += [(found.start(1), _QUOTED.sub("", found[1])) for found in _JINJA.finditer(text)]
        case ".css":
            parts = [(0, _emptied(_BLOCK_COMMENT, text))]
        case ".js" | ".ts" | ".lua" | ".sql":
            parts = [(0, _emptied(_LINE_COMMENT, _emptied(_BLOCK_COMMENT, text)))]
        case _:
            parts = [(0, _emptied(_HASH_COMMENT, text))]
    parts += [(found.start(), found[0]) for found in _SETTING.finditer(text) if suffix == ".md"]
    for start, part in parts:
        for found in _NAME.finditer(part):
            yield text.count("\n", 0, start + found.start()) + 1, found[0]


def _emptied(part: re.Pattern[str], text: str) -> str:
    """The text without the parts that are found, every line where it was."""
    return part.sub(lambda found: "\n" * found[0].count("\n"), text)


def _report(found: Iterable[str]) -> str:
    return "docs/glossary.md names the words to use instead:\n" + "\n".join(found)
