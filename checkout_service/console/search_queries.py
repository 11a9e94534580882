"""Finds what a name or an id leads to, each by an index of its own: one statement, however much is kept.

Whatever is found leads to a page of the console: a payment, an order, a webhook, an endpoint, a customer, a payout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from checkout_service.database.engine import execute
from checkout_service.providers.registry import provider_specs

MOST: Final = 20
"""Rows of each kind that are listed; a name of a provider is as a rule that of one thing."""

# By the primary keys. What is about a payment leads to it.
_BY_ID: Final = {
    ("payment", "payment"): "SELECT id FROM payments WHERE id = :id",
    ("order", "order"): "SELECT id FROM orders WHERE id = :id",
    ("order", "line of an order"): "SELECT order_id FROM order_lines WHERE id = :id",
    ("payment", "refund"): "SELECT payment_id FROM refunds WHERE id = :id",
    ("payment", "capture"): "SELECT payment_id FROM captures WHERE id = :id",
    ("payment", "request to capture"): "SELECT payment_id FROM capture_requests WHERE id = :id",
    ("payment", "void"): "SELECT payment_id FROM voids WHERE id = :id",
    ("payment", "attempt to pay"): "SELECT payment_id FROM payment_attempts WHERE id = :id",
    ("payment", "dispute"): "SELECT payment_id FROM disputes WHERE id = :id",
    ("payment", "checkout session"): "SELECT payment_id FROM checkout_sessions WHERE id = :id",
    ("payment", "cart"): f"SELECT payment_id FROM checkout_sessions WHERE cart_id = :id ORDER BY id DESC LIMIT {MOST}",  # noqa: S608 (our constant)
    ("webhook", "webhook"): "SELECT id FROM webhook_deliveries WHERE id = :id",
    ("endpoint", "webhook endpoint"): "SELECT id FROM webhook_endpoints WHERE id = :id",
    ("customer", "customer"): "SELECT id FROM users WHERE id = :id",
    ("payout", "payout"): "SELECT id FROM payouts WHERE id = :id",
    ("payout", "line of it"): "SELECT payout_id FROM balance_entries WHERE id = :id AND payout_id IS NOT NULL",
}

# By the unique indexes that begin with the provider: one step of each for every provider there is.
_OF_PROVIDERS: Final = {
    ("payment", "capture"): ("captures", "payment_id", "capture_ref"),
    ("payment", "attempt to pay"): ("payment_attempts", "payment_id", "attempt_ref"),
    ("payment", "refund"): ("refunds", "payment_id", "provider_ref"),
    ("payment", "request to capture"): ("capture_requests", "payment_id", "provider_ref"),
    ("payment", "dispute"): ("disputes", "payment_id", "dispute_ref"),
    ("payment", "event"): ("payment_events", "payment_id", "event_id"),
    ("payment", "event of a refund"): (
        "refund_events",
        "(SELECT refund.payment_id FROM refunds AS refund WHERE refund.id = refund_events.refund_id)",
        "event_id",
    ),
}


# By the unique index, whose middle is the account, and by those of what a line names. A bank's has its payout by its
# match.
_OF_ACCOUNTS: Final = """settlement_accounts AS account JOIN balance_entries AS entry
    ON entry.provider = account.provider AND entry.account = account.account AND entry.entry_ref = :name
        AND entry.withdrawn_by IS NULL"""
_OF_NAMES: Final = """unnest(CAST(:providers AS text[])) AS known (provider) JOIN balance_entries AS entry
    ON entry.provider = known.provider AND entry.{0} = :name AND entry.{0} <> '' AND entry.withdrawn_by IS NULL"""

_IN_REPORTS: Final = {
    ("payout", "line of it"): "entry.payout_id",
    ("payout", "entry at the bank"): """(SELECT match.payout_id FROM settlement_matches AS match
        WHERE match.entry_id = entry.id AND match.undone_at IS NULL AND match.payout_id IS NOT NULL LIMIT 1)""",
    ("settled", "line of a report"): """(SELECT match.payment_id FROM settlement_matches AS match
        WHERE match.entry_id = entry.id AND match.undone_at IS NULL AND match.payment_id IS NOT NULL
            AND entry.payout_id IS NULL LIMIT 1)""",
}


def _in_reports() -> str:
    sources = (_OF_ACCOUNTS, _OF_NAMES.format("subject_ref"), _OF_NAMES.format("payment_ref"))
    return " UNION ".join(
        _part(page, kind, f"SELECT {leads_to} AS id FROM {source} WHERE {leads_to} IS NOT NULL")  # noqa: S608 (the same)
        for (page, kind), leads_to in _IN_REPORTS.items()
        for source in sources
    )


def _part(page: str, kind: str, rows: str) -> str:
    return f"(SELECT '{page}' AS page, '{kind}' AS kind, found.* FROM ({rows}) AS found (id) LIMIT {MOST})"  # noqa: S608 (only our own constants)


def _by_name() -> str:
    parts = [
        _part("payment", "payment", "SELECT id FROM payments WHERE provider_ref = :name"),
        _part("customer", "customer", """
            SELECT id FROM users WHERE subject IS NOT NULL AND issuer = :issuer AND subject = :name"""),
        _part("payout", "payout", "SELECT id FROM payouts WHERE payout_ref = :name"),
        _part("payout", "reference at the bank", """
            SELECT id FROM payouts WHERE split_part(bank_reference, ' ', 1) = split_part(:name, ' ', 1)
                AND bank_reference <> '' AND bank_reference || ' ' ^@ (CAST(:name AS text) || ' ')
            ORDER BY split_part(bank_reference, ' ', 1) DESC, id DESC"""),
    ]  # fmt: skip
    for (page, kind), (table, leads_to, column) in _OF_PROVIDERS.items():
        rows = f"""SELECT {leads_to} FROM unnest(CAST(:providers AS text[])) AS known (provider)
            JOIN {table} ON {table}.provider = known.provider AND {table}.{column} = :name
                AND {table}.{column} <> ''"""  # noqa: S608 (only our own constants)
        parts.append(_part(page, kind, rows))
    return " UNION ALL ".join(parts)


_named = text(_by_name())
_reported = text(_in_reports())
_keyed = text(" UNION ALL ".join(_part(page, kind, rows) for (page, kind), rows in _BY_ID.items()))


class Found(NamedTuple):
    """What a name or an id leads to: the ``page`` (payment, order, webhook, endpoint, customer, payout) of this ``id``.

    The page ``settled`` is that of what reports have of the payment of this id. ``kind`` is what it is the name of, in
    words.
    """

    page: str
    kind: str
    id: UUID


def found_by_id(sought: UUID) -> list[Found]:
    """What has this id. Raises DatabaseUnavailableError, as all of these do."""
    return [Found(row.page, row.kind, row.id) for row in execute(_keyed, {"id": sought})]


def found_by_name(name: str, *, issuer: str) -> list[Found]:
    """What a provider, or a token of this issuer, calls so."""
    providers: Sequence[str] = sorted(provider_specs())
    rows = execute(_named, {"name": name, "issuer": issuer, "providers": providers})
    return [Found(row.page, row.kind, row.id) for row in rows]


def found_in_reports(name: str) -> list[Found]:
    """What a line of a provider's report, or of a bank's, has this name, or names this."""
    rows = execute(_reported, {"name": name, "providers": sorted(provider_specs())})
    return [Found(row.page, row.kind, row.id) for row in rows]
