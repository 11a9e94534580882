"""Slots whose work is done in the thread that brings it, so that a test may look at what came of it at once."""

from __future__ import annotations

from checkout_service.server.slots import Kind, Slots, Work


class SlotsHere(Slots):
    """As in an adapter that may work in the server's threads. That it may not is tested on the wire."""

    def admit_elsewhere(self, work: Work, kind: Kind) -> bool:
        return self.admit(work, kind)
