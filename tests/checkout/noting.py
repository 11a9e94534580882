"""A provider that notes what it is to open."""

from __future__ import annotations

from checkout_service.providers.base import Opened, Opening


class Noting:
    """A provider that notes what it is to open."""

    name = "mock"
    asks = False

    def __init__(self) -> None:
        self.openings: list[Opening] = []

    def open(self, opening: Opening) -> Opened:
        self.openings.append(opening)
        name = opening.payment_id.hex
        return Opened(provider_ref=name, payment_token=name, amount=opening.amount, currency=opening.currency)
