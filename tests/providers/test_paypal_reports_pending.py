"""A row of PayPal's search that tells no balance, or moved it some time, excuses what it explains and no more."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import product
from time import monotonic
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from checkout_service.providers.adapters.paypal.reports_gaps import MOST_ELSEWHERE, Moved, gaps_of
from tests.providers.proving_reports import NOW, why_held
from tests.providers.test_paypal_reports_fetch import PayPal, all_of, chained, info

UNSURE = ["pending", "denied", "failed", "tells no balance", "began before"]


def rows(unsure: str, *, has_moved: bool = True) -> list[dict[str, Any]]:
    """Seven movements; the fourth, of 40.00 less 1.00, is one of which nobody can tell when it moved the balance."""
    at = NOW - timedelta(days=1)
    known = [
        info("T1", "100.00", at, fee="-3.00"),
        info("T2", "50.00", at + timedelta(minutes=1)),
        info("T3", "-30.00", at + timedelta(minutes=2), code="T1107"),
        info("T5", "20.00", at + timedelta(minutes=4)),
        info("T6", "10.00", at + timedelta(minutes=5)),
        info("T7", "-60.00", at + timedelta(minutes=6), code="T0400"),
    ]
    own = info("T4", "40.00", at + timedelta(minutes=3), fee="-1.00")
    found = chained(*known[:3], own, *known[3:]) if has_moved else [*chained(*known)[:3], own, *known[3:]]
    match unsure:
        case "tells no balance":
            del own["ending_balance"]
        case "began before":
            own["transaction_initiation_date"] = (NOW - timedelta(days=40)).strftime("%Y-%m-%dT%H:%M:%S+0000")
        case _:
            own["transaction_status"] = unsure[0].upper()
    return found


def held(found: list[dict[str, Any]]) -> list[str]:
    return why_held(*all_of(PayPal(found))[-1])


@pytest.mark.parametrize("unsure", UNSURE)
def test_it_excuses_the_gap_that_it_explains(unsure: str) -> None:
    assert held(rows(unsure)) == []
    if unsure != "tells no balance":
        assert held(rows(unsure, has_moved=False)) == [], "and needs none"


@pytest.mark.parametrize(("unsure", "has_moved"), [*product(UNSURE[:3], (True, False)), *product(UNSURE[3:], (True,))])
@pytest.mark.parametrize("what", ["a cent", "lost", "two lost", "lost beside it", "of its gross alone"])
def test_it_excuses_nothing_else(unsure: str, what: str, has_moved: bool) -> None:
    found = rows(unsure, has_moved=has_moved)
    match what:
        case "a cent":
            found[1]["transaction_amount"]["value"] = "50.01"
        case "lost":
            del found[5]
        case "two lost":
            del found[5], found[1]
        case "lost beside it":
            del found[2]
        case _:
            found[1]["transaction_amount"]["value"] = "90.00"
    [fault] = held(found)
    assert fault.startswith("gaps in the balances in EUR: ")
    assert fault.endswith("is of just that amount: a movement is lost, doubled or changed")


def test_one_of_another_currency_excuses_nothing() -> None:
    found = rows("pending")
    found[3]["transaction_amount"]["currency_code"] = found[3]["fee_amount"]["currency_code"] = "USD"
    assert held(found)[0].startswith("gaps in the balances in EUR: 1,")


def test_each_excuses_one_gap_and_several_in_a_row_the_gap_that_is_their_sum() -> None:
    at = NOW - timedelta(days=1)
    found = chained(*(info(f"T{n}", f"{n + 1}.00", at + timedelta(minutes=n)) for n in range(30)))
    for row in found[5:15]:
        row["transaction_status"] = "P"
    assert held(found) == []
    found[20]["transaction_status"] = "P"
    assert held(found) == []
    lost = [*found[:25], *found[26:]]
    assert held(lost)[0].startswith("gaps in the balances in EUR: 1,")


def at_once(net: Decimal, after: Decimal | None, at: datetime = NOW) -> Moved:
    return Moved(net, after, at, at)


def listed(
    chance: random.Random, number: int, unsure: int, *, cent: bool = False, is_in_order: bool = True
) -> list[Moved]:
    """A way of so many movements, of which some tell no balance; a cent is changed in one that does."""
    rows, balance = [], Decimal(1000)
    for place in range(number):
        net = Decimal(chance.randint(1, 100_000) * chance.choice((-1, 1))) * Decimal("0.05")
        balance += net
        rows.append(at_once(net, balance, NOW + timedelta(seconds=place)))
    known = list(range(1, number - 1))
    for place in chance.sample(known, unsure):
        known.remove(place)
        rows[place] = rows[place]._replace(after=None)
    if cent:
        place = chance.choice(known)
        rows[place] = rows[place]._replace(net=rows[place].net + Decimal("0.01"))
    if chance.random() < 0.5:
        rows.reverse()
    if not is_in_order:
        chance.shuffle(rows)
    return rows


# Amounts are drawn evenly: of few small ones some add up to anything, and then nobody can tell.
@given(st.integers(0, 2**32).map(random.Random), st.integers(4, 80), st.integers(0, 20))
@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_whatever_is_unsure_is_explained_and_a_cent_beside_it_never(
    chance: random.Random, number: int, most: int
) -> None:
    unsure = min(most, (number - 3) * 4 // 5)
    assert gaps_of(listed(chance, number, unsure)) == 0
    assert gaps_of(listed(chance, number, unsure, cent=True)) > 0
    assert gaps_of(listed(chance, number, unsure, cent=True, is_in_order=False)) > 0
    assert gaps_of(listed(chance, number, min(unsure, 1), is_in_order=False)) == 0


def moved(*rows: tuple[int, int | None]) -> list[Moved]:
    return [at_once(Decimal(net), None if after is None else Decimal(after)) for net, after in rows]


def test_a_gap_in_the_middle_is_not_the_beginning_of_all() -> None:
    """Though rows that tell no balance lead, by chance, from the last balance to the first."""
    ways = [(10, 110), (5, 115), (4, 119), (1, 121)]
    rows = [
        at_once(Decimal(net), Decimal(after), NOW + timedelta(minutes=minute))
        for minute, (net, after) in enumerate(ways)
    ]
    chance = at_once(Decimal(-21), None, NOW + timedelta(minutes=2))
    assert gaps_of(rows) == 1
    assert gaps_of([*rows, chance]) == 1
    assert gaps_of([*rows, at_once(Decimal(1), None, NOW)]) == 0


def test_those_of_a_gap_need_not_be_listed_where_it_is() -> None:
    apart = moved((3, None), (10, 10), (5, 22), (4, None))
    assert gaps_of(apart) == 0
    assert gaps_of([*apart[1:], *moved((2, None))]) == 1
    assert gaps_of(moved((7, None), (10, 10), (5, 22), (5, 34))) == 2, "each explains one gap"
    assert gaps_of(moved((7, None), (7, None), (10, 10), (5, 22), (5, 34))) == 0


def test_many_that_are_pending_are_looked_at_for_a_moment_only() -> None:
    """Whoever buys decides how many rows are pending: a window costs a bounded time, whatever it has."""
    begun = monotonic()
    chance = random.Random(7)
    assert gaps_of(listed(chance, 10_000, 4000)) == 0
    for is_in_order in (True, False):
        assert gaps_of(listed(chance, 10_000, 3000, cent=True, is_in_order=is_in_order)) > 0
        assert gaps_of(listed(chance, 1000, MOST_ELSEWHERE, cent=True, is_in_order=is_in_order)) > 0
    alike = [at_once(Decimal(10), None)] * 300 + [at_once(Decimal(11), None)] * 300
    assert gaps_of([*alike, *(at_once(Decimal(1), Decimal(1000 * n)) for n in range(30))]) == 29
    assert monotonic() - begun < 60


def swept(chance: random.Random, number: int) -> list[Moved]:
    """A way that ends with the balance that it began with, as where each day's is paid out."""
    rows = listed(chance, number - 1, 0)
    if rows[0].begun > rows[-1].begun:
        rows.reverse()
    net = Decimal(1000) - (rows[-1].after or Decimal(0))
    return [*rows, at_once(net, Decimal(1000), NOW + timedelta(days=1))]


@given(st.randoms(use_true_random=False), st.integers(6, 40), st.booleans())
@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_what_comes_back_to_its_balance_has_no_gap_in_its_middle_either(
    chance: random.Random, number: int, is_shuffled: bool
) -> None:
    rows = swept(chance, number)
    place = chance.randrange(2, number - 2)
    spoiled = {
        "a cent": [*rows[:place], rows[place]._replace(net=rows[place].net + Decimal("0.01")), *rows[place + 1 :]],
        "lost": [*rows[:place], *rows[place + 1 :]],
    }
    pending = [*rows[:place], rows[place]._replace(after=None), *rows[place + 1 :]]
    for each in (rows, pending, *spoiled.values()):
        if is_shuffled:
            middle = each[1:-1]
            chance.shuffle(middle)
            each[1:-1] = middle
    assert gaps_of(rows) == gaps_of(pending) == 0
    assert {what: gaps_of(each) for what, each in spoiled.items()} == {"a cent": 1, "lost": 1}


def test_what_began_first_and_moved_the_balance_last_is_no_gap() -> None:
    """A payment from a bank account takes days, and others come and go meanwhile."""
    at = NOW - timedelta(days=1)
    late = info("T0", "40.00", at, updated=at + timedelta(hours=3))
    others = [info(f"T{n}", f"{n}.00", at + timedelta(minutes=n)) for n in range(1, 6)]
    found = chained(*others, late)
    assert held([late, *found[:-1]]) == []
