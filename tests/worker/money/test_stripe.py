"""What Stripe can report of one payment, in every order: how it ends, and what may still be given back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import permutations
from time import time
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from checkout_service.database.engine import background_connection
from tests.conftest import Sql
from tests.own_apps import MakeApp, make_app
from tests.providers.kits.banking import nobody
from tests.providers.kits.kit import SignedWebhook
from tests.providers.kits.stripe import (
    CREATED,
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
    warning,
)
from tests.webhook_bodies import insert_payment, state_of, status_of
from tests.worker.conftest import MakeWorker
from tests.worker.money.playing import Copy, Ending, Player, Step, disputes_in_events
from tests.worker.promises import insert_cart
from worker.payments.look_ups import expire
from worker.webhooks.sweeping import sweep
from worker.webhooks.task import process

__all__ = ["make_app"]  # a fixture

DAY = 86400


def webhook(copy: Copy, name: str, kind: str, about: dict[str, Any], *, at: int = 0, **fields: Any) -> SignedWebhook:
    """An event of that name ``at`` so many seconds after the others, signed now."""
    body = event(kind, about, id=copy(f"evt_{name}_"), created=CREATED + at, **fields)
    return sign(body, KIT.secrets[0], signed_at=datetime.now(UTC))


def of(copy: Copy, **fields: Any) -> dict[str, Any]:
    """What an intent of this payment has of its own."""
    ours = {"payment_id": str(copy.payment_id), "deployment": DEPLOYMENT}
    return {"id": copy("pi_"), "latest_charge": copy("ch_"), "metadata": ours} | fields


def about_intent(kind: str, status: str, name: str = "", *, at: int = 0, **fields: Any) -> Step:
    return lambda copy: webhook(
        copy, name or kind, f"payment_intent.{kind}", intent(status, **of(copy, **fields)), at=at
    )


def about_charge(kind: str, make: Callable[..., dict[str, Any]] = charge, *, at: int = 0, **fields: Any) -> Step:
    return lambda copy: webhook(
        copy, f"charge_{kind}", f"charge.{kind}", make(id=copy("ch_"), payment_intent=copy("pi_"), **fields), at=at
    )


def about_dispute(
    kind: str, status: str, moves: int, *, at: int = 0, name: str = "", which: str = "du_", **fields: Any
) -> Step:
    return lambda copy: webhook(
        copy,
        f"{which}{name or kind}",
        f"charge.dispute.{kind}",
        dispute(status, moves, **{"id": copy(which), "charge": copy("ch_"), "payment_intent": copy("pi_")} | fields),
        at=at,
    )


def about_refund(kind: str, status: str, amount: int, *, which: str = "re_", at: int = 0, **fields: Any) -> Step:
    made: dict[str, Any] = {"amount": amount, "metadata": {}}
    return lambda copy: webhook(
        copy,
        f"{which}{kind}",
        kind if kind.startswith("charge.") else f"refund.{kind}",
        refund(status, **made | {"id": copy(which), "charge": copy("ch_"), "payment_intent": copy("pi_")} | fields),
        at=at,
    )


PAID = about_intent("succeeded", "succeeded")
CHARGED = about_charge("succeeded")
AUTHORIZED = about_intent("amount_capturable_updated", "requires_capture")


def play(player: Player, *steps: Step, bank: StripeBank | None = None, **options: Any) -> Ending:
    provider = KIT.provider(answer=bank or nobody)
    return player.play(provider, steps, reference=lambda copy: copy("pi_"), **options)


def ask_for(sql: Sql, amount: str) -> int:
    """Ask for a refund of every payment, as the web tier does; how many were admitted."""
    admitted = 0
    for row in sql("SELECT id FROM payments"):
        try:
            sql(
                """INSERT INTO refunds (payment_id, amount, requested_by, idempotency_key, request_hash)
                VALUES (:id, CAST(:amount AS numeric), :by, :key, '')""",
                id=row.id,
                amount=amount,
                by=uuid4(),
                key=uuid4().hex,
            )
            admitted += 1
        except IntegrityError as error:
            refusal = getattr(error.orig, "diag", None)
            if refusal is None or refusal.constraint_name not in {"refunds_covered", "refunds_payment_is_paid"}:
                raise
    return admitted


def test_money_comes_once_however_it_is_reported(player: Player) -> None:
    ending = play(player, PAID, CHARGED, about_charge("captured"), about_charge("updated", at=5))

    assert (ending.status, ending.reasons, ending.captured, ending.refundable) == ("paid", None, 240, 240)
    assert ending.captures == ((Decimal(240), "succeeded"),)
    assert not ending.under_way
    assert ending.unsettled == ()


def test_an_intent_that_names_no_charge_counts_once_beside_its_charge(player: Player) -> None:
    unnamed = about_intent("succeeded", "succeeded", latest_charge=None)
    assert play(player, unnamed).captured == 240
    assert (play(player, unnamed, CHARGED).captured, play(player, unnamed, CHARGED).reasons) == (240, None)


@pytest.mark.parametrize("kinds", [("created", "funds_withdrawn", "closed"), ("funds_withdrawn",), ("closed",)])
def test_a_part_lost_by_dispute_is_gone_and_the_rest_refundable(player: Player, sql: Sql, kinds: Sequence[str]) -> None:
    words = {"created": "needs_response", "funds_withdrawn": "needs_response", "closed": "lost"}
    disputed = [
        about_dispute(kind, words[kind], 0 if kind == "created" else 1, at=DAY * place, amount=4000)
        for place, kind in enumerate(kinds)
    ]

    ending = play(player, PAID, *disputed)

    assert (ending.status, ending.reasons, ending.lost, ending.refundable) == ("paid", None, 40, 200)
    assert ending.unsettled == ()
    payments = len(sql("SELECT FROM payments"))
    assert ask_for(sql, "200.01") == 0
    assert ask_for(sql, "200.00") == payments


def test_all_of_it_lost_is_reversed(player: Player, sql: Sql) -> None:
    ending = play(player, PAID, about_dispute("closed", "lost", 1))

    assert (ending.status, ending.lost, ending.refundable) == ("reversed", 240, 0)
    assert ask_for(sql, "0.01") == 0


def test_lost_without_a_withdrawal_takes_no_money_and_holds_refunds_back(player: Player) -> None:
    ending = play(player, PAID, about_dispute("closed", "lost", 0, amount=4000))

    assert (ending.status, ending.lost, ending.blocked, ending.refundable) == ("paid", 0, 40, 200)


def test_a_dispute_that_was_lost_and_then_won_gives_the_money_back(player: Player, sql: Sql) -> None:
    ending = play(
        player,
        PAID,
        about_dispute("closed", "lost", 1, at=DAY, name="lost"),
        about_dispute("closed", "won", 1, at=2 * DAY, name="won"),
        about_dispute("funds_reinstated", "won", 2, at=2 * DAY),
    )

    assert (ending.status, ending.reasons, ending.lost, ending.refundable) == ("paid", None, 0, 240)
    assert ending.disputes == (("chargeback", "won", 2),)
    assert disputes_in_events(sql) == {("lost", "won")}
    # Each is one event, however often and in whatever order it came.
    kept = sql("SELECT count(*) AS count FROM payment_events GROUP BY payment_id")
    assert {row.count for row in kept} == {4}


def test_an_appeal_after_a_loss_is_open_again_and_its_end_counts(player: Player) -> None:
    steps = [
        PAID,
        about_dispute("closed", "lost", 1, at=DAY, name="lost"),
        about_dispute("updated", "appeal_needs_response", 1, at=2 * DAY, name="appeal"),
    ]
    assert play(player, *steps).disputes == (("chargeback", "needs_response", 1),)
    assert play(player, *steps, about_dispute("closed", "won", 2, at=9 * DAY, name="won")).disputes == (
        ("chargeback", "won", 2),
    )


@pytest.mark.parametrize("length", [1, 2, 3])
def test_an_inquiry_leaves_all_refundable_throughout(player: Player, length: int) -> None:
    words = ("warning_needs_response", "warning_under_review", "warning_closed")
    inquiry = [
        about_dispute("closed" if word == "warning_closed" else "updated", word, 0, at=DAY * place, name=word)
        for place, word in enumerate(words)
    ]

    ending = play(player, PAID, *inquiry[:length])

    assert (ending.status, ending.reasons, ending.lost, ending.blocked, ending.refundable) == ("paid", None, 0, 0, 240)


def test_an_inquiry_that_becomes_a_chargeback_holds_back_and_then_takes(player: Player) -> None:
    inquiry = about_dispute("created", "warning_needs_response", 0)
    chargeback = about_dispute("updated", "needs_response", 0, at=DAY)

    held = play(player, PAID, inquiry, chargeback)
    assert (held.status, held.blocked, held.refundable) == ("paid", 240, 0)
    taken = play(player, PAID, inquiry, chargeback, about_dispute("funds_withdrawn", "needs_response", 1, at=DAY))
    assert (taken.status, taken.lost, taken.blocked) == ("reversed", 240, 0)


def test_two_disputes_of_one_charge_are_two(player: Player) -> None:
    ending = play(
        player,
        PAID,
        about_dispute("closed", "lost", 1, which="du_a_", amount=3000),
        about_dispute("closed", "won", 2, which="du_b_", amount=5000),
        about_dispute("created", "needs_response", 0, which="du_c_", amount=2000),
    )

    assert (ending.status, ending.lost, ending.blocked, ending.refundable) == ("paid", 30, 20, 190)
    assert ending.unsettled == ()


def test_a_dispute_in_another_currency_is_for_a_person(player: Player) -> None:
    ending = play(player, PAID, about_dispute("closed", "lost", 1, currency="eur"))

    assert (ending.status, ending.reasons, ending.lost) == ("paid", "dispute_mismatch", 0)


def test_a_refund_that_names_no_intent_is_found_by_its_charge(player: Player) -> None:
    ending = play(player, PAID, about_refund("updated", "succeeded", 4000, payment_intent=None))

    assert (ending.status, ending.reasons, ending.refunded, ending.refundable) == ("paid", None, 40, 200)
    assert ending.unsettled == ()


def test_a_dispute_that_gives_back_a_part_of_what_it_took_is_for_a_person(player: Player) -> None:
    moves = [{"id": f"txn_{amount}", "amount": amount, "currency": "usd"} for amount in (-24000, 4000)]

    ending = play(
        player,
        PAID,
        about_dispute("funds_withdrawn", "needs_response", 1, balance_transactions=moves[:1]),
        about_dispute("funds_reinstated", "lost", 2, at=DAY, balance_transactions=moves),
    )

    assert (ending.status, ending.reasons) == ("paid", "dispute_mismatch")


def test_more_lost_and_given_back_than_came_is_for_a_person(player: Player) -> None:
    ending = play(
        player,
        PAID,
        about_refund("updated", "succeeded", 20000),
        about_dispute("closed", "lost", 1),
    )

    assert (ending.reasons, ending.refunded, ending.lost, ending.refundable) == ("refund_too_large", 200, 240, 0)
    assert ending.unsettled == ()


def test_a_part_captured_and_given_back_in_the_dashboard_is_entered_at_once(player: Player) -> None:
    ending = play(
        player,
        AUTHORIZED,
        about_intent("succeeded", "succeeded", amount_received=20000, at=60),
        about_refund("created", "pending", 20000, at=120),
        about_refund("updated", "succeeded", 20000, at=180),
    )

    assert (ending.status, ending.reasons) == ("partially_paid", "mismatch")
    assert (ending.captured, ending.refunded, ending.authorized) == (200, 200, 0)
    assert ending.refunds == ((Decimal(200), "succeeded"),)
    assert ending.unsettled == ()


def test_several_captures_grow_to_the_whole(player: Player) -> None:
    part = about_intent(
        "amount_capturable_updated", "requires_capture", "part", amount_received=10000, amount_capturable=14000, at=60
    )
    # By then the charge says that several captures are possible.
    card = authorized()["payment_method_details"]
    first = about_charge("captured", amount_captured=10000, payment_method_details=card, at=60)

    held = play(player, AUTHORIZED, part, first)
    assert (held.status, held.reasons, held.captured, held.authorized) == ("partially_paid", None, 100, 140)
    whole = play(player, AUTHORIZED, part, first, about_intent("succeeded", "succeeded", at=120))
    assert (whole.status, whole.reasons, whole.captured, whole.authorized) == ("paid", None, 240, 0)
    assert whole.captures == ((Decimal(240), "succeeded"),)


def released(bank: StripeBank, *, refund_made: bool) -> Step:
    """At Stripe 200 of 240 were captured; before API version 2025-03-31 the rest is a refund there."""

    def prepare(copy: Copy) -> None:
        whole = charge(id=copy("ch_"), payment_intent=copy("pi_"), amount_captured=20000)
        bank.payments[copy("pi_")] = intent(**of(copy, amount_received=20000, latest_charge=whole))
        if refund_made:
            bank.refunds[copy("re_")] = refund(
                id=copy("re_"),
                charge=copy("ch_"),
                payment_intent=copy("pi_"),
                amount=4000,
                metadata={},
                balance_transaction=None,
            )

    return prepare


@pytest.mark.parametrize("before_2025", [True, False])
def test_the_rest_that_is_released_is_no_refund(player: Player, before_2025: bool) -> None:
    bank = StripeBank()
    steps = [AUTHORIZED, about_intent("succeeded", "succeeded", amount_received=20000, at=60)]
    if before_2025:
        steps += [
            about_refund("created", "succeeded", 4000, balance_transaction=None, at=60),
            about_charge("refunded", amount_captured=20000, amount_refunded=4000, at=60),
        ]

    ending = play(player, *steps, bank=bank, before=released(bank, refund_made=before_2025))

    assert (ending.status, ending.reasons, ending.captured) == ("partially_paid", "mismatch", 200)
    assert (ending.refunds, ending.refundable, ending.authorized) == ((), 200, 0)
    assert ending.unsettled == ()


def test_a_release_alone_moves_nothing_and_waits_for_nothing(player: Player) -> None:
    bank = StripeBank()

    ending = play(
        player,
        about_refund("created", "succeeded", 4000, balance_transaction=None),
        bank=bank,
        before=released(bank, refund_made=True),
    )

    assert (ending.captured, ending.refunds, ending.unsettled) == (200, (), ())


def test_an_authorisation_that_is_canceled_or_runs_out_closes_the_payment(player: Player) -> None:
    held = play(player, AUTHORIZED, about_charge("succeeded", authorized))
    assert (held.status, held.reasons, held.authorized, held.captured) == ("authorized", None, 240, 0)

    canceled = play(player, AUTHORIZED, about_intent("canceled", "canceled", at=60))
    assert (canceled.status, canceled.authorized) == ("canceled", 0)
    gone = play(
        player,
        AUTHORIZED,
        about_charge("succeeded", authorized),
        about_charge("expired", authorized, refunded=True, amount_refunded=24000, at=7 * DAY),
        about_intent("canceled", "canceled", cancellation_reason="automatic", at=7 * DAY),
    )
    assert (gone.status, gone.reasons, gone.authorized) == ("expired", None, 0)


def test_a_failed_attempt_does_not_hide_the_next(player: Player, sql: Sql) -> None:
    """Declined, then a bank debit under way: processing, however late the news of the card comes."""

    def with_session(copy: Copy) -> None:
        sql(
            """INSERT INTO checkout_sessions (user_id, cart_id, idempotency_key, request_hash, payment_id,
                payment_token, amount, currency, lines, expires_at)
            SELECT user_id, :cart, :key, '', id, provider_ref, amount, currency, '[]', now() - interval '1 hour'
            FROM payments WHERE id = :id""",
            cart=insert_cart(sql),
            key=uuid4().hex,
            id=copy.payment_id,
        )

    declined = about_intent("payment_failed", "requires_payment_method", latest_charge=None)
    debit: Step = lambda copy: webhook(  # noqa: E731 (a step beside the others)
        copy,
        "debit",
        "payment_intent.processing",
        intent("processing", **of(copy, latest_charge=copy("py_"))),
        at=int(time()) - CREATED,  # one of thirty days ago would be looked up
    )

    ending = play(player, declined, about_charge("failed", lambda **own: charge("failed", **own)), debit,
                  before=with_session)  # fmt: skip

    assert (ending.status, ending.reasons, ending.under_way) == ("processing", None, True)
    # The session is over, and yet nobody cancels money that is coming: any call would fail the test.
    expire()
    assert {row.status for row in sql("SELECT status::text FROM payments")} == {"processing"}


def test_a_debit_that_fails_as_well_leaves_a_failed_payment(player: Player) -> None:
    debit = about_intent("processing", "processing", at=60)
    error = {"type": "card_error", "code": "insufficient_funds"}

    ending = play(
        player,
        about_intent("payment_failed", "requires_payment_method", "card", latest_charge=None),
        debit,
        about_intent("payment_failed", "requires_payment_method", "debit", last_payment_error=error, at=5 * DAY),
    )

    assert (ending.status, ending.under_way) == ("failed", False)


def test_a_debit_whose_failure_was_lost_ends_when_another_way_pays(player: Player) -> None:
    debit: Step = lambda copy: webhook(  # noqa: E731 (a step beside the others)
        copy, "debit", "payment_intent.processing", intent("processing", **of(copy, latest_charge=copy("py_")))
    )

    ending = play(player, debit, about_intent("succeeded", "succeeded", at=DAY))

    assert (ending.status, ending.under_way, ending.captured) == ("paid", False, 240)


def test_a_debit_that_comes_back_weeks_later_is_reversed(player: Player) -> None:
    ending = play(
        player,
        about_intent("processing", "processing"),
        about_intent("succeeded", "succeeded", at=5 * DAY),
        about_dispute("created", "needs_response", 1, reason="insufficient_funds", at=40 * DAY, evidence_details=None),
        about_dispute("closed", "lost", 1, reason="insufficient_funds", at=40 * DAY, evidence_details=None),
    )

    assert (ending.status, ending.lost, ending.refundable, ending.under_way) == ("reversed", 240, 0, False)
    assert ending.unsettled == ()


def test_a_fraud_warning_moves_no_money(player: Player) -> None:
    ending = play(
        player,
        PAID,
        lambda copy: webhook(
            copy,
            "efw",
            "radar.early_fraud_warning.created",
            warning(id=copy("issfr_"), charge=copy("ch_"), payment_intent=copy("pi_")),
        ),
    )

    assert (ending.status, ending.reasons, ending.lost, ending.refundable) == ("paid", "fraud_warning", 0, 240)


def test_a_refund_that_succeeded_and_then_failed_is_money_that_is_here_again(player: Player) -> None:
    ending = play(
        player,
        PAID,
        about_refund("created", "pending", 10000),
        about_refund("updated", "succeeded", 10000, at=60),
        about_refund("failed", "failed", 10000, failure_reason="expired_or_canceled_card", at=5 * DAY),
    )

    assert (ending.refunded, ending.refundable) == (0, 240)
    assert ending.refunds == ((Decimal(100), "failed"),)
    assert ending.unsettled == ()


def test_more_than_was_due_is_flagged_and_refundable(player: Player) -> None:
    ending = play(player, AUTHORIZED, about_intent("succeeded", "succeeded", amount_received=25000, at=60))

    assert (ending.status, ending.reasons, ending.captured, ending.refundable) == ("paid", "overpaid", 250, 250)


@pytest.mark.parametrize("odd", ["\\u0000", "\\ud83c"])
def test_a_shipping_name_that_nobody_can_hold_does_not_decide(player: Player, odd: str) -> None:
    def paid(copy: Copy) -> SignedWebhook:
        about = intent(**of(copy, shipping={"name": "ODD Ada"}, description="ODD"))
        body = event("payment_intent.succeeded", about, id=copy("evt_")).replace(b"ODD", odd.encode())
        return sign(body, KIT.secrets[0], signed_at=datetime.now(UTC))

    ending = play(player, paid, about_dispute("created", "needs_response", 0, evidence={"customer_name": "\0"}))

    assert (ending.status, ending.captured, ending.unsettled) == ("paid", 240, ())


def test_three_decimals_are_kept(player: Player) -> None:
    ending = play(
        player,
        about_intent("succeeded", "succeeded", amount=1230, amount_received=1230, currency="kwd"),
        about_dispute("closed", "lost", 1, amount=230, currency="kwd"),
        amount="1.230",
        currency="KWD",
    )

    assert (ending.status, ending.captured, ending.lost) == ("paid", Decimal("1.230"), Decimal("0.230"))


def test_another_shops_intents_never_stand_before_ours(make_app: MakeApp, make_worker: MakeWorker, sql: Sql) -> None:
    client = make_app(webhooks_max_rows=40, payment_providers=("mock", "stripe")).test_client()
    worker = make_worker()
    worker.extensions["providers"] = {"stripe": KIT.provider()}
    number = 0

    def deliver(about: dict[str, Any]) -> Any:
        nonlocal number
        number += 1
        body = event("payment_intent.succeeded", about, number=number)
        signed = sign(body, KIT.secrets[0], signed_at=datetime.now(UTC))
        answer = client.post(
            "/api/payments/webhook/stripe",
            data=signed.body,
            headers=signed.headers,
            content_type="application/json",
        )
        assert answer.status_code == 202, answer.text
        with worker.app_context():
            process(answer.json["delivery_id"])
        return answer.json["delivery_id"]

    others = [deliver(intent(id=f"pi_of_another_{place}", metadata={"order": "17"})) for place in range(45)]
    ours = Copy(number=1, payment_id=uuid4())
    user = sql("INSERT INTO users DEFAULT VALUES RETURNING id")[0].id
    sql(
        """INSERT INTO payments (id, user_id, provider, provider_ref, amount, currency)
        VALUES (:id, :user, 'stripe', :reference, 240, 'USD')""",
        id=ours.payment_id,
        user=user,
        reference=ours("pi_"),
    )
    with client.application.app_context(), background_connection() as connection:
        client.application.extensions["backpressure"].measure(connection)
    own = deliver(intent(**of(ours)))

    assert {state_of(sql, other) for other in others} == {"ignored"}
    assert (state_of(sql, own), status_of(sql, ours("pi_"))) == ("applied", "paid")


def test_an_intent_of_before_deployments_were_named_is_ours_if_its_payment_is_here(player: Player) -> None:
    ending = play(player, about_intent("succeeded", "succeeded", metadata={}))

    assert (ending.status, ending.unsettled) == ("paid", ())


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_what_came_before_its_payment_waits_for_it(make_worker: MakeWorker, sql: Sql, order: tuple[int, ...]) -> None:
    """Refunds, charges and disputes do not say whose they are: they wait, and are found by the name of the intent."""
    steps = [CHARGED, about_refund("updated", "succeeded", 10000), about_dispute("created", "needs_response", 0)]
    copy = Copy(number=1, payment_id=uuid4())

    def deliver(step: Step) -> UUID:
        signed = step(copy)
        assert signed is not None
        row = sql(
            """INSERT INTO webhook_deliveries (provider, headers, body)
            VALUES ('stripe', CAST(:headers AS jsonb), :body) RETURNING id""",
            headers=json.dumps(signed.headers),
            body=signed.body,
        )[0]
        process(str(row.id))
        return UUID(str(row.id))

    worker = make_worker()
    worker.extensions["providers"] = {"stripe": KIT.provider()}
    with worker.app_context():
        found = [deliver(steps[place]) for place in order]
        assert {state_of(sql, delivery) for delivery in found} == {"parked"}

        insert_payment(sql, provider="stripe", provider_ref=copy("pi_"))
        sweep()
        for delivery in found:
            process(str(delivery))
        deliver(PAID)

    assert {state_of(sql, delivery) for delivery in found} == {"applied"}
    (row,) = sql("SELECT status::text, amount_captured, amount_refunded, amount_blocked FROM payments")
    assert tuple(row) == ("paid", 240, 100, 240)


def test_what_names_no_intent_waits_until_its_charge_is_known(make_worker: MakeWorker, sql: Sql) -> None:
    steps = [
        about_refund("updated", "succeeded", 10000, payment_intent=None),
        about_dispute("closed", "lost", 1, amount=4000, payment_intent=None),
    ]
    copy = Copy(number=1, payment_id=uuid4())

    def deliver(step: Step) -> UUID:
        signed = step(copy)
        assert signed is not None
        row = sql(
            """INSERT INTO webhook_deliveries (provider, headers, body)
            VALUES ('stripe', CAST(:headers AS jsonb), :body) RETURNING id""",
            headers=json.dumps(signed.headers),
            body=signed.body,
        )[0]
        process(str(row.id))
        return UUID(str(row.id))

    worker = make_worker()
    worker.extensions["providers"] = {"stripe": KIT.provider()}
    insert_payment(sql, provider="stripe", provider_ref=copy("pi_"))
    with worker.app_context():
        found = [deliver(step) for step in steps]
        assert {state_of(sql, delivery) for delivery in found} == {"parked"}
        deliver(PAID)
        sweep()
        for delivery in found:
            process(str(delivery))

    assert {state_of(sql, delivery) for delivery in found} == {"applied"}
    (row,) = sql("SELECT status::text, amount_captured, amount_refunded, amount_lost FROM payments")
    assert tuple(row) == ("paid", 240, 100, 40)
