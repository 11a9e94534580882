"""Takes holds for a payment that is about to be opened, and gives them back where it was not.

Each is within one statement in autocommit, whose commit is not waited for: the session's INSERT stands behind it in the
WAL and proves the holds again (docs/decisions/0016-holds.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

from checkout_service.database.engine import Conflict, constraint_of, execute
from checkout_service.database.errors import DatabaseLockedError
from checkout_service.database.statements import Statement

Rows = TypeVar("Rows", bound=Sequence[Any])

_take = Statement(
    """
    SELECT listing, pieces, available, full_for FROM hold_take(
        CAST(:payment_id AS uuid), CAST(:user_id AS uuid), CAST(:cart_id AS uuid), CAST(:generation AS integer),
        CAST(:listings AS uuid[]), CAST(:quantities AS integer[]), CAST(:most_of_owner AS integer),
        CAST(:address AS bytea), CAST(:most_of_address AS integer))
    """,
    calls_writer=True,
)

_release = Statement("SELECT hold_release(CAST(:payment_id AS uuid)) AS ended", calls_writer=True)

TRIES: Final = 10
"""How often one request tries to take what others took meanwhile."""

HOLDS_IN_STOCK: Final = "holds_in_stock"
"""The name by which ``hold_take`` and the session's INSERT say that others took the pieces meanwhile."""

HOLDS_EQUAL_LINES: Final = "holds_equal_lines"
"""The name by which the session's INSERT says that its holds are not its lines: they ended, or the cart changed."""


class ShortLine(NamedTuple):
    """A line of ``qty`` pieces of which there is too little: ``available`` ones, never below zero."""

    listing_id: UUID
    qty: int
    available: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldResult:
    """What became of a request to hold: ``held``, or the one reason why nothing was taken.

    ``short`` are the lines of which there is too little, by listing. ``full_for`` is after how many seconds the first
    pieces end that the caller holds, where they hold as many as one may. ``most`` is how many pieces one may hold,
    where this request alone wants more: it will never be held.
    """

    short: Sequence[ShortLine] = ()
    full_for: int | None = None
    most: int | None = None

    @property
    def held(self) -> bool:
        """Whether all lines whose pieces are counted are held, for two minutes or until the session's end."""
        return not self.short and self.full_for is None and self.most is None


HELD: Final = HeldResult()
"""All lines whose pieces are counted are held."""


def take_holds(
    *,
    payment_id: UUID,
    user_id: UUID,
    cart_id: UUID,
    generation: int,
    lines: Sequence[tuple[UUID, int]],
    most_of_owner: int = 0,
    address: bytes | None = None,
    most_of_address: int = 0,
) -> HeldResult:
    """Hold the pieces of ``lines`` (listing and quantity) for a payment, all or none.

    Holds of an older session for the same ``generation`` of the cart count for this one, which takes them over once its
    session is inserted; concurrent retries of one key share their holds. ``most_of_owner`` and ``most_of_address`` are
    how many pieces the customer and all who share their ``address`` may hold; 0 is any number.

    Does no harm when it runs twice. Raises DatabaseUnavailableError, and of it DatabaseLockedError where others were
    faster again and again.
    """
    values = {
        "payment_id": payment_id,
        "user_id": user_id,
        "cart_id": cart_id,
        "generation": generation,
        "listings": [listing for listing, _ in lines],
        "quantities": [qty for _, qty in lines],
        "most_of_owner": most_of_owner,
        "address": address,
        "most_of_address": most_of_address,
    }
    rows = until_decided(lambda: execute(_take, values))
    return refused_result([row._asdict() for row in rows]) if rows else HELD


def until_decided(take: Callable[[], Rows]) -> Rows:
    """The rows of a statement that calls ``hold_take``, run again while others are faster.

    The next try is told what is short, or somebody gave some back. Raises DatabaseLockedError where that never happens.
    """
    for _ in range(TRIES):
        try:
            return take()
        except Conflict as error:
            if constraint_of(error) != HOLDS_IN_STOCK:
                raise
    raise DatabaseLockedError


def refused_result(rows: Sequence[Mapping[str, Any]]) -> HeldResult:
    """What the rows of ``hold_take`` say, of which there is none where it holds."""
    short = [ShortLine(_uuid(row["listing"]), row["pieces"], row["available"]) for row in rows if row["listing"]]
    return HeldResult(short=short) if short else HeldResult(full_for=rows[0]["full_for"], most=rows[0]["available"])


def release_holds(*, payment_id: UUID) -> int:
    """Give back at once what was taken for a payment that was not opened. How many holds ended: none of an opened one.

    A concurrent retry of the same key may still be opening it. Its session is then refused by ``HOLDS_EQUAL_LINES``,
    and may be inserted once its holds were taken anew.
    """
    return int(execute(_release, {"payment_id": payment_id})[0].ended)


def _uuid(given: UUID | str) -> UUID:
    """Within JSON it is text."""
    return given if isinstance(given, UUID) else UUID(given)
