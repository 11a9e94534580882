"""Tables of settled money: files, their lines, payouts, the entries that they are made of, and what those match."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CHAR, CheckConstraint, Date, Enum, ForeignKey, Index, Numeric, Text, text
from sqlalchemy.dialects.postgresql import BYTEA, JSONB, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated
from checkout_service.settlement_words import EntryKind, FileState, MatchState, PayoutState, PayoutStatus, Subject


def _enum(words: type[StrEnum], name: str) -> Enum:
    return Enum(words, name=name, values_callable=lambda kind: [word.value for word in kind])


FILE_STATE = _enum(FileState, "settlement_file_state")
PAYOUT_STATUS = _enum(PayoutStatus, "payout_status")
PAYOUT_STATE = _enum(PayoutState, "payout_state")
ENTRY_KIND = _enum(EntryKind, "balance_entry_kind")
SUBJECT = _enum(Subject, "settlement_subject")
MATCH_STATE = _enum(MatchState, "settlement_match_state")


class SettlementFile(Dated, Base):
    """A file of a provider or a bank, or what was fetched in its place.

    What it says never changes. One that does not prove itself is held, and entered, superseded or dismissed later.
    The trigger settlement_files_guard (migrations/settlements/guards.sql) lets nothing else of it move.
    """

    __tablename__ = "settlement_files"
    __table_args__ = (
        CheckConstraint("length(sha256) = 32", name="sha256_length"),
        CheckConstraint("rows >= 0", name="rows_not_negative"),
        CheckConstraint("(state = 'entered') = (entered_at IS NOT NULL)", name="entered"),
        CheckConstraint("num_nulls(accepted_by, accepted_why) IN (0, 2)", name="accepted"),
        CheckConstraint("(state = 'dismissed') = (dismissed_by IS NOT NULL)", name="dismissed"),
        CheckConstraint("num_nulls(dismissed_by, dismissed_why) IN (0, 2)", name="dismissed_with_why"),
        Index("settlement_files_provider_account_sha256", "provider", "account", "sha256", unique=True),
        Index("settlement_files_provider_name", "provider", "name"),
        Index("settlement_files_held", "created_at", postgresql_where=text("state = 'held'")),
    )
    provider: Mapped[str] = mapped_column(Text)
    """Whose it is; ``bank`` of a bank's."""
    account: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """The account that it was named for; '' where the file says it, or there is one alone."""
    name: Mapped[str] = mapped_column(Text)
    """What it is called, without its folder."""
    sha256: Mapped[bytes] = mapped_column(BYTEA)
    """Of its bytes, or of what was fetched."""
    form: Mapped[str] = mapped_column(Text)
    """What kind of file it is, and which version."""
    columns: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    """The names in its header, as they came."""
    rows: Mapped[int]
    """How many lines it has."""
    payouts: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    """What it says of payouts (``checkout_service.providers.reports.ReportPayout``)."""
    sections: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    """What proves itself in it (``ReportSection``)."""
    faults: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    """What of it contradicts itself beside its sums."""
    residues: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    """What its sections lack, or have too much, by currency; of an accepted one, what was accepted."""
    state: Mapped[FileState] = mapped_column(FILE_STATE)
    """How far it is."""
    entered_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When its lines were entered."""
    accepted_by: Mapped[str | None] = mapped_column(Text)
    """The operator who accepted its residue."""
    accepted_why: Mapped[str | None] = mapped_column(Text)
    """In their own words."""
    dismissed_by: Mapped[str | None] = mapped_column(Text)
    """The operator who said that nobody needs it."""
    dismissed_why: Mapped[str | None] = mapped_column(Text)
    """In their own words."""
    resolved_by: Mapped[UUID | None] = mapped_column(ForeignKey("settlement_files.id"))
    """The later file by which a held one was entered or superseded."""


class Movement:
    """What a line and an entry have in common: one movement of money on an account at a provider, or at a bank."""

    account: Mapped[str] = mapped_column(Text)
    """The account there; of a bank, its IBAN."""
    section: Mapped[str] = mapped_column(Text)
    """The part of its file that proves itself with it."""
    entry_ref: Mapped[str] = mapped_column(Text)
    """The provider's id; where it has none, made of the row, with its number among equal ones."""
    kind: Mapped[EntryKind] = mapped_column(ENTRY_KIND)
    """What it is, by the provider's type and the sign."""
    provider_type: Mapped[str] = mapped_column(Text)
    """The provider's own word for that."""
    gross: Mapped[Decimal] = mapped_column(Numeric)
    """In the major unit of ``currency``, signed as it moves the balance."""
    fee: Mapped[Decimal] = mapped_column(Numeric)
    """Positive where it is charged."""
    net: Mapped[Decimal] = mapped_column(Numeric)
    """What it moves the balance by."""
    currency: Mapped[str] = mapped_column(CHAR(3))
    """ISO 4217, of the balance."""
    customer_amount: Mapped[Decimal | None] = mapped_column(Numeric)
    """What the customer paid or got, in ``customer_currency``; none where the report does not say it."""
    customer_currency: Mapped[str | None] = mapped_column(CHAR(3))
    """ISO 4217."""
    rate: Mapped[Decimal | None] = mapped_column(Numeric)
    """From the customer's currency to the balance's. For people: the amounts are what is true."""
    occurred_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True))
    """When it was booked."""
    occurred_local: Mapped[str] = mapped_column(Text)
    """The same in the source's own words and zone."""
    available_on: Mapped[date | None] = mapped_column(Date)
    """From which day on it may be paid out."""
    payout_ref: Mapped[str] = mapped_column(Text)
    """The provider's name for it; '' for none, or none that anybody can say."""
    about: Mapped[Subject] = mapped_column(SUBJECT)
    """What of ours it is about."""
    subject_ref: Mapped[str] = mapped_column(Text)
    """The provider's name for that."""
    payment_ref: Mapped[str] = mapped_column(Text)
    """The provider's name for the payment, or for its authorisation."""
    merchant_ref: Mapped[str] = mapped_column(Text)
    """Our name for it, as the provider has it."""
    description: Mapped[str] = mapped_column(Text)
    """Of what no purchase is behind, and of a bank's entry. '' of a customer's."""


class SettlementLine(Movement, Base):
    """A line of a file that is not entered: of this moment, held, or dismissed. It leaves when it is entered."""

    __tablename__ = "settlement_lines"
    file_id: Mapped[UUID] = mapped_column(primary_key=True)
    """The file. Its row is written after its lines, so there is no foreign key."""
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Its number there, from 1."""
    is_made: Mapped[bool]
    """Whether ``entry_ref`` is made of the row: equal ones are numbered when they are entered."""


class Payout(Dated, Base):
    """Money that a provider pays out, or takes back, by its name for it.

    The trigger payouts_guard (migrations/settlements/guards.sql) lets nothing else of it move.
    """

    __tablename__ = "payouts"
    __table_args__ = (
        CheckConstraint("payout_ref <> ''", name="ref_not_empty"),
        CheckConstraint("amount > '-Infinity' AND amount < 'Infinity'", name="amount_finite"),
        Index("payouts_provider_account_payout_ref", "provider", "account", "payout_ref", unique=True),
        Index("payouts_arrival_on", "arrival_on", "id"),
        Index("payouts_state", "state", "id", postgresql_where=text("state IN ('open', 'unmatched')")),
        Index("payouts_amount_currency", "amount", "currency"),
        Index("payouts_payout_ref", "payout_ref"),
        Index(
            "payouts_bank_reference",
            text("split_part(bank_reference, ' '::text, 1)"),
            "id",
            postgresql_where=text("bank_reference <> ''"),
        ),
    )
    provider: Mapped[str] = mapped_column(Text)
    """Whose it is."""
    account: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """The account there; '' where there is one alone."""
    payout_ref: Mapped[str] = mapped_column(Text)
    """The provider's name for it; of a batch, its number."""
    amount: Mapped[Decimal] = mapped_column(Numeric)
    """In the major unit; negative where it takes money from the bank account."""
    currency: Mapped[str] = mapped_column(CHAR(3))
    """ISO 4217."""
    status: Mapped[PayoutStatus] = mapped_column(PAYOUT_STATUS)
    """What the provider says; it only moves on."""
    state: Mapped[PayoutState] = mapped_column(PAYOUT_STATE, server_default=text("'open'"))
    """How far we are with it."""
    itemized: Mapped[bool]
    """Whether somebody can list what it is made of."""
    issued_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When the provider made it."""
    arrival_on: Mapped[date | None] = mapped_column(Date)
    """The day on which the bank is expected to have it, as the provider says."""
    bank_reference: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """What the bank may show of it."""
    descriptor: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """The text that the bank was given for the statement."""
    failed_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When it failed, perhaps after it was paid."""
    failure_code: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """Why, in the provider's word."""
    original_ref: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """The payout that this one takes back."""
    entries: Mapped[int] = mapped_column(server_default=text("0"))
    """How many entries it is made of."""
    gross: Mapped[Decimal] = mapped_column(Numeric, server_default=text("0"))
    """The sum of theirs, in its currency."""
    fee: Mapped[Decimal] = mapped_column(Numeric, server_default=text("0"))
    """The sum of theirs."""
    net: Mapped[Decimal] = mapped_column(Numeric, server_default=text("0"))
    """The sum of theirs: the amount, where it adds up."""
    exceptions: Mapped[int] = mapped_column(server_default=text("0"))
    """How many of its entries need a person, and keep it from being reconciled."""
    amount_at_bank: Mapped[Decimal | None] = mapped_column(Numeric)
    """What a bank's entries brought of it; none where no statement shows it."""
    reconciled_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When it came to that state."""
    version: Mapped[int] = mapped_column(server_default=text("1"))
    """Counts its changes."""


class BalanceEntry(Movement, Dated, Base):
    """One movement of money on an account at a provider, or at a bank.

    The trigger balance_entries_guard (migrations/settlements/guards.sql) lets nothing else of it move.
    """

    __tablename__ = "balance_entries"
    __table_args__ = (
        CheckConstraint("entry_ref <> ''", name="ref_not_empty"),
        CheckConstraint("net = gross - fee", name="net"),
        Index(
            "balance_entries_provider_account_entry_ref",
            "provider",
            "account",
            "entry_ref",
            unique=True,
            postgresql_where=text("withdrawn_by IS NULL"),
        ),
        Index("balance_entries_payout_id", "payout_id", "id", postgresql_where=text("payout_id IS NOT NULL")),
        Index(
            "balance_entries_waits_for_payout",
            "provider",
            "account",
            "payout_ref",
            postgresql_where=text("payout_id IS NULL AND payout_ref <> ''"),
        ),
        Index("balance_entries_section", "provider", "account", "section"),
        Index("balance_entries_subject_ref", "provider", "subject_ref", postgresql_where=text("subject_ref <> ''")),
        Index("balance_entries_payment_ref", "provider", "payment_ref", postgresql_where=text("payment_ref <> ''")),
        Index("balance_entries_occurred_at", "occurred_at", "id"),
        Index(
            "balance_entries_kind",
            "kind",
            "occurred_at",
            "id",
            postgresql_where=text("kind <> ALL ('{capture,refund,fee}'::balance_entry_kind[])"),
        ),
        Index("balance_entries_withdrawn_by", "withdrawn_by", postgresql_where=text("withdrawn_by IS NOT NULL")),
    )
    provider: Mapped[str] = mapped_column(Text)
    """Whose report it is of; ``bank`` of a bank's."""
    payout_id: Mapped[UUID | None] = mapped_column(ForeignKey("payouts.id"))
    """The payout that it is part of, once that is known."""
    file_id: Mapped[UUID] = mapped_column(ForeignKey("settlement_files.id"))
    """The file that brought it first."""
    line: Mapped[int]
    """Where in that."""
    withdrawn_by: Mapped[UUID | None] = mapped_column(ForeignKey("settlement_files.id"))
    """The file that was issued again and has it no more."""


class SettlementMatch(Dated, Base):
    """What came of an entry, or of something of ours that no entry tells of. One that is undone stays.

    What it points at in other rooms has no foreign key: its check would lock a row of a customer's payment.
    The trigger settlement_matches_guard (migrations/settlements/guards.sql) lets nothing else of it move.
    """

    __tablename__ = "settlement_matches"
    __table_args__ = (
        CheckConstraint(
            "entry_id IS NOT NULL OR subject_id IS NOT NULL OR payout_id IS NOT NULL", name="about_something"
        ),
        CheckConstraint("num_nulls(resolved_at, resolved_by, resolved_why) IN (0, 3)", name="resolved"),
        CheckConstraint("num_nulls(undone_at, undone_why) IN (0, 2)", name="undone"),
        Index(
            "settlement_matches_entry_id_payout_id",
            "entry_id",
            "payout_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("undone_at IS NULL AND entry_id IS NOT NULL"),
        ),
        Index(
            "settlement_matches_missing",
            "subject",
            "subject_id",
            "payout_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("undone_at IS NULL AND entry_id IS NULL"),
        ),
        Index("settlement_matches_entry_id", "entry_id", postgresql_where=text("entry_id IS NOT NULL")),
        Index("settlement_matches_subject_id", "subject_id", postgresql_where=text("subject_id IS NOT NULL")),
        Index("settlement_matches_payout_id", "payout_id", postgresql_where=text("payout_id IS NOT NULL")),
        Index("settlement_matches_payment_id", "payment_id", postgresql_where=text("payment_id IS NOT NULL")),
        Index(
            "settlement_matches_open",
            "state",
            "id",
            postgresql_where=text(
                "undone_at IS NULL AND resolved_at IS NULL AND "
                "state <> ALL ('{matched,not_ours}'::settlement_match_state[])"
            ),
        ),
        Index(
            "settlement_matches_of_entries",
            "state",
            "id",
            postgresql_where=text(
                "undone_at IS NULL AND entry_id IS NOT NULL AND "
                "state <> ALL ('{matched,not_ours}'::settlement_match_state[])"
            ),
        ),
    )
    provider: Mapped[str] = mapped_column(Text)
    """The entry's; of what has none, the payment's or the payout's."""
    account: Mapped[str] = mapped_column(Text)
    """The entry's."""
    entry_id: Mapped[UUID | None] = mapped_column(ForeignKey("balance_entries.id"))
    """The entry; none of what is missing there."""
    payout_id: Mapped[UUID | None] = mapped_column(ForeignKey("payouts.id"))
    """Of a bank's entry: the payout that it brought, or a part of it. One entry may bring several."""
    subject: Mapped[Subject] = mapped_column(SUBJECT, server_default=text("'none'"))
    """What of ours it is."""
    subject_id: Mapped[UUID | None]
    """Which: the id of the capture, refund or dispute; of money that is presumed, of the attempt."""
    payment_id: Mapped[UUID | None]
    """The payment that this is of."""
    state: Mapped[MatchState] = mapped_column(MATCH_STATE)
    """What came of it."""
    amount: Mapped[Decimal | None] = mapped_column(Numeric)
    """What is there: of all entries about the same subject, in ``currency``; of a bank's, this entry's part."""
    currency: Mapped[str | None] = mapped_column(CHAR(3))
    """ISO 4217."""
    amount_here: Mapped[Decimal | None] = mapped_column(Numeric)
    """What we have, signed alike, in ``currency_here``."""
    currency_here: Mapped[str | None] = mapped_column(CHAR(3))
    """ISO 4217."""
    differs: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    """In what: amount, currency, date."""
    detail: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """For people. Nothing is decided by it."""
    file_id: Mapped[UUID | None] = mapped_column(ForeignKey("settlement_files.id"))
    """The file whose entry made it."""
    made_by: Mapped[str | None] = mapped_column(Text)
    """The operator who matched by hand."""
    made_why: Mapped[str | None] = mapped_column(Text)
    """In their own words."""
    resolved_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When a person settled it."""
    resolved_by: Mapped[str | None] = mapped_column(Text)
    """Who."""
    resolved_why: Mapped[str | None] = mapped_column(Text)
    """In their own words."""
    undone_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When it ceased to hold."""
    undone_by: Mapped[str | None] = mapped_column(Text)
    """The operator; none where later entries did it."""
    undone_why: Mapped[str | None] = mapped_column(Text)
    """Why."""


class SettlementAccount(Dated, Base):
    """An account at a provider, or at a bank, of which something was entered or fetched.

    The trigger settlement_accounts_guard (migrations/settlements/guards.sql) lets nothing else of it move.
    """

    __tablename__ = "settlement_accounts"
    __table_args__ = (Index("settlement_accounts_provider_account", "provider", "account", unique=True),)
    provider: Mapped[str] = mapped_column(Text)
    """Whose."""
    account: Mapped[str] = mapped_column(Text)
    """The account there."""
    first_entry_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """The earliest entry: what is older is never missing there."""
    cursor: Mapped[str | None] = mapped_column(Text)
    """What the next fetch goes on from."""
    fetched_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When the last fetch began."""


class SettlementLease(Dated, Base):
    """What is done by one command at a time, and by whom: whoever is killed has it until its time is over."""

    __tablename__ = "settlement_leases"
    __table_args__ = (Index("settlement_leases_name", "name", unique=True),)
    name: Mapped[str] = mapped_column(Text)
    """What is done."""
    holder: Mapped[UUID]
    """Who does it, or did it last: made anew by each command."""
    lease_until: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True))
    """When another one may begin."""
