"""GoCardless' money through the worker: each event looked up as it comes, or all of them in any order afterwards."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from tests.conftest import Sql
from tests.providers.kits.gocardless import KIT, TOKEN, GoCardlessBank, delivery
from tests.providers.kits.kit import SignedWebhook
from tests.refunding import insert_refund
from tests.worker.money.playing import Copy, Ending, Player
from tests.worker.promises import insert_cart

Happens = Callable[[GoCardlessBank, Copy], dict[str, Any]]
"""What happens to the payment of a copy, and the event of it."""


def reference(copy: Copy) -> str:
    return str(copy.payment_id)


class Stage:
    """GoCardless' server, and a worker that asks it."""

    def __init__(self, player: Player, sql: Sql) -> None:
        self.bank = GoCardlessBank()
        self.provider = KIT.provider(answer=self.bank)
        self._player, self._sql = player, sql

    def play(self, *happens: Happens) -> Ending:
        """How a payment ends, whether each event is looked up when it comes or all when all has happened: alike."""
        as_it_comes = self._player.play(
            self.provider,
            [lambda copy, happen=happen: self._reported(happen(self.bank, copy)) for happen in happens],
            reference=reference,
            orders=[list(range(len(happens)))],
            before=self._open,
        )
        happened: dict[int, list[SignedWebhook]] = {}

        def before(copy: Copy) -> None:
            self._open(copy)
            happened[copy.number] = [self._reported(happen(self.bank, copy)) for happen in happens]

        steps = [lambda copy, place=place: happened[copy.number][place] for place in range(len(happens))]
        afterwards = self._player.play(self.provider, steps, reference=reference, before=before)
        assert afterwards == as_it_comes
        return afterwards

    def _open(self, copy: Copy) -> None:
        ours = {"payment_id": str(copy.payment_id)}
        ordered = {"amount": 24000, "currency": "USD", "description": "…", "metadata": ours}
        made = self.bank._request({"payment_request": ordered, "metadata": ours})
        self._sql(
            """INSERT INTO checkout_sessions (user_id, cart_id, idempotency_key, request_hash, payment_id,
                payment_token, amount, currency, lines, expires_at)
            SELECT user_id, :cart, :key, '', id, :token, amount, currency, '[]', now() + interval '1 day'
            FROM payments WHERE id = :id""",
            id=copy.payment_id,
            cart=insert_cart(self._sql),
            key=uuid4().hex,
            token=TOKEN.rpartition("#")[0] + "#" + made["id"],
        )

    def _reported(self, event: dict[str, Any]) -> SignedWebhook:
        return KIT.sealed(delivery(event))


@pytest.fixture
def stage(player: Player, sql: Sql) -> Stage:
    return Stage(player, sql)


def fulfils(bank: GoCardlessBank, copy: Copy) -> dict[str, Any]:
    return bank.fulfil(reference(copy))


def becomes(action: str, **details: str) -> Happens:
    return lambda bank, copy: bank.happen(reference(copy), action, **details)


def gives_back(cents: int, status: str, number: int = 1, *, ours: bool = True) -> Happens:
    def happen(bank: GoCardlessBank, copy: Copy) -> dict[str, Any]:
        metadata = {"payment_id": reference(copy)} if ours else {}
        return bank.give_back(reference(copy), copy(f"RF{number}x"), status, cents, **metadata)

    return happen


CONFIRMED, FAILED, RETRIED = becomes("confirmed"), becomes("failed"), becomes("resubmission_requested")
CHARGED_BACK, CHARGEBACK_CANCELLED = becomes("charged_back"), becomes("chargeback_cancelled")
GONE_TWICE = (("chargeback", "lost", 3),)


def short(ending: Ending) -> tuple[Any, ...]:
    """Status, reasons, and what came, is lost and can be given back."""
    assert ending.unsettled == ()
    return ending.status, ending.reasons, ending.captured, ending.lost, ending.refundable


def test_confirmed_is_240_and_a_payout_is_no_more(stage: Stage) -> None:
    ending = stage.play(fulfils, becomes("submitted"), CONFIRMED, becomes("paid_out"))
    assert short(ending) == ("paid", None, 240, 0, 240)
    assert (ending.captures, ending.under_way) == (((Decimal(240), "succeeded"),), False)


def test_a_debit_on_its_way_is_under_way(stage: Stage) -> None:
    ending = stage.play(fulfils, becomes("submitted"))
    assert (short(ending), ending.under_way) == (("processing", None, 0, 0, 0), True)


def test_a_debit_that_fails_brings_nothing(stage: Stage) -> None:
    ending = stage.play(fulfils, FAILED)
    assert (short(ending), ending.under_way) == (("failed", None, 0, 0, 0), False)


def test_a_failed_debit_that_is_retried_is_under_way_again(stage: Stage) -> None:
    ending = stage.play(fulfils, FAILED, RETRIED)
    assert (short(ending), ending.under_way) == (("processing", None, 0, 0, 0), True)


def test_a_retry_that_fails_too_leaves_nothing_under_way(stage: Stage) -> None:
    ending = stage.play(fulfils, FAILED, RETRIED, FAILED)
    assert (short(ending), ending.under_way) == (("failed", None, 0, 0, 0), False)


def test_a_retry_that_is_confirmed_pays(stage: Stage) -> None:
    assert short(stage.play(fulfils, FAILED, RETRIED, CONFIRMED)) == ("paid", None, 240, 0, 240)


def test_a_failure_weeks_after_the_money_was_confirmed_takes_it_back(stage: Stage, sql: Sql) -> None:
    ending = stage.play(fulfils, CONFIRMED, becomes("paid_out"), FAILED)
    assert short(ending) == ("reversed", None, 240, 240, 0)
    assert ending.disputes == (("chargeback", "lost", 1),)
    reasons = {row.reason for row in sql("SELECT DISTINCT reason FROM disputes")}
    assert reasons == {"bank_cannot_process"}


def test_a_late_failure_that_is_retried_and_confirmed_is_240_once(stage: Stage) -> None:
    ending = stage.play(fulfils, CONFIRMED, FAILED, becomes("late_failure_settled"), RETRIED, CONFIRMED)
    assert short(ending) == ("paid", None, 240, 0, 240)
    assert ending.disputes == (("chargeback", "won", 2),)


def test_two_late_failures_are_two(stage: Stage) -> None:
    ending = stage.play(fulfils, CONFIRMED, FAILED, RETRIED, CONFIRMED, FAILED)
    assert short(ending) == ("reversed", None, 240, 240, 0)
    assert ending.disputes == GONE_TWICE


def test_a_charge_back_takes_all_and_its_cancellation_brings_it_back(stage: Stage) -> None:
    assert short(stage.play(fulfils, CONFIRMED, CHARGED_BACK)) == ("reversed", None, 240, 240, 0)
    ending = stage.play(fulfils, CONFIRMED, CHARGED_BACK, CHARGEBACK_CANCELLED)
    assert short(ending) == ("paid", None, 240, 0, 240)
    assert ending.disputes == (("chargeback", "won", 2),)


def test_a_second_charge_back_counts_as_another_movement(stage: Stage) -> None:
    ending = stage.play(
        fulfils, CONFIRMED, CHARGED_BACK, CHARGEBACK_CANCELLED, CHARGED_BACK, becomes("chargeback_settled")
    )
    assert short(ending) == ("reversed", None, 240, 240, 0)
    assert ending.disputes == GONE_TWICE


def test_money_goes_once_however_many_events_take_it(stage: Stage) -> None:
    ending = stage.play(fulfils, CONFIRMED, CHARGED_BACK, CHARGED_BACK, FAILED)
    assert short(ending)[2:] == (240, 240, 0)
    assert len(ending.disputes) == 1


def test_a_debit_that_is_cancelled_before_a_bank_has_it_is_canceled(stage: Stage) -> None:
    ending = stage.play(fulfils, becomes("cancelled"))
    assert (short(ending), ending.under_way) == (("canceled", None, 0, 0, 0), False)


def test_a_refund_that_comes_back_gives_back_nothing(stage: Stage, sql: Sql) -> None:
    paid = gives_back(4000, "paid")
    ending = stage.play(fulfils, CONFIRMED, gives_back(4000, "created"), paid)
    assert (short(ending), ending.refunded) == (("paid", None, 240, 0, 200), 40)
    (payment, *_) = sql("SELECT id FROM payments")
    with pytest.raises(IntegrityError, match="200"):
        insert_refund(sql, payment.id, "200.01")

    ending = stage.play(fulfils, CONFIRMED, gives_back(4000, "created"), paid, gives_back(4000, "funds_returned"))
    assert (short(ending), ending.refunded) == (("paid", None, 240, 0, 240), 0)
    assert ending.refunds == ((Decimal(40), "failed"),)


def test_a_refund_and_a_charge_back_of_all_are_flagged(stage: Stage) -> None:
    ending = stage.play(fulfils, CONFIRMED, gives_back(4000, "paid"), CHARGED_BACK)
    assert short(ending) == ("reversed", "refund_too_large", 240, 240, 0)


def test_a_dispute_that_is_read_in_parts_counts_once(stage: Stage) -> None:
    """Its first event is listed after its second one was entered."""

    def late(bank: GoCardlessBank, copy: Copy) -> dict[str, Any]:
        made = bank.happen(reference(copy), "confirmed")
        for action in ("failed", "charged_back"):
            made = bank.happen(reference(copy), action)
        bank.behind = {"failed"}
        return made

    def listed(bank: GoCardlessBank, copy: Copy) -> dict[str, Any]:
        bank.behind = set()
        return bank.happen(reference(copy), "chargeback_settled")

    ending = stage.play(fulfils, late, listed, CHARGED_BACK)
    assert short(ending)[2:] == (240, 240, 0)
    assert len(ending.disputes) == 1


def test_a_second_charge_back_counts_though_it_was_entered_as_the_first(stage: Stage) -> None:
    def hidden(bank: GoCardlessBank, copy: Copy) -> dict[str, Any]:
        bank.happen(reference(copy), "confirmed")
        for action in ("charged_back", "chargeback_cancelled"):
            bank.behind.add(bank.happen(reference(copy), action)["id"])
        return bank.happen(reference(copy), "charged_back")

    def listed(bank: GoCardlessBank, copy: Copy) -> dict[str, Any]:
        bank.behind.clear()
        return bank.happen(reference(copy), "charged_back")

    ending = stage.play(fulfils, hidden, listed)
    assert short(ending) == ("reversed", None, 240, 240, 0)
    assert ending.disputes == GONE_TWICE
