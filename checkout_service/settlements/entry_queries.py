"""Reads of balance entries: a list by what is known of them, each with what it is matched with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from checkout_service.api.responses import show_time
from checkout_service.settlement_words import EXCEPTIONS, EntryKind, MatchState
from checkout_service.settlements.amounts import show_exactly
from checkout_service.settlements.walking import EDGE, Walk, both, conditions

MATCHES: Final = 20
"""Matches that an entry is shown with: a bank's may bring several payouts."""

_OFTEN: Final = (EntryKind.CAPTURE, EntryKind.REFUND, EntryKind.FEE)
"""Kinds that the index of kinds leaves out."""

_CURRENT: Final = "undone_at IS NULL AND entry_id IS NOT NULL"

COLUMNS: Final = f"""
    made.id, made.provider, made.account, made.entry_ref, made.kind::text AS kind, made.provider_type, made.gross,
    made.fee, made.net, made.currency, made.customer_amount, made.customer_currency, made.rate, made.occurred_at,
    made.occurred_local, made.available_on, made.payout_id, made.payout_ref, made.about::text AS about,
    made.subject_ref, made.payment_ref, made.merchant_ref, made.description, made.file_id, made.line,
    made.withdrawn_by, made.created_at,
    (SELECT jsonb_agg(jsonb_build_array(match.id, match.state, match.payout_id, match.payment_id, match.subject,
            match.subject_id, match.amount::text, match.currency, match.amount_here::text, match.currency_here,
            match.differs, match.detail, match.resolved_at) ORDER BY match.id)
        FROM (SELECT * FROM settlement_matches WHERE {_CURRENT} AND entry_id = made.id LIMIT {MATCHES}) AS match)
        AS matches
"""  # noqa: S608 (only our own constants)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilters:
    """What entries are narrowed to; all of what is given must hold.

    ``occurred_since`` and ``occurred_until`` are aware; an entry of the very ``occurred_until`` is not among them.
    ``match_state`` is that of a match that holds. Entries that a later file has no more are left out, unless
    ``withdrawn`` asks for them, or ``match_state`` does.
    """

    payout_id: UUID | None = None
    payment_id: UUID | None = None
    provider: str | None = None
    kind: EntryKind | None = None
    currency: str | None = None
    occurred_since: datetime | None = None
    occurred_until: datetime | None = None
    match_state: MatchState | None = None
    withdrawn: bool = False


_CONDITIONS: Final = {
    "payout_id": "made.payout_id = CAST(:payout_id AS uuid)",
    "payment_id": f"""EXISTS (SELECT FROM settlement_matches WHERE {_CURRENT} AND entry_id = made.id
        AND payment_id = CAST(:payment_id AS uuid))""",
    "provider": "made.provider = CAST(:provider AS text)",
    "kind": "made.kind = CAST(CAST(:kind AS text) AS balance_entry_kind)",
    "currency": "made.currency = CAST(:currency AS text)",
    "occurred_since": "made.occurred_at >= CAST(:occurred_since AS timestamptz)",
    "occurred_until": "made.occurred_at < CAST(:occurred_until AS timestamptz)",
    "match_state": f"""EXISTS (SELECT FROM settlement_matches WHERE {_CURRENT} AND entry_id = made.id
        AND state = CAST(CAST(:match_state AS text) AS settlement_match_state))""",
}

_OF_PAYMENT: Final = f"""balance_entries AS made WHERE made.id IN (SELECT entry_id FROM settlement_matches
    WHERE payment_id = CAST(:payment_id AS uuid) AND {_CURRENT})"""  # noqa: S608 (only our own constants)


def entries_walk(filters: EntryFilters) -> tuple[Walk, dict[str, Any]]:
    """How entries are searched with these filters, and the values of that search."""
    given = asdict(filters)
    rest = conditions(given, _CONDITIONS)
    words = {name: None if given[name] is None else given[name].value for name in ("kind", "match_state")}
    values = given | words
    if filters.withdrawn:
        rest["withdrawn"] = "made.withdrawn_by IS NOT NULL"
    elif filters.match_state is not MatchState.WITHDRAWN:
        rest["withdrawn"] = "made.withdrawn_by IS NULL"
    walk = _walk(filters, rest)
    return walk, values


def _walk(filters: EntryFilters, rest: dict[str, str]) -> Walk:
    """The walk along the index that tells most. Its conditions leave ``rest``."""
    if filters.payment_id is not None:
        del rest["payment_id"]
        return Walk(_OF_PAYMENT, both(rest), COLUMNS, moment="made.occurred_at", by_moment=True)
    if filters.match_state in EXCEPTIONS:
        # Along the matches, the newest first, of which there are few. As a constant, since the index is partial.
        del rest["match_state"]
        # A bank's entry may have one for each payout: the newest stands for it. Entries are looked up by their key,
        # where else all of them might be hashed.
        source = f"""(
                SELECT * FROM settlement_matches AS match
                WHERE match.undone_at IS NULL AND match.entry_id IS NOT NULL
                    AND match.state <> ALL ('{{matched,not_ours}}'::settlement_match_state[])
                    AND match.state = '{filters.match_state.value}' AND NOT EXISTS (
                        SELECT FROM settlement_matches AS newer
                        WHERE newer.entry_id = match.entry_id AND newer.undone_at IS NULL
                            AND newer.entry_id IS NOT NULL AND newer.state = match.state AND newer.id > match.id)
                    AND {EDGE}
                ORDER BY match.id DESC LIMIT :looked_through
            ) AS match
            CROSS JOIN LATERAL (SELECT * FROM balance_entries WHERE id = match.entry_id OFFSET 0) AS made
        """  # noqa: S608 (only our own constants)
        return Walk(source, both(rest), COLUMNS, key="match.id", moment="match.created_at")
    if filters.payout_id is not None:
        source = f"balance_entries AS made WHERE {rest.pop('payout_id')}"
        return Walk(source, both(rest), COLUMNS)
    along = [rest.pop(name) for name in ("occurred_since", "occurred_until") if name in rest]
    if filters.kind is not None and filters.kind not in _OFTEN:
        del rest["kind"]
        along.append(f"made.kind = '{filters.kind.value}'")
    source = f"balance_entries AS made WHERE {' AND '.join(['true', *along])}"
    return Walk(source, both(rest), COLUMNS, moment="made.occurred_at", by_moment=True)


def show_entry(row: Any) -> dict[str, Any]:
    """An entry as the API shows it, of a row of ``COLUMNS``."""
    return {
        "id": str(row.id),
        "provider": row.provider,
        "account": row.account or None,
        "reference": row.entry_ref,
        "kind": row.kind,
        "type": row.provider_type,
        "gross": show_exactly(row.gross, row.currency),
        "fee": show_exactly(row.fee, row.currency),
        "net": show_exactly(row.net, row.currency),
        "currency": row.currency,
        "customer_amount": None if row.customer_amount is None else _customers(row),
        "customer_currency": row.customer_currency,
        "rate": None if row.rate is None else format(row.rate, "f"),
        "occurred_at": show_time(row.occurred_at),
        "occurred_local": row.occurred_local,
        "available_on": None if row.available_on is None else row.available_on.isoformat(),
        "payout_id": None if row.payout_id is None else str(row.payout_id),
        "payout_reference": row.payout_ref or None,
        "subject": row.about,
        "subject_reference": row.subject_ref or None,
        "payment_reference": row.payment_ref or None,
        "merchant_reference": row.merchant_ref or None,
        "description": row.description or None,
        "file_id": str(row.file_id),
        "line": row.line,
        "withdrawn": row.withdrawn_by is not None,
        "matches": [_match(match) for match in row.matches or ()],
        "created_at": show_time(row.created_at),
    }


def _customers(row: Any) -> str:
    return show_exactly(row.customer_amount, row.customer_currency or row.currency)


def _match(columns: list[Any]) -> dict[str, Any]:
    names = ("id", "state", "payout_id", "payment_id", "subject", "subject_id", "amount", "currency")
    here = ("amount_here", "currency_here", "differs", "detail", "resolved_at")
    shown = dict(zip((*names, *here), columns, strict=True))
    for amount, currency in (("amount", "currency"), ("amount_here", "currency_here")):
        if shown[amount] is not None:
            shown[amount] = show_exactly(Decimal(shown[amount]), shown[currency] or "")
    moment = shown["resolved_at"]
    shown["resolved_at"] = None if moment is None else show_time(datetime.fromisoformat(moment))
    return shown | {"detail": shown["detail"] or None}
