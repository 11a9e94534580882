"""Whatever happens in whatever order, each counter reserves what its holds reserve, and never more than lies there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from tests.conftest import MakeListing, Sql
from tests.money import attempt, fold
from tests.stock.holding import Buyer, MakeBuyer, assert_stock_adds_up, end_holds, holds_of, make_buyer
from worker.stock.sweeping import sweep

__all__ = ["make_buyer"]

LISTINGS = 3
BUYERS = 2

lines = st.dictionaries(st.integers(0, LISTINGS - 1), st.integers(1, 3), min_size=1)
place = st.integers(0, 30)
steps = st.one_of(
    st.tuples(st.just("take"), st.integers(0, BUYERS - 1), lines),
    st.tuples(st.just("take_again"), place, lines),
    st.tuples(st.just("open"), place),
    st.tuples(st.just("open"), place),
    st.tuples(st.just("release"), place),
    st.tuples(st.just("report"), place, st.sampled_from(["paid", "under_way", "failed", "authorized"])),
    st.tuples(st.just("close"), place, st.sampled_from(["canceled", "expired"])),
    st.tuples(st.just("sweep"), st.sampled_from(["due", "over", "late"])),
    st.tuples(st.just("restock"), st.integers(0, LISTINGS - 1), st.one_of(st.none(), st.integers(0, 6))),
)


@dataclass
class Attempt:
    """One payment, from its holds on."""

    buyer: Buyer
    lines: list[tuple[dict[str, Any], int]]
    generation: int
    id: UUID = field(default_factory=uuid4)
    is_open: bool = False


class History:
    """Carries out steps, one after the other."""

    def __init__(self, sql: Sql, worker: Flask, buyers: list[Buyer], listings: list[dict[str, Any]]) -> None:
        self.sql = sql
        self.worker = worker
        self.buyers = buyers
        self.listings = listings
        self.attempts: list[Attempt] = []
        self.counted_less = False

    def go(self, step: tuple[Any, ...]) -> None:
        name, *arguments = step
        if name in {"take", "sweep", "restock"}:
            getattr(self, name)(*arguments)
        elif self.attempts:
            place, *rest = arguments
            getattr(self, name)(self.attempts[place % len(self.attempts)], *rest)

    def take(self, buyer: int, chosen: dict[int, int]) -> None:
        made = Attempt(self.buyers[buyer], self._lines(chosen), self.buyers[buyer].generation)
        self.attempts.append(made)
        self._take(made)

    def take_again(self, made: Attempt, chosen: dict[int, int]) -> None:
        made.generation = made.buyer.generation
        if not made.is_open:
            made.lines = self._lines(chosen)
        self._take(made)

    def _take(self, made: Attempt) -> None:
        before = self._holds()
        result = made.buyer.take(*made.lines, payment_id=made.id)
        if not result.held:
            assert self._holds() == before
            assert all(line.available < line.qty for line in result.short)
        elif not made.is_open:
            held = {listing: qty for listing, (qty, _) in holds_of(self.sql, made.id).items()}
            assert held == {listing["id"]: qty for listing, qty in made.lines if self._is_counted(listing)}

    def open(self, made: Attempt) -> None:
        if made.is_open:
            return
        try:
            opened = made.buyer.open(*made.lines, payment_id=made.id, generation=made.generation)
        except IntegrityError as error:
            assert error.orig.diag.constraint_name in {"holds_equal_lines", "holds_in_stock"}  # noqa: PT017
            return
        made.is_open = opened is not None
        if made.is_open:
            assert all(qty == reserved for qty, reserved in holds_of(self.sql, made.id).values())

    def release(self, made: Attempt) -> None:
        ended = made.buyer.release(made.id)
        assert not (made.is_open and ended)

    def report(self, made: Attempt, status: str) -> None:
        if not made.is_open:
            return
        amount = sum(listing["unit_price"] * qty for listing, qty in made.lines)
        attempt(
            self.sql,
            made.id,
            "started" if status == "paid" else status,
            ref=uuid4().hex,
            presumed=amount if status == "paid" else None,
            authorized=amount if status == "authorized" else None,
        )
        fold(self.sql, made.id)

    def close(self, made: Attempt, status: str) -> None:
        if made.is_open:
            self.sql("SELECT FROM payments_fold(ARRAY[CAST(:id AS uuid)], ARRAY[:status]::payment_status[])",
                id=made.id, status=status)  # fmt: skip

    def sweep(self, when: str) -> None:
        if when == "due":
            # What a session proved stays.
            self.sql("UPDATE holds SET until = now() WHERE state = 'held'")
        else:
            end_holds(self.sql)
        if when == "late":
            self.sql("UPDATE checkout_sessions SET expires_at = expires_at - interval '4 days'")
        with self.worker.app_context():
            assert sweep().endswith(" holds")

    def restock(self, listing: int, stock: int | None) -> None:
        id_ = self.listings[listing]["id"]
        self.sql("UPDATE listings SET stock = :stock WHERE id = :id", id=id_, stock=stock)
        self.counted_less |= bool(self._over())

    def check(self) -> None:
        assert_stock_adds_up(self.sql)
        assert self.counted_less or not self._over()

    def _over(self) -> list[Any]:
        return self.sql("SELECT listing_id FROM stock_counters WHERE reserved > stock")

    def _holds(self) -> list[Any]:
        return self.sql("SELECT payment_id, listing_id, qty, reserved, until FROM holds ORDER BY id")

    def _lines(self, chosen: dict[int, int]) -> list[tuple[dict[str, Any], int]]:
        return [(self.listings[listing], qty) for listing, qty in chosen.items()]

    def _is_counted(self, listing: dict[str, Any]) -> bool:
        return bool(self.sql("SELECT FROM listings WHERE id = :id AND stock IS NOT NULL", id=listing["id"]))


@pytest.mark.parametrize("examples", [15, pytest.param(400, marks=pytest.mark.slow)])
def test_stock_adds_up_after_every_step_of_any_history(
    make_buyer: MakeBuyer, make_listing: MakeListing, worker_app: Flask, sql: Sql, examples: int
) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=examples < 100,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.lists(steps, min_size=5, max_size=30))
    def holds(history_of: list[tuple[Any, ...]]) -> None:
        listings = [make_listing(stock=stock) for stock in (2, 4, None)]
        history = History(sql, worker_app, [make_buyer() for _ in range(BUYERS)], listings)
        for step in history_of:
            history.go(step)
            history.check()

    holds()
