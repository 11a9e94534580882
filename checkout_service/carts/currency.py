"""The currency of a cart: chosen while it is empty, else its first line's."""

from __future__ import annotations

from typing import Final

from checkout_service.api.callers import Caller
from checkout_service.api.problems import CurrencyMismatch
from checkout_service.carts.operations import CURRENCY_KEY
from checkout_service.database.engine import Conflict, constraint_of, execute
from checkout_service.database.statements import Statement

# As the cart shows it: lines of before migration 0022 have no currency, nor has their cart, so it is their listings'.
# A line that comes in meanwhile has the currency of before, and its key then refuses the change, or the line.
_SET_CURRENCY: Final = Statement("""
    WITH known AS (
        SELECT carts.id, priced.count > 0 AS has_lines, CASE
                WHEN priced.count = 0 THEN carts.currency
                WHEN priced.least = priced.greatest THEN priced.least END AS currency
        FROM carts CROSS JOIN LATERAL (
            SELECT count(*) AS count, min(coalesce(item.currency, listing.currency)) AS least,
                max(coalesce(item.currency, listing.currency)) AS greatest
            FROM cart_items AS item JOIN listings AS listing ON listing.id = item.listing_id
            WHERE item.cart_id = carts.id
        ) AS priced
        WHERE carts.user_id = :user
    ), customer AS (
        INSERT INTO users (id, issuer, subject)
        SELECT CAST(:user AS uuid), CAST(:issuer AS text), CAST(:subject AS text)
        WHERE NOT EXISTS (SELECT FROM known)
        ON CONFLICT DO NOTHING
    ), opened AS (
        INSERT INTO carts (user_id, currency, currency_chosen)
        SELECT CAST(:user AS uuid), CAST(:currency AS char(3)), true WHERE NOT EXISTS (SELECT FROM known)
        ON CONFLICT (user_id) DO UPDATE SET currency = excluded.currency, currency_chosen = true, updated_at = now()
        RETURNING id
    ), changed AS (
        UPDATE carts SET currency = CAST(:currency AS char(3)), currency_chosen = true, updated_at = now() FROM known
        WHERE carts.id = known.id AND NOT known.has_lines
        RETURNING carts.id
    )
    SELECT EXISTS (SELECT FROM opened) OR EXISTS (SELECT FROM changed)
        OR EXISTS (SELECT FROM known WHERE currency = CAST(:currency AS char(3))) AS is_set
""")


def set_currency(*, caller: Caller, currency: str) -> None:
    """Choose the currency of the caller's cart, which is opened where there is none. Run twice, it does the same.

    Raises CurrencyMismatch where the cart has lines in another one: no price is ever converted.
    """
    issuer, text = caller.subject or (None, None)
    values = {"user": caller.user_id, "currency": currency, "issuer": issuer, "subject": text}
    for last in (False, True):
        try:
            (row,) = execute(_SET_CURRENCY, values)
            break
        except Conflict as error:
            if constraint_of(error) == CURRENCY_KEY:
                # A line came in meanwhile, in another currency.
                raise CurrencyMismatch from error
            if last or constraint_of(error) != "carts_user_id_fkey":
                raise
    if not row.is_set:
        raise CurrencyMismatch
