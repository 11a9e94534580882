"""Which time zones a setting may name: those of the time zone database (IANA)."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def fault_of_time_zone(name: str) -> str | None:
    """What keeps a text from naming a time zone, as the end of a sentence about it; None if nothing does."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # OSError is for a folder of the database, such as Europe.
        return f"{name!r} is no time zone: write one such as Europe/Berlin, or UTC"
    return None
