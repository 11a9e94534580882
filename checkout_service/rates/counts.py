"""How often something may happen within a while, counted in the cache, for web tier and worker alike.

A count begins with the first use and ends with its window; then the next one begins. Counts are bounds and no truth:
where the cache is away nothing is counted and nothing refused, and a cache that forgets begins anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from checkout_service.cache import cache

NOTHING: Final = "nothing"
"""A name under which nothing is ever kept."""

FAILED_WITHIN: Final = 3600
"""Seconds: the window of attempts to pay that failed."""


class Rate(NamedTuple):
    """At most ``quota`` uses within ``window`` seconds of what ``key`` names; ``policy`` is its name to callers.

    ``takes``: a request uses one. Else it only looks at what was counted elsewhere.
    """

    policy: str
    key: str
    quota: int
    window: int
    takes: bool = True


class Used(NamedTuple):
    """How often a rate has been used in this window, and in how many seconds it ends; None: there is none yet."""

    rate: Rate
    times: int
    ends_in: float | None

    @property
    def left(self) -> int:
        """Uses that are left until then."""
        return max(0, self.rate.quota - self.times)


# All or nothing: who is refused by one rate has used none of the others, and who is answered from the cache none at
# all. The first key is that of the answer. Arguments of each other one: quota, window, whether it is used. Answers what
# the first key holds, or else whether a rate is used up, and the count and the milliseconds left of each.
_USE: Final = """
    local kept = redis.call('GET', KEYS[1])
    if kept then return {kept} end
    local full, answer = 0, {false, 0}
    for place = 2, #KEYS do
        local count = tonumber(redis.call('GET', KEYS[place]) or '0')
        if count >= tonumber(ARGV[3 * place - 5]) then full = 1 end
        table.insert(answer, count)
        table.insert(answer, redis.call('PTTL', KEYS[place]))
    end
    answer[2] = full
    for place = 2, #KEYS do
        if full == 0 and ARGV[3 * place - 3] == '1' then
            answer[2 * place - 1] = redis.call('INCR', KEYS[place])
            if answer[2 * place - 1] == 1 then
                redis.call('EXPIRE', KEYS[place], ARGV[3 * place - 4])
                answer[2 * place] = ARGV[3 * place - 4] * 1000
            end
        end
    end
    return answer
"""

# Arguments of each key: how many, the window.
_ADD: Final = """
    for place, key in ipairs(KEYS) do
        local number = tonumber(ARGV[2 * place - 1])
        if redis.call('INCRBY', key, number) == number then redis.call('EXPIRE', key, ARGV[2 * place]) end
    end
"""


class Use(NamedTuple):
    """What came of a use: what the cache had ``kept``, else whether it ``fits``, and how much each rate is used."""

    kept: bytes | None = None
    fits: bool = True
    used: Sequence[Used] = ()


def use(rates: Sequence[Rate], *, unless: str = "") -> Use:
    """Use one of each rate that takes, if none of them is used up; none where the cache has something ``unless``.

    Where the cache is away it fits, and nothing is known of any.
    """
    if not rates:
        return Use(kept=cache().get(unless) if unless else None)
    arguments = [part for rate in rates for part in (rate.quota, rate.window, int(rate.takes))]
    kept, *answer = cache().run(_USE, [unless or NOTHING, *(rate.key for rate in rates)], arguments) or [None]
    if not answer:
        return Use(kept=kept)
    full, *parts = answer
    pairs = zip(rates, parts[::2], parts[1::2], strict=True)
    return Use(fits=not full, used=[Used(rate, n, left / 1000 if left > 0 else None) for rate, n, left in pairs])


def failed_attempts_key(whose: str) -> str:
    """Where failed attempts to pay are counted: of a caller by the id, of an address by its keyed hash in hex."""
    return f"failed-attempts:{whose}"


def count_failed_attempts(whose: Iterable[str]) -> None:
    """Count an attempt that failed for each of these, who may come several times."""
    if counted := Counter(whose):
        arguments = [part for number in counted.values() for part in (number, FAILED_WITHIN)]
        cache().run(_ADD, [failed_attempts_key(key) for key in counted], arguments)
