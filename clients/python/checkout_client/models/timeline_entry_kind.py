from typing import Literal, cast

TimelineEntryKind = Literal[
    "acceptance",
    "attempt",
    "capture",
    "capture_request",
    "closed",
    "dispute",
    "event",
    "notice",
    "refund",
    "review",
    "void",
]


def check_timeline_entry_kind(value: str) -> TimelineEntryKind:
    # A word that is newer than this client is let through.
    return cast(TimelineEntryKind, value)
