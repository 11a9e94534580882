"""A guest signs in: their cart goes into the customer's, and the guest is linked to the customer, in one statement.

What it does, with its locks, is in ``guest_merge`` (migrations/guests/merging.sql). Whatever comes twice at once is
done once: the second waits for the guest's row, and finds the link.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from checkout_service.api.callers import Caller
from checkout_service.api.problems import CurrencyMismatch, Problem
from checkout_service.carts.models import LARGEST_QTY, MOST_LINES
from checkout_service.carts.operations import CURRENCY_KEY, NoCustomerError
from checkout_service.database.engine import Conflict, constraint_of, execute
from checkout_service.database.errors import DatabaseLockedError
from checkout_service.database.statements import Statement
from checkout_service.identity.cart_tokens import InvalidCartToken, hash_of_sent
from checkout_service.money import LARGEST
from checkout_service.publishing.background_publisher import background_publisher
from checkout_service.tasks import TaskName
from checkout_service.telemetry import logs

_merge: Final = Statement(
    """
    SELECT result, beyond, canceled FROM guest_merge(
        CAST(:hash AS bytea), CAST(:lasts AS interval), CAST(:customer AS uuid), CAST(:issuer AS text),
        CAST(:subject AS text), CAST(:how AS text), CAST(:most_lines AS integer), CAST(:most_qty AS integer),
        CAST(:largest AS numeric))
    """,
    calls_writer=True,
)


_TWO_CURRENCIES: Final = (
    "The two carts are priced in two currencies, and no price is converted: keep one of them alone, by `how` as guest "
    "or mine."
)


class GuestOfAnother(Problem):
    """Whoever held the token before signed in as somebody else."""

    status = 409
    slug = "guest-of-another"
    title = "Another customer's guest"
    default_detail = "The cart of this Cart-Token is another customer's already: forget the token."


def merge_guest_cart(*, customer: Caller, cart_token: str, how: str, lasts: timedelta) -> list[dict[str, Any]]:
    """Put the guest's cart into the customer's, and link the guest; a second time nothing happens.

    ``how`` is one of those of ``MergeSchema``, ``lasts`` for how long after its use a token counts. Returns the lines
    that the bounds of carts made smaller, those of the first time. Raises InvalidCartToken, GuestOfAnother,
    CurrencyMismatch, DatabaseUnavailableError, and NoCustomerError where the customer's row is another's.
    """
    hashed = hash_of_sent(cart_token)
    if hashed is None:
        raise InvalidCartToken
    issuer, text = customer.subject or (None, None)
    row = _merged(
        {
            "hash": hashed,
            "lasts": lasts,
            "customer": customer.user_id,
            "issuer": issuer,
            "subject": text,
            "how": how,
            "most_lines": MOST_LINES,
            "most_qty": LARGEST_QTY,
            "largest": LARGEST,
        }
    )
    if row.result == "unknown":
        raise InvalidCartToken
    if row.result == "of_another":
        raise GuestOfAnother
    if row.result == "of_two_currencies":
        raise CurrencyMismatch(_TWO_CURRENCIES)
    for payment_id in row.canceled:
        background_publisher().send(TaskName.CANCEL_PAYMENT, str(payment_id), logs.request_id())
    capped: list[dict[str, Any]] = row.beyond
    return capped


def _merged(values: dict[str, Any]) -> Any:
    at_odds = False
    for _ in range(2):
        try:
            (row,) = execute(_merge, values)
        except Conflict as error:
            # The row of the customer was there, and gone a moment later: they were being erased. So it is new now. Or a
            # first line came into their empty cart, in another currency than the guest's: now it is seen.
            at_odds = constraint_of(error) == CURRENCY_KEY
            continue
        return row
    if at_odds:
        raise DatabaseLockedError
    raise NoCustomerError("PAYMENT_NAMESPACE is another than when this customer's row was written; see checkout doctor")
