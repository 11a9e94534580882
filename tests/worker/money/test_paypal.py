"""What PayPal can report of one payment, in every order: how it ends, and what may still be given back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any
from uuid import uuid4
from zlib import crc32

import pytest
from sqlalchemy.exc import IntegrityError

from tests.conftest import Sql
from tests.providers.kits.kit import CURRENCY, SignedWebhook
from tests.providers.kits.paypal import KIT, event, sign
from tests.providers.kits.paypal_resources import (
    API,
    AUTHORIZATION,
    CAPTURE,
    DISPUTE,
    REAUTHORIZATION,
    REFUND,
    REVERSAL,
    authorization,
    capture,
    dispute,
    resolved,
    taken,
)
from tests.worker.money.playing import Copy, Ending, Player, Step

LATER = "2026-11-25T11:59:59Z"
Make = Callable[..., dict[str, Any]]


def reference(copy: Copy) -> str:
    return f"paypal_{copy.payment_id.hex}"


def ours(copy: Copy) -> dict[str, str]:
    return {"custom_id": reference(copy), "invoice_id": reference(copy)}


def number_of(copy: Copy, kind: str, name: str) -> int:
    """A number that no other event has, the same each time."""
    return copy.number * 100_000 + crc32(f"{kind}{name}".encode()) % 100_000


def deliver(copy: Copy, kind: str, resource: dict[str, Any], name: str = "") -> SignedWebhook:
    return event(kind, resource, number=number_of(copy, kind, name))


def captured(
    kind: str = "COMPLETED", value: str = "240.00", which: str = CAPTURE, *, of: str | None = None, **fields: Any
) -> Step:
    status = {"DENIED": "DECLINED"}.get(kind, kind)
    return lambda copy: deliver(
        copy,
        f"PAYMENT.CAPTURE.{kind}",
        capture(copy(which), value, status, of=copy(of) if of else None, **(ours(copy) | fields)),
        which,
    )


def refunded(value: str, which: str = REFUND, of: str = CAPTURE, kind: str = "CAPTURE.REFUNDED", **fields: Any) -> Step:
    return lambda copy: deliver(
        copy, f"PAYMENT.{kind}", taken(copy(which), value, copy(of), **(ours(copy) | fields)), which
    )


def reversed_(value: str, which: str = REVERSAL, of: str = CAPTURE) -> Step:
    return refunded(value, which, of, "CAPTURE.REVERSED")


def authorized(which: str = AUTHORIZATION, kind: str = "CREATED", **fields: Any) -> Step:
    status = {"VOIDED": "VOIDED"}.get(kind, "CREATED")
    return lambda copy: deliver(
        copy, f"PAYMENT.AUTHORIZATION.{kind}", authorization(copy(which), status=status, **(ours(copy) | fields)), which
    )


def reauthorized(which: str, parent: str) -> Step:
    def step(copy: Copy) -> SignedWebhook:
        up = [{"rel": "up", "href": f"{API}/v2/payments/authorizations/{copy(parent)}"}]
        return deliver(copy, "PAYMENT.AUTHORIZATION.CREATED", authorization(copy(which), links=up, **ours(copy)), which)

    return step


def disputed(
    kind: str, make: Make, *args: Any, which: str = DISPUTE, of: str = CAPTURE, known: bool = True, **fields: Any
) -> Step:
    def step(copy: Copy) -> SignedWebhook:
        transaction = {"seller_transaction_id": copy(of)} | ({"custom": reference(copy)} if known else {})
        about = make(*args, dispute_id=copy(which), disputed_transactions=[transaction], **fields)
        return deliver(copy, f"CUSTOMER.DISPUTE.{kind}", about, which + str(args) + str(fields))

    return step


PAID = captured()
CLAIM = disputed("CREATED", dispute, "40.00")
INQUIRY = disputed("CREATED", dispute, "40.00", "INQUIRY", "OPEN")


def play(player: Player, *steps: Step) -> Ending:
    return player.play(KIT.provider(), steps, reference=reference, received_at="TIMESTAMPTZ '2026-11-25T12:00:00Z'")


def money(ending: Ending) -> tuple[str, str | None, str, str, str]:
    """Status and reasons; what came, what is lost, what may still be given back."""
    assert ending.unsettled == ()
    assert not ending.under_way
    sums = (ending.captured, ending.lost, ending.refundable)
    return (ending.status, ending.reasons, *(f"{amount:.2f}" for amount in sums))  # type: ignore[return-value]


def ask_for(sql: Sql, amount: str) -> set[bool]:
    """Ask for a refund of every payment's capture, as the web tier does: whether it is admitted."""
    admitted = set()
    for row in sql("SELECT payment_id, capture_ref FROM captures WHERE status = 'succeeded'"):
        try:
            sql(
                """INSERT INTO refunds (payment_id, capture_ref, amount, requested_by, idempotency_key, request_hash)
                VALUES (:id, :capture, CAST(:amount AS numeric), :by, :key, '')""",
                id=row.payment_id,
                capture=row.capture_ref,
                amount=amount,
                by=uuid4(),
                key=uuid4().hex,
            )
            admitted.add(True)
        except IntegrityError as error:
            refusal = getattr(error.orig, "diag", None)
            if refusal is None or refusal.constraint_name != "refunds_covered":
                raise
            admitted.add(False)
    return admitted


@pytest.mark.parametrize(
    "steps",
    [
        (PAID,),
        (captured("PENDING"), PAID),
        (captured("DENIED", which="REFUSED"), PAID),
        (captured("DENIED", which="REFUSED"), captured("PENDING"), PAID),
        (authorized(), captured(of=AUTHORIZATION, final_capture=True)),
        (authorized(), captured("PENDING", of=AUTHORIZATION), captured(of=AUTHORIZATION, final_capture=True)),
        (authorized(), captured(of=AUTHORIZATION)),
        (
            authorized(),
            captured(value="100.00", which="C1", of=AUTHORIZATION),
            captured(value="140.00", which="C2", of=AUTHORIZATION, final_capture=True),
        ),
        (
            authorized(),
            reauthorized(REAUTHORIZATION, AUTHORIZATION),
            captured(of=REAUTHORIZATION, final_capture=True),
        ),
    ],
    ids=lambda steps: str(len(steps)),
)
def test_what_came_is_paid_once(player: Player, steps: Sequence[Step]) -> None:
    ending = play(player, *steps)
    assert money(ending) == ("paid", None, "240.00", "0.00", "240.00")
    assert ending.authorized == 0


def test_a_capture_under_review_is_under_way_and_a_denied_one_has_failed(player: Player) -> None:
    pending = play(player, captured("PENDING"))
    assert (pending.status, pending.under_way, pending.captures) == ("processing", True, ((Decimal(240), "pending"),))

    failed = play(player, captured("PENDING"), captured("DENIED"))
    assert (failed.status, failed.reasons, failed.under_way) == ("failed", None, False)
    assert failed.captures == ((Decimal(240), "refused"),)


def test_a_denied_capture_does_not_hide_the_next_one(player: Player) -> None:
    ending = play(player, captured("DENIED", which="REFUSED"), captured("PENDING"))
    assert (ending.status, ending.under_way, ending.reasons) == ("processing", True, None)


@pytest.mark.parametrize("value", ["15.00", "40.00"])
def test_a_part_that_was_taken_back_is_lost_with_its_dispute_and_without(player: Player, sql: Sql, value: str) -> None:
    left = f"{240 - Decimal(value):.2f}"
    claim = disputed("CREATED", dispute, value)
    lost = disputed("RESOLVED", resolved, "RESOLVED_BUYER_FAVOUR", value)

    for steps in ((PAID, reversed_(value)), (PAID, claim, reversed_(value)), (PAID, claim, reversed_(value), lost)):
        ending = play(player, *steps)
        assert money(ending) == ("paid", None, "240.00", value, left)
    assert ask_for(sql, f"{Decimal(left) + Decimal('0.01'):.2f}") == {False}
    assert ask_for(sql, left) == {True}


def test_all_of_it_taken_back_is_reversed(player: Player) -> None:
    ending = play(player, captured("PENDING"), PAID, reversed_("240.00"), disputed("CREATED", dispute, "240.00"))
    assert money(ending) == ("reversed", None, "240.00", "240.00", "0.00")


def test_two_reversals_of_one_capture_add_up_and_each_counts_once(player: Player) -> None:
    ending = play(player, PAID, reversed_("40.00"), reversed_("30.00", "SECOND"), CLAIM)
    assert money(ending) == ("paid", None, "240.00", "70.00", "170.00")


def test_a_dispute_that_was_lost_before_hides_no_new_one(player: Player, sql: Sql) -> None:
    """The reversal is of the first, so the second still holds back all that it is about."""
    ending = play(
        player,
        PAID,
        reversed_("40.00"),
        disputed("RESOLVED", resolved, "RESOLVED_BUYER_FAVOUR", "40.00"),
        disputed("CREATED", dispute, "30.00", which="PP-D-2"),
    )
    assert money(ending) == ("paid", None, "240.00", "40.00", "170.00")
    assert ending.blocked == 30
    assert ask_for(sql, "170.01") == {False}
    assert ask_for(sql, "170.00") == {True}


def test_an_open_claim_holds_back_what_it_is_about(player: Player, sql: Sql) -> None:
    ending = play(player, PAID, CLAIM)
    assert money(ending) == ("paid", None, "240.00", "0.00", "200.00")
    assert ending.blocked == 40
    assert ask_for(sql, "200.01") == {False}
    assert ask_for(sql, "200.00") == {True}


def test_an_inquiry_is_refundable_throughout(player: Player) -> None:
    for steps in (
        (PAID, INQUIRY),
        (PAID, INQUIRY, disputed("RESOLVED", resolved, "CANCELED_BY_BUYER", "40.00", "INQUIRY")),
    ):
        assert money(play(player, *steps)) == ("paid", None, "240.00", "0.00", "240.00")


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("RESOLVED_SELLER_FAVOUR", "won"),
        ("RESOLVED_WITH_PAYOUT", "closed"),
        ("CANCELED_BY_BUYER", "closed"),
        ("RESOLVED_BUYER_FAVOUR", "lost"),
        ("DENIED", "won"),
    ],
)
def test_the_outcome_of_a_dispute_alone_moves_no_money(player: Player, outcome: str, status: str) -> None:
    ending = play(player, PAID, CLAIM, disputed("RESOLVED", resolved, outcome, "40.00"))
    assert money(ending) == ("paid", None, "240.00", "0.00", "240.00")
    assert ending.disputes == (("chargeback", status, 0),)


def test_an_accepted_claim_is_a_refund_and_nothing_else(player: Player) -> None:
    ending = play(player, PAID, CLAIM, refunded("40.00"), disputed("RESOLVED", resolved, "ACCEPTED", "40.00"))
    assert money(ending) == ("paid", None, "240.00", "0.00", "200.00")
    assert ending.refunds == ((Decimal(40), "succeeded"),)


def test_the_stages_of_a_dispute_end_in_the_last_one(player: Player) -> None:
    def at(day: int, stage: str, status: str) -> Step:
        time = f"2026-11-{day:02}T10:00:00.000Z"
        return disputed("UPDATED", dispute, "40.00", stage, status, update_time=time)

    ending = play(
        player,
        at(10, "INQUIRY", "OPEN"),
        at(12, "CHARGEBACK", "WAITING_FOR_SELLER_RESPONSE"),
        at(14, "CHARGEBACK", "UNDER_REVIEW"),
        disputed("RESOLVED", resolved, "RESOLVED_BUYER_FAVOUR", "40.00", update_time="2026-11-16T10:00:00.000Z"),
        at(18, "PRE_ARBITRATION", "UNDER_REVIEW"),
        PAID,
    )
    assert ending.disputes == (("pre_arbitration", "under_review", 0),)
    assert (ending.blocked, ending.refundable) == (40, 200)


def test_a_won_appeal_is_won(player: Player) -> None:
    ending = play(
        player,
        PAID,
        CLAIM,
        disputed("RESOLVED", resolved, "RESOLVED_BUYER_FAVOUR", "40.00"),
        disputed(
            "RESOLVED",
            resolved,
            "RESOLVED_SELLER_FAVOUR",
            "40.00",
            "PRE_ARBITRATION",
            update_time="2026-12-03T08:00:00.000Z",
        ),
    )
    assert ending.disputes == (("pre_arbitration", "won", 0),)
    assert money(ending) == ("paid", None, "240.00", "0.00", "240.00")


def test_a_dispute_that_names_only_the_capture_finds_its_payment(player: Player) -> None:
    ending = play(
        player,
        PAID,
        disputed("CREATED", dispute, "40.00", known=False),
        disputed("RESOLVED", resolved, "RESOLVED_SELLER_FAVOUR", "40.00", known=False),
    )
    assert money(ending) == ("paid", None, "240.00", "0.00", "240.00")
    assert ending.disputes == (("chargeback", "won", 0),)


def test_a_dispute_about_another_shops_money_is_ignored(player: Player, sql: Sql) -> None:
    def theirs(copy: Copy) -> SignedWebhook:
        about = dispute(disputed_transactions=[{"seller_transaction_id": copy("THEIRS"), "custom": "order 7"}])
        return deliver(copy, "CUSTOMER.DISPUTE.CREATED", about | {"dispute_id": copy("PP-D-9")})

    ending = play(player, PAID, theirs)
    assert money(ending) == ("paid", None, "240.00", "0.00", "240.00")
    assert ending.disputes == ()
    assert sql("SELECT count(*) FROM webhook_deliveries WHERE state = 'ignored'")[0].count > 0


def test_a_capture_and_a_refund_of_200_in_the_dashboard(player: Player) -> None:
    """Nobody else asked for them: the authorization is ours, and so they carry our reference."""
    ending = play(
        player,
        authorized(),
        captured(value="200.00", of=AUTHORIZATION, final_capture=True),
        refunded("200.00"),
    )
    assert money(ending) == ("partially_paid", "mismatch", "200.00", "0.00", "0.00")
    assert ending.refunds == ((Decimal(200), "succeeded"),)
    assert ending.authorized == 0


def test_a_part_that_is_not_the_last_waits_for_the_rest(player: Player) -> None:
    ending = play(player, authorized(), captured(value="100.00", of=AUTHORIZATION))
    assert money(ending) == ("partially_paid", None, "100.00", "0.00", "100.00")
    assert ending.authorized == 140


def test_a_rest_that_was_voided_is_a_mismatch(player: Player) -> None:
    ending = play(
        player,
        authorized(),
        captured(value="100.00", of=AUTHORIZATION),
        authorized(kind="VOIDED", update_time=LATER),
    )
    assert money(ending) == ("partially_paid", "mismatch", "100.00", "0.00", "100.00")


def test_115_percent_is_overpaid_and_refundable(player: Player) -> None:
    ending = play(player, authorized(), captured(value="276.00", of=AUTHORIZATION, final_capture=True))
    assert money(ending) == ("paid", "overpaid", "276.00", "0.00", "276.00")


@pytest.mark.parametrize(("at", "status"), [("2026-11-25T11:59:59Z", "canceled"), ("2026-12-24T12:00:00Z", "expired")])
def test_an_authorization_ends_by_a_void_or_by_its_time(player: Player, at: str, status: str) -> None:
    ending = play(player, authorized(), authorized(kind="VOIDED", update_time=at))
    assert (ending.status, ending.reasons, ending.authorized) == (status, None, 0)


@pytest.mark.parametrize("named", [True, False])
def test_a_reauthorization_promises_nothing_more(player: Player, named: bool) -> None:
    again = reauthorized(REAUTHORIZATION, AUTHORIZATION) if named else authorized(REAUTHORIZATION)
    ending = play(player, authorized(), again)
    assert (ending.status, ending.authorized, ending.reasons) == ("authorized", 240, None)


def test_money_that_comes_after_the_approval_ran_out_is_flagged(player: Player) -> None:
    def over(copy: Copy) -> SignedWebhook:
        about = {"order_id": copy("ORDER"), "purchase_units": [ours(copy)]}
        return deliver(copy, "CHECKOUT.PAYMENT-APPROVAL.REVERSED", about)

    assert play(player, over).status == "canceled"
    assert money(play(player, over, PAID)) == ("paid", "paid_after_close", "240.00", "0.00", "240.00")


def test_a_refund_that_failed_gives_its_money_free(player: Player) -> None:
    ending = play(
        player,
        PAID,
        refunded("40.00", kind="REFUND.PENDING", status="PENDING"),
        refunded("40.00"),
        refunded("40.00", kind="REFUND.FAILED", status="FAILED"),
    )
    assert money(ending) == ("paid", None, "240.00", "0.00", "240.00")
    assert ending.refunds == ((Decimal(40), "failed"),)


def test_refunds_add_up_and_their_cumulative_sum_does_not_count(player: Player) -> None:
    ending = play(player, PAID, refunded("2.00", "R1"), refunded("3.00", "R2"))
    assert money(ending) == ("paid", None, "240.00", "0.00", "235.00")


def test_a_refund_and_a_reversal_beyond_what_came_are_flagged(player: Player) -> None:
    ending = play(player, PAID, refunded("230.00"), reversed_("40.00"))
    assert money(ending) == ("paid", "refund_too_large", "240.00", "40.00", "0.00")


@pytest.mark.parametrize("theirs", [{"custom_id": "RMA-77"}, {"custom_id": None}])
def test_what_carries_no_reference_of_ours_is_found_by_its_capture(player: Player, theirs: dict[str, Any]) -> None:
    """Whoever refunded, with whatever reference of their own."""
    ending = play(
        player,
        PAID,
        refunded("40.00", invoice_id=None, **theirs),
        lambda copy: deliver(
            copy,
            "PAYMENT.CAPTURE.REVERSED",
            taken(copy(REVERSAL), "15.00", copy(CAPTURE), **theirs | {"invoice_id": None}),
        ),
    )
    assert money(ending) == ("paid", None, "240.00", "15.00", "185.00")


def test_a_capture_of_another_shop_with_the_name_of_nobody_is_ignored(player: Player, sql: Sql) -> None:
    ending = play(player, PAID, captured(which="THEIRS", custom_id="order 7", invoice_id="order 7"))
    assert money(ending) == ("paid", None, "240.00", "0.00", "240.00")
    assert ending.captures == ((Decimal(240), "succeeded"),)
    states = {row.state for row in sql("SELECT state FROM webhook_deliveries")}
    assert states == {"applied", "duplicate", "ignored"}


@pytest.mark.parametrize("odd", ["Ada\x00", "Ada\ud83c"])
def test_odd_text_that_nobody_reads_decides_nothing(player: Player, odd: str) -> None:
    def step(copy: Copy) -> SignedWebhook:
        payer = {"name": {"given_name": odd}, "note": odd, odd: [odd]}
        resource = capture(copy(CAPTURE), payer=payer, **ours(copy))
        body = json.dumps(
            {
                "id": copy("WH-"),
                "create_time": "2026-11-25T11:59:58.123Z",
                "event_type": "PAYMENT.CAPTURE.COMPLETED",
                "summary": odd,
                "resource": resource,
            }
        )
        return sign(body.encode(), KIT.secrets[0])

    assert money(play(player, step)) == ("paid", None, "240.00", "0.00", "240.00")


def test_money_in_another_currency_is_flagged_and_never_counted(player: Player) -> None:
    other = {"amount": {"currency_code": "EUR", "value": "240.00"}}
    ending = play(player, captured(**other))
    assert (ending.status, ending.reasons, ending.captured) == ("pending", "mismatch", 0)
    assert CURRENCY != "EUR"


def test_a_dispute_in_another_currency_holds_nothing_back_and_is_flagged(player: Player) -> None:
    euro = {"currency_code": "EUR", "value": "40.00"}
    ending = play(player, PAID, disputed("CREATED", dispute, dispute_amount=euro))
    assert money(ending) == ("paid", "dispute_mismatch", "240.00", "0.00", "240.00")


def test_a_claim_over_an_amount_that_nobody_knows_is_flagged(player: Player) -> None:
    ending = play(player, PAID, disputed("CREATED", dispute, dispute_amount=None))
    assert money(ending) == ("paid", "dispute_mismatch", "240.00", "0.00", "240.00")
