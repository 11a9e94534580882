"""Cursors come back as they went out, and nothing else is taken for one."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from uuid import UUID

import pytest

from checkout_service.cursors import BadCursorError, Cursor, read_cursor

CURSOR = Cursor(datetime(2026, 11, 28, 4, 5, 6, 123456, tzinfo=UTC), UUID("019ab1f4-2f6e-7c1a-9f55-0b9f5a3c8d21"))


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def test_a_cursor_comes_back_to_the_microsecond() -> None:
    assert read_cursor(str(CURSOR)) == CURSOR
    assert str(CURSOR).replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ä",
        "not base64!",
        encoded("2026-11-28T04:05:06 019ab1f4-2f6e-7c1a-9f55-0b9f5a3c8d21"),  # no time zone
        encoded("yesterday 019ab1f4-2f6e-7c1a-9f55-0b9f5a3c8d21"),
        encoded("2026-11-28T04:05:06+00:00 42"),
        encoded("2026-11-28T04:05:06+00:00"),
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(BadCursorError):
        read_cursor(text)
