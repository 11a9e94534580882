"""What Mollie's balance says that it paid out for a settlement: a second word on its amount (Balances API)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from checkout_service.providers.adapters.mollie.reports_api import PAGE_SIZE, ReportsApi
from checkout_service.providers.adapters.mollie.reports_money import money_of
from checkout_service.providers.base import Decline, ProviderRefusedError
from checkout_service.providers.fields import moment_of, text

_OUT: Final = frozenset({"outgoing-transfer", "outgoing-custom-amount-transfer"})

_BEFORE: Final = timedelta(days=1)
"""A transfer is made when its settlement is; so much earlier none is looked for."""

_MOST: Final = 400 * PAGE_SIZE
"""Movements of a balance that one fetch reads: a transfer behind more of them is not looked for."""


class Transfers:
    """The outgoing transfers of the balances that settlements are of: each balance is read once, the newest first, and
    no further back than it takes."""

    def __init__(self, api: ReportsApi) -> None:
        self._api = api
        self._found: dict[str, tuple[Decimal, str]] = {}
        self._open: dict[str, Iterator[dict[str, Any]]] = {}
        self._reached: dict[str, datetime] = {}
        self._read = 0

    def of(self, settlement: str, balance: str, since: datetime) -> tuple[Decimal, str] | None:
        """What went for a settlement, positive where it was paid out, and its currency.

        None where the balance does not show it, or where the token may not read balances: then nothing is claimed.
        """
        if balance not in self._open:
            self._open[balance] = self._api.listed(f"/balances/{balance}/transactions", "balance_transactions")
        try:
            self._read_back(balance, since - _BEFORE)
        except ProviderRefusedError as error:
            if error.reason not in {Decline.CREDENTIALS, Decline.UNKNOWN_REFERENCE}:
                raise
            self._open[balance] = iter(())
        return self._found.get(settlement)

    def _read_back(self, balance: str, until: datetime) -> None:
        reached = self._reached.get(balance)
        while (reached is None or reached >= until) and self._read < _MOST:
            movement = next(self._open[balance], None)
            if movement is None:
                return
            self._read += 1
            reached = self._reached[balance] = moment_of(movement.get("createdAt"), "createdAt")
            context = movement.get("context")
            if movement.get("type") in _OUT and isinstance(context, dict) and context.get("settlementId"):
                value, currency = money_of(movement, "resultAmount")
                # Sent, taken back and sent again is what a failed one looks like: the newest is the one that counts.
                self._found.setdefault(text(context, "settlementId"), (-value, currency))
