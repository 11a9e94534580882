"""What one caller may have at once: open sessions, held pieces, and requests that wait for a provider.

A caller is a customer by their token, or a guest by their cookie. A guest can be another one with each request, so what
guests have is bounded by their address too, where it is known, and all of them together leave room for customers.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from checkout_service.api.addresses import caller_address
from checkout_service.api.callers import Caller
from checkout_service.api.scopes import Scope
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
    address = caller_address(environ)
    return _bounds(
        caller.user_id,
        is_guest=caller.is_guest,
        sessions=(
            settings.open_sessions_per_guest if caller.is_guest else settings.open_sessions_per_customer,
            settings.open_sessions_per_address,
        ),
        pieces=(
            settings.held_pieces_per_guest if caller.is_guest else settings.held_pieces_per_customer,
            settings.held_pieces_per_address,
        ),
        address=None if address is None else _hashed(address, settings),
    )


def _bounds(
    user_id: UUID,
    *,
    address: bytes | None,
    is_guest: bool = False,
    sessions: tuple[int, int] = (0, 0),
    pieces: tuple[int, int] = (0, 0),
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
    )


def _hashed(address: str, settings: WebSettings) -> bytes:
    """The address so that nobody who reads the database finds it, though there are only some billions of them."""
    return hmac.new(settings.addresses_key, address.encode(), hashlib.sha256).digest()[:16]
