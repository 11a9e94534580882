"""Whether a message of beat begins its task: of many that waited one does, whatever the clocks of their hosts say.

Beat goes on sending while no worker runs. What is compared here is time that passed, in the cache and in this process,
and never the clocks of two hosts.
"""

from __future__ import annotations

from time import monotonic
from typing import Final

from checkout_service.cache import cache
from checkout_service.tasks import TaskName

_begun: Final[dict[TaskName, float]] = {}
"""When this process began each task. It bounds what waits even while the cache is away."""


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
    if not cache().claim(f"began:{task.value}", milliseconds=int(pause * 1000)):
        return False
    _begun[task] = now
    return True
