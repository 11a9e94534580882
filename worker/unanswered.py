"""Which providers leave their calls without an answer: for a while nobody else waits for them.

A call to a provider that is away takes a task ten seconds or more, and thousands of tasks may wait behind it. After
calls about three payments in a row without an answer all processes leave the provider alone for half a minute; after
that one call at a time tries again, until one is answered. The memory is in the cache: while that is away, every task
asks. Look-ups have lanes (worker/payments/lanes.py) and ask all the same, so that they find out first.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final
from uuid import UUID

from flask import current_app

from checkout_service.cache import cache
from checkout_service.providers.base import ProviderUnavailableError

IN_A_ROW: Final = 3

PAUSE: Final = 30
"""Seconds for which a provider that is away is left alone."""

TRIAL: Final = 20_000
"""Milliseconds within which one call tries again: as long as two slow calls."""

FORGOTTEN: Final = 600
"""Seconds after which a provider that nobody called meanwhile counts as any other."""


NOT_CALLED: Final = "not called: it left others without an answer just now"
"""What people see of what was put off."""


def may_call(provider: str) -> bool:
    """Whether a task is to call this provider now; where not, what it was to call about is put off."""
    away, failing = _away(provider), _failing(provider)
    known = cache().known([away, failing])
    if away in known:
        return False
    return failing not in known or cache().claim(f"trial:{provider}", milliseconds=TRIAL)


def note_unanswered(provider: str, about: UUID | str, error: ProviderUnavailableError) -> None:
    """Note a call without an answer. Several about one thing may be that thing's own fault, and count once.

    ``about`` is the payment's id, or the provider's name of another object.
    """
    if error.in_progress:  # somebody else's call is at work
        return
    things = _unanswered()[provider]
    things.add(about)
    if len(things) >= IN_A_ROW or cache().known([_failing(provider)]):
        things.clear()
        cache().put(_failing(provider), b"1", seconds=FORGOTTEN)
        cache().put(_away(provider), b"1", seconds=PAUSE)


def note_answered(provider: str) -> None:
    """Note an answer, whatever it was."""
    _unanswered().pop(provider, None)
    failing = _failing(provider)
    if cache().known([failing]):
        for name in (failing, _away(provider), f"trial:{provider}"):
            cache().release(name)


def _unanswered() -> defaultdict[str, set[UUID | str]]:
    """By provider, the payments and objects that this process called about in vain since its last answer."""
    found: defaultdict[str, set[UUID | str]] = current_app.extensions.setdefault("unanswered", defaultdict(set))
    return found


def _away(provider: str) -> str:
    return f"away:{provider}"


def _failing(provider: str) -> str:
    return f"failing:{provider}"
