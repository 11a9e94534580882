"""What Adyen reports of a payment, in every order, twice, with restarts between: how the payment ends."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Sql
from tests.providers.kits.adyen import KIT, batch, item, sign
from tests.providers.kits.kit import SignedWebhook
from tests.worker.money.playing import Copy, Ending, Player, Step, disputes_in_events

THEIRS = "a word of somebody's own"

WHOLE = Decimal("240.00")


def reference_of(copy: Copy) -> str:
    return f"adyen_{copy.payment_id.hex}"


def news(
    code: str,
    psp: str,
    original: str | None = None,
    *,
    success: bool = True,
    value: int = 24000,
    currency: str = "USD",
    reference: str | None = None,
    request: str | None = None,
    **fields: Any,
) -> Step:
    """An event about what is named ``psp``, done to ``original``.

    ``reference`` is somebody else's in place of ours, ``request`` the id of a request that stands behind ours.
    """

    def step(copy: Copy) -> SignedWebhook:
        names = {"pspReference": copy(psp)} | ({"originalReference": copy(original)} if original else {})
        ours = reference_of(copy) + (f"_{request}" if request else "")
        given = {
            "merchantReference": ours if reference is None else reference,
            "amount": {"currency": currency, "value": value},
        }
        written = item(code, "true" if success else "false", **names, **given, **fields)
        return SignedWebhook(body=batch(sign(written, KIT.secrets[0])))

    return step


AUTHORISED = news("AUTHORISATION", "A")


def played(player: Player, *steps: Step, orders: Sequence[Sequence[int]] | None = None, **options: str) -> Ending:
    """Every webhook is done in the end."""
    ending = player.play(KIT.provider(**options), steps, reference=reference_of, orders=orders)
    assert ending.unsettled == ()
    return ending


def essentials(ending: Ending) -> tuple[str, str | None, Decimal, Decimal]:
    """Status, reasons, what came and what went again."""
    return ending.status, ending.reasons, ending.captured, ending.lost


# Captures.


def test_automatic_money_is_counted_once_whether_its_capture_is_named_or_not(player: Player) -> None:
    assert essentials(played(player, AUTHORISED)) == ("paid", None, WHOLE, 0)

    ending = played(player, AUTHORISED, news("CAPTURE", "C", "A"))
    assert essentials(ending) == ("paid", None, WHOLE, 0)
    assert ending.captures == ((WHOLE, "succeeded"),)
    assert ending.refundable == WHOLE


def test_a_capture_that_failed_takes_the_money_back(player: Player) -> None:
    failed = news("CAPTURE_FAILED", "C", "A")

    assert essentials(played(player, AUTHORISED, failed)) == ("reversed", None, WHOLE, WHOLE)
    ending = played(player, AUTHORISED, news("CAPTURE", "C", "A"), failed)
    assert essentials(ending) == ("reversed", None, WHOLE, WHOLE)
    assert (ending.captures, ending.refundable) == (((WHOLE, "undone"),), 0)


@pytest.mark.parametrize("first", [True, False])
def test_a_capture_that_came_again_is_a_reason_and_moves_nothing(player: Player, first: bool) -> None:
    again = news("CAPTURE", "C", "A", reason="Transaction Recaptured")
    steps = [AUTHORISED, news("CAPTURE_FAILED", "C", "A"), again]
    if first:
        steps.append(news("CAPTURE", "C", "A"))

    assert essentials(played(player, *steps)) == ("reversed", "recaptured", WHOLE, WHOLE)


def test_a_capture_that_was_refused_is_no_money(player: Player) -> None:
    refused = news("CAPTURE", "C", "A", success=False)

    ending = played(player, AUTHORISED, refused, capture="manual")
    assert essentials(ending) == ("authorized", None, 0, 0)
    assert ending.captures == ((WHOLE, "refused"),)
    assert essentials(played(player, AUTHORISED, refused)) == ("paid", None, WHOLE, 0)


def test_a_partial_capture_in_the_dashboard_and_its_refund_there(player: Player) -> None:
    ending = played(
        player,
        AUTHORISED,
        news("CAPTURE", "C", "A", value=20000, reference=THEIRS),
        news("REFUND", "R", "A", value=20000, reference=THEIRS),
    )

    assert essentials(ending) == ("partially_paid", "mismatch", Decimal(200), 0)
    assert (ending.refunds, ending.refundable) == (((Decimal(200), "succeeded"),), 0)


@pytest.mark.parametrize("multicapture", ["on", "off"])
def test_manual_captures(player: Player, multicapture: str) -> None:
    first, second = news("CAPTURE", "C", "A", value=10000), news("CAPTURE", "D", "A", value=14000)
    options = {"capture": "manual", "multicapture": multicapture}

    assert essentials(played(player, AUTHORISED, **options)) == ("authorized", None, 0, 0)
    partly = played(player, AUTHORISED, first, **options)
    if multicapture == "on":
        assert essentials(partly) == ("partially_paid", None, Decimal(100), 0)
        assert partly.authorized == Decimal(140)
    else:
        assert essentials(partly) == ("partially_paid", "mismatch", Decimal(100), 0)
        assert partly.authorized == 0
    ending = played(player, AUTHORISED, first, second, **options)
    assert essentials(ending) == ("paid", None, WHOLE, 0)
    assert ending.authorized == 0


@pytest.mark.parametrize("original", ["A", None])
def test_the_rest_of_an_authorisation_that_expires_leaves_what_was_captured(
    player: Player, original: str | None
) -> None:
    """Adyen's own example has no original reference: it names the authorisation itself."""
    expired = news("EXPIRE", "E" if original else "A", original)
    options = {"capture": "manual", "multicapture": "on"}

    assert essentials(played(player, AUTHORISED, expired, **options)) == ("expired", None, 0, 0)
    ending = played(player, AUTHORISED, news("CAPTURE", "C", "A", value=10000), expired, **options)
    assert essentials(ending) == ("partially_paid", "mismatch", Decimal(100), 0)
    assert ending.authorized == 0


@pytest.mark.parametrize("code", ["CANCELLATION", "TECHNICAL_CANCEL"])
@pytest.mark.parametrize("capture", ["auto", "manual"])
def test_a_cancellation_ends_what_was_promised(player: Player, code: str, capture: str) -> None:
    assert essentials(played(player, AUTHORISED, news(code, "X", "A"), capture=capture)) == ("canceled", None, 0, 0)
    refused = played(player, AUTHORISED, news(code, "X", "A", success=False), capture="manual")
    assert refused.status == "authorized"


def test_a_cancellation_of_the_whole_payment_ends_it(player: Player) -> None:
    ending = played(player, AUTHORISED, news("TECHNICAL_CANCEL", "X"), capture="manual")
    assert essentials(ending) == ("canceled", None, 0, 0)


def test_what_was_canceled_or_refunded_is_a_question_only_where_money_was_captured(player: Player) -> None:
    unclear = news("CANCEL_OR_REFUND", "X", "A")

    assert essentials(played(player, AUTHORISED, unclear, capture="manual")) == ("canceled", None, 0, 0)
    assert essentials(played(player, AUTHORISED, unclear)) == ("canceled", None, 0, 0)
    captured = played(player, AUTHORISED, news("CAPTURE", "C", "A"), unclear)
    assert essentials(captured) == ("paid", "unclear_cancellation", WHOLE, 0)


def test_an_adjusted_authorisation_is_shown_and_a_reason_while_it_is_open(player: Player) -> None:
    more, less = (
        news("AUTHORISATION_ADJUSTMENT", psp, "A", value=value) for psp, value in (("M", 30000), ("L", 20000))
    )

    ending = played(player, AUTHORISED, more, less, capture="manual")
    assert essentials(ending) == ("authorized", "authorization_adjusted", 0, 0)
    assert ending.authorized == Decimal(300)
    captured = played(player, AUTHORISED, more, less, news("CAPTURE", "C", "A"), capture="manual")
    assert essentials(captured) == ("paid", None, WHOLE, 0)


# Attempts.


def test_two_authorisations_of_one_payment_both_count(player: Player) -> None:
    second = news("AUTHORISATION", "B")

    both = played(player, AUTHORISED, second)
    assert essentials(both) == ("paid", "overpaid", WHOLE * 2, 0)
    refunded = played(player, AUTHORISED, second, news("REFUND", "R", "B"))
    assert essentials(refunded) == ("paid", "overpaid", WHOLE * 2, 0)
    assert (refunded.refunded, refunded.refundable) == (WHOLE, WHOLE)


def test_the_second_is_refunded_with_somebodys_own_reference(player: Player) -> None:
    ending = played(player, AUTHORISED, news("AUTHORISATION", "B"), news("REFUND", "R", "B", reference=THEIRS))

    assert (ending.refunds, ending.refundable) == (((WHOLE, "succeeded"),), WHOLE)


GIFT_CARD = [news("AUTHORISATION", "A", value=10000), news("AUTHORISATION", "B", value=14000)]


def test_partial_payments_of_an_order_add_up(player: Player) -> None:
    opened, closed = news("ORDER_OPENED", "O"), news("ORDER_CLOSED", "O")

    assert essentials(played(player, *GIFT_CARD)) == ("paid", None, WHOLE, 0)
    assert essentials(played(player, opened, *GIFT_CARD, closed)) == ("paid", None, WHOLE, 0)
    assert essentials(played(player, opened, GIFT_CARD[0])) == ("partially_paid", "mismatch", Decimal(100), 0)


def test_of_an_order_that_is_canceled_nothing_came(player: Player) -> None:
    closed = news("ORDER_CLOSED", "O", success=False)
    ended = [news("CANCELLATION", "X", "A", value=10000), news("CANCELLATION", "Y", "B", value=14000)]

    assert essentials(played(player, *GIFT_CARD, *ended)) == ("canceled", None, 0, 0)
    assert essentials(played(player, *GIFT_CARD, *ended, closed)) == ("canceled", None, 0, 0)
    assert essentials(played(player, *GIFT_CARD, closed)) == ("paid", "unclear_cancellation", WHOLE, 0)
    refunded = [news("REFUND", "X", "A", value=10000), news("REFUND", "Y", "B", value=14000)]
    ending = played(player, *GIFT_CARD, *refunded, closed)
    assert essentials(ending) == ("paid", None, WHOLE, 0)
    assert (ending.refunded, ending.refundable) == (WHOLE, 0)


def test_a_failed_attempt_hides_no_other(player: Player) -> None:
    failed, pending = news("AUTHORISATION", "A", success=False), news("PENDING", "B")

    under_way = played(player, failed, pending)
    assert (under_way.status, under_way.under_way) == ("processing", True)
    assert essentials(played(player, failed, pending, news("AUTHORISATION", "B"))) == ("paid", None, WHOLE, 0)
    over = played(player, failed, pending, news("OFFER_CLOSED", "B"))
    assert (over.status, over.under_way) == ("failed", False)


# Refunds.


def test_a_refund_that_failed_later_gives_nothing_back(player: Player) -> None:
    for code in ("REFUND_FAILED", "REFUNDED_REVERSED"):
        ending = played(
            player, AUTHORISED, news("POSTPONED_REFUND", "R", "A"), news("REFUND", "R", "A"), news(code, "R", "A")
        )
        assert essentials(ending) == ("paid", None, WHOLE, 0)
        assert (ending.refunds, ending.refundable) == (((WHOLE, "failed"),), WHOLE)


def test_more_refunded_than_came_is_entered_and_flagged(player: Player) -> None:
    ending = played(player, AUTHORISED, news("REFUND", "R", "A"), news("REFUND", "S", "A", value=4000))

    assert essentials(ending) == ("paid", "refund_too_large", WHOLE, 0)
    assert ending.refunded == Decimal(280)


# Disputes.

FORTY: dict[str, Any] = {"value": 4000}


def test_forty_charged_back_leaves_it_paid(player: Player) -> None:
    ending = played(player, AUTHORISED, news("CHARGEBACK", "D", "A", **FORTY))

    assert essentials(ending) == ("paid", None, WHOLE, Decimal(40))
    assert ending.refundable == Decimal(200)


def test_a_chargeback_that_is_announced_holds_refunds_back_and_is_counted_once(player: Player) -> None:
    announced = news("NOTIFICATION_OF_CHARGEBACK", "D", "A", **FORTY)

    ending = played(player, AUTHORISED, announced)
    assert essentials(ending) == ("paid", None, WHOLE, 0)
    assert (ending.blocked, ending.refundable) == (Decimal(40), Decimal(200))
    opened = news("DISPUTE_OPENED_WITH_CHARGEBACK", "D", "A", **FORTY)
    ending = played(player, AUTHORISED, announced, opened, news("CHARGEBACK", "D", "A", **FORTY))
    assert (ending.lost, ending.blocked, ending.refundable) == (Decimal(40), 0, Decimal(200))


def test_a_chargeback_that_is_reversed_leaves_nothing_gone(player: Player, sql: Sql) -> None:
    ending = played(player, AUTHORISED, news("CHARGEBACK", "D", "A"), news("CHARGEBACK_REVERSED", "D", "A"))

    assert essentials(ending) == ("paid", None, WHOLE, 0)
    assert (ending.disputes, ending.refundable) == ((("chargeback", "won", 2),), WHOLE)
    assert disputes_in_events(sql) == {("needs_response", "won")}


@pytest.mark.parametrize("original", ["A", None])
def test_a_second_chargeback_reverses_it_in_every_order(player: Player, original: str | None) -> None:
    """Without the original reference too: Adyen adds it only where the account asks for that."""
    rest = [news(code, "D", original) for code in ("CHARGEBACK_REVERSED", "SECOND_CHARGEBACK")]

    ending = played(player, AUTHORISED, news("CHARGEBACK", "D", "A"), *rest)

    assert essentials(ending) == ("reversed", None, WHOLE, WHOLE)
    assert ending.disputes == (("chargeback", "lost", 3),)


def test_a_direct_debit_that_comes_back_weeks_later_is_reversed(player: Player) -> None:
    returned = news("CHARGEBACK", "D", "A", additionalData={"chargebackReasonCode": "AM04"})

    ending = played(player, news("PENDING", "A"), news("AUTHORISATION", "A"), news("CAPTURE", "C", "A"), returned)

    assert (essentials(ending), ending.refundable) == (("reversed", None, WHOLE, WHOLE), 0)


def test_a_dispute_is_found_by_its_own_name_where_nothing_else_is_ours(player: Player) -> None:
    ending = played(
        player,
        AUTHORISED,
        news("CHARGEBACK", "D", "A", reference=THEIRS, **FORTY),
        news("CHARGEBACK_REVERSED", "D", reference=THEIRS, **FORTY),
    )

    assert (ending.status, ending.lost, ending.disputes) == ("paid", 0, (("chargeback", "won", 2),))


@pytest.mark.parametrize(("end", "status", "lost"), [("WON", "paid", 0), ("LOST", "reversed", 240)])
def test_a_pre_arbitration_and_an_arbitration_decide_at_last(player: Player, end: str, status: str, lost: int) -> None:
    before = [AUTHORISED] + [
        news(code, "D", "A")
        for code in ("CHARGEBACK", "CHARGEBACK_REVERSED", "SECOND_CHARGEBACK", "PREARBITRATION_OPEN")
    ]

    ending = played(player, *before, news(f"PREARBITRATION_{end}", "D", "A"))
    assert essentials(ending) == (status, None, WHOLE, lost)
    assert ending.disputes == (("pre_arbitration", end.lower(), 4),)
    other = "LOST" if end == "WON" else "WON"
    steps = [*before, news(f"PREARBITRATION_{other}", "D", "A"), news("SCHEME_ARBITRATION", "D", "A")]
    ending = played(player, *steps, news(f"SCHEME_ARBITRATION_{end}", "D", "A"))
    assert essentials(ending) == (status, None, WHOLE, lost)
    assert ending.disputes == (("arbitration", end.lower(), 5),)


def test_words_of_a_dispute_move_no_money(player: Player) -> None:
    codes = ("CHARGEBACK", "INFORMATION_SUPPLIED", "DISPUTE_DEFENSE_PERIOD_ENDED", "ISSUER_COMMENTS")

    ending = played(player, AUTHORISED, *[news(code, "D", "A", **FORTY) for code in codes])
    assert essentials(ending) == ("paid", None, WHOLE, Decimal(40))
    won = played(
        player,
        AUTHORISED,
        *[news(code, "D", "A") for code in ("CHARGEBACK", "CHARGEBACK_REVERSED", "ISSUER_RESPONSE_TIMEFRAME_EXPIRED")],
    )
    assert essentials(won) == ("paid", None, WHOLE, 0)


def test_an_inquiry_and_a_report_of_fraud_take_and_hold_nothing(player: Player) -> None:
    inquiry = played(player, AUTHORISED, news("REQUEST_FOR_INFORMATION", "D", "A"))
    assert essentials(inquiry) == ("paid", None, WHOLE, 0)
    assert (inquiry.refundable, inquiry.disputes) == (WHOLE, (("inquiry", "needs_response", 0),))

    fraud = played(player, AUTHORISED, news("NOTIFICATION_OF_FRAUD", "F", "A"))
    assert essentials(fraud) == ("paid", "fraud_warning", WHOLE, 0)
    assert (fraud.refundable, fraud.disputes) == (WHOLE, (("inquiry", "closed", 0),))


def test_less_charged_back_than_was_inquired_is_what_is_gone(player: Player) -> None:
    ending = played(
        player,
        AUTHORISED,
        news("REQUEST_FOR_INFORMATION", "D", "A"),
        news("CHARGEBACK", "D", "A", **FORTY),
    )
    assert ending.lost == Decimal(40)


def test_two_disputes_and_a_refund_over_all_of_it_are_flagged(player: Player) -> None:
    ending = played(
        player,
        AUTHORISED,
        news("CHARGEBACK", "D", "A"),
        news("REFUND", "R", "A"),
    )

    assert essentials(ending) == ("reversed", "refund_too_large", WHOLE, WHOLE)
    assert ending.refundable == 0


# Content.


@pytest.mark.parametrize(
    ("currency", "amount", "value"), [("KWD", "1.235", 1235), ("JPY", "240", 240), ("ISK", "240", 24000)]
)
def test_amounts_have_the_decimals_of_their_currency(player: Player, currency: str, amount: str, value: int) -> None:
    money: dict[str, Any] = {"currency": currency, "value": value}
    steps = [news("AUTHORISATION", "A", **money), news("CAPTURE", "C", "A", **money)]

    ending = player.play(KIT.provider(), steps, reference=reference_of, amount=amount, currency=currency)

    assert essentials(ending) == ("paid", None, Decimal(amount), 0)


@pytest.mark.parametrize("odd", ["\0", "\ud83d"])
def test_a_name_that_nobody_uses_decides_nothing(player: Player, odd: str) -> None:
    ending = played(player, news("AUTHORISATION", "A", additionalData={"cardHolderName": f"J{odd}. Smith"}))

    assert essentials(ending) == ("paid", None, WHOLE, 0)


def test_another_shops_authorisation_is_ignored_and_its_capture_waits(player: Player) -> None:
    ending = player.play(
        KIT.provider(),
        [
            news("AUTHORISATION", "A", reference=THEIRS),
            news("CAPTURE", "C", "A", reference=THEIRS),
        ],
        reference=reference_of,
    )

    assert ending.status == "pending"
    assert set(ending.unsettled) == {"parked"}


def of_mode(live: str, *steps: Step) -> list[Step]:
    """The same news with another word for its mode, which nobody signs."""

    def changed(step: Step, copy: Copy) -> SignedWebhook:
        webhook = step(copy)
        assert webhook is not None
        assert b'"live": "false"' in webhook.body
        return SignedWebhook(body=webhook.body.replace(b'"live": "false"', b'"live": "%s"' % live.encode()))

    return [partial(changed, step) for step in steps]


def test_a_mode_that_somebody_flipped_keeps_no_money_from_its_payment(player: Player) -> None:
    refunded = news("REFUND", "R", "A", value=4000)
    ending = played(player, *of_mode("true", AUTHORISED, refunded))
    assert ending == played(player, AUTHORISED, refunded)
    assert (ending.status, ending.captured, ending.refunded) == ("paid", WHOLE, 40)


def test_what_is_of_the_other_mode_and_of_no_payment_here_is_not_waited_for(player: Player, sql: Sql) -> None:
    nobody = uuid4().hex
    strange = news("REFUND", "R", "A", value=4000, reference=f"adyen_{nobody}")
    player.play(KIT.provider(), of_mode("true", AUTHORISED, strange), reference=lambda copy: f"adyen_{copy(nobody)}")
    found = {(row.state, row.detail) for row in sql("SELECT state::text, detail FROM webhook_deliveries")}
    assert {state for state, _ in found} == {"ignored"}
    assert {detail.partition(":")[0] for _, detail in found} == {"not_ours"}
