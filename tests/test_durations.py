"""Time spans are read as operators write them, and nothing is guessed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from checkout_service.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
        ("999999d", timedelta(days=999999)),
    ],
)
def test_a_number_and_a_unit_are_a_time_span(text: str, span: timedelta) -> None:
    assert parse_duration(text) == span


@pytest.mark.parametrize("text", ["", "90", "s", "-1s", "1.5h", "2 h", "2w", "1000000d", "٣h", "2h30m"])
def test_other_texts_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as 90s, 30m, 2h or 7d"):
        parse_duration(text)
