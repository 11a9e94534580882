"""Numbers, ids, days and times of outside texts have one spelling each, and nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from checkout_service.spellings import parse_day, parse_id, parse_moment, parse_number

_ID = "018f0000-0000-7000-8000-00000000010a"


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_number, "10", 10),
        (parse_number, "-3", -3),
        (parse_number, "007", 7),
        (parse_id, _ID, UUID(_ID)),
        (parse_id, _ID.upper(), UUID(_ID)),
        (parse_day, "2026-12-24", datetime(2026, 12, 24, tzinfo=UTC)),
        (parse_moment, "2026-12-24T18:30:00Z", datetime(2026, 12, 24, 18, 30, tzinfo=UTC)),
        (parse_moment, "2026-12-24t18:30:00.5z", datetime(2026, 12, 24, 18, 30, 0, 500_000, tzinfo=UTC)),
        (
            parse_moment,
            "2026-12-24 18:30:00+02:00",
            datetime(2026, 12, 24, 18, 30, tzinfo=timezone(timedelta(hours=2))),
        ),
        (parse_moment, "2026-12-24 18:30", datetime(2026, 12, 24, 18, 30)),  # noqa: DTZ001 (without an offset)
    ],
)
def test_the_one_spelling_is_read(parse: Callable[[str], Any], text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        *((parse_number, text) for text in ("", "１０", "٣", "1_0", " 1", "1\n", "+1", "1.0", "9" * 19, "0x1", "²")),
        *((parse_id, text) for text in ("", f"{{{_ID}}}", f"urn:uuid:{_ID}", _ID.replace("-", ""), f"{_ID}\n")),
        (parse_id, "018f0000-0000-7000-8000-0000000001_a"),
        (parse_id, "０18f0000-0000-7000-8000-00000000010a"),
        *((parse_day, text) for text in ("", "2026-W01-1", "20261224", "２０２６-12-24", "2026-13-01", "2026-12-24\n")),
        *(
            (parse_moment, text)
            for text in ("2026-12-24", "2026-W01-1T10:00Z", "2026-12-24Q18:30Z", "20261224T183000Z")
        ),
        *((parse_moment, text) for text in ("2026-12-24T25:00Z", "2026-12-24T18:30:00,5Z", "2026-12-24T18Z", "")),
    ],
)
def test_any_other_spelling_is_refused(parse: Callable[[str], Any], text: str) -> None:
    with pytest.raises(ValueError, match=r"is no|must be|month|hour"):
        parse(text)
