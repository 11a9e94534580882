"""What a provider's report of settled money is read as, by adapters; and how an adapter says that it has reports.

A report is read in one pass, a line at a time, since one may have a million. What it says of itself (payouts, and what
its sections have to add up to) is known once the last line was read.

Amounts are in the major unit of their currency, exact and signed as they move the balance: money to the merchant is
positive. A fee is positive where it is charged, so net = gross - fee.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import BinaryIO, Final, NamedTuple, Protocol

from checkout_service.settings.provider_accounts import Account, AccountForm
from checkout_service.settlement_words import EntryKind, PayoutStatus, Subject

LARGEST_FILE: Final = 512 * 2**20
"""Bytes of a report."""

LONGEST_LINE: Final = 1 << 20
"""Characters of one row."""


class UnreadableReportError(ValueError):
    """A report that cannot be read: ``line`` counts from 1, and is None where it is about the whole."""

    def __init__(self, message: str, *, line: int | None = None) -> None:
        super().__init__(message if line is None else f"line {line}: {message}")
        self.line = line


class ReportLine(NamedTuple):
    """One movement of money, as a report lists it.

    ``entry_ref`` is the provider's id where that is unique; else (``is_made``) it is made of the row's own names and
    amounts, and equal ones are numbered when they are entered. Equal rows of two files are taken for one row that both
    list: so what such a name is made of has the moment in it, as exact as the report says it, and two movements that
    are not listed by one file at once must differ in it. ``section`` is the part of the file that proves itself
    with it. ``customer_amount`` is what the customer paid or got, in their currency, None where nothing says it.
    ``occurred_local`` is the source's own words for when it happened. ``payment_ref`` is what the provider calls the
    payment (or the authorisation), ``merchant_ref`` what we call it.
    """

    line: int
    account: str
    section: str
    entry_ref: str
    is_made: bool
    kind: EntryKind
    provider_type: str
    gross: Decimal
    fee: Decimal
    net: Decimal
    currency: str
    occurred_at: datetime
    occurred_local: str
    payout_ref: str = ""
    available_on: date | None = None
    customer_amount: Decimal | None = None
    customer_currency: str | None = None
    rate: Decimal | None = None
    about: Subject = Subject.NONE
    subject_ref: str = ""
    payment_ref: str = ""
    merchant_ref: str = ""
    description: str = ""
    """Of lines that no purchase is behind, and of a bank's; '' of a customer's, which would be personal data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPayout:
    """A payout, as the report knows it; what it does not say is None or ''.

    ``amount`` is negative where the provider takes money from the bank account. ``itemized`` is False where nobody can
    list what it is made of. ``bank_reference`` is what the bank may show.
    """

    account: str
    payout_ref: str
    amount: Decimal
    currency: str
    status: PayoutStatus
    itemized: bool = True
    issued_at: datetime | None = None
    arrival_on: date | None = None
    bank_reference: str = ""
    descriptor: str = ""
    failed_at: datetime | None = None
    failure_code: str = ""
    original_ref: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSection:
    """A part of a report that proves itself: the nets of its lines add up to ``expected``, by currency.

    ``of_payout`` names the payout whose amount they have to add up to instead, its own line (kind PAYOUT) left out; it
    is looked for in the same file, then among those that are known, and the file is held while there is none. ``rows``
    is how many lines it says that it has. ``complete`` says that all its lines are here, so that those of an earlier
    file about the same section which are not are gone. ``rule`` says in words what is compared.

    Of a bank's statement ``opening`` are the balances before it, ``since`` and ``until`` its days. ``number`` is that
    which its account gives it, of a statement or of a batch.
    """

    account: str
    name: str
    rule: str
    expected: Mapping[str, Decimal] | None = None
    of_payout: str = ""
    rows: int | None = None
    complete: bool = True
    opening: Mapping[str, Decimal] | None = None
    since: date | None = None
    until: date | None = None
    number: int | None = None


@dataclass(slots=True, kw_only=True)
class Report:
    """A report that is being read: ``lines`` is iterated once, then ``payouts``, ``sections`` and ``faults`` are whole.

    ``form`` names what kind of file it is, and which version. ``columns`` are its header's names as they came.
    ``faults`` say what of it contradicts itself beside its sums (a row whose net is not gross - fee), in words: a file
    with one is held. ``cursor`` is what the next fetch goes on from, once this is entered.
    """

    form: str
    name: str
    lines: Iterator[ReportLine]
    columns: Sequence[str] = ()
    payouts: list[ReportPayout] = field(default_factory=list)
    sections: list[ReportSection] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    sha256: bytes = b""
    """Of the file's bytes, or of what was fetched; set once the last line was read."""
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotFetched:
    """A report that could not be had, in place of it: ``error`` is one that FetchReports raises, and says why."""

    name: str
    error: Exception


class ReadReport(Protocol):
    """Reads a file. It may be read twice at most: once to see what it is, once for its lines.

    Raises UnreadableReportError, at once or while lines are read, for the first line that cannot be read, for a kind of
    file that is only assumed, and for one that this provider does not have.
    """

    def __call__(self, file: BinaryIO, *, name: str, account: str) -> Report: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchContext:
    """What a fetch knows. ``since`` is what the operator named, and goes before ``cursor``.

    ``notices`` are names of report files that webhooks told of: anybody may have sent those. ``is_entered`` says
    whether a report of this name, of the account that is fetched, was entered already, or dismissed by a person;
    ``has_number`` whether one was, however it came and whatever it is called, that has a section of this account and
    ``number``. ``options`` are those of the ReportForm.
    """

    account: Account
    now: datetime
    since: datetime | None
    cursor: str | None
    notices: Sequence[str] = ()
    is_entered: Callable[[str], bool] = lambda _name: False
    has_number: Callable[[str, int], bool] = lambda _account, _number: False


class FetchReports(Protocol):
    """Fetches what is new, a report at a time; each is entered before the next one is asked for.

    One that cannot be had, or not be read, keeps no later one from being fetched: it is yielded as NotFetched, or its
    lines raise. No cursor is kept from then on, so the next fetch begins before it again. Raises
    ProviderUnavailableError, ProviderRefusedError and UnreadableReportError for what ends all.
    """

    def __call__(self, context: FetchContext) -> Iterator[Report | NotFetched]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportForm:
    """Says that a provider has reports: where its reader and its fetcher are ("package.module:function").

    ``account`` are the settings of the fetch, which no other process has: their names begin with ``reports_``.
    ``account_option`` names the one that is the merchant's account there, '' where the key says it.
    """

    read: str
    fetch: str
    account: AccountForm
    account_option: str = ""
