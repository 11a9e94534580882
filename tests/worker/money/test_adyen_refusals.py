"""What Adyen did not do, or undid later: in every order, twice, with restarts between."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.conftest import Sql
from tests.worker.money.playing import Player
from tests.worker.money.test_adyen import AUTHORISED, WHOLE, essentials, news, played

MODIFICATIONS = (
    *("CANCELLATION", "TECHNICAL_CANCEL", "CANCEL_OR_REFUND", "AUTHORISATION_ADJUSTMENT", "VOID_PENDING_REFUND"),
    *("CAPTURE_FAILED", "REFUND_FAILED", "REFUNDED_REVERSED", "POSTPONED_REFUND", "EXPIRE", "OFFER_CLOSED"),
)


@pytest.mark.parametrize("code", MODIFICATIONS)
def test_what_was_not_done_changes_nothing(player: Player, sql: Sql, code: str) -> None:
    refused = news(code, "X", "A", success=False, value=10000)

    ending = played(player, AUTHORISED, refused, capture="manual")

    assert essentials(ending) == ("authorized", None, 0, 0)
    assert (ending.authorized, ending.captures, ending.refunds) == (WHOLE, (), ())
    assert essentials(played(player, AUTHORISED, news("CAPTURE", "C", "A"), refused)) == ("paid", None, WHOLE, 0)
    rows = sql("SELECT DISTINCT split_part(detail, ':', 1) AS reason FROM webhook_deliveries WHERE state = 'ignored'")
    assert [row.reason for row in rows] == ["nothing_to_record"]


def test_a_refund_that_was_refused_is_a_failed_one_and_its_money_stays(player: Player) -> None:
    ending = played(player, AUTHORISED, news("CAPTURE", "C", "A"), news("REFUND", "R", "A", success=False))

    assert essentials(ending) == ("paid", None, WHOLE, 0)
    assert (ending.refunds, ending.refunded, ending.refundable) == (((WHOLE, "failed"),), 0, WHOLE)


def test_a_capture_that_was_refused_leaves_the_authorisation_to_another(player: Player) -> None:
    steps = [AUTHORISED, news("CAPTURE", "C", "A", success=False), news("CAPTURE", "D", "A")]

    ending = played(player, *steps, capture="manual")

    assert essentials(ending) == ("paid", None, WHOLE, 0)
    assert ending.captures == ((WHOLE, "refused"), (WHOLE, "succeeded"))


@pytest.mark.parametrize("code", ["REFUND_FAILED", "REFUNDED_REVERSED"])
def test_of_two_refunds_one_that_failed_later_takes_none_of_the_other(player: Player, code: str) -> None:
    ending = played(
        player,
        AUTHORISED,
        news("REFUND", "R", "A", value=10000),
        news("REFUND", "S", "A", value=4000),
        news(code, "R", "A", value=10000),
    )

    assert ending.refunds == ((Decimal(40), "succeeded"), (Decimal(100), "failed"))
    assert (ending.refunded, ending.refundable) == (Decimal(40), Decimal(200))


def test_of_two_captures_one_that_failed_later_takes_its_own_money_back(player: Player) -> None:
    ending = played(
        player,
        AUTHORISED,
        news("CAPTURE", "C", "A", value=10000),
        news("CAPTURE", "D", "A", value=14000),
        news("CAPTURE_FAILED", "C", "A", value=10000),
        capture="manual",
        multicapture="on",
    )

    assert (ending.status, ending.captured, ending.lost) == ("paid", WHOLE, Decimal(100))
    assert ending.refundable == Decimal(140)


@pytest.mark.parametrize("code", ["TECHNICAL_CANCEL", "EXPIRE", "OFFER_CLOSED"])
def test_an_end_that_comes_beside_money_takes_none_of_it(player: Player, code: str) -> None:
    ending = played(
        player, AUTHORISED, news("CAPTURE", "C", "A"), news(code, "A" if code == "OFFER_CLOSED" else "X", "A")
    )

    assert (ending.status, ending.captured, ending.lost) == ("paid", WHOLE, 0)
