"""The pages of settled money in every state, as a browser shows them: as ``test_looks`` looks at the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.conftest import Servers, Sql
from tests.console.test_looks import address, browser, context, look_at, page
from tests.pages.browser import DESKTOP, PHONE
from tests.refunding import paid_payment
from tests.settlements.entered import Books, books_of

__all__ = ["address", "browser", "context", "page"]  # fixtures

SHOWN = ("payouts", "payout")
"""Those that the documentation shows."""

HOSTILE = "<b>a very long name that nobody would give, but somebody will, one day or another</b>\u202e.exe"


@pytest.fixture
def books(servers: Servers) -> Iterator[Books]:
    with books_of(servers) as found:
        yield found


@pytest.fixture
def paths(books: Books, sql: Sql) -> dict[str, str]:
    """Payouts in each state, what needs a person of each kind, files that are held, and the pages of all of them."""
    file = books.file(
        name="payout_reconciliation.itemized.5.csv", accepted_by="mira", accepted_why="a cent of rounding"
    )
    names = ("open", "unmatched", "reconciled", "by_balance", "not_paid", "accepted")
    made = {
        state: books.payout(
            f"po_1PqX2e2eZvKYlo2C{place}",
            state="reconciled" if state == "accepted" else state,
            status=("in_transit", "paid", "paid", "paid", "failed", "paid")[place],
            amount=("412.70", "133.90", "4205.17", "-30", "80", "49.70")[place],
            entries=(0, 4, 64, 0, 0, 1)[place],
            gross=(0, "160", "4400.00", 0, 0, "51.00")[place],
            fee=(0, "26.10", "194.83", 0, 0, "0.30")[place],
            net=(0, "133.90", "4205.17", 0, 0, "50.70")[place],
            exceptions=int(place == 1),
            currency="EUR" if place == 3 else "USD",
            itemized=place != 3,
            issued_at="2026-11-24T00:00:00Z",
            arrival_on=f"2026-11-{26 + place % 3}",
            bank_reference="STRIPE PO1PQX2E",
            amount_at_bank="4205.17" if place == 2 else None,
            failed_at="2026-11-27T09:00:00Z" if place == 4 else None,
            failure_code="account_closed" if place == 4 else "",
            account="MADEUPMERCH01" if place == 5 else "",
        )
        for place, state in enumerate(names)
    }
    payment, _ = paid_payment(sql)
    in_it = {"payout_id": made["unmatched"], "payout_ref": "po_1"}
    books.match("matched", books.entry(file, "txn_1PqX2e2eZvKYlo2C1", **in_it), payment_id=payment)
    books.match(
        "unowned_fee",
        books.entry(
            file,
            "txn_1PqX2e2eZvKYlo2C2",
            kind="fee",
            provider_type="stripe_fee",
            gross="0",
            fee="0.125",
            net="-0.125",
            **in_it,
        ),
    )
    dispute = books.entry(
        file,
        "txn_1PqX2e2eZvKYlo2C3",
        kind="dispute",
        provider_type="adjustment",
        gross="-40",
        fee="20",
        net="-60",
        **in_it,
    )
    books.match("unknown_here", dispute, detail="no payment of ours is called pi_3PqX2e2eZvKYlo2C0")
    books.entry(
        file,
        "txn_1PqX2e2eZvKYlo2C4",
        kind="reserve",
        provider_type="reserve_hold",
        gross="-5",
        fee=0,
        net="-5",
        **in_it,
    )
    brought = books.entry(
        books.file(provider="bank"),
        "2026112600001",
        provider="bank",
        kind="bank",
        provider_type="CRDT",
        gross="133.90",
        fee=0,
        net="133.90",
        description="STRIPE PAYMENTS EUROPE",
    )
    books.match(
        "proposed",
        brought,
        provider="bank",
        payout_id=made["unmatched"],
        amount="133.90",
        currency="USD",
        detail="the amount fits, and no reference says so",
    )
    odd = books.entry(file, HOSTILE, provider_type=HOSTILE, account=HOSTILE)
    books.match(
        "differs", odd, account=HOSTILE, detail=HOSTILE, amount_here="199.00", currency_here="USD", differs=["amount"]
    )
    books.run(
        """INSERT INTO settlement_files (provider, name, sha256, form, rows, state, residues, faults)
        VALUES ('adyen', 'settlement_detail_report_batch_41.csv', decode(repeat('00', 32), 'hex'), 'settlement_details',
            212, 'held', '[{"account": "Shop", "section": "41", "currency": "EUR", "expected": "0", "found": "0.01",
            "rule": "net credit - net debit of all rows = 0"}]', ARRAY[%(fault)s]) RETURNING id""",
        fault=HOSTILE,
    )
    return {
        "payouts": "/ops/payouts",
        "payouts-faults": "/ops/payouts?state=lost&status=no&currency=euro&arrival_since=soon&provider=A",
        "payouts-none": "/ops/payouts?reference=po_2",
        **{f"payout-{state}": f"/ops/payouts/{payout}" for state, payout in made.items()},
        "payout": f"/ops/payouts/{made['unmatched']}",
        "exceptions": "/ops/exceptions?kind=unknown_here",
        "exceptions-differs": "/ops/exceptions?kind=differs",
        "exceptions-proposed": "/ops/exceptions?kind=proposed",
        "exceptions-none": "/ops/exceptions?kind=withdrawn",
        "exceptions-faults": "/ops/exceptions?kind=none",
        "settled": f"/ops/payments/{payment}/settled",
        "settled-none": f"/ops/payments/{made['open']}/settled",
        "todo-settled": "/ops/todo",
    }


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_page_of_settled_money_is_accessible_and_fits(
    page: Page, address: str, paths: dict[str, str], size: dict[str, int], tmp_path: Path
) -> None:
    look_at(page, address, paths, size=size, folder=tmp_path, shown=SHOWN)
