"""However the same lines are split into files, and in whichever order these come, the same comes of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final
from uuid import uuid4

import psycopg
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from checkout_service.providers.reports import ReportLine
from checkout_service.settlement_words import EntryKind
from checkout_service.settlements.entering import enter
from checkout_service.settlements.missing import find_missing
from checkout_service.settlements.settling import resolve
from tests.conftest import Sql
from tests.settlements.entering.reports import (
    NOW,
    PROVIDER,
    dispute,
    dump,
    line,
    payment,
    payout,
    presumed,
    refund,
    report,
    section,
)

Settlements = psycopg.Connection[Any]
ZERO: Final = Decimal(0)

EMPTY = (
    "settlement_matches",
    "settlement_lines",
    "balance_entries",
    "payouts",
    "settlement_accounts",
    "settlement_files",
)

SUBJECTS = {
    EntryKind.CAPTURE: ("ch_1", "ch_2", "ch_partial", "psp_1", "ch_nobody"),
    EntryKind.RELEASE: ("ch_partial", "ch_1"),
    EntryKind.REFUND: ("re_1", "re_2", "re_nobody"),
    EntryKind.REFUND_FAILURE: ("re_2",),
    EntryKind.DISPUTE: ("dp_1", "dp_won"),
    EntryKind.DISPUTE_REVERSAL: ("dp_won",),
    EntryKind.FEE: ("",),
    EntryKind.TRANSFER: ("",),
    EntryKind.UNKNOWN: ("",),
}
AMOUNTS = ("100", "60", "-40", "-30", "40", "30", "-1")

kinds = st.sampled_from(sorted(SUBJECTS))
drawn = kinds.flatmap(
    lambda kind: st.tuples(
        st.just(kind),
        st.sampled_from(SUBJECTS[kind]),
        st.sampled_from(AMOUNTS),
        st.sampled_from(["", "po_1", "po_2"]),
        st.booleans(),
        st.integers(0, 3),
    )
)


def _lines(found: list[tuple[EntryKind, str, str, str, bool, int]]) -> list[tuple[ReportLine, int]]:
    """The lines, each with the file that it is in; without a name of their own where they say so."""
    return [
        (
            line(
                kind,
                amount,
                ref=f"{kind}{subject}{amount}{ref}" if is_made else f"t{number}",
                subject=subject,
                payout_ref=ref,
                section="window",
                is_made=is_made,
            ),
            # Equal rows without a name come together: files overlap, and none has one of them alone.
            len(f"{kind}{subject}{amount}{ref}") % 4 if is_made else file,
        )
        for number, (kind, subject, amount, ref, is_made, file) in enumerate(found)
    ]


def _file(lines: list[ReportLine]) -> Any:
    net = sum((each.net for each in lines), Decimal(0))
    return report(lines, sections=[section("window", expected={"USD": net} if lines else {}, complete=False)])


def seed(sql: Sql, after: str = "") -> None:
    """Payments of which these lines may be; ``after`` ends all of their names."""
    first = payment(sql, captured={f"ch_1{after}": "100"})
    payment(sql, captured={f"ch_2{after}": "60"})
    payment(sql, captured={f"ch_partial{after}": "60"})
    presumed(sql, payment(sql), "100", ref=f"psp_1{after}")
    refund(sql, first, f"re_1{after}", "30")
    refund(sql, first, f"re_2{after}", "30", status="failed")
    dispute(sql, first, f"dp_1{after}", "40")
    dispute(sql, first, f"dp_won{after}", "40", step=2)


def _entered(settlements: Settlements, sql: Sql, files: list[Any]) -> list[list[tuple[Any, ...]]]:
    for table in EMPTY:
        sql(f"DELETE FROM {table}")
    for each in files:
        enter(settlements, each, provider=PROVIDER, account="")
    return dump(sql)


@given(
    found=st.lists(drawn, min_size=1, max_size=10),
    order=st.permutations(range(6)),
    overlapping=st.integers(0, 2),
)
@example(
    found=[
        (EntryKind.CAPTURE, "ch_partial", "100", "po_1", False, 3),
        (EntryKind.RELEASE, "ch_partial", "-40", "po_2", False, 0),
        (EntryKind.DISPUTE, "dp_won", "-40", "po_1", False, 1),
        (EntryKind.DISPUTE_REVERSAL, "dp_won", "40", "po_2", False, 0),
        (EntryKind.FEE, "", "-1", "po_1", True, 0),
        (EntryKind.FEE, "", "-1", "po_1", True, 0),
    ],
    order=[5, 4, 3, 2, 1, 0],
    overlapping=0,
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_split_and_order_of_the_same_lines_comes_to_the_same(
    settlements: Settlements,
    sql: Sql,
    found: list[tuple[EntryKind, str, str, str, bool, int]],
    order: list[int],
    overlapping: int,
) -> None:
    if not sql("SELECT FROM captures LIMIT 1"):
        seed(sql)
    lines = _lines(found)
    sums = {ref: sum((each.net for each, _ in lines if each.payout_ref == ref), Decimal(0)) for ref in ("po_1", "po_2")}
    of_payouts = [payout("po_1", sums["po_1"]), payout("po_2", sums["po_2"] + 1)]
    listed = [report([], payouts=[each], sections=[]) for each in of_payouts]
    parts = [[each for each, file in lines if file == number] for number in range(4)]

    at_once = _entered(
        settlements, sql, [report([], payouts=of_payouts, sections=[]), _file([each for each, _ in lines])]
    )
    files = [*(_file(part) for part in parts), *listed]
    in_parts = _entered(
        settlements, sql, [files[number] for number in order] + [_file([*parts[overlapping], *parts[3]])]
    )

    assert in_parts == at_once


seen_anywhere = st.tuples(
    kinds.flatmap(lambda kind: st.tuples(st.just(kind), st.sampled_from(SUBJECTS[kind]))),
    st.sampled_from(AMOUNTS),
    st.sampled_from(["", "EU"]),
    st.sampled_from([None, "100", "60"]),
    st.integers(0, 2),
)


def _of_accounts(lines: list[ReportLine]) -> Any:
    sections = [
        section(
            "window",
            account=account,
            complete=False,
            expected={
                currency: sum(
                    (each.net for each in lines if (each.account, each.currency) == (account, currency)), ZERO
                )
                for currency in sorted({each.currency for each in lines if each.account == account})
            },
        )
        for account in sorted({each.account for each in lines})
    ]
    return report(lines, sections=sections)


def _settle_all(settlements: Settlements, sql: Sql, after: str) -> None:
    """A person settles whatever names what is not here yet, as of another shop."""
    found = sql(
        """SELECT known.id FROM settlement_matches AS known JOIN balance_entries AS entry ON entry.id = known.entry_id
        WHERE known.state = 'unknown_here' AND known.undone_at IS NULL AND known.resolved_at IS NULL
            AND entry.subject_ref <> '' AND entry.subject_ref NOT LIKE '%nobody' || :after""",
        after=after,
    )
    for row in found:
        resolve(settlements, row.id, operator="ada", why="of another shop")


@given(found=st.lists(seen_anywhere, min_size=1, max_size=8), late=st.integers(0, 3), is_settled=st.booleans())
@example(
    found=[
        ((EntryKind.CAPTURE, "ch_partial"), "100", "", None, 0),
        ((EntryKind.RELEASE, "ch_partial"), "-40", "EU", None, 2),
        ((EntryKind.CAPTURE, "psp_1"), "100", "EU", "100", 1),
    ],
    late=1,
    is_settled=True,
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whenever_ours_comes_it_comes_to_the_same(
    settlements: Settlements,
    sql: Sql,
    found: list[tuple[tuple[EntryKind, str], str, str, str | None, int]],
    late: int,
    is_settled: bool,
) -> None:
    after = f"_{uuid4().hex}"
    lines = [
        line(
            kind,
            amount,
            ref=f"t{number}",
            subject=subject and subject + after,
            account=account,
            section="window",
            currency="USD" if customer is None else "EUR",
            customer_amount=None if customer is None else Decimal(customer),
            customer_currency=None if customer is None else "USD",
        )
        for number, ((kind, subject), amount, account, customer, _) in enumerate(found)
    ]
    for table in EMPTY:
        sql(f"DELETE FROM {table}")
    for number in range(4):
        if number == late:
            if is_settled:
                _settle_all(settlements, sql, after)
            seed(sql, after)
        part = [each for each, (*_, file) in zip(lines, found, strict=True) if file == number]
        if part:
            enter(settlements, _of_accounts(part), provider=PROVIDER, account="")
    find_missing(settlements, after_days=14, now=NOW)
    in_between = dump(sql)

    assert in_between == _entered(settlements, sql, [_of_accounts(lines)])
