"""What the disputes API takes and answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from marshmallow import Schema, fields, validate

from checkout_service.api.answers import AmountText, AnswerSchema, CurrencyText, WordText
from checkout_service.api.plain_fields import NumberField
from checkout_service.payments.status import DisputeStage, DisputeStatus
from checkout_service.spellings import DAY_PATTERN, OFFSET_PATTERN, TIME_PATTERN, parse_day, parse_moment


class DayOrMoment(fields.Field[datetime]):
    """A day (its beginning in UTC) or an aware RFC 3339 time, as an aware time."""

    default_error_messages = {  # noqa: RUF012 (marshmallow's own name for it)
        "invalid": "A day such as 2026-12-24, or a time with an offset."
    }

    def __init__(self, **options: Any) -> None:
        own = {"type": "string", "pattern": f"^{DAY_PATTERN}(?:{TIME_PATTERN}{OFFSET_PATTERN})?$"}
        super().__init__(metadata=own | options.pop("metadata", {}), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        try:
            if len(str(value)) == len("2026-12-24"):
                return parse_day(str(value))
            moment = parse_moment(str(value))
            if moment.tzinfo is None:
                raise self.make_error("invalid")
            return moment.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise self.make_error("invalid") from error


class DisputesQuery(Schema):
    """Which disputes, where in the list, and how much of it."""

    due_before = DayOrMoment(
        load_default=None,
        metadata={
            "description": "Only those whose evidence is due before, the next first: those that need a response, "
            "unless status says otherwise. A day (its beginning in UTC) or an RFC 3339 time.",
            "example": "2026-12-24",
        },
    )
    status = fields.String(
        load_default=None,
        validate=validate.OneOf([status.value for status in DisputeStatus]),
        metadata={"description": "Only those of this status."},
    )
    limit = NumberField(load_default=20, validate=validate.Range(1, 100))
    cursor = fields.String(load_default=None, validate=validate.Length(1, 200))


class DisputeSchema(AnswerSchema):
    """A dispute as it is now."""

    id = fields.UUID()
    payment_id = fields.UUID()
    provider = fields.String(metadata={"example": "stripe"})
    name = fields.String(allow_none=True, metadata={"description": "The provider's name for it.", "example": "du_1"})
    stage = WordText(
        DisputeStage,
        metadata={
            "description": "inquiry (no money moves), chargeback, pre_arbitration or arbitration.",
            "example": "chargeback",
        },
    )
    status = WordText(
        DisputeStatus,
        metadata={
            "description": "needs_response, under_review, accepted, expired, lost, won or closed: a word about the "
            "stage. Whether money went is in amount_lost.",
            "example": "needs_response",
        },
    )
    reason = fields.String(allow_none=True, metadata={"example": "fraudulent"})
    amount = AmountText(allow_none=True, metadata={"description": "What is disputed, in currency.", "example": "40.00"})
    currency = CurrencyText()
    amount_lost = AmountText(metadata={"description": "What it took and did not give back.", "example": "40.00"})
    blocks_refund = fields.Boolean(
        metadata={"description": "Whether it took nothing yet, and holds its amount back from refunds."}
    )
    evidence_due_at = fields.DateTime(
        allow_none=True, metadata={"description": "Until when the provider takes evidence, where it says that."}
    )
    evidence_at = fields.String(
        metadata={"description": "Where evidence is sent; not here.", "example": "the Stripe Dashboard, Disputes"}
    )
    created_at = fields.DateTime()
    updated_at = fields.DateTime()


class DisputePageSchema(AnswerSchema):
    """A page of disputes."""

    data = fields.List(fields.Nested(DisputeSchema))
    next_cursor = fields.String(allow_none=True)
    has_more = fields.Boolean()


EXAMPLE: Final[dict[str, Any]] = {
    "data": [
        {
            "id": "01a206b6-2617-7632-98bf-296e992e5f9b",
            "payment_id": "37ead6b5-d8a0-5dc2-ba73-81115ccb02a4",
            "provider": "stripe",
            "name": "du_1",
            "stage": "chargeback",
            "status": "needs_response",
            "reason": "fraudulent",
            "amount": "40.00",
            "currency": "USD",
            "amount_lost": "40.00",
            "blocks_refund": False,
            "evidence_due_at": "2026-12-24T23:59:59Z",
            "evidence_at": "the Stripe Dashboard, Disputes",
            "created_at": "2026-11-25T04:05:06.123456Z",
            "updated_at": "2026-11-25T04:05:06.123456Z",
        }
    ],
    "next_cursor": None,
    "has_more": False,
}
