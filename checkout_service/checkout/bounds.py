"""What one caller may have at once: open sessions, held pieces, and requests that wait for a provider.

A caller is a customer by their token, or a guest by their cookie. A guest can be another one with each request, so what
guests have is bounded by their address too, where it is known, and all of them together leave room for customers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from checkout_service.api.addresses import address_hash
from checkout_service.api.callers import Caller
from checkout_service.api.scopes import Scope
from checkout_service.rates.counts import FAILED_WITHIN, Rate, failed_attempts_key
from checkout_service.settings.values import WebSettings

STAFF_SCOPES: Final = (Scope.REFUNDS, Scope.OPS)
"""Whoever has one of them works for the shop, and may open sessions for many customers."""

WAITING_OF_CALLER: Final = 4
WAITING_OF_ADDRESS: Final = 16
WAITING_OF_GUESTS: Final = 40
"""Of the 64 places of a process (checkout_service/server/granian_server.py). Requests that wait for the keys of tokens
(checkout_service/identity/jwks.py) take 16 at most, so customers always find some."""

GUESTS: Final = "guests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Who asks, and how much of each thing they may have. Numbers of sessions are open ones; 0 is any number.

    ``pieces_of_…`` are pieces of stock that are held.
    """

    caller: str
    is_guest: bool
    sessions_of_caller: int
    sessions_of_address: int
    pieces_of_caller: int
    pieces_of_address: int
    address: bytes | None
    """A keyed hash; none where the address is not known."""
    rates: tuple[Rate, ...] = ()
    """How often they may ask for a session."""

    @property
    def shares(self) -> Mapping[str, int]:
        """Whose the place is that a request takes while it waits, and how many each may have."""
        shares = {self.caller: WAITING_OF_CALLER}
        if self.address is not None:
            shares[self.address.hex()] = WAITING_OF_ADDRESS
        if self.is_guest:
            shares[GUESTS] = WAITING_OF_GUESTS
        return shares


def bounds_of(caller: Caller, environ: Mapping[str, Any], settings: WebSettings) -> Bounds:
    """The bounds of whoever sent a request to the current app."""
    if caller.may(*STAFF_SCOPES):
        return _bounds(caller.user_id, address=None)
    address = address_hash(environ)
    return _bounds(
        caller.user_id,
        rates=_rates(caller, address, settings),
        is_guest=caller.is_guest,
        sessions=(
            settings.open_sessions_per_guest if caller.is_guest else settings.open_sessions_per_customer,
            settings.open_sessions_per_address,
        ),
        pieces=(
            settings.held_pieces_per_guest if caller.is_guest else settings.held_pieces_per_customer,
            settings.held_pieces_per_address,
        ),
        address=address,
    )


def _rates(caller: Caller, address: bytes | None, settings: WebSettings) -> tuple[Rate, ...]:
    """How often a caller may ask, and how many attempts to pay may have failed: whoever tries cards is told by that.

    A guest may be another one with each card, so what failed at their address counts too, where it is known.
    """
    whose = str(caller.user_id)
    failed = Rate(
        "failed-attempts",
        failed_attempts_key(whose),
        settings.failed_attempts_per_caller_per_hour,
        FAILED_WITHIN,
        takes=False,
    )
    rates = (Rate("sessions", f"sessions:{whose}", settings.sessions_per_caller_per_minute, 60), failed)
    if not caller.is_guest or address is None:
        return rates
    of_address = failed._replace(
        policy="failed-attempts-of-address",
        key=failed_attempts_key(address.hex()),
        quota=settings.failed_attempts_per_address_per_hour,
    )
    return (*rates, of_address)


def _bounds(
    user_id: UUID,
    *,
    address: bytes | None,
    is_guest: bool = False,
    sessions: tuple[int, int] = (0, 0),
    pieces: tuple[int, int] = (0, 0),
    rates: tuple[Rate, ...] = (),
) -> Bounds:
    """Of each thing how much the caller may have, and how much their address."""
    return Bounds(
        caller=str(user_id),
        is_guest=is_guest,
        sessions_of_caller=sessions[0],
        sessions_of_address=sessions[1],
        pieces_of_caller=pieces[0],
        pieces_of_address=pieces[1],
        address=address,
        rates=rates,
    )
