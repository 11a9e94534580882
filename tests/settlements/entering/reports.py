"""Reports made of lines, payments that these are about, and what comes of both in a form that can be compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import make_url

from checkout_service.providers.reports import Report, ReportLine, ReportPayout, ReportSection
from checkout_service.settlement_words import EntryKind, PayoutStatus, Subject
from tests.conftest import Servers, Sql
from tests.money import attempt, capture, fold

PROVIDER = "stripe"
NOW = datetime.now(UTC).replace(microsecond=0)
ABOUT = {
    EntryKind.CAPTURE: Subject.CAPTURE,
    EntryKind.RELEASE: Subject.CAPTURE,
    EntryKind.REFUND: Subject.REFUND,
    EntryKind.REFUND_FAILURE: Subject.REFUND,
    EntryKind.DISPUTE: Subject.DISPUTE,
    EntryKind.DISPUTE_REVERSAL: Subject.DISPUTE,
}


def connect(servers: Servers) -> psycopg.Connection[Any]:
    """As the role of settlements, in autocommit."""
    url = make_url(servers.superuser_url).set(drivername="postgresql", username="checkout_settlements")
    return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True, prepare_threshold=None)


def line(
    kind: EntryKind, gross: Decimal | str, *, ref: str = "", subject: str = "", fee: Decimal | str = "0", **more: Any
) -> ReportLine:
    """A line of a day ago, in USD, of the account '' and of the section of its payout."""
    gross, fee = Decimal(gross), Decimal(fee)
    values: dict[str, Any] = {
        "line": 0,
        "account": "",
        "section": more.get("payout_ref", "") or "all",
        "entry_ref": ref or f"txn_{uuid4().hex}",
        "is_made": False,
        "kind": kind,
        "provider_type": kind.value,
        "gross": gross,
        "fee": fee,
        "net": gross - fee,
        "currency": "USD",
        "occurred_at": NOW - timedelta(days=1),
        "occurred_local": "yesterday",
        "about": ABOUT.get(kind, Subject.NONE),
        "subject_ref": subject,
    }
    return ReportLine(**(values | more))


def payout(ref: str, amount: Decimal | str, **more: Any) -> ReportPayout:
    """One that was paid, in USD."""
    values: dict[str, Any] = {
        "account": "",
        "payout_ref": ref,
        "amount": Decimal(amount),
        "currency": "USD",
        "status": PayoutStatus.PAID,
    }
    return ReportPayout(**(values | more))


def section(name: str, *, complete: bool = True, **more: Any) -> ReportSection:
    """Of the account ''."""
    return ReportSection(**({"account": "", "name": name, "rule": "lines = payout", "complete": complete} | more))


def report(
    lines: Iterable[ReportLine],
    *,
    payouts: Sequence[ReportPayout] = (),
    sections: Sequence[ReportSection] | None = None,
    name: str = "",
    **more: Any,
) -> Report:
    """One whose sections add up, unless they are given: each to the payout of its name, where there is one, else to the
    sum of its lines."""
    numbered = [each._replace(line=number) for number, each in enumerate(lines, 1)]
    told = {each.payout_ref for each in payouts}
    if sections is None:
        names = dict.fromkeys([each.section for each in numbered] + sorted(told))
        sections = [
            section(each, of_payout=each)
            if each in told
            else section(each, expected=_sums(numbered, each), complete=False)
            for each in names
        ]
    digest = hashlib.sha256(repr((numbered, payouts, sections, more)).encode()).digest()
    made = Report(form="test", name=name or f"{digest.hex()[:8]}.csv", lines=iter(()), **more)

    def read() -> Iterator[ReportLine]:
        yield from numbered
        made.payouts.extend(payouts)
        made.sections.extend(sections)
        made.sha256 = digest

    made.lines = read()
    return made


def whole(ref: str, lines: Iterable[ReportLine], **more: Any) -> Report:
    """A report of one payout and what it is made of."""
    lines = [each._replace(payout_ref=ref, section=ref) for each in lines]
    amount = sum((each.net for each in lines), Decimal(0))
    return report(lines, payouts=[payout(ref, amount)], **more)


def payment(
    sql: Sql,
    *,
    captured: Mapping[str, str] | None = None,
    amount: str = "100.00",
    currency: str = "USD",
    provider: str = PROVIDER,
    ref: str = "",
    status: str = "succeeded",
    attempt_ref: str = "",
) -> UUID:
    """A payment and its captures, by name and amount."""
    user = sql("INSERT INTO users DEFAULT VALUES RETURNING id")[0].id
    made: UUID = sql(
        """INSERT INTO payments (user_id, provider, provider_ref, amount, currency)
        VALUES (:user, :provider, :ref, :amount, :currency) RETURNING id""",
        user=user,
        provider=provider,
        ref=ref or f"pi_{uuid4().hex}",
        amount=amount,
        currency=currency,
    )[0].id
    for name, of in (captured or {}).items():
        capture(sql, made, name, of, status=status, attempt_ref=attempt_ref)
    return made


def presumed(sql: Sql, payment_id: UUID, amount: str, *, ref: str = "") -> None:
    """Money that is presumed on an attempt."""
    attempt(sql, payment_id, "authorized", ref=ref, presumed=amount)
    fold(sql, payment_id)


def refund(sql: Sql, payment_id: UUID, ref: str, amount: str, *, status: str = "succeeded") -> None:
    """One that was made at the provider."""
    sql(
        """INSERT INTO refunds (payment_id, provider, provider_ref, amount, currency, status, next_attempt_at)
        SELECT id, provider, :ref, :amount, currency, CAST(:status AS refund_status),
            CASE WHEN :status IN ('requested', 'processing') THEN now() END
        FROM payments WHERE id = :id""",
        id=payment_id,
        ref=ref,
        amount=amount,
        status=status,
    )


def dispute(sql: Sql, payment_id: UUID, ref: str, amount: str, *, step: int = 1) -> None:
    """One whose money went at odd steps, and came back at even ones."""
    sql(
        """INSERT INTO disputes (payment_id, provider, dispute_ref, stage, status, money_step, money_out, amount,
            currency)
        SELECT id, provider, :ref, 'chargeback', 'lost', :step, :step % 2 = 1, :amount, currency
        FROM payments WHERE id = :id""",
        id=payment_id,
        ref=ref,
        amount=amount,
        step=step,
    )


def states(sql: Sql) -> dict[str, str]:
    """Current matches of entries: the state by the entry's name."""
    rows = sql(
        """SELECT entry.entry_ref, known.state::text, known.differs FROM settlement_matches AS known
        JOIN balance_entries AS entry ON entry.id = known.entry_id WHERE known.undone_at IS NULL"""
    )
    return {row.entry_ref: " ".join([row.state, *row.differs]) for row in rows}


def payouts(sql: Sql) -> dict[str, str]:
    """Their states by name."""
    return {row.payout_ref: row.state for row in sql("SELECT payout_ref, state::text FROM payouts")}


def dump(sql: Sql) -> list[list[tuple[Any, ...]]]:
    """All that is current, without ids and times: the same of the same entries, however they came."""
    return [
        sorted((tuple(row) for row in sql(query)), key=repr)
        for query in (
            """SELECT entry.account, entry.kind::text, entry.gross, entry.fee, entry.currency, payout.payout_ref,
                entry.subject_ref, entry.entry_ref, known.state::text, known.subject::text, known.subject_id,
                known.payment_id, known.amount, known.currency, known.amount_here, known.differs, known.detail,
                known.resolved_by
            FROM balance_entries AS entry LEFT JOIN payouts AS payout ON payout.id = entry.payout_id
            LEFT JOIN settlement_matches AS known ON known.entry_id = entry.id AND known.undone_at IS NULL
            WHERE entry.withdrawn_by IS NULL""",
            """SELECT account, payout_ref, amount, currency, status::text, state::text, entries, gross, fee, net,
                exceptions FROM payouts""",
            "SELECT account, first_entry_at FROM settlement_accounts",
            "SELECT subject::text, subject_id FROM settlement_matches WHERE entry_id IS NULL AND undone_at IS NULL",
        )
    ]


def _sums(lines: Iterable[ReportLine], name: str) -> dict[str, Decimal]:
    """Of the nets of a section, by currency."""
    sums: dict[str, Decimal] = {}
    for each in lines:
        if each.section == name:
            sums[each.currency] = sums.get(each.currency, Decimal(0)) + each.net
    return sums
