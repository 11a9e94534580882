"""Fulfils orders by one INSERT, which the database itself admits and carries out.

The trigger fulfilments_admit (migrations/orders/requests.sql) locks payment, order, holds, listings and counters, and
judges. So what was read before the INSERT may be out of date. It serves to answer a replay, and to say what is wrong.

Pieces that the order holds are handed over. Pieces that it lacks, or whose listing nobody counted when it was paid, are
taken of what is available at this moment. Nothing is handed over that does not lie there: where people counted less
than was sold, their count is mended first.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from checkout_service.api.idempotency_key import request_hash
from checkout_service.api.problems import IdempotencyKeyReused, Invalid, NotFound, OutOfStock, StillInProgress
from checkout_service.api.responses import show_time
from checkout_service.captures.operations import captures_several
from checkout_service.captures.problems import CaptureTooLarge, OneCaptureOnly
from checkout_service.database.engine import Conflict, execute
from checkout_service.database.statements import Statement
from checkout_service.money import show, show_with_currency
from checkout_service.orders.problems import (
    FulfilmentTooLarge,
    NothingLeftToFulfil,
    OrderCanceled,
    OrderOnHold,
    VoidOutstanding,
)
from checkout_service.publishing.events_wake_up import notify_of_events
from checkout_service.settings.provider_accounts import Account

_FULFILMENT: Final = """
    done.id, done.order_id, done.order_status::text AS order_status, done.lines, done.carrier, done.tracking,
    done.capture_request_id, done.request_hash, done.created_at
"""
"""The values of ``_FulfilmentRow``."""

_fulfillable: Final = Statement(
    f"""
    SELECT made.status::text AS status, payment.provider, payment.currency,
        EXISTS (SELECT FROM voids WHERE voids.payment_id = payment.id AND voids.status <= 'processing') AS voiding,
        (SELECT jsonb_agg(jsonb_build_array(line.id, line.listing_id, line.qty - line.qty_fulfilled,
            greatest(line.qty - line.qty_fulfilled - order_line_refunded(line.id), 0), line.unit_price::text,
            coalesce(hold.qty, 0), counter.stock, counter.reserved) ORDER BY line.place)
        FROM order_lines AS line
        LEFT JOIN holds AS hold ON hold.payment_id = made.payment_id AND hold.listing_id = line.listing_id
        LEFT JOIN stock_counters AS counter ON counter.listing_id = line.listing_id
        WHERE line.order_id = made.id) AS lines,
        CASE WHEN CAST(:capture AS boolean) THEN (
            SELECT jsonb_agg(jsonb_build_array(promise.room::text, trunc(
                capture_limit(payment.provider, promise.room, payment.currency),
                currency_decimals(payment.currency))::text))
            FROM payment_authorizations(payment.id) AS promise WHERE promise.room > 0) END AS authorizations,
        {_FULFILMENT}
    FROM orders AS made JOIN payments AS payment ON payment.id = made.payment_id
    LEFT JOIN fulfilments AS done ON done.requested_by = :requested_by AND done.idempotency_key = :idempotency_key
    WHERE made.id = :order_id
    """,  # noqa: S608 (only our own constants)
    named=False,
)

_insert: Final = Statement(
    f"""
    INSERT INTO fulfilments AS done (order_id, lines, carrier, tracking, several_captures, requested_by,
        idempotency_key, request_hash)
    VALUES (:order_id, CAST(:lines AS jsonb), :carrier, :tracking, :several_captures, :requested_by, :idempotency_key,
        :request_hash)
    RETURNING {_FULFILMENT}
    """,  # noqa: S608 (only our own constants)
    named=False,
)

TRIES: Final = 3
"""What is left, or what lies there, may change between reading and inserting."""


class Pieces(NamedTuple):
    """So many pieces of a line; None for all that is left of it and was not given back."""

    line_id: UUID
    qty: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FulfilmentRequest:
    """The caller's request; without lines, for all that is left and was not given back.

    With ``capture`` the price of the pieces is captured, where money is only authorized.
    """

    order_id: UUID
    requested_by: UUID
    key: str
    lines: Sequence[Pieces] | None = None
    carrier: str | None = None
    tracking: str | None = None
    capture: bool = False

    @property
    def request_hash(self) -> bytes:
        lines = None if self.lines is None else json.dumps([[str(each.line_id), each.qty] for each in self.lines])
        return request_hash(
            {
                "order_id": str(self.order_id),
                "lines": lines,
                "carrier": self.carrier,
                "tracking": self.tracking,
                "capture": str(self.capture),
            }
        )


class FulfilmentAnswer(NamedTuple):
    """The fulfilment as the API shows it, the capture asked for with it, and whether it is an earlier answer again."""

    fulfilment: dict[str, Any]
    capture_request_id: UUID | None
    replayed: bool


class _FulfilmentRow(NamedTuple):
    id: UUID
    order_id: UUID
    order_status: str
    lines: list[dict[str, Any]]
    carrier: str | None
    tracking: str | None
    capture_request_id: UUID | None
    request_hash: bytes
    created_at: datetime


class _Line(NamedTuple):
    """A line of an order: how many pieces are left, and how many of them the customer was not refunded; of its listing,
    how many the order holds and how many there are.
    """

    id: UUID
    listing_id: UUID
    left: int
    unsent: int
    unit_price: Decimal
    held: int
    stock: int | None
    reserved: int | None

    @property
    def there(self) -> int | None:
        """How many pieces may be handed over now; None where nobody counts."""
        if self.stock is None or self.reserved is None:
            return None
        return min(self.stock, self.held + max(self.stock - self.reserved, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fulfillable:
    """An order, its lines in their order, and what is open of its authorisations; what was fulfilled with a key."""

    status: str
    provider: str
    currency: str
    voiding: bool
    lines: Sequence[_Line]
    authorizations: Sequence[tuple[Decimal, Decimal]]
    done: _FulfilmentRow | None


def fulfil(request: FulfilmentRequest, accounts: Mapping[str, Account]) -> FulfilmentAnswer:
    """Hand over what the request names, or give the answer of its key again. Raises Problem."""
    for _ in range(TRIES):
        found = _found(request)
        if found is None:
            raise NotFound("There is no such order.")
        if found.done is not None:
            if found.done.request_hash != request.request_hash:
                raise IdempotencyKeyReused(
                    "This Idempotency-Key belongs to another request: use a new key for a new fulfilment."
                )
            return FulfilmentAnswer(_shown(found.done), found.done.capture_request_id, True)
        several = captures_several(found.provider, accounts)
        _check(found, request, several=several)
        try:
            (row,) = execute(
                _insert,
                {
                    "order_id": request.order_id,
                    "lines": None if request.lines is None else json.dumps(_given(request.lines)),
                    "carrier": request.carrier,
                    "tracking": request.tracking,
                    "several_captures": several if request.capture else None,
                    "requested_by": request.requested_by,
                    "idempotency_key": request.key,
                    "request_hash": request.request_hash,
                },
            )
        except Conflict:
            # A concurrent retry with this key was faster, or somebody else took the pieces: what is true now tells.
            continue
        notify_of_events()
        done = _FulfilmentRow._make(row)
        return FulfilmentAnswer(_shown(done), done.capture_request_id, False)
    raise StillInProgress("Others change this order, or its stock, at this moment: send it again.")


def _found(request: FulfilmentRequest) -> _Fulfillable | None:
    rows = execute(
        _fulfillable,
        {
            "order_id": request.order_id,
            "requested_by": request.requested_by,
            "idempotency_key": request.key,
            "capture": request.capture,
        },
    )
    if not rows:
        return None
    status, provider, currency, voiding, lines, promises, *done = rows[0]
    return _Fulfillable(
        status=status,
        provider=provider,
        currency=currency,
        voiding=voiding,
        lines=[
            _Line(UUID(line_id), UUID(listing_id), left, unsent, Decimal(price), held, stock, reserved)
            for line_id, listing_id, left, unsent, price, held, stock, reserved in lines or ()
        ],
        authorizations=[(Decimal(room), Decimal(most)) for room, most in promises or ()],
        done=None if done[0] is None else _FulfilmentRow._make(done),
    )


def _given(lines: Sequence[Pieces]) -> list[dict[str, Any]]:
    return [{"line_id": str(each.line_id)} | ({} if each.qty is None else {"qty": each.qty}) for each in lines]


def _check(found: _Fulfillable, request: FulfilmentRequest, *, several: bool) -> None:
    """Raise Problem where what was read says that the order cannot be fulfilled so."""
    if found.status == "canceled":
        raise OrderCanceled
    if found.status == "on_hold":
        raise OrderOnHold
    if found.voiding:
        raise VoidOutstanding
    named = _named(found, request)
    listings = {line.listing_id: line for line in found.lines}
    pieces = Counter[UUID]()
    for line, qty in named:
        pieces[line.listing_id] += qty
    if short := [
        {"listing": str(listing_id), "wanted": qty, "available": there}
        for listing_id, qty in pieces.items()
        if (there := listings[listing_id].there) is not None and there < qty
    ]:
        raise OutOfStock("There are fewer pieces than were to be handed over: see lines.", lines=short)
    if request.capture and found.authorizations:
        _check_capture(found, sum((line.unit_price * qty for line, qty in named), Decimal(0)), several=several)


def _named(found: _Fulfillable, request: FulfilmentRequest) -> list[tuple[_Line, int]]:
    """The lines that the request names, and how many pieces of each. Raises Problem where they are not left."""
    if all(line.left == 0 for line in found.lines):
        raise NothingLeftToFulfil
    if request.lines is None:
        if not (unsent := [(line, line.unsent) for line in found.lines if line.unsent > 0]):
            raise NothingLeftToFulfil("What was not handed over was given back: name its lines to hand it over.")
        return unsent
    by_id = {line.id: line for line in found.lines}
    if unknown := [
        {"pointer": f"/lines/{place}/line_id", "detail": "This order has no such line."}
        for place, each in enumerate(request.lines)
        if each.line_id not in by_id
    ]:
        raise Invalid(errors=unknown)
    named = [(by_id[each.line_id], each.qty or by_id[each.line_id].unsent) for each in request.lines]
    if too_many := [
        {"line_id": str(line.id), "qty": qty, "left": line.left} for line, qty in named if qty > line.left or qty == 0
    ]:
        raise FulfilmentTooLarge(lines=too_many)
    return named


def _check_capture(found: _Fulfillable, share: Decimal, *, several: bool) -> None:
    """Raise Problem where the share cannot be captured of the authorisation that the trigger takes."""
    room, most = next((each for each in found.authorizations if each[0] >= share), found.authorizations[0])
    if share > most:
        raise CaptureTooLarge(
            f"These pieces cost {show_with_currency(share, found.currency)}, and only "
            f"{show_with_currency(most, found.currency)} is open to capture: fulfil them without capture.",
            amount_left=show(most, found.currency),
            currency=found.currency,
        )
    if not several and share < room:
        raise OneCaptureOnly(
            "The account at this provider captures an authorization once, and the rest would be lost: see releases. "
            "Fulfil all that is left, or without capture.",
            releases=show(room - share, found.currency),
            currency=found.currency,
        )


def _shown(row: _FulfilmentRow) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "order_id": str(row.order_id),
        "order_status": row.order_status,
        "lines": [{"line_id": line["line_id"], "qty": line["qty"]} for line in row.lines],
        "carrier": row.carrier,
        "tracking": row.tracking,
        "capture_request_id": None if row.capture_request_id is None else str(row.capture_request_id),
        "created_at": show_time(row.created_at),
    }
