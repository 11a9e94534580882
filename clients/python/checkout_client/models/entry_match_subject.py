from typing import Literal, cast

EntryMatchSubject = Literal["capture", "dispute", "none", "refund"]


def check_entry_match_subject(value: str) -> EntryMatchSubject:
    # A word that is newer than this client is let through.
    return cast(EntryMatchSubject, value)
