"""Mollie's money through the worker: every order of its news, each twice, with restarts between.

Its webhooks say nothing, so that the order of news is that of what happened; what differs is how much had happened when
the worker looked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import IntegrityError

from checkout_service.providers.adapters.mollie.provider import MollieProvider
from tests.conftest import Sql
from tests.providers.kits.kit import SignedWebhook
from tests.providers.kits.mollie import KIT, MollieBank
from tests.refunding import insert_refund
from tests.worker.money.playing import Copy, Ending, Player, disputes_in_events

Happens = Callable[[MollieBank, str], Any]
"""What happens at Mollie to the payment with this reference."""


def reference(copy: Copy) -> str:
    return copy("tr_")


def opened(bank: MollieBank, copy: Copy, amount: str) -> None:
    bank.payments[reference(copy)] = {
        "resource": "payment",
        "id": reference(copy),
        "status": "open",
        "isCancelable": False,
        "amount": {"currency": "USD", "value": amount},
        "metadata": {"payment_id": str(copy.payment_id)},
    }


class Stage:
    """A server of Mollie's, and a worker that asks it. ``orders`` are those in which things can happen."""

    def __init__(self, player: Player) -> None:
        self.bank = MollieBank()
        self.provider: MollieProvider = KIT.provider(answer=self._answer)
        self._player = player

    def play(self, *happens: Happens, orders: Sequence[Sequence[int]] | None = None) -> Ending:
        def step(happen: Happens) -> Callable[[Copy], SignedWebhook]:
            def report(copy: Copy) -> SignedWebhook:
                happen(self.bank, reference(copy))
                return SignedWebhook(body=f"id={reference(copy)}".encode())

            return report

        return self._player.play(
            self.provider,
            [step(happen) for happen in happens],
            reference=reference,
            orders=orders or [list(range(len(happens)))],
            before=lambda copy: opened(self.bank, copy, "240.00"),
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        return self.bank(request)


@pytest.fixture
def stage(player: Player) -> Stage:
    return Stage(player)


def pays(bank: MollieBank, ref: str) -> None:
    bank.pay(ref)


def holds_back(bank: MollieBank, ref: str) -> None:
    bank.authorize(ref)


def captures(value: str) -> Happens:
    return lambda bank, ref: bank.capture(ref, value)


def releases(bank: MollieBank, ref: str) -> None:
    bank.release(ref)


def charges_back(value: str, number: int = 1, **fields: Any) -> Happens:
    return lambda bank, ref: bank.charge_back(ref, value, f"chb_{number}{ref}", **fields)


def refunds(value: str, number: int = 1, **fields: Any) -> Happens:
    return lambda bank, ref: bank.refund(ref, f"re_{number}{ref}", value, **fields)


BACK = {"reversedAt": "2026-11-30T12:00:00+00:00"}


def short(ending: Ending) -> tuple[Any, ...]:
    """Status, reasons, and what came, is lost and can be given back."""
    assert ending.unsettled == ()
    return ending.status, ending.reasons, ending.captured, ending.lost, ending.refundable


def test_paid_is_240_however_often_it_is_reported(stage: Stage) -> None:
    assert short(stage.play(pays, pays)) == ("paid", None, 240, 0, 240)


def test_a_bank_debit_that_was_under_way_fails(stage: Stage) -> None:
    ending = stage.play(
        lambda bank, ref: bank.payments[ref].update(status="pending"),
        lambda bank, ref: bank.payments[ref].update(status="failed"),
    )
    assert (short(ending), ending.under_way) == (("failed", None, 0, 0, 0), False)


def test_40_lost_by_a_chargeback_leaves_200(stage: Stage, sql: Sql) -> None:
    ending = stage.play(pays, charges_back("40.00"))
    assert short(ending) == ("paid", None, 240, 40, 200)
    assert ending.disputes == (("chargeback", "lost", 1),)
    (payment, *_) = sql("SELECT id FROM payments")
    with pytest.raises(IntegrityError, match="200"):
        insert_refund(sql, payment.id, "200.01")
    insert_refund(sql, payment.id, "200.00")


def test_a_chargeback_that_is_reversed_gives_back_what_it_took(stage: Stage, sql: Sql) -> None:
    ending = stage.play(pays, charges_back("240.00"), charges_back("240.00", **BACK))
    assert short(ending) == ("paid", None, 240, 0, 240)
    assert ending.disputes == (("chargeback", "won", 2),)
    # Where both webhooks waited for one look-up, it saw the end alone.
    assert disputes_in_events(sql) == {("lost", "won"), ("won",)}


def test_a_direct_debit_that_comes_back_weeks_later_is_reversed(stage: Stage) -> None:
    returned = {"createdAt": "2026-12-20T12:00:00+00:00", "reason": {"code": "AM04", "description": "…"}}
    assert short(stage.play(pays, charges_back("240.00", **returned))) == ("reversed", None, 240, 240, 0)


@pytest.mark.parametrize("orders", [[(0, 1, 2, 3), (0, 3, 1, 2), (0, 1, 3, 2)]])
def test_several_chargebacks_are_several_disputes(stage: Stage, orders: Sequence[Sequence[int]]) -> None:
    ending = stage.play(
        pays, charges_back("40.00"), charges_back("40.00", **BACK), charges_back("60.00", 2), orders=orders
    )
    assert short(ending) == ("paid", None, 240, 60, 180)


def test_more_given_back_than_came_is_entered_and_flagged(stage: Stage) -> None:
    ending = stage.play(pays, refunds("250.00"), orders=[(0, 1)])
    assert short(ending) == ("paid", "refund_too_large", 240, 0, 0)
    assert ending.refunds == ((Decimal(250), "succeeded"),)


def test_a_queued_refund_that_is_canceled_gives_back_nothing(stage: Stage) -> None:
    ending = stage.play(pays, refunds("40.00", status="queued"), refunds("40.00", status="canceled"))
    assert short(ending) == ("paid", None, 240, 0, 240)
    assert ending.refunds == ((Decimal(40), "failed"),)


def test_two_captures_are_the_whole_and_no_amount_is_added_to_them(stage: Stage) -> None:
    ending = stage.play(holds_back, captures("100.00"), captures("140.00"))
    assert short(ending) == ("paid", None, 240, 0, 240)
    assert ending.captures == ((Decimal(100), "succeeded"), (Decimal(140), "succeeded"))
    assert ending.authorized == 0


def test_a_capture_of_200_leaves_40_authorized(stage: Stage) -> None:
    ending = stage.play(holds_back, captures("200.00"))
    assert (short(ending), ending.authorized) == (("partially_paid", None, 200, 0, 200), 40)


def test_a_capture_of_200_and_a_refund_of_it_in_the_dashboard(stage: Stage) -> None:
    ending = stage.play(
        holds_back, captures("200.00"), releases, refunds("200.00"), orders=[(0, 1, 2, 3), (0, 1, 3, 2)]
    )
    assert short(ending) == ("partially_paid", "mismatch", 200, 0, 0)
    assert (ending.refunded, ending.authorized) == (200, 0)


def test_what_is_released_without_a_capture_is_canceled(stage: Stage) -> None:
    ending = stage.play(holds_back, releases)
    assert (short(ending), ending.authorized) == (("canceled", None, 0, 0, 0), 0)


def test_a_capture_that_was_on_its_way_and_is_refused_leaves_all_authorized(stage: Stage) -> None:
    def begins(bank: MollieBank, ref: str) -> None:
        bank.capture(ref, "240.00", status="pending")

    def refused(bank: MollieBank, ref: str) -> None:
        for made in list(bank.captures.values()):
            if made["paymentId"] == ref:
                bank.settle(made["id"], "failed")

    ending = stage.play(holds_back, begins, refused)
    assert (short(ending), ending.authorized) == (("authorized", None, 0, 0, 0), 240)
