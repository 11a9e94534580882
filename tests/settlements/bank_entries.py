"""Bank entries and payouts that are entered as files, and what came of them in a form that can be compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import psycopg
from sqlalchemy import make_url

from checkout_service.providers.reports import Report, ReportLine, ReportPayout, ReportSection
from checkout_service.settlement_words import BANK, EntryKind, PayoutStatus
from checkout_service.settlements.entering import enter
from tests.conftest import Servers, Sql

ACCOUNT = "NL00MADE0000000001"
ARRIVAL = date(2026, 11, 25)
"""A Wednesday."""


def entry(amount: str, text: str = "", *, on: date = ARRIVAL, ref: str = "", currency: str = "EUR") -> ReportLine:
    """An entry of a bank's statement."""
    return ReportLine(
        line=0,
        account=ACCOUNT,
        section="all",
        entry_ref=ref or f"{amount} {text} {on}",
        is_made=True,
        kind=EntryKind.BANK,
        provider_type="NTRF",
        gross=Decimal(amount),
        fee=Decimal(0),
        net=Decimal(amount),
        currency=currency,
        occurred_at=datetime.combine(on, time(), UTC),
        occurred_local=on.isoformat(),
        description=text,
    )


def payout(
    ref: str, amount: str, reference: str = "", *, on: date | None = ARRIVAL, currency: str = "EUR", **more: Any
) -> ReportPayout:
    """A payout that nobody can itemize, so that it needs no lines."""
    values: dict[str, Any] = {
        "account": "",
        "payout_ref": ref,
        "amount": Decimal(amount),
        "currency": currency,
        "status": PayoutStatus.PAID,
        "itemized": False,
        "arrival_on": on,
        "bank_reference": reference,
    }
    return ReportPayout(**(values | more))


def connect(servers: Servers) -> psycopg.Connection[Any]:
    """As the role of settlements, in autocommit."""
    url = make_url(servers.superuser_url).set(drivername="postgresql", username="checkout_settlements")
    return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True, prepare_threshold=None)


def enter_statement(
    connection: psycopg.Connection[Any], entries: Iterable[ReportLine], *, name: str = "all", complete: bool = False
) -> Any:
    """Enters a bank's file whose lines add up."""
    lines = [each._replace(section=name) for each in entries]
    sums: dict[str, Decimal] = {}
    for each in lines:
        sums[each.currency] = sums.get(each.currency, Decimal(0)) + each.net
    own = ReportSection(account=ACCOUNT, name=name, rule="closing balance", expected=sums, complete=complete)
    return enter(connection, _report(lines, [], [own]), provider=BANK, account="")


def enter_payouts(
    connection: psycopg.Connection[Any], payouts: Iterable[ReportPayout], *, provider: str = "stripe"
) -> Any:
    """Enters a provider's file that has payouts alone."""
    return enter(connection, _report([], list(payouts), []), provider=provider, account="")


def _report(lines: list[ReportLine], payouts: list[ReportPayout], sections: list[ReportSection]) -> Report:
    numbered = [each._replace(line=number) for number, each in enumerate(lines, start=1)]
    digest = hashlib.sha256(repr((numbered, payouts, sections)).encode()).digest()
    return Report(form="test", name="test", lines=iter(numbered), payouts=payouts, sections=sections, sha256=digest)


def matches(sql: Sql) -> set[tuple[Any, ...]]:
    """The current matches: amount and text of the entry, payout, state, part, what differs."""
    return {
        (str(row.net), row.description, row.payout_ref, row.state, row.part, row.differs)
        for row in sql(
            """SELECT entry.net, entry.description, payout.payout_ref, matched.state::text AS state,
                matched.amount::text AS part, array_to_string(matched.differs, ',') AS differs
            FROM settlement_matches AS matched JOIN balance_entries AS entry ON entry.id = matched.entry_id
            LEFT JOIN payouts AS payout ON payout.id = matched.payout_id
            WHERE matched.undone_at IS NULL AND matched.provider = 'bank'"""
        )
    }


def states(sql: Sql) -> dict[tuple[str, str | None], str]:
    """The state by the entry's text and the payout."""
    return {(text, ref): state for _, text, ref, state, _, _ in matches(sql)}


def details(sql: Sql) -> list[str]:
    """What current matches say to people."""
    return sorted(
        row.detail for row in sql("SELECT detail FROM settlement_matches WHERE undone_at IS NULL AND provider = 'bank'")
    )


def at_bank(sql: Sql) -> dict[str, str | None]:
    """What the bank brought, by payout."""
    rows = sql("SELECT payout_ref, amount_at_bank::text AS amount FROM payouts")
    return {row.payout_ref: row.amount for row in rows}
