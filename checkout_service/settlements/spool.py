"""Reads a report to its end, beside the database: its lines go into a file as COPY takes them.

So nothing is read, and nobody is asked over a network, while a transaction is open; a line that cannot be read leaves
nothing behind; and what the bytes are is known before anything is written. The file has no name: it is gone with its
process, however that ends.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from tempfile import TemporaryFile
from time import monotonic
from typing import IO, Any, Final
from uuid import UUID

from checkout_service.providers.reports import Report, ReportLine, ReportPayout, UnreadableReportError
from checkout_service.settlements.entered import FileOfAnotherError

COLUMNS: Final = (
    "file_id, line, account, section, entry_ref, is_made, kind, provider_type, gross, fee, net, currency, "
    "occurred_at, occurred_local, payout_ref, available_on, customer_amount, customer_currency, rate, about, "
    "subject_ref, payment_ref, merchant_ref, description"
)
"""Of settlement_lines, in the order in which they are written."""

LONGEST_NAMES: Final = 2000
"""Bytes of all names in one line: an index takes no longer ones."""

LONGEST_TEXT: Final = 500
"""Characters of a text that events and pages show: a provider's word for a kind, a descriptor. The rest is cut off."""

FIRST_YEAR: Final = 2000
AHEAD: Final = timedelta(days=366)
"""Nothing was moved before, or will be farther ahead. One wrong year would make years of ours missing there."""

LARGEST: Final = 20
"""Digits before the point of an amount, and behind it. Nothing real has as many."""

EACH: Final = 1.0
"""Seconds between two calls of ``progress``."""

NULL: Final = r"\N"

_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Spool:
    """The lines of a report in a file, from its beginning."""

    file: IO[bytes]
    rows: int


@contextmanager
def spooled(
    report: Report, *, file_id: UUID, account: str, progress: Callable[[int], None] | None = None
) -> Iterator[Spool]:
    """The report's lines, read to their end; ``progress`` is called each second with how many they are by then.

    Raises UnreadableReportError, and FileOfAnotherError for a line of another account than ``account``, where that is
    not ''. A disk without room is OSError.
    """
    with TemporaryFile(prefix="checkout-settlement-", buffering=1 << 20) as file:
        write = file.write
        rows = 0
        reported_at = monotonic()
        first = f"{file_id}\t"
        latest = datetime.now(UTC) + AHEAD
        for line in report.lines:
            rows += 1
            if account and line.account and line.account != account:
                raise FileOfAnotherError(f"line {line.line}: is of account {line.account}, not of {account}")
            try:
                write(f"{first}{_written(line, latest)}\n".encode())
            except UnicodeEncodeError:
                raise UnreadableReportError("has characters that are none", line=line.line) from None
            if progress is not None and monotonic() - reported_at >= EACH:
                progress(rows)
                reported_at = monotonic()
        if progress is not None:
            progress(rows)
        report.payouts[:] = [_checked(payout) for payout in report.payouts]
        file.seek(0)
        yield Spool(file=file, rows=rows)


def no_room(error: OSError) -> str:
    """Why the lines, or a report that is downloaded, could not be put into a file here, in words."""
    where = f" in {tempfile.tempdir}" if tempfile.tempdir else ""
    return f"this machine has no room for it{where}, or cannot write it: {error.strerror or error}"


def to_json(values: Any) -> str:
    """Payouts or sections as the row of their file has them: amounts and days as text, exact."""
    return json.dumps(
        [{field.name: getattr(value, field.name) for field in fields(value)} for value in values], default=_plain
    )


def _written(line: ReportLine, latest: datetime) -> str:
    """The line's columns after the first, with tabs between, as COPY reads text."""
    names = (
        f"{line.account}{line.section}{line.entry_ref}{line.payout_ref}{line.subject_ref}{line.payment_ref}"
        f"{line.merchant_ref}"
    )
    texts = f"{names}{line.provider_type}{line.occurred_local}{line.description}"
    if not line.entry_ref:
        raise UnreadableReportError("has no name", line=line.line)
    if len(names) > LONGEST_NAMES // 4 and len(names.encode()) > LONGEST_NAMES:
        raise UnreadableReportError(f"its names have more than {LONGEST_NAMES} bytes", line=line.line)
    if len(line.provider_type) > LONGEST_TEXT:
        line = line._replace(provider_type=line.provider_type[:LONGEST_TEXT])
    if "\0" in texts:
        raise UnreadableReportError("has a character NUL", line=line.line)
    if not texts.isprintable() or "\\" in texts:
        line = line._replace(**{name: getattr(line, name).translate(_ESCAPES) for name in _TEXTS})
    gross, fee, net = _amount(line.gross, line), _amount(line.fee, line), _amount(line.net, line)
    moment = line.occurred_at
    if moment.tzinfo is None:
        raise UnreadableReportError("its time has no zone", line=line.line)
    if moment.year < FIRST_YEAR or moment > latest:
        raise UnreadableReportError(f"its time is before {FIRST_YEAR}, or more than a year ahead", line=line.line)
    customers = NULL if line.customer_amount is None else _amount(line.customer_amount, line)
    rate = NULL if line.rate is None else _amount(line.rate, line)
    customers_currency = NULL if line.customer_currency is None else _currency(line.customer_currency, line)
    # Its number among equal ones is given once all of them are there.
    made, number = ("t", ":1") if line.is_made else ("f", "")
    return (
        f"{line.line}\t{line.account}\t{line.section}\t{line.entry_ref}{number}\t{made}\t{line.kind.value}\t"
        f"{line.provider_type}\t{gross}\t{fee}\t{net}\t{_currency(line.currency, line)}\t{moment.isoformat()}\t"
        f"{line.occurred_local}\t{line.payout_ref}\t"
        f"{NULL if line.available_on is None else line.available_on.isoformat()}\t{customers}\t"
        f"{customers_currency}\t{rate}\t{line.about.value}\t{line.subject_ref}\t{line.payment_ref}\t"
        f"{line.merchant_ref}\t{line.description}"
    )


def _checked(payout: ReportPayout) -> ReportPayout:
    """As it is written, texts that are shown cut. Raises UnreadableReportError."""
    texts = f"{payout.payout_ref}{payout.account}{payout.bank_reference}{payout.original_ref}"
    about = f"payout {payout.payout_ref[:50]!r}"
    try:
        length = len(texts.encode())
        f"{payout.descriptor}{payout.failure_code}".encode()
    except UnicodeEncodeError:
        raise UnreadableReportError(f"{about} has characters that are none") from None
    if not payout.payout_ref:
        raise UnreadableReportError("a payout has no name")
    if length > LONGEST_NAMES:
        raise UnreadableReportError(f"{about}: its names have more than {LONGEST_NAMES} bytes")
    if "\0" in f"{texts}{payout.descriptor}{payout.failure_code}":
        raise UnreadableReportError(f"{about} has a character NUL")
    if (
        not payout.amount.is_finite()
        or abs(payout.amount.adjusted()) > LARGEST
        or len(str(payout.amount)) > 3 * LARGEST
    ):
        raise UnreadableReportError(f"{about} has an amount that is none")
    if not _is_currency(payout.currency):
        raise UnreadableReportError(f"{about} names a currency that is none")
    return replace(payout, descriptor=payout.descriptor[:LONGEST_TEXT], failure_code=payout.failure_code[:LONGEST_TEXT])


_TEXTS: Final = (
    *("account", "section", "entry_ref", "provider_type", "occurred_local", "payout_ref", "subject_ref"),
    *("payment_ref", "merchant_ref", "description"),
)


def _amount(amount: Decimal, line: ReportLine) -> str:
    written = str(amount)
    if len(written) > LARGEST or not written[-1].isdigit() or "E" in written:
        if not amount.is_finite() or not -LARGEST <= amount.adjusted() <= LARGEST or len(written) > 3 * LARGEST:
            raise UnreadableReportError("has an amount that is none", line=line.line)
        written = format(amount, "f")
    return written


def _currency(currency: str, line: ReportLine) -> str:
    if not _is_currency(currency):
        raise UnreadableReportError("names a currency that is none", line=line.line)
    return currency


def _is_currency(text: str) -> bool:
    """Whether it looks like one: three capitals."""
    return len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise TypeError(f"{type(value)} is not written")
