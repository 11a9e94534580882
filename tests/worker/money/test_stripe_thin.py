"""Thin events of Stripe beside those in full: one movement, in whatever order they come and however late one reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.conftest import Sql
from tests.providers.kits.stripe import (
    DEPLOYMENT,
    KIT,
    StripeBank,
    authorized,
    charge,
    dispute,
    event,
    intent,
    refund,
    sign,
    thin,
    warning,
)
from tests.worker.money.playing import Copy, Ending, Player, Step

Made = Callable[[Copy], dict[str, Any]]
"""An object at Stripe, of one copy of a scenario."""


def ours(copy: Copy, status: str = "succeeded", **fields: Any) -> dict[str, Any]:
    metadata = {"payment_id": str(copy.payment_id), "deployment": DEPLOYMENT}
    return intent(status, **{"id": copy("pi_"), "latest_charge": the_charge(copy), "metadata": metadata} | fields)


def the_charge(copy: Copy, **fields: Any) -> dict[str, Any]:
    return charge(**{"id": copy("ch_"), "payment_intent": copy("pi_")} | fields)


def the_refund(copy: Copy, status: str = "succeeded") -> dict[str, Any]:
    return refund(status, id=copy("re_"), charge=copy("ch_"), payment_intent=copy("pi_"), amount=4000, metadata={})


def the_dispute(copy: Copy, status: str = "lost", moves: int = 1) -> dict[str, Any]:
    return dispute(status, moves, id=copy("du_"), charge=copy("ch_"), payment_intent=copy("pi_"), amount=6000)


def the_warning(copy: Copy) -> dict[str, Any]:
    return warning(id=copy("issfr_"), charge=copy("ch_"), payment_intent=copy("pi_"))


def at_stripe(bank: StripeBank, *objects: Made) -> Step:
    """How everything is once all has happened: whoever reads sees this, however early the event."""

    def prepare(copy: Copy) -> None:
        for make in objects:
            held = make(copy)
            if held["object"] == "payment_intent":
                bank.payments[held["id"]] = held
            elif held["object"] == "refund":
                bank.refunds[held["id"]] = held
            elif held["object"] == "dispute":
                bank.disputes.append(held)
            else:
                bank.objects[held["id"]] = held

    return prepare


def in_full(kind: str, make: Made, name: str = "") -> Step:
    def send(copy: Copy) -> Any:
        body = event(kind, make(copy), id=copy(f"evt_{name or kind}_"))
        return sign(body, KIT.secrets[0], signed_at=datetime.now(UTC))

    return send


def is_news(kind: str, ref: str, of: str = "") -> Step:
    def send(copy: Copy) -> Any:
        webhook = thin(kind, copy(ref), id=copy(f"evt_thin_{kind}_"), snapshot_event=copy(f"evt_{of or kind}_"))
        return sign(webhook.body, KIT.secrets[0], signed_at=datetime.now(UTC))

    return send


PAID = in_full("payment_intent.succeeded", ours)
NEWS = is_news("payment_intent.succeeded", "pi_")

MOVEMENTS: dict[str, tuple[list[Step], list[Step]]] = {
    "money that came": ([PAID], [NEWS]),
    "the charge too": ([in_full("charge.succeeded", the_charge)], [is_news("charge.succeeded", "ch_")]),
    "a refund": (
        [PAID, in_full("refund.updated", the_refund)],
        [NEWS, is_news("refund.updated", "re_")],
    ),
    "that a charge was refunded": (
        [PAID, in_full("refund.created", the_refund)],
        [NEWS, is_news("charge.refunded", "ch_")],
    ),
    "a dispute": (
        [PAID, in_full("charge.dispute.funds_withdrawn", the_dispute)],
        [NEWS, is_news("charge.dispute.funds_withdrawn", "du_")],
    ),
    "a fraud warning": (
        [PAID, in_full("radar.early_fraud_warning.created", the_warning)],
        [NEWS, is_news("radar.early_fraud_warning.created", "issfr_")],
    ),
}


def everything(bank: StripeBank) -> Step:
    return at_stripe(bank, ours, the_charge, the_refund, the_dispute, the_warning)


def only(bank: StripeBank, name: str) -> Step:
    """Stripe after one of these movements: of a payment that was looked up, nothing else is found."""
    objects: list[Made] = [
        lambda copy: ours(copy, latest_charge=the_charge(copy, disputed=name == "a dispute")),
        the_charge,
        the_warning,
    ]
    if "refund" in name:
        objects.append(the_refund)
    if name == "a dispute":
        objects.append(the_dispute)
    return at_stripe(bank, *objects)


def play(player: Player, bank: StripeBank, before: Step, *steps: Step) -> Ending:
    provider = KIT.provider(answer=bank)
    return player.play(provider, steps, reference=lambda copy: copy("pi_"), before=before)


@pytest.mark.parametrize("name", MOVEMENTS)
def test_in_full_thin_or_both_it_is_one_movement(player: Player, sql: Sql, name: str) -> None:
    full, thin_ones = MOVEMENTS[name]
    endings = []
    for steps in (full, thin_ones, [*full, *thin_ones][-4:]):
        bank = StripeBank()
        endings.append(play(player, bank, only(bank, name), *steps))

    assert endings[0] == endings[1] == endings[2]
    assert (endings[0].captured, endings[0].unsettled) == (240, ())
    notices = 1 if name == "a fraud warning" else 0
    kept = sql("SELECT payment_id, count(*) AS count FROM payment_notices GROUP BY payment_id")
    assert {row.count for row in kept} == ({notices} if notices else set())


def test_late_reads_make_up_nothing_that_was_between(player: Player, sql: Sql) -> None:
    """All five events of a dispute are read when it is won: it took money and gave it back, and no step is missing."""
    bank = StripeBank()
    won: Made = lambda copy: the_dispute(copy, "won", 2)  # noqa: E731 (an object, as the others)
    kinds = ("created", "funds_withdrawn", "closed", "funds_reinstated")
    ending = play(
        player, bank, at_stripe(bank, ours, won), *(is_news(f"charge.dispute.{kind}", "du_") for kind in kinds), NEWS
    )

    assert (ending.status, ending.lost, ending.refundable) == ("paid", 0, 240)
    assert ending.disputes == (("chargeback", "won", 2),)
    assert ending.unsettled == ()


def test_a_refund_that_failed_before_it_was_read_gave_nothing_back(player: Player) -> None:
    bank = StripeBank()
    failed: Made = lambda copy: the_refund(copy, "failed")  # noqa: E731 (an object, as the others)
    ending = play(
        player,
        bank,
        at_stripe(bank, ours, failed),
        NEWS,
        is_news("refund.created", "re_"),
        is_news("refund.failed", "re_"),
        in_full("refund.created", lambda copy: the_refund(copy, "pending")),
    )

    assert ending.refunds == ((Decimal(40), "failed"),)
    assert (ending.refunded, ending.refundable, ending.unsettled) == (0, 240, ())


def test_partial_captures_that_are_read_late_are_their_sum(player: Player) -> None:
    bank = StripeBank()
    whole: Made = lambda copy: ours(copy, amount_received=20000, latest_charge=whole_charge(copy))  # noqa: E731

    def whole_charge(copy: Copy) -> dict[str, Any]:
        return the_charge(copy, amount_captured=20000)

    ending = play(
        player,
        bank,
        at_stripe(bank, whole, whole_charge),
        is_news("payment_intent.amount_capturable_updated", "pi_"),
        is_news("charge.captured", "ch_"),
        is_news("payment_intent.succeeded", "pi_"),
        in_full(
            "payment_intent.amount_capturable_updated",
            lambda copy: ours(
                copy, "requires_capture", amount_received=10000, amount_capturable=14000, latest_charge=copy("ch_")
            ),
        ),
    )

    assert ending.captures == ((Decimal(200), "succeeded"),)
    assert (ending.status, ending.captured, ending.authorized) == ("partially_paid", 200, 0)


def test_a_failure_without_a_charge_is_one_attempt(player: Player, sql: Sql) -> None:
    failed: Made = lambda copy: ours(copy, "requires_payment_method", latest_charge=None)  # noqa: E731
    bank = StripeBank()
    ending = play(
        player,
        bank,
        at_stripe(bank, failed),
        in_full("payment_intent.payment_failed", failed),
        is_news("payment_intent.payment_failed", "pi_"),
    )

    assert ending.status == "failed"
    attempts = sql("SELECT payment_id, count(*) AS count FROM payment_attempts GROUP BY payment_id")
    assert {row.count for row in attempts} == {1}


def test_the_end_of_an_authorisation_is_what_its_event_or_its_intent_says(player: Player, sql: Sql) -> None:
    let_go: Made = lambda copy: authorized(  # noqa: E731
        id=copy("ch_"), payment_intent=copy("pi_"), amount_refunded=24000, refunded=True
    )
    over: Made = lambda copy: ours(  # noqa: E731
        copy, "canceled", cancellation_reason="automatic", latest_charge=let_go(copy)
    )
    bank = StripeBank()
    ending = play(
        player,
        bank,
        at_stripe(bank, over, let_go),
        is_news("charge.succeeded", "ch_"),
        is_news("charge.expired", "ch_"),
        is_news("payment_intent.canceled", "pi_"),
    )

    assert (ending.status, ending.authorized, ending.unsettled) == ("expired", 0, ())
    assert {row.status for row in sql("SELECT DISTINCT status::text AS status FROM payment_attempts")} == {"expired"}


def test_what_is_not_here_yet_waits_like_any_other(player: Player) -> None:
    """A refund and a dispute that name a charge alone find their payment once it is known."""
    bank = StripeBank()
    ending = play(
        player,
        bank,
        at_stripe(
            bank,
            ours,
            lambda copy: the_refund(copy) | {"payment_intent": None},
            lambda copy: the_dispute(copy) | {"payment_intent": None},
        ),
        is_news("refund.created", "re_"),
        is_news("charge.dispute.created", "du_"),
        NEWS,
    )

    assert (ending.captured, ending.refunded, ending.lost) == (240, 40, 60)
    assert replace(ending, unsettled=()) == ending
