"""Opens letters: verified, parsed and, for hints, looked up at the provider. No transaction is open meanwhile."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final

import structlog

from checkout_service.cache import cache
from checkout_service.providers.base import Fact, Hint, Provider, ProviderUnavailableError, UnreadableError
from checkout_service.webhooks.envelope import Envelope
from worker.context import provider
from worker.letters import Letter

REMEMBER_FOR: Final = 600

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a letter says, or why it says nothing. ``memory`` is its name in the cache if its own bytes said it all."""

    letter: Letter
    facts: Sequence[Fact] = ()
    seen_before: bool = False
    rejected: str | None = None
    unavailable: str | None = None
    error: Exception | None = None
    memory: str = ""


def read_letters(letters: Sequence[Letter], *, look_up_until: float) -> list[Reading]:
    """Read each letter, which holds its body; whatever is in one of them stays with it.

    After ``look_up_until`` (by ``monotonic``) no further look-up begins: its letter is put off.
    """
    names = {letter.id: _memory(letter.envelope) for letter in letters if not letter.large}
    known = cache().known(sorted(set(names.values())))
    return [_read(letter, names.get(letter.id, ""), known, look_up_until) for letter in letters]


def remember(readings: Sequence[Reading]) -> None:
    """Know these letters again: the same bytes once more are a duplicate without another look."""
    names = [reading.memory for reading in readings if reading.memory and not reading.seen_before]
    if names:
        cache().put_many(names, b"1", seconds=REMEMBER_FOR)


def _read(letter: Letter, memory: str, known: set[str], look_up_until: float) -> Reading:
    if memory in known and not letter.by_hand:
        return Reading(letter=letter, seen_before=True, memory=memory)
    translator = provider(letter.envelope.provider)
    if translator is None:
        return Reading(letter=letter, rejected="no secrets for this provider are set")
    try:
        said = translator.read(letter.envelope)
    except UnreadableError as error:
        return Reading(letter=letter, rejected=str(error))
    except ProviderUnavailableError as error:
        return Reading(letter=letter, unavailable=str(error))
    except Exception as error:  # a letter that breaks its reader must not take the others along
        log.exception("letter_broke_its_reader", delivery_id=str(letter.id))
        return Reading(letter=letter, error=error)
    facts = [item for item in said if isinstance(item, Fact)]
    hints = [item for item in said if isinstance(item, Hint)]
    if not hints:
        return Reading(letter=letter, facts=facts, memory=memory)
    return _look_up(letter, translator, facts, hints, look_up_until)


def _look_up(
    letter: Letter, translator: Provider, facts: Sequence[Fact], hints: Sequence[Hint], until: float
) -> Reading:
    """Ask the provider what a hint is about; such a letter is never remembered, its bytes are the same for all news."""
    found = list(facts)
    try:
        for hint in hints:
            if monotonic() > until:
                return Reading(letter=letter, unavailable="no time was left to ask the provider")
            found.extend(translator.look_up(provider_ref=hint.provider_ref))
    except ProviderUnavailableError as error:
        return Reading(letter=letter, unavailable=str(error))
    except Exception as error:
        log.exception("look_up_failed", delivery_id=str(letter.id))
        return Reading(letter=letter, error=error)
    return Reading(letter=letter, facts=found)


def _memory(envelope: Envelope) -> str:
    return f"letter:{envelope.provider}:{hashlib.sha256(envelope.body).hexdigest()}"
