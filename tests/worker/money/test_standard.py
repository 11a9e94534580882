"""What a plain provider may say of money, with names and without: in every order, each twice, with restarts between.

The mock provider and one of one's own say the same in two spellings.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import pytest
from sqlalchemy.exc import IntegrityError

from tests.conftest import Sql
from tests.providers.kits import mock, standard
from tests.providers.kits.kit import SignedWebhook
from tests.refunding import insert_refund
from tests.worker.money.playing import Copy, Ending, Player, Step, disputes_in_events

NAMES: Final = ("attempt", "capture_ref", "dispute_ref", "refund_ref")
DAYS: Final = {day: f"2026-11-{day:02}T12:00:00+00:00" for day in range(1, 31)}


class Plain:
    """One of the two, and how it says things of a copy's payment."""

    def __init__(self, name: str, player: Player) -> None:
        self.name = name
        self._player = player
        self._count = 0

    def says(self, subject: str, word: str, *, day: int = 1, **details: Any) -> Step:
        """A webhook; names in it are the copy's own, and another webhook is another event."""
        self._count += 1
        event = f"event-{self._count}-"

        def report(copy: Copy) -> SignedWebhook:
            own = {name: copy(value) if name in NAMES else value for name, value in details.items()}
            if self.name == "mock":
                return mock.KIT.says(
                    word, provider_ref=copy("pay-"), event_id=copy(event), occurred_at=DAYS[day], **own
                )
            return standard.KIT.says(
                f"{subject}.{word}",
                provider_ref=copy("pay-"),
                signed_at=datetime.now(UTC),
                webhook_id=copy(event),
                timestamp=DAYS[day],
                **own,
            )

        return report

    def play(self, *steps: Step, **options: Any) -> Ending:
        kit = mock.KIT if self.name == "mock" else standard.KIT
        return self._player.play(kit.provider(), steps, reference=lambda copy: copy("pay-"), **options)


@pytest.fixture(params=["mock", "standard"])
def plain(request: pytest.FixtureRequest, player: Player) -> Plain:
    return Plain(request.param, player)


def short(ending: Ending) -> tuple[Any, ...]:
    """Status, reasons, and what came, is lost and can be given back."""
    assert ending.unsettled == ()
    return ending.status, ending.reasons, ending.captured, ending.lost, ending.refundable


def test_without_names_it_is_as_it_always_was(plain: Plain) -> None:
    ending = plain.play(
        plain.says("payment", "processing"), plain.says("payment", "failed"), plain.says("payment", "paid")
    )
    assert short(ending) == ("paid", None, 240, 0, 240)


def test_money_without_a_name_is_that_of_the_try_with_one(plain: Plain) -> None:
    ending = plain.play(plain.says("payment", "paid"), plain.says("payment", "paid", attempt="card"))
    assert short(ending) == ("paid", None, 240, 0, 240)


def test_reversed_without_a_name_took_all_that_came(plain: Plain) -> None:
    ending = plain.play(plain.says("payment", "paid"), plain.says("payment", "reversed"))
    assert short(ending) == ("reversed", None, 240, 240, 0)
    assert ending.disputes == (("chargeback", "lost", 1),)


def test_a_failed_try_does_not_hide_the_next(plain: Plain) -> None:
    ending = plain.play(
        plain.says("payment", "failed", attempt="card"), plain.says("payment", "processing", attempt="debit")
    )
    assert (short(ending), ending.under_way) == (("processing", None, 0, 0, 0), True)


def test_the_next_try_pays(plain: Plain) -> None:
    ending = plain.play(
        plain.says("payment", "failed", attempt="card"),
        plain.says("payment", "processing", attempt="debit"),
        plain.says("payment", "paid", attempt="debit"),
    )
    assert (short(ending), ending.under_way) == (("paid", None, 240, 0, 240), False)


def test_two_charges_are_overpaid_and_one_goes_back(plain: Plain) -> None:
    ending = plain.play(
        plain.says("payment", "paid", attempt="one"),
        plain.says("payment", "paid", attempt="two"),
        plain.says("refund", "succeeded", attempt="two", refund_ref="back"),
    )
    assert short(ending) == ("paid", "overpaid", 480, 0, 240)
    assert ending.refunds == ((Decimal(240), "succeeded"),)


def test_an_authorisation_and_its_capture_are_counted_once(plain: Plain) -> None:
    ending = plain.play(
        plain.says("payment", "authorized", attempt="card"),
        plain.says("payment", "paid", attempt="card"),
        plain.says("capture", "succeeded", attempt="card", capture_ref="cap"),
    )
    assert (short(ending), ending.authorized) == (("paid", None, 240, 0, 240), 0)
    assert ending.captures == ((Decimal(240), "succeeded"),)


def test_a_capture_that_is_undone_is_reversed(plain: Plain) -> None:
    ending = plain.play(
        plain.says("capture", "succeeded", capture_ref="cap"), plain.says("capture", "undone", capture_ref="cap")
    )
    assert short(ending) == ("reversed", None, 240, 240, 0)


def test_two_partial_authorisations_add_up(plain: Plain) -> None:
    ending = plain.play(
        plain.says("payment", "paid", attempt="gift card", amount="100.00"),
        plain.says("payment", "paid", attempt="card", amount="140.00"),
    )
    assert short(ending) == ("paid", None, 240, 0, 240)


def test_of_partial_authorisations_that_are_canceled_nothing_came(plain: Plain) -> None:
    ending = plain.play(
        plain.says("payment", "paid", attempt="gift card", amount="100.00"),
        plain.says("payment", "paid", attempt="card", amount="140.00"),
        plain.says("payment", "canceled", attempt="gift card"),
        plain.says("payment", "canceled", attempt="card"),
    )
    assert short(ending) == ("canceled", None, 0, 0, 0)


def test_two_captures_are_the_whole(plain: Plain) -> None:
    ending = plain.play(
        plain.says("payment", "authorized", attempt="card"),
        plain.says("payment", "partially_paid", attempt="card", capture_ref="one", amount="100.00"),
        plain.says("payment", "paid", attempt="card", capture_ref="two", amount="140.00"),
    )
    assert short(ending) == ("paid", None, 240, 0, 240)


def test_a_capture_of_200_with_the_rest_released_and_refunded_there(plain: Plain) -> None:
    ending = plain.play(
        plain.says("payment", "authorized", attempt="card"),
        plain.says("capture", "succeeded", attempt="card", capture_ref="cap", amount="200.00"),
        plain.says("payment", "canceled", attempt="card"),
        plain.says("refund", "succeeded", capture_ref="cap", refund_ref="back", amount="200.00"),
    )
    assert short(ending) == ("partially_paid", "mismatch", 200, 0, 0)
    assert (ending.refunded, ending.authorized) == (200, 0)


def test_an_authorisation_that_ends_gives_nothing(plain: Plain) -> None:
    for word in ("canceled", "expired"):
        ending = plain.play(
            plain.says("payment", "authorized", attempt=f"card {word}"),
            plain.says("payment", word, attempt=f"card {word}"),
        )
        assert (short(ending), ending.authorized) == ((word, None, 0, 0, 0), 0)


def test_40_lost_leaves_200(plain: Plain, sql: Sql) -> None:
    ending = plain.play(
        plain.says("payment", "paid"),
        plain.says("dispute", "needs_response", dispute_ref="dis", amount="40.00"),
        plain.says("dispute", "lost", dispute_ref="dis", amount="40.00", step=1, day=2),
    )
    assert short(ending) == ("paid", None, 240, 40, 200)
    assert ending.disputes == (("chargeback", "lost", 1),)
    (payment, *_) = sql("SELECT id FROM payments")
    with pytest.raises(IntegrityError, match="200"):
        insert_refund(sql, payment.id, "200.01")
    insert_refund(sql, payment.id, "200.00")


def test_reversed_with_a_name_takes_its_amount(plain: Plain) -> None:
    ending = plain.play(
        plain.says("payment", "paid"), plain.says("payment", "reversed", dispute_ref="dis", amount="40.00")
    )
    assert short(ending) == ("paid", None, 240, 40, 200)


def test_an_open_chargeback_holds_back_and_an_inquiry_does_not(plain: Plain) -> None:
    held = plain.play(
        plain.says("payment", "paid"), plain.says("dispute", "needs_response", dispute_ref="dis", amount="40.00")
    )
    free = plain.play(
        plain.says("payment", "paid"),
        plain.says("dispute", "needs_response", dispute_ref="ask", stage="inquiry", amount="40.00"),
        plain.says("dispute", "closed", dispute_ref="ask", stage="inquiry", amount="40.00", day=2),
    )
    assert (short(held), held.blocked) == (("paid", None, 240, 0, 200), 40)
    assert (short(free), free.blocked) == (("paid", None, 240, 0, 240), 0)


def test_lost_and_then_won_gives_it_back(plain: Plain, sql: Sql) -> None:
    ending = plain.play(
        plain.says("payment", "paid"),
        plain.says("dispute", "lost", dispute_ref="dis", step=1),
        plain.says("dispute", "won", dispute_ref="dis", step=2, day=2),
    )
    assert short(ending) == ("paid", None, 240, 0, 240)
    assert ending.disputes == (("chargeback", "won", 2),)
    assert disputes_in_events(sql) == {("lost", "won")}


def test_a_second_chargeback_after_a_reversed_one_in_all_orders(plain: Plain) -> None:
    ending = plain.play(
        plain.says("payment", "paid"),
        plain.says("dispute", "lost", dispute_ref="dis", step=1),
        plain.says("dispute", "won", dispute_ref="dis", step=2, day=2),
        plain.says("dispute", "lost", dispute_ref="dis", step=3, day=3, stage="arbitration"),
    )
    assert short(ending) == ("reversed", None, 240, 240, 0)


def test_a_debit_that_is_returned_weeks_later_is_reversed(plain: Plain) -> None:
    ending = plain.play(
        plain.says("payment", "processing", attempt="debit"),
        plain.says("payment", "paid", attempt="debit", day=3),
        plain.says("dispute", "lost", dispute_ref="r", step=1, day=28, reason="bank_cannot_process", attempt="debit"),
    )
    assert short(ending) == ("reversed", None, 240, 240, 0)


def test_a_presumed_dispute_gives_way_to_one_with_a_name(plain: Plain) -> None:
    ending = plain.play(
        plain.says("payment", "paid"),
        plain.says("payment", "reversed"),
        plain.says("payment", "reversed", dispute_ref="dis", amount="40.00"),
    )
    assert short(ending) == ("paid", None, 240, 40, 200), "what is presumed gives way to what has a name"


def test_an_amount_of_three_decimals_is_counted_exactly(plain: Plain) -> None:
    ending = plain.play(
        plain.says("payment", "paid", attempt="card", amount="1.500", currency="KWD"),
        plain.says("payment", "reversed", dispute_ref="dis", amount="0.005", currency="KWD"),
        amount="1.500",
        currency="KWD",
    )
    assert short(ending) == ("paid", None, Decimal("1.500"), Decimal("0.005"), Decimal("1.495"))
