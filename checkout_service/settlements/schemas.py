"""What the API of settled money takes and answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

from flask import current_app
from marshmallow import Schema, fields, validate

from checkout_service.api.answers import AnswerSchema, CurrencyText, SignedAmountText, WordText
from checkout_service.api.plain_fields import IdField, NumberField
from checkout_service.settings.values import WebSettings
from checkout_service.settlement_words import EXCEPTIONS, EntryKind, FileState, MatchState, PayoutState, PayoutStatus
from checkout_service.settlement_words import Subject as SettlementSubject
from checkout_service.spellings import DAY_PATTERN, OFFSET_PATTERN, TIME_PATTERN, parse_day, parse_moment

_ZONE: Final = "A day is one in the zone of `SETTLEMENTS_TIMEZONE` (UTC where that is not set), from its midnight."


def zone() -> ZoneInfo:
    """The zone of days in filters."""
    settings: WebSettings = current_app.extensions["settings"]
    return ZoneInfo(settings.settlements_timezone)


def midnight(day: date) -> datetime:
    """When a day begins in that zone, in UTC. Raises OverflowError at the ends of the calendar."""
    return datetime.combine(day, time(), zone()).astimezone(UTC)


class DayField(fields.Field[date]):
    """A day, such as 2026-12-24."""

    default_error_messages = {"invalid": "A day such as 2026-12-24."}  # noqa: RUF012 (marshmallow's own name for it)

    def __init__(self, **options: Any) -> None:
        own = {"type": "string", "pattern": f"^{DAY_PATTERN}$", "example": "2026-12-01"}
        super().__init__(metadata=own | options.pop("metadata", {}), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> date:
        try:
            return parse_day(str(value)).date()
        except (ValueError, OverflowError) as error:
            raise self.make_error("invalid") from error


class DayOrMomentField(fields.Field[datetime]):
    """A day (its beginning in the zone of settled money) or an aware RFC 3339 time, as an aware time."""

    default_error_messages = {  # noqa: RUF012 (marshmallow's own name for it)
        "invalid": "A day such as 2026-12-24, or a time with an offset."
    }

    def __init__(self, **options: Any) -> None:
        own = {
            "type": "string",
            "pattern": f"^{DAY_PATTERN}(?:{TIME_PATTERN}{OFFSET_PATTERN})?$",
            "example": "2026-12-01",
        }
        super().__init__(metadata=own | options.pop("metadata", {}), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        try:
            if len(str(value)) == len("2026-12-24"):
                return midnight(parse_day(str(value)).date())
            moment = parse_moment(str(value))
            if moment.tzinfo is None:
                raise self.make_error("invalid")
            return moment.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise self.make_error("invalid") from error


def _choice(words: Any, description: str) -> fields.String:
    return fields.String(
        load_default=None,
        validate=validate.OneOf([word.value for word in words]),
        metadata={"description": description},
    )


def _provider() -> fields.String:
    return fields.String(
        load_default=None,
        validate=validate.Regexp(r"^[a-z][a-z0-9_]{0,31}$"),
        metadata={"description": "Only those of this provider; `bank` is a bank's.", "example": "stripe"},
    )


def _currency() -> fields.String:
    return fields.String(
        load_default=None,
        validate=validate.Regexp(r"^[A-Z]{3}$"),
        metadata={"description": "Only those in this currency (ISO 4217) of the balance.", "example": "EUR"},
    )


class PayoutFiltersQuery(Schema):
    """Which payouts; all of what is given must hold."""

    provider = _provider()
    state = _choice(PayoutState, "Only those that we are so far with: see `state` of a payout.")
    status = _choice(PayoutStatus, "Only those of which the provider says so.")
    currency = _currency()
    arrival_since = DayField(
        load_default=None,
        metadata={
            "description": "Only those whose `arrival_on` is this day or later: a day as the provider has it. Where it "
            "says none, the day of `issued_at` in UTC counts."
        },
    )
    arrival_until = DayField(
        load_default=None,
        metadata={
            "description": "Only those whose `arrival_on`, or else the day of `issued_at` in UTC, is before this day.",
            "example": "2027-01-01",
        },
    )
    reference = fields.String(
        load_default=None,
        validate=validate.Length(1, 200),
        metadata={
            "description": "Only those that the provider calls so, or whose `bank_reference` is this, or begins with "
            "these words.",
            "example": "po_1",
        },
    )


class PayoutsQuery(PayoutFiltersQuery):
    """Which payouts, where in the list, and how much of it."""

    limit = NumberField(load_default=20, validate=validate.Range(1, 100))
    cursor = fields.String(load_default=None, validate=validate.Length(1, 200))


class EntryFiltersQuery(Schema):
    """Which balance entries; all of what is given must hold."""

    payout_id = IdField(load_default=None, metadata={"description": "Only those that this payout is made of."})
    payment_id = IdField(
        load_default=None, metadata={"description": "Only those that are matched with something of this payment."}
    )
    provider = _provider()
    kind = _choice(EntryKind, "Only those of this kind.")
    currency = _currency()
    occurred_since = DayOrMomentField(
        load_default=None,
        metadata={"description": f"Only those whose `occurred_at` is this day or time, or later. {_ZONE}"},
    )
    occurred_until = DayOrMomentField(
        load_default=None,
        metadata={
            "description": f"Only those whose `occurred_at` is before this day or time. {_ZONE}",
            "example": "2027-01-01",
        },
    )
    match_state = _choice(
        # What is missing there has no entry.
        [state for state in MatchState if state is not MatchState.MISSING_THERE],
        "Only those with a match of this state that holds; also one that was resolved.",
    )
    withdrawn = fields.String(
        load_default="false",
        validate=validate.OneOf(["true", "false"]),
        metadata={
            "description": "`true` for those alone that a file which was issued again has no more. They are left out "
            "otherwise, but where match_state asks for them."
        },
    )


class EntriesQuery(EntryFiltersQuery):
    """Which balance entries, where in the list, and how much of it."""

    limit = NumberField(load_default=20, validate=validate.Range(1, 100))
    cursor = fields.String(load_default=None, validate=validate.Length(1, 200))


class PayoutSchema(AnswerSchema):
    """Money that a provider pays out, or takes back."""

    id = fields.UUID()
    provider = fields.String(metadata={"example": "stripe"})
    account = fields.String(allow_none=True, metadata={"description": "The account there, where there are several."})
    reference = fields.String(metadata={"description": "The provider's name for it; of a batch, its number."})
    amount = SignedAmountText(metadata={"description": "Negative where it takes money from the bank account."})
    currency = CurrencyText()
    status = WordText(PayoutStatus, metadata={"description": "What the provider says. It can fail after it was paid."})
    state = WordText(
        PayoutState,
        metadata={
            "description": "open: what it is made of is not here, or does not add up to it. unmatched: it adds up, or "
            "was accepted with its residue, and a line needs a person. reconciled: it adds up, or was accepted with "
            "its residue, and each line is matched, or needs no counterpart, or was settled. by_balance: nobody can "
            "list what it is made of, and the account's balance adds up. not_paid: it failed or was canceled, and no "
            "line is part of it."
        },
    )
    itemized = fields.Boolean(metadata={"description": "Whether somebody can list what it is made of, if it is paid."})
    issued_at = fields.DateTime(allow_none=True)
    arrival_on = fields.Date(
        allow_none=True, metadata={"description": "The day on which the bank is expected to have it."}
    )
    bank_reference = fields.String(allow_none=True, metadata={"description": "What the bank may show of it."})
    descriptor = fields.String(allow_none=True, metadata={"description": "The text that the bank was given."})
    failed_at = fields.DateTime(allow_none=True)
    failure_code = fields.String(allow_none=True, metadata={"description": "Why it failed, in the provider's word."})
    original_reference = fields.String(
        allow_none=True, metadata={"description": "The reference of the payout that this one takes back."}
    )
    entries = fields.Integer(metadata={"description": "How many entries it is made of.", "example": 412})
    gross = SignedAmountText(metadata={"description": "The sum of theirs."})
    fee = SignedAmountText(metadata={"description": "The sum of theirs: positive where it is charged."})
    net = SignedAmountText(metadata={"description": "The sum of theirs: the amount, where it adds up."})
    residue = SignedAmountText(
        allow_none=True,
        metadata={
            "description": "net - amount: what its entries are too much, or with a minus what is lacking. Other than 0 "
            "where they are not all here, or where an operator accepted a file that does not add up. Null of what "
            "nobody can list, or what was not paid.",
            "example": "0.00",
        },
    )
    exceptions = fields.Integer(metadata={"description": "How many of them keep it from being reconciled."})
    amount_at_bank = SignedAmountText(
        allow_none=True, metadata={"description": "What a bank's entries brought of it; null where none shows it."}
    )
    reconciled_at = fields.DateTime(allow_none=True)
    version = fields.Integer(metadata={"description": "Counts its changes.", "example": 3})
    created_at = fields.DateTime()
    updated_at = fields.DateTime()


class PayoutPageSchema(AnswerSchema):
    """A page of payouts."""

    data = fields.List(fields.Nested(PayoutSchema))
    next_cursor = fields.String(allow_none=True)
    has_more = fields.Boolean()


class PayoutSumSchema(AnswerSchema):
    """What the entries of one kind and currency add up to."""

    kind = WordText(EntryKind)
    currency = CurrencyText()
    entries = fields.Integer()
    gross = SignedAmountText()
    fee = SignedAmountText()
    net = SignedAmountText()


class SettlementExceptionSchema(AnswerSchema):
    """What needs a person: lines of one kind and currency of a payout, found when a report was entered."""

    id = fields.UUID(metadata={"description": "Of the first match among them; each has its own with its entry."})
    kind = WordText(EXCEPTIONS)
    provider = fields.String(metadata={"example": "stripe"})
    account = fields.String(allow_none=True)
    payout_id = fields.UUID(allow_none=True)
    count = fields.Integer(metadata={"description": "How many they are.", "example": 1})
    amount = SignedAmountText(
        allow_none=True,
        metadata={
            "description": "Their gross amounts, of fees what they take; of a bank's entry, its part of the payout; of "
            "what is missing there, what we have."
        },
    )
    currency = CurrencyText(allow_none=True)
    payment_id = fields.UUID(allow_none=True, metadata={"description": "The payment, where they are all about one."})
    detail = fields.String(allow_none=True, metadata={"description": "Of the first. For people."})
    created_at = fields.DateTime()


class BankEntrySchema(AnswerSchema):
    """A bank's entry that brought the payout, or a part of it."""

    id = fields.UUID()
    account = fields.String(metadata={"description": "The bank account."})
    reference = fields.String()
    state = WordText(MatchState)
    amount = SignedAmountText(allow_none=True, metadata={"description": "Its part of the payout."})
    currency = CurrencyText()
    entry_amount = SignedAmountText(metadata={"description": "The whole entry."})
    occurred_at = fields.DateTime()
    match_id = fields.UUID()
    resolved_at = fields.DateTime(
        allow_none=True, metadata={"description": "When a person settled it: it is looked at no more."}
    )
    detail = fields.String(allow_none=True)


class SettlementFileSchema(AnswerSchema):
    """A file that brought entries of the payout."""

    id = fields.UUID()
    name = fields.String()
    form = fields.String(metadata={"description": "What kind of file it is, and which version."})
    account = fields.String(allow_none=True)
    rows = fields.Integer()
    state = WordText(FileState)
    entered_at = fields.DateTime(allow_none=True)
    was_accepted = fields.Boolean(
        metadata={"description": "Whether it did not add up, and an operator accepted what it lacks."}
    )


class WholePayoutSchema(PayoutSchema):
    """A payout, with its sums by kind, what of it needs a person, its bank entries and its files."""

    sums = fields.List(
        fields.Nested(PayoutSumSchema),
        allow_none=True,
        metadata={"description": "Null of a payout with more than 100,000 entries: list those."},
    )
    open_exceptions = fields.List(
        fields.Nested(SettlementExceptionSchema), metadata={"description": "Up to 100, as events tell of them."}
    )
    bank_entries = fields.List(fields.Nested(BankEntrySchema), metadata={"description": "Up to 100."})
    files = fields.List(
        fields.Nested(SettlementFileSchema),
        allow_none=True,
        metadata={"description": "Null of a payout with more than 100,000 entries."},
    )


class EntryMatchSchema(AnswerSchema):
    """What came of an entry beside ours."""

    id = fields.UUID()
    state = WordText(MatchState)
    payout_id = fields.UUID(allow_none=True, metadata={"description": "Of a bank's entry: the payout."})
    payment_id = fields.UUID(allow_none=True)
    subject = WordText(SettlementSubject)
    subject_id = fields.UUID(allow_none=True)
    amount = SignedAmountText(allow_none=True, metadata={"description": "What is there, of all entries about it."})
    currency = CurrencyText(allow_none=True)
    amount_here = SignedAmountText(allow_none=True, metadata={"description": "What we have."})
    currency_here = CurrencyText(allow_none=True)
    differs = fields.List(fields.String(), metadata={"description": "In what: amount, currency, date."})
    detail = fields.String(allow_none=True)
    resolved_at = fields.DateTime(allow_none=True)


class EntrySchema(AnswerSchema):
    """One movement of money on an account at a provider, or at a bank."""

    id = fields.UUID()
    provider = fields.String(metadata={"example": "stripe"})
    account = fields.String(allow_none=True)
    reference = fields.String(metadata={"description": "The provider's id, or one made of the row."})
    kind = WordText(EntryKind)
    type = fields.String(metadata={"description": "The provider's own word."})
    gross = SignedAmountText(metadata={"description": "Signed as it moves the balance."})
    fee = SignedAmountText(metadata={"description": "Positive where it is charged."})
    net = SignedAmountText(metadata={"description": "gross - fee."})
    currency = CurrencyText()
    customer_amount = SignedAmountText(
        allow_none=True, metadata={"description": "What the customer paid or got, where the report says it."}
    )
    customer_currency = CurrencyText(allow_none=True)
    rate = fields.String(allow_none=True, metadata={"description": "For people: the amounts are what is true."})
    occurred_at = fields.DateTime()
    occurred_local = fields.String(metadata={"description": "The same in the source's own words and zone."})
    available_on = fields.Date(allow_none=True)
    payout_id = fields.UUID(allow_none=True, metadata={"description": "The payout that it is part of, once known."})
    payout_reference = fields.String(allow_none=True)
    subject = WordText(SettlementSubject, metadata={"description": "What of ours it is about."})
    subject_reference = fields.String(allow_none=True)
    payment_reference = fields.String(allow_none=True)
    merchant_reference = fields.String(allow_none=True)
    description = fields.String(
        allow_none=True, metadata={"description": "Of what no purchase is behind, and of a bank's entry."}
    )
    file_id = fields.UUID()
    line = fields.Integer(metadata={"description": "Where in the file."})
    withdrawn = fields.Boolean(metadata={"description": "Whether a file that was issued again has it no more."})
    matches = fields.List(fields.Nested(EntryMatchSchema), metadata={"description": "Those that hold, up to 20."})
    created_at = fields.DateTime()


class EntryPageSchema(AnswerSchema):
    """A page of balance entries."""

    data = fields.List(fields.Nested(EntrySchema))
    next_cursor = fields.String(allow_none=True)
    has_more = fields.Boolean()
