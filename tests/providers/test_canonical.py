"""Canonical JSON is what the standard library writes, byte for byte, whoever writes it; one reading of it, or none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout_service.strict_json import StrictJsonError, canonical, parse_object

CHARACTERS = [chr(point) for point in range(1, 0x110000) if not 0xD800 <= point < 0xE000]
"""All but NUL and the surrogates, which are refused."""

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
)


def by_the_book(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_every_character_is_written_as_the_standard_library_writes_it() -> None:
    step = 4096
    for start in range(0, len(CHARACTERS), step):
        some = CHARACTERS[start : start + step]
        value = {"text": "".join(some), **dict.fromkeys(reversed(some), 1)}
        assert canonical(value) == by_the_book(value)


@given(st.dictionaries(texts, values))
def test_any_object_is_written_as_the_standard_library_writes_it(value: dict[str, Any]) -> None:
    assert canonical(value) == by_the_book(value)


@given(st.dictionaries(texts, values), st.sampled_from([None, (",", ":"), (", ", ": ")]), st.booleans())
def test_any_spelling_of_an_object_is_read_as_the_standard_library_reads_it(
    value: dict[str, Any], separators: tuple[str, str] | None, ascii_alone: bool
) -> None:
    body = json.dumps(value, separators=separators, ensure_ascii=ascii_alone).encode()

    assert parse_object(body) == value


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"a": 1, "a": 1}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":[{"b":1,"\\u0062":1}]}',
        b'{"a":1.5}',
        b'{"a":1e3}',
        b'{"a":[-0.0]}',
        b'{"a":NaN}',
    ],
)
def test_what_could_be_read_in_two_ways_is_refused_without_and_with_spaces(body: bytes) -> None:
    with pytest.raises(StrictJsonError):
        parse_object(body)
