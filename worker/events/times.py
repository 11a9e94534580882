"""How often the sender looks at what, in seconds."""

from __future__ import annotations

from typing import Final

LINGER: Final = 1.5
"""Seconds for which a sender that found work looks for more, without a message."""

TICK: Final = 0.02
"""Seconds between two looks at the log: what is committed meanwhile waits for no longer."""

FLUSH_AFTER: Final = 0.1
LOOK_EVERY: Final = 1.0
DUE_EVERY: Final = 0.25
CLAIM_EVERY: Final = 0.25

JOINS_WITHIN: Final = 0.25
"""Seconds in which another process that was called claims its share, before one that has enough to do claims more."""

AWAY_FOR: Final = 0.5
"""Seconds between two tries while the database is away."""

NUMBERED_EVERY: Final = 0.1
"""Seconds between two looks for what has no number yet: who wrote it was kept from sending a message."""

WAKE_EVERY: Final = 0.4
"""Seconds between two renewals of the claim of the wake-up: no message is sent while a sender looks by itself."""
