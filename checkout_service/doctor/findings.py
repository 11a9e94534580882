"""What a check found: how bad it is, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """``wrong`` breaks a promise or will; ``advice`` costs time or certainty; ``unknown`` could not be looked at."""

    OK = "ok"
    ADVICE = "advice"
    UNKNOWN = "unknown"
    WRONG = "WRONG"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the doctor's report."""

    level: Level
    about: str
    result: str
    remedy: str = ""


def ok(about: str, result: str) -> Finding:
    return Finding(level=Level.OK, about=about, result=result)


def advice(about: str, result: str, remedy: str) -> Finding:
    return Finding(level=Level.ADVICE, about=about, result=result, remedy=remedy)


def unknown(about: str, result: str, remedy: str) -> Finding:
    return Finding(level=Level.UNKNOWN, about=about, result=result, remedy=remedy)


def wrong(about: str, result: str, remedy: str) -> Finding:
    return Finding(level=Level.WRONG, about=about, result=result, remedy=remedy)
