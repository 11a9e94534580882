"""Opens letters: verified, parsed and, for hints, looked up at the provider. No transaction is open meanwhile."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Final

import structlog

from checkout_service.cache import cache
from checkout_service.providers.base import (
    Decline,
    Fact,
    Hint,
    Provider,
    ProviderRefusedError,
    ProviderUnavailableError,
    Reference,
    RefundFact,
    UnreadableError,
)
from checkout_service.providers.raw_webhook import Envelope
from checkout_service.telemetry.metrics import count_secret
from worker.context import provider, providers
from worker.references import references
from worker.webhooks.claims import Letter

REMEMBER_FOR: Final = 600

NEW_FOR: Final = timedelta(minutes=1)
"""A provider may report on a payment while the answer that opened it is still on its way to us."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a letter says, or why it says nothing. ``memory`` is its name in the cache if its own bytes said it all.

    ``hints`` are to be looked up; of those about a payment that is not here one is left in ``waits_for``. ``wait`` is
    how long an unavailable one is put off, where that is known.
    """

    letter: Letter
    facts: Sequence[Fact] = ()
    refunds: Sequence[RefundFact] = ()
    hints: Sequence[Hint] = ()
    waits_for: Hint | None = None
    seen_before: bool = False
    rejected: str | None = None
    unavailable: str | None = None
    wait: timedelta | None = None
    error: Exception | None = None
    memory: str = ""


def read_letters(letters: Sequence[Letter], *, look_up_until: float) -> list[Reading]:
    """Read each letter, which holds its body; whatever is in one of them stays with it.

    After ``look_up_until`` (by ``monotonic``) no further look-up begins: its letter is put off.
    """
    names = ["" if letter.large else _memory(letter.envelope) for letter in letters]
    known = cache().known([name for name in set(names) if name])
    held, matches = providers(), Counter[tuple[str, int]]()
    readings = [
        _read(letter, held.get(letter.envelope.provider), name, known, matches)
        for letter, name in zip(letters, names, strict=True)
    ]
    for (name, place), count in matches.items():
        count_secret(name, place, count)
    hinted = [hint.provider_ref for reading in readings for hint in reading.hints]
    if not hinted:
        return readings
    here = references(hinted)
    asked: _Asked = {}
    return [_look_up(reading, here, asked, look_up_until) if reading.hints else reading for reading in readings]


def remember(readings: Sequence[Reading]) -> None:
    """Know these letters again, in a moment: the same bytes once more are a duplicate without another look."""
    names = [reading.memory for reading in readings if reading.memory and not reading.seen_before]
    if names:
        cache().put_later(names, b"1", seconds=REMEMBER_FOR)


def _read(
    letter: Letter, translator: Provider | None, memory: str, known: set[str], matches: Counter[tuple[str, int]]
) -> Reading:
    if memory in known and not letter.by_hand:
        return Reading(letter=letter, seen_before=True, memory=memory)
    if translator is None:
        return Reading(letter=letter, rejected="no account at this provider is set up")
    try:
        contents = translator.read(letter.envelope)
    except UnreadableError as error:
        return Reading(letter=letter, rejected=str(error))
    except ProviderUnavailableError as error:
        return Reading(letter=letter, unavailable=str(error))
    except Exception as error:  # a letter that breaks its reader must not take the others along
        log.exception("letter_broke_its_reader", delivery_id=str(letter.id))
        return Reading(letter=letter, error=error)
    if contents.secret is not None:
        matches[letter.envelope.provider, contents.secret] += 1
    hints = [item for item in contents.said if isinstance(item, Hint)]
    return Reading(
        letter=letter,
        facts=[item for item in contents.said if isinstance(item, Fact)],
        refunds=[item for item in contents.said if isinstance(item, RefundFact)],
        hints=hints,
        # With a hint never: its bytes are the same for all news.
        memory="" if hints else memory,
    )


_Asked = dict[tuple[str, str], Sequence[Fact | RefundFact]]
"""What was answered about payments of this set: all its letters came before, so one answer serves them all."""


def _look_up(reading: Reading, here: Mapping[tuple[str, str], Reference], asked: _Asked, until: float) -> Reading:
    """Ask the provider what the hints are about; of payments that are not ours nobody is asked."""
    letter = reading.letter
    found: list[Fact | RefundFact] = [*reading.facts, *reading.refunds]
    waits_for = None
    try:
        for hint in reading.hints:
            key = (hint.provider, hint.provider_ref)
            known, translator = here.get(key), provider(hint.provider)
            if known is None or translator is None:
                waits_for = hint
                continue
            if key not in asked and monotonic() > until:
                return Reading(letter=letter, unavailable="no time was left to ask the provider")
            if key not in asked:
                asked[key] = translator.look_up(known)
            found.extend(asked[key])
    except ProviderUnavailableError as error:
        return Reading(letter=letter, unavailable=str(error))
    except ProviderRefusedError as error:
        if error.reason is Decline.CREDENTIALS:  # ours to mend, and until then the provider is as good as away
            return Reading(letter=letter, unavailable=str(error))
        log.warning("look_up_refused", delivery_id=str(letter.id), reason=error.reason.value)
        return Reading(letter=letter, error=error)
    except UnreadableError as error:  # its cause may quote what the provider sent
        log.warning("look_up_not_understood", delivery_id=str(letter.id), error=str(error))
        return Reading(letter=letter, error=error)
    except Exception as error:
        log.exception("look_up_failed", delivery_id=str(letter.id))
        return Reading(letter=letter, error=error)
    if waits_for is not None and not waits_for.genuine:
        return _unsigned_and_unknown(letter)
    return Reading(
        letter=letter,
        facts=[item for item in found if isinstance(item, Fact)],
        refunds=[item for item in found if isinstance(item, RefundFact)],
        waits_for=waits_for,
    )


def _unsigned_and_unknown(letter: Letter) -> Reading:
    """Anybody can write such a letter, so it waits a moment for the payment's row, and is then kept like a forgery."""
    if letter.age < NEW_FOR and not letter.by_hand:
        return Reading(letter=letter, unavailable="its payment is not here yet", wait=NEW_FOR - letter.age)
    return Reading(letter=letter, rejected="an unsigned letter about a payment that is not ours")


def _memory(envelope: Envelope) -> str:
    return f"letter:{envelope.provider}:{hashlib.sha256(envelope.body).hexdigest()}"
