"""Reads of payouts: a list by what is known of them, and one with what it is made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from checkout_service.api.responses import show_time
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.settlement_words import PayoutState, PayoutStatus
from checkout_service.settlements.amounts import show_exactly
from checkout_service.settlements.walking import EDGE, Walk, both, conditions

SUMMED: Final = 100_000
"""Entries whose sums by kind are made when somebody looks. Of a payout with more, the sums over all kinds are known."""

LISTED: Final = 100
"""Exceptions and bank entries that a payout is shown with."""

COLUMNS: Final = """
    made.id, made.provider, made.account, made.payout_ref, made.amount, made.currency, made.status::text AS status,
    made.state::text AS state, made.itemized, made.issued_at, made.arrival_on, made.bank_reference, made.descriptor,
    made.failed_at, made.failure_code, made.original_ref, made.entries, made.gross, made.fee, made.net, made.exceptions,
    made.amount_at_bank, made.reconciled_at, made.version, made.created_at, made.updated_at
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutFilters:
    """What payouts are narrowed to; all of what is given must hold.

    ``arrival_since`` and ``arrival_until`` are days of ``arrival_on``, the second not among them; where the provider
    says none, those in UTC on which the payout was made. ``reference`` is what the provider calls a payout, or what the
    bank shows of it: all of that, or its first words.
    """

    provider: str | None = None
    state: PayoutState | None = None
    status: PayoutStatus | None = None
    currency: str | None = None
    arrival_since: date | None = None
    arrival_until: date | None = None
    reference: str | None = None


_DAY: Final = "coalesce(made.arrival_on, (made.issued_at AT TIME ZONE 'UTC')::date)"

_CONDITIONS: Final = {
    "provider": "made.provider = CAST(:provider AS text)",
    "state": "made.state = CAST(CAST(:state AS text) AS payout_state)",
    "status": "made.status = CAST(CAST(:status AS text) AS payout_status)",
    "currency": "made.currency = CAST(:currency AS text)",
    "arrival_since": f"{_DAY} >= CAST(:arrival_since AS date)",
    "arrival_until": f"{_DAY} < CAST(:arrival_until AS date)",
}

# By two indexes. Few payouts have one reference: a batch's number is one of each account. What the bank shows is looked
# up by its first word, which may be one of many, such as the provider's name: so many are looked through, as elsewhere.
_NAMED: Final = f"""payouts AS made WHERE made.id IN (
        SELECT id FROM payouts WHERE payout_ref = CAST(:reference AS text)
        UNION ALL SELECT id FROM (
            SELECT made.id FROM payouts AS made
            WHERE split_part(made.bank_reference, ' ', 1) = split_part(CAST(:reference AS text), ' ', 1)
                AND made.bank_reference <> '' AND made.bank_reference || ' ' ^@ (CAST(:reference AS text) || ' ')
                AND {EDGE}
            ORDER BY made.id DESC LIMIT :looked_through) AS shown) AND {EDGE}"""  # noqa: S608 (our own constant)

_OPEN: Final = (PayoutState.OPEN, PayoutState.UNMATCHED)
"""Those that an index has: few, where somebody looks after them."""

_one: Final = Statement(f"SELECT {COLUMNS} FROM payouts AS made WHERE made.id = :id")  # noqa: S608 (our own constant)

_of_amount: Final = Statement(f"""
    SELECT {COLUMNS} FROM payouts AS made
    WHERE made.amount = CAST(:amount AS numeric)
        AND (CAST(:currency AS text) IS NULL OR made.currency = CAST(:currency AS text))
    ORDER BY made.id DESC LIMIT :limit
""")  # noqa: S608 (our own constant)

# Along balance_entries_payout_id.
_made_of: Final = Statement("""
    SELECT kind::text AS kind, currency, count(*) AS entries, sum(gross) AS gross, sum(fee) AS fee, sum(net) AS net,
        array_agg(DISTINCT file_id) AS files
    FROM balance_entries WHERE payout_id = CAST(:id AS uuid) AND withdrawn_by IS NULL
    GROUP BY kind, currency ORDER BY kind, currency
""")

# A payout that adds up without an exception has none to look for but those that keep nobody from anything.
_at_bank: Final = Statement(f"""
    SELECT entry.id, entry.account, entry.entry_ref, match.state::text AS state, match.amount, entry.currency,
        entry.net AS entry_amount, entry.occurred_at, match.id AS match_id, match.detail, match.resolved_at
    FROM settlement_matches AS match JOIN balance_entries AS entry ON entry.id = match.entry_id
    WHERE match.payout_id = CAST(:id AS uuid) AND match.undone_at IS NULL AND entry.provider = 'bank'
    ORDER BY match.id LIMIT {LISTED}
""")  # noqa: S608 (only our own constants)

_files: Final = Statement("""
    SELECT id, name, form, account, rows, state::text AS state, entered_at, accepted_by IS NOT NULL AS was_accepted
    FROM settlement_files WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id
""")


def payouts_walk(filters: PayoutFilters) -> tuple[Walk, dict[str, Any]]:
    """How payouts are searched with these filters, and the values of that search."""
    given = asdict(filters)
    rest = conditions(given, _CONDITIONS)
    source = "payouts AS made WHERE true"
    if filters.reference is not None:
        source = _NAMED
    elif filters.state in _OPEN:
        # As a constant: the index of these is partial, and a plan for any state could not use it.
        del rest["state"]
        source = f"payouts AS made WHERE made.state = '{filters.state.value}'"
    words = {name: None if given[name] is None else given[name].value for name in ("state", "status")}
    return Walk(source, both(rest), COLUMNS), given | words


def show_payout(row: Any) -> dict[str, Any]:
    """A payout as the API shows it, of a row of ``COLUMNS``."""
    return {
        "id": str(row.id),
        "provider": row.provider,
        "account": row.account or None,
        "reference": row.payout_ref,
        "amount": show_exactly(row.amount, row.currency),
        "currency": row.currency,
        "status": row.status,
        "state": row.state,
        "itemized": row.itemized,
        "issued_at": None if row.issued_at is None else show_time(row.issued_at),
        "arrival_on": None if row.arrival_on is None else row.arrival_on.isoformat(),
        "bank_reference": row.bank_reference or None,
        "descriptor": row.descriptor or None,
        "failed_at": None if row.failed_at is None else show_time(row.failed_at),
        "failure_code": row.failure_code or None,
        "original_reference": row.original_ref or None,
        "entries": row.entries,
        "gross": show_exactly(row.gross, row.currency),
        "fee": show_exactly(row.fee, row.currency),
        "net": show_exactly(row.net, row.currency),
        "residue": _residue(row),
        "exceptions": row.exceptions,
        "amount_at_bank": None if row.amount_at_bank is None else show_exactly(row.amount_at_bank, row.currency),
        "reconciled_at": None if row.reconciled_at is None else show_time(row.reconciled_at),
        "version": row.version,
        "created_at": show_time(row.created_at),
        "updated_at": show_time(row.updated_at),
    }


def _residue(row: Any) -> str | None:
    """By how much the entries are more than the payout; None where nobody lists any."""
    if not row.itemized or row.state in (PayoutState.BY_BALANCE, PayoutState.NOT_PAID):
        return None
    return show_exactly(row.net - row.amount, row.currency)


def payouts_of_amount(amount: Decimal, currency: str | None, *, limit: int) -> list[dict[str, Any]]:
    """The newest payouts of this very amount, in any currency where none is given. Raises DatabaseUnavailableError."""
    values = {"amount": amount, "currency": currency, "limit": limit}
    return [show_payout(row) for row in execute(_of_amount, values)]


def payout_of(payout_id: UUID) -> dict[str, Any] | None:
    """A payout, its sums by kind, its bank entries and its files; None where there is none of this id.

    ``sums`` and ``files`` are None of a payout with more entries than ``SUMMED``. Raises DatabaseUnavailableError.
    """
    rows = execute(_one, {"id": payout_id})
    if not rows:
        return None
    shown = show_payout(rows[0])
    sums = execute(_made_of, {"id": payout_id}) if rows[0].entries <= SUMMED else None
    files = None
    if sums is not None:
        named = sorted({one for row in sums for one in row.files})
        files = [_file(row) for row in execute(_files, {"ids": named})] if named else []
    return shown | {
        "sums": None if sums is None else [_sum_shown(row) for row in sums],
        "bank_entries": [_bank_entry(row) for row in execute(_at_bank, {"id": payout_id})],
        "files": files,
    }


def _sum_shown(row: Any) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "currency": row.currency,
        "entries": row.entries,
        "gross": show_exactly(row.gross, row.currency),
        "fee": show_exactly(row.fee, row.currency),
        "net": show_exactly(row.net, row.currency),
    }


def _bank_entry(row: Any) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "account": row.account,
        "reference": row.entry_ref,
        "state": row.state,
        "amount": None if row.amount is None else show_exactly(row.amount, row.currency),
        "currency": row.currency,
        "entry_amount": show_exactly(row.entry_amount, row.currency),
        "occurred_at": show_time(row.occurred_at),
        "match_id": str(row.match_id),
        "resolved_at": None if row.resolved_at is None else show_time(row.resolved_at),
        "detail": row.detail or None,
    }


def _file(row: Any) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "name": row.name,
        "form": row.form,
        "account": row.account or None,
        "rows": row.rows,
        "state": row.state,
        "entered_at": None if row.entered_at is None else show_time(row.entered_at),
        "was_accepted": row.was_accepted,
    }
