"""Holds the pieces of a cart while its session is opened, and gives them back where it was not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from checkout_service.api.problems import OutOfStock, Problem, TooManyHeldPieces
from checkout_service.carts.frozen import FrozenCart
from checkout_service.checkout.beginning import Begun, begin
from checkout_service.checkout.request import Order
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.stock.operations import HeldResult, release_holds, take_holds

HELD_BEYOND_END: Final = timedelta(minutes=10)
"""How long the holds of a session stay after its end, at most: meanwhile the worker cancels it at its provider, since
what can still be paid must not be sold to somebody else."""

MORE_THAN_ONE_MAY: Final = 3600
"""Seconds of Retry-After where a cart alone asks for more than one may hold: to wait does not help."""

log = structlog.get_logger(__name__)


def sold_out(cart: FrozenCart) -> OutOfStock | None:
    """Why this cart cannot be held, as far as its read tells; none where only the attempt tells.

    What the customer holds may be this cart's: an older session's, which counts for this one, or a concurrent retry's.
    """
    short = [line for line in cart.tracked if line.qty > (line.unreserved_pieces or 0)]
    if not short or cart.holds_some:
        return None
    return _out_of_stock((line.listing_id, line.qty, line.unreserved_pieces or 0) for line in short)


class Holding:
    """The pieces of one attempt to open a session: taken before its provider is asked, given back if it fails."""

    def __init__(self, order: Order, payment_id: UUID) -> None:
        self._order = order
        self._payment_id = payment_id
        self._is_held = False

    def begin(self, *, may_hold: bool) -> Begun:
        """Read what is known of the order, and hold the pieces of its cart if nothing is against it."""
        # Before the statement: where its answer is lost, something may be held all the same.
        self._is_held = may_hold
        begun = begin(self._order, payment_id=self._payment_id, may_hold=may_hold)
        self._is_held = begun.held is not None and begun.held.held
        return begun

    def take_again(self, cart: FrozenCart) -> Problem | None:
        """Hold the pieces of all lines once more, or say why not: a listing may have become tracked meanwhile.

        Where they are short, what is left of the first holds goes back: it may stand in for an older session's that
        cannot be taken over any more. Not before, since concurrent retries share their holds.
        """
        bounds = self._order.bounds
        self._is_held = True
        result = take_holds(
            payment_id=self._payment_id,
            user_id=self._order.user_id,
            cart_id=cart.id,
            generation=cart.generation,
            lines=[(line.listing_id, line.qty) for line in cart.lines],
            most_of_owner=bounds.pieces_of_caller,
            address=bounds.address,
            most_of_address=bounds.pieces_of_address,
        )
        if not result.held:
            self.release()
        return not_held(result)

    def release(self) -> None:
        """Give back at once what is held, unless a concurrent retry opened the session. What stays ends by itself."""
        if not self._is_held:
            return
        self._is_held = False
        try:
            release_holds(payment_id=self._payment_id)
        except DatabaseUnavailableError:
            log.warning("holds_not_released", payment_id=str(self._payment_id))

    @contextmanager
    def kept_if_opened(self) -> Iterator[None]:
        """Give the pieces back when the block raises, whatever it raises."""
        try:
            yield
        except BaseException:
            self.release()
            raise


def not_held(result: HeldResult) -> Problem | None:
    """Why nothing was held; None where it was."""
    if result.short:
        return _out_of_stock(result.short)
    if result.most is not None:
        detail = f"This cart asks for more than the {result.most} pieces that you may hold at once: take fewer."
        return TooManyHeldPieces(detail, retry_after=MORE_THAN_ONE_MAY)
    return None if result.full_for is None else TooManyHeldPieces(retry_after=result.full_for)


def _out_of_stock(short: Iterable[tuple[UUID, int, int]]) -> OutOfStock:
    lines: list[dict[str, Any]] = [
        {"listing": str(listing_id), "wanted": qty, "available": available} for listing_id, qty, available in short
    ]
    return OutOfStock(lines=lines)
