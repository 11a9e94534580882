"""Whether a message of beat begins its task: of many that waited one does, whatever the clocks of their hosts say.

Beat goes on sending while no worker runs. What is compared here is time that passed, in the cache and in this process,
and never the clocks of two hosts.
"""

from __future__ import annotations

from time import monotonic
from typing import Final

from checkout_service.cache import cache
from checkout_service.tasks import TaskName

PATIENCE: Final = 2
"""Times of a schedule for which a process believes that others begin the task. Then it does so, which does no harm."""

_begun: Final[dict[TaskName, float]] = {}
"""When this process began each task. It bounds what waits even while the cache is away."""

_refused: Final[dict[TaskName, float]] = {}
"""Since when the cache says of a task that others began it. A cache keeps the ends of claims by its host's clock: where
that is put back, or a copy with a slow clock takes over, a claim holds for hours."""


def is_its_turn(task: TaskName) -> bool:
    """Whether no worker has begun the task within half of the time between two messages; this caller does then.

    Half of it, so that the message after the next one is never in vain, however unevenly they come. While the cache is
    away each process judges for itself.
    """
    schedule = task.declaration.schedule
    if schedule is None:
        return True
    pause = schedule.every.total_seconds() / 2
    now = monotonic()
    if now - _begun.get(task, -pause) < pause:
        return False
    is_first = cache().claim(f"began:{task.value}", milliseconds=int(pause * 1000))
    if not is_first and now - _refused.setdefault(task, now) < PATIENCE * schedule.every.total_seconds():
        return False
    _refused.pop(task, None)
    _begun[task] = now
    return True
