"""Stripe's payouts that nobody can list, fetched from a server and entered: by hand, at once, beside automatic ones."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from checkout_service.providers import transport
from checkout_service.providers.adapters.stripe.report_api import fetch
from checkout_service.providers.adapters.stripe.report_files import read
from checkout_service.providers.reports import FetchContext
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from checkout_service.settlement_words import FileState
from checkout_service.settlements.entered import Entered
from checkout_service.settlements.entering import accept, enter
from checkout_service.settlements.missing import find_missing
from tests.conftest import Sql
from tests.providers.stripe_reports_server import KEY, NOW, Stripe, movement, payout, serving
from tests.settlements.entering.reports import payment, payouts, states

Settlements = psycopg.Connection[Any]

BY_HAND = payout("po_hand", automatic=False, reconciliation_status="not_applicable", status="paid", amount=9000)
OWN = movement("txn_hand", -9000, int(NOW.timestamp()) + 60, type="payout", source="po_hand")


def at(second: int) -> int:
    """So many seconds after the first run."""
    return int(NOW.timestamp()) + second


def charge(ref: str, amount: int, second: int, *, fee: int = 0) -> dict[str, Any]:
    """The movement of the charge ``ch_…`` of this name."""
    source = {"id": f"ch_{ref}", "object": "charge", "amount": amount, "currency": "eur"}
    return movement(f"txn_{ref}", amount, at(second), fee=fee, source=source)


@pytest.fixture
def stripe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stripe]:
    monkeypatch.setattr(transport, "sleep", lambda seconds: None)
    with serving() as server:
        server.payouts, server.movements = [BY_HAND], {}
        server.opening = {"eur": 10000}
        yield server


class Fetches:
    """Runs of a fetch as the command has them: each report is entered before the next one is taken."""

    def __init__(self, stripe: Stripe, settlements: Settlements) -> None:
        self._stripe, self._settlements = stripe, settlements

    def run(self, hours: int) -> dict[str, Entered]:
        """So many hours after the first one: what came of each report, by its name."""
        account = Account(options={"reports_key": Secret(KEY), "reports_base": Secret(self._stripe.base)})
        cursor = self._settlements.execute("SELECT cursor FROM settlement_accounts").fetchone()
        context = FetchContext(
            account=account,
            now=NOW + timedelta(hours=hours),
            since=None,
            cursor=cursor[0] if cursor else None,
            is_entered=self._is_entered,
        )
        return {
            report.name: enter(self._settlements, report, provider="stripe", account="") for report in fetch(context)
        }

    def _is_entered(self, name: str) -> bool:
        found = self._settlements.execute(
            "SELECT FROM settlement_files WHERE name = %s AND state = 'entered'", [name]
        ).fetchone()
        return found is not None


@pytest.fixture
def fetches(stripe: Stripe, settlements: Settlements) -> Fetches:
    return Fetches(stripe, settlements)


def of(entered: dict[str, Entered]) -> Entered:
    """The newest window."""
    return entered[max(name for name in entered if name.startswith("balance "))]


def test_a_payout_by_hand_is_reconciled_by_the_balance_and_what_it_used_up_is_not_missing(
    stripe: Stripe, fetches: Fetches, settlements: Settlements, sql: Sql
) -> None:
    payment(sql, captured={"ch_1": "120.00", "ch_nowhere": "1.00"}, amount="200.00", currency="EUR")
    sql("UPDATE captures SET created_at = :at", at=NOW + timedelta(minutes=2))
    fetches.run(0)
    assert payouts(sql) == {"po_hand": "open"}
    stripe.balance = [OWN, charge("1", 12000, 30, fee=320)]

    found = of(fetches.run(1))

    assert (found.state, found.new, found.residues) == (FileState.ENTERED, 2, ())
    assert payouts(sql) == {"po_hand": "by_balance"}
    assert states(sql) == {"txn_1": "matched"}
    [row] = sql("SELECT entries, net, exceptions FROM payouts")
    assert (row.entries, row.net, row.exceptions) == (0, 0, 0)
    find_missing(settlements, after_days=14, now=NOW + timedelta(days=20))
    missing = sql(
        "SELECT capture.capture_ref FROM settlement_matches AS known JOIN captures AS capture "
        "ON capture.id = known.subject_id WHERE known.state = 'missing_there'"
    )
    assert [row.capture_ref for row in missing] == ["ch_nowhere"]


def test_one_cent_that_the_balance_has_not_holds_the_window_alone_until_it_is_listed(
    stripe: Stripe, fetches: Fetches, sql: Sql
) -> None:
    fetches.run(0)
    stripe.balance = [OWN, charge("1", 12000, 30)]
    stripe.opening = {"eur": 10001}

    held = of(fetches.run(1))

    assert held.state is FileState.HELD
    [residue] = held.residues
    assert (residue.currency, residue.expected, residue.found) == ("EUR", Decimal("30.01"), Decimal("30.00"))
    assert payouts(sql) == {"po_hand": "open"}
    assert sql("SELECT count(*) AS n FROM balance_entries")[0].n == 0

    stripe.balance.insert(0, charge("2", 500, 3700))
    again = fetches.run(2)
    assert sorted((each.state.value, each.is_known) for name, each in again.items() if name.startswith("balance ")) == [
        ("entered", False),
        ("held", True),
    ]
    assert sql("SELECT count(*) AS n FROM balance_entries")[0].n == 1

    stripe.opening = {"eur": 10000}
    stripe.balance.append(movement("txn_late", 1, at(20), type="adjustment"))
    fetches.run(3)

    assert payouts(sql) == {"po_hand": "by_balance"}
    files = sql("SELECT state::text, count(*) AS n FROM settlement_files WHERE form = 'balance' GROUP BY state")
    assert {row.state: row.n for row in files} == {"entered": 3, "superseded": 1}
    assert sql("SELECT count(*) AS n FROM balance_entries")[0].n == 4


def test_a_window_that_a_person_accepted_is_not_listed_again(
    stripe: Stripe, fetches: Fetches, settlements: Settlements, sql: Sql
) -> None:
    fetches.run(0)
    stripe.balance = [OWN]
    stripe.opening = {"eur": 10001}
    held = of(fetches.run(1))
    accept(settlements, held.file_id, operator="ann", why="a cent that Stripe cannot explain")
    assert payouts(sql) == {"po_hand": "by_balance"}
    queries = len(stripe.queries)

    assert list(fetches.run(2)) == ["payouts"]
    windows = [query["created[gte]"] for _, query in stripe.queries[queries:] if "created[lt]" in query]
    assert windows == [str(at(3540))]


AUTOMATIC = payout("po_auto", amount=11680, status="paid", created=at(7300), balance_transaction="txn_auto")


@pytest.mark.parametrize("is_balance_first", [True, False])
def test_a_line_that_comes_by_the_balance_and_by_a_payout_is_one_entry_in_either_order(
    stripe: Stripe, fetches: Fetches, sql: Sql, *, is_balance_first: bool
) -> None:
    payment(sql, captured={"ch_1": "120.00"}, amount="200.00", currency="EUR")
    fetches.run(0)
    line = charge("1", 12000, 30, fee=320)
    own = movement("txn_auto", -11680, at(7300 if is_balance_first else 60), type="payout", source="po_auto")
    stripe.movements["po_auto"] = [own, line]
    if is_balance_first:
        stripe.balance = [line]
        assert of(fetches.run(1)).state is FileState.ENTERED
        stripe.balance.insert(0, own)
        stripe.payouts = [AUTOMATIC, BY_HAND]
        entered = fetches.run(3)
        assert entered["balance_transactions po_auto"].new == 0
    else:
        stripe.payouts = [AUTOMATIC | {"created": at(60)}, BY_HAND]
        stripe.balance = [own, line]
        entered = fetches.run(1)
        assert entered["balance_transactions po_auto"].new == 1

    assert (of(entered).state, of(entered).new) == (FileState.ENTERED, 1)
    assert {name: each.withdrawn for name, each in entered.items() if each.withdrawn} == {}
    assert payouts(sql) == {"po_auto": "reconciled", "po_hand": "open"}
    [row] = sql("SELECT entries, net FROM payouts WHERE payout_ref = 'po_auto'")
    assert (row.entries, row.net) == (1, Decimal("116.80"))
    assert states(sql) == {"txn_1": "matched"}
    entries = sql("SELECT entry_ref, payout_ref, payout_id IS NOT NULL AS has_payout FROM balance_entries")
    assert sorted(tuple(row) for row in entries) == [("txn_1", "po_auto", True), ("txn_auto", "po_auto", True)]


def test_an_automatic_payout_whose_own_line_alone_is_here_is_not_by_balance(
    stripe: Stripe, fetches: Fetches, sql: Sql
) -> None:
    fetches.run(0)
    stripe.payouts = [AUTOMATIC | {"created": at(60), "reconciliation_status": "in_progress"}, BY_HAND]
    stripe.balance = [movement("txn_auto", -11680, at(60), type="payout", source="po_auto")]

    assert of(fetches.run(1)).state is FileState.ENTERED

    assert payouts(sql) == {"po_auto": "open", "po_hand": "open"}


def test_a_payout_by_hand_that_came_back_is_by_balance_and_its_return_is_no_part_of_it(
    stripe: Stripe, fetches: Fetches, sql: Sql
) -> None:
    fetches.run(0)
    back = movement("txn_back", 9000, at(90), type="payout_failure", source="po_hand")
    stripe.payouts = [BY_HAND | {"status": "failed", "failure_balance_transaction": back}]
    stripe.balance = [back, OWN]

    assert of(fetches.run(1)).state is FileState.ENTERED

    [row] = sql("SELECT state::text, status::text, entries, net FROM payouts")
    assert tuple(row) == ("by_balance", "failed", 0, 0)


FILE = (
    "payout_id,balance_transaction_id,currency,gross,fee,net,reporting_category,payout_status\r\n"
    "po_hand,txn_hand,eur,-90.00,0.00,-90.00,payout,paid\r\n"
)


@pytest.mark.parametrize("is_file_first", [True, False])
def test_a_file_of_payouts_makes_no_payout_one_that_can_be_itemized(
    stripe: Stripe, fetches: Fetches, settlements: Settlements, sql: Sql, *, is_file_first: bool
) -> None:
    def load() -> None:
        enter(settlements, read(io.BytesIO(FILE.encode()), name="p.csv", account=""), provider="stripe", account="")

    if is_file_first:
        load()
    fetches.run(0)
    stripe.balance = [OWN]
    fetches.run(1)
    if not is_file_first:
        load()

    assert sql("SELECT itemized FROM payouts")[0].itemized is False
    assert payouts(sql) == {"po_hand": "by_balance"}
