"""``payments.look_up_log``: the newest questions that we put to the provider, and its answers, for people to read.

The worker writes it with each question; the pages and commands that show a payment read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Question(StrEnum):
    """What a provider was asked about a payment."""

    LOOK_UP = "look-up"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedQuestion:
    """One question at a moment (UTC), and the answer in words: statuses, or why there was none."""

    at: datetime
    question: Question
    answer: str


def read_log(column: Iterable[Mapping[str, str]]) -> list[LoggedQuestion]:
    """The questions in the column, oldest first."""
    return [
        LoggedQuestion(
            at=datetime.fromisoformat(entry["at"]), question=Question(entry["question"]), answer=entry["answer"]
        )
        for entry in column
    ]
