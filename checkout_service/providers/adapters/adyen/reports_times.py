"""Times of Adyen's reports: a local time, and the abbreviation of a zone beside it, by a closed list.

An abbreviation is taken at its word: CET is one hour ahead of UTC in summer too. What is of two places (CST, IST) is
not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

AMSTERDAM: Final = "AMS"
"""No abbreviation of a report: of the columns whose names say that their times are those of Amsterdam."""

_HOURS: Final[Mapping[float, str]] = {
    0: "UTC GMT WET",
    1: "WEST BST CET",
    2: "CEST EET",
    3: "EEST",
    -3: "BRT",
    -4: "EDT",
    -5: "EST CDT",
    -6: "MDT",
    -7: "MST PDT",
    -8: "PST AKDT",
    -9: "AKST",
    -10: "HST",
    8: "SGT HKT AWST",
    9: "JST",
    9.5: "ACST",
    10: "AEST",
    10.5: "ACDT",
    11: "AEDT",
    12: "NZST",
    13: "NZDT",
}
"""BST is the summer time of London, EST that of New York in winter: Adyen's settings have these."""

ZONES: Final[Mapping[str, tzinfo]] = {
    **{name: timezone(timedelta(hours=hours), name) for hours, names in _HOURS.items() for name in names.split()},
    AMSTERDAM: ZoneInfo("Europe/Amsterdam"),
}

_YEARS: Final = range(2006, 2200)
"""Adyen was founded in 2006."""


class UnknownZoneError(ValueError):
    """An abbreviation that is not on the list."""


@lru_cache(maxsize=4096)
def moment(local: str, zone: str) -> datetime:
    """The instant (UTC) of "2026-11-23 09:12:44" in a zone of ``ZONES``; of an hour that comes twice, the first.

    Raises UnknownZoneError, and ValueError for what is no such time.
    """
    found = ZONES.get(zone)
    if found is None:
        raise UnknownZoneError(zone)
    if len(local) < 19 or not local.isascii() or local[4] != "-" or local[10] not in " T":
        raise ValueError(local)
    read = datetime.fromisoformat(local)
    if read.tzinfo is not None or read.year not in _YEARS:
        raise ValueError(local)
    return read.replace(tzinfo=found).astimezone(UTC)
