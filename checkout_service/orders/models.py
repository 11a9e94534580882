"""Tables of orders, of their lines, and of what was asked for about them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CHAR, BigInteger, CheckConstraint, ForeignKey, Index, Numeric, Text, Uuid, func, text
from sqlalchemy import Enum as EnumType
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated
from checkout_service.orders.status import NoOrder, OrderStatus

STATUS = EnumType(OrderStatus, name="order_status", values_callable=lambda kind: [status.value for status in kind])


class Order(Dated, Base):
    """What a customer bought, made of the session as it was sealed.

    Written by ``payments_fold`` and by what is asked for.
    One for each filling of a cart: of two payments for it the first has the order.
    """

    __tablename__ = "orders"
    __table_args__ = (
        Index("orders_session_id", "session_id", unique=True),
        Index("orders_payment_id", "payment_id", unique=True),
        Index("orders_cart_id_generation", "cart_id", "generation", unique=True),
        Index("orders_user_id_created_at_id", "user_id", "created_at", "id"),
        Index("orders_status_id", "status", "id", postgresql_where=text("status <> 'fulfilled'")),
        # Those of customers who were erased, of which something is still kept.
        Index(
            "orders_kept",
            "created_at",
            postgresql_where=text("erased_at IS NOT NULL AND (buyer IS NOT NULL OR delivery_address IS NOT NULL)"),
        ),
    )
    number: Mapped[int | None] = mapped_column(BigInteger)
    """For people: ascending, without a gap. Given right after the order is made, so for moments there is none.

    No index has it, else each number would cost an entry in all of them: who looks for one finds it in ``OrderNumber``.
    """
    number_prefix: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """What is written before the number: ``ORDER_NUMBER_PREFIX`` as it was when the number was given."""
    session_id: Mapped[UUID]
    """The session that sealed it."""
    payment_id: Mapped[UUID]
    """The payment that pays for it."""
    cart_id: Mapped[UUID]
    """The session's cart."""
    generation: Mapped[int | None]
    """The session's filling of the cart; none of a session from before there were any."""
    user_id: Mapped[UUID]
    """The customer."""
    amount: Mapped[Decimal] = mapped_column(Numeric)
    """The session's total, in the major unit."""
    currency: Mapped[str] = mapped_column(CHAR(3))
    """ISO 4217, of all lines."""
    status: Mapped[OrderStatus] = mapped_column(STATUS, server_default=text("'placed'"))
    """What became of it."""
    buyer: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """``email``, ``name``, ``locale`` and perhaps ``phone``, as the session sealed them."""
    delivery_address: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """Where it goes, as the session sealed it."""
    canceled_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When somebody canceled it for good; none where only its authorization ended."""
    erased_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When the customer was erased. What an invoice needs, buyer and address, may be kept for years from then on."""
    version: Mapped[int] = mapped_column(server_default=text("1"))
    """Counts its changes."""


# How staff find an order by the buyer's address, the newest first.
Index("orders_email_id", func.lower(Order.buyer["email"].astext), Order.id, postgresql_where=Order.buyer.is_not(None))


class OrderLine(Dated, Base):
    """One line of an order, as the session sealed it. Written with its order."""

    __tablename__ = "order_lines"
    __table_args__ = (
        CheckConstraint("qty > 0", name="qty_positive"),
        CheckConstraint(
            "least(qty_fulfilled, qty_short, qty_canceled) >= 0 AND qty_fulfilled + qty_short + qty_canceled <= qty",
            name="pieces_of_qty",
        ),
        Index("order_lines_order_id_place", "order_id", "place"),
        Index("order_lines_vendor_id_order_id", "vendor_id", "order_id"),
    )
    order_id: Mapped[UUID] = mapped_column()
    """The order."""
    place: Mapped[int]
    """Its place among the lines, from 1."""
    listing_id: Mapped[UUID]
    """What was bought; no key, since the sale stands whatever becomes of the listing."""
    vendor_id: Mapped[UUID | None]
    """Who sells it; an order has a part for each vendor."""
    title: Mapped[str] = mapped_column(Text)
    """As it was when it was bought, like the next three."""
    vendor: Mapped[str | None] = mapped_column(Text)
    """The vendor's name."""
    school: Mapped[str | None] = mapped_column(Text)
    """Whom it is for."""
    spec: Mapped[str | None] = mapped_column(Text)
    """What it is."""
    qty: Mapped[int]
    """How many pieces were bought."""
    unit_price: Mapped[Decimal] = mapped_column(Numeric)
    """In the order's currency."""
    line_total: Mapped[Decimal] = mapped_column(Numeric)
    """The price of all pieces."""
    qty_fulfilled: Mapped[int] = mapped_column(server_default=text("0"))
    """How many were handed over."""
    qty_short: Mapped[int] = mapped_column(server_default=text("0"))
    """How many nobody has: they are reserved once they are there, when they are fulfilled."""
    qty_canceled: Mapped[int] = mapped_column(server_default=text("0"))
    """How many are not to be sent any more, since they were given back by line before they were."""


class OrderReason(Dated, Base):
    """Why a payment for which money came, or is authorized, has no order. No review that a person clears touches it."""

    __tablename__ = "order_reasons"
    __table_args__ = (
        CheckConstraint(f"reason IN ({', '.join(repr(reason.value) for reason in NoOrder)})", name="reason_known"),
        CheckConstraint("(reason = 'duplicate_of') = (other_payment_id IS NOT NULL)", name="other_of_duplicate"),
        Index("order_reasons_payment_id", "payment_id", unique=True),
    )
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"))
    """The payment without an order."""
    reason: Mapped[str] = mapped_column(Text)
    """A member of ``NoOrder``."""
    other_payment_id: Mapped[UUID | None]
    """The payment that has the order in its place."""


class OrderNumber(Dated, Base):
    """The series of numbers: each once."""

    __tablename__ = "order_numbers"
    __table_args__ = (Index("order_numbers_number", "number", unique=True),)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    """The order's."""
    number: Mapped[int] = mapped_column(BigInteger)
    """Its number."""


class OrderNumbering(Dated, Base):
    """Has no rows. Whoever gives numbers locks it through the commit, and no vacuum of the series is in the way."""

    __tablename__ = "order_numbering"


class UnnumberedOrders(Dated, Base):
    """Orders that were made at once and wait for their numbers.

    Written by the trigger orders_wait_for_numbers (migrations/orders/orders.sql), ended by ``orders_number``.
    """

    __tablename__ = "unnumbered_orders"
    orders: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    """Their ids."""


class Fulfilment(Dated, Base):
    """What was handed to a carrier, or to the customer. Never changed.

    The trigger fulfilments_admit (migrations/orders/requests.sql) does it, or refuses it, before the row is inserted.
    """

    __tablename__ = "fulfilments"
    __table_args__ = (
        Index("fulfilments_requested_by_idempotency_key", "requested_by", "idempotency_key", unique=True),
    )
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id"), index=True)
    """The order."""
    lines: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB)
    """Of each line (``line_id``) how many pieces (``qty``); the request's, or all that was left."""
    carrier: Mapped[str | None] = mapped_column(Text)
    """Who carries it."""
    tracking: Mapped[str | None] = mapped_column(Text)
    """The carrier's name for it."""
    requested_by: Mapped[UUID]
    """Who of the staff."""
    idempotency_key: Mapped[str] = mapped_column(Text)
    """The key of the request."""
    request_hash: Mapped[bytes] = mapped_column(BYTEA)
    """SHA-256 of the request."""
    order_status: Mapped[OrderStatus] = mapped_column(STATUS)
    """What the order was after it."""
    several_captures: Mapped[bool | None]
    """Whether the account may capture an authorisation several times; none where no capture is asked for with it."""
    capture_request_id: Mapped[UUID | None] = mapped_column(ForeignKey("capture_requests.id"))
    """The capture of its share, where one was asked for and something was open."""


class OrderCancellation(Dated, Base):
    """Somebody canceled an order: once.

    Its refunds have its ``requested_by``, and as their key ``cancellation`` and its id.

    The trigger order_cancellations_admit (migrations/orders/requests.sql) does it, or refuses it, before the row is
    inserted.
    """

    __tablename__ = "order_cancellations"
    __table_args__ = (
        Index("order_cancellations_order_id", "order_id", unique=True),
        Index("order_cancellations_requested_by_idempotency_key", "requested_by", "idempotency_key", unique=True),
    )
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id"))
    """The order."""
    reason: Mapped[str | None] = mapped_column(Text)
    """What staff wrote."""
    requested_by: Mapped[UUID]
    """Who of the staff, or the service itself where it gives back what is short."""
    idempotency_key: Mapped[str] = mapped_column(Text)
    """The key of the request."""
    request_hash: Mapped[bytes] = mapped_column(BYTEA)
    """SHA-256 of the request."""
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"), index=True)
    """The payment of the order when it was canceled."""
    refund_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), server_default=text("'{}'::uuid[]"))
    """The refunds that it asked for: one of each source of the payment's money."""
    void_id: Mapped[UUID | None] = mapped_column(ForeignKey("voids.id"))
    """The void of what is authorized, asked for by it or before."""


class RefundLine(Dated, Base):
    """Which pieces a refund is for. Those of one request hang on its first row. Never changed.

    The triggers refund_lines_admit and refund_lines_add_up (migrations/orders/requests.sql) refuse more than was
    bought, another price, and lines that come to another sum than the refund; refund_lines_question
    (migrations/pieces/made_for.sql) pieces that may have been given back, until somebody has looked.
    """

    __tablename__ = "refund_lines"
    __table_args__ = (
        CheckConstraint("qty > 0", name="qty_positive"),
        CheckConstraint("amount > 0", name="amount_positive"),
        Index("refund_lines_refund_id_order_line_id", "refund_id", "order_line_id", unique=True),
    )
    refund_id: Mapped[UUID] = mapped_column(ForeignKey("refunds.id"))
    """The refund."""
    order_line_id: Mapped[UUID] = mapped_column(ForeignKey("order_lines.id"), index=True)
    """What was bought."""
    qty: Mapped[int]
    """How many pieces of it."""
    amount: Mapped[Decimal] = mapped_column(Numeric)
    """Their price."""
