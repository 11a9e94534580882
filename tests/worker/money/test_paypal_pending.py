"""A capture of PayPal's that is pending, and what becomes of it, in every order; and events that are sent again."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests.conftest import Sql
from tests.providers.kits import paypal
from tests.providers.kits.kit import NOW
from tests.providers.kits.paypal import KIT, event_body, sign
from tests.webhook_bodies import state_of, status_of
from tests.worker.money.playing import Player
from tests.worker.money.test_paypal import captured, money, play
from tests.worker.other_providers import Wallets
from worker.webhooks.task import process

REVIEW = {"status_details": {"reason": "PENDING_REVIEW"}}


@pytest.mark.parametrize("reason", ["ECHECK", "PENDING_REVIEW", "BUYER_COMPLAINT", "A_WORD_OF_NEXT_YEAR"])
def test_a_pending_capture_that_completes_is_paid_in_any_order(player: Player, reason: str) -> None:
    """A PENDING that comes after COMPLETED says nothing new."""
    ending = play(player, captured("PENDING", status_details={"reason": reason}), captured())
    assert money(ending) == ("paid", None, "240.00", "0.00", "240.00")


@pytest.mark.parametrize("kinds", [("DECLINED",), ("DENIED",), ("DECLINED", "DENIED")])
def test_a_pending_capture_that_is_declined_or_denied_has_failed_in_any_order(
    player: Player, kinds: tuple[str, ...]
) -> None:
    """PayPal's pages name one event or the other; both may come of one capture."""
    ending = play(player, captured("PENDING", **REVIEW), *(captured(kind) for kind in kinds))
    assert (ending.status, ending.reasons, ending.under_way) == ("failed", None, False)
    assert [status for _, status in ending.captures] == ["refused"]


def test_a_capture_that_was_declined_and_came_all_the_same_is_paid(player: Player) -> None:
    ending = play(player, captured("PENDING", **REVIEW), captured("DECLINED"), captured())
    assert money(ending) == ("paid", None, "240.00", "0.00", "240.00")


def reported(wallets: Wallets, reference: str, kind: str, number: int, **fields: object) -> bytes:
    order = wallets.paypal.payments[reference]
    named = {"custom_id": reference, "invoice_id": reference}
    status = {"DENIED": "DECLINED"}.get(kind, kind)
    made = {"id": f"C{order['id'][1:]}", "status": status, "amount": order["purchase_units"][0]["amount"]}
    return event_body(f"PAYMENT.CAPTURE.{kind}", made | named | fields, number=number)


def test_why_a_capture_is_pending_is_shown_with_its_event(wallets: Wallets, sql: Sql) -> None:
    reference = wallets.open("paypal").provider_ref
    body = reported(wallets, reference, "PENDING", 1, **REVIEW)
    delivery = wallets.file("paypal", sign(body, KIT.secrets[0]))
    process(str(delivery))
    assert (state_of(sql, delivery), status_of(sql, reference)) == ("applied", "processing")

    words = json.dumps([row.entries for row in sql("SELECT entries FROM payment_events")])
    assert '"pending": "review"' in words

    done = wallets.file("paypal", sign(reported(wallets, reference, "COMPLETED", 2), KIT.secrets[0]))
    process(str(done))
    assert status_of(sql, reference) == "paid"


@pytest.mark.parametrize("kind", ["PENDING", "COMPLETED", "DENIED"])
def test_an_event_that_is_sent_again_under_another_transmission_is_a_duplicate(
    wallets: Wallets, sql: Sql, kind: str
) -> None:
    """By its own id, whether its bytes are the same or were written anew."""
    reference = wallets.open("paypal").provider_ref
    body = reported(wallets, reference, kind, 1)
    written_anew = json.dumps(json.loads(body), indent=2, sort_keys=True).encode()
    states = []
    for number, each in enumerate((body, body, written_anew, body)):
        webhook = sign(each, KIT.secrets[0], signed_at=NOW - timedelta(minutes=number))
        delivery = wallets.file("paypal", webhook)
        process(str(delivery))
        states.append(state_of(sql, delivery))
    assert states == ["applied", "duplicate", "duplicate", "duplicate"]
    assert len(sql("SELECT id FROM payment_events")) == 1
    assert len(sql("SELECT id FROM captures")) == 1


def test_an_event_that_is_ignored_says_why(wallets: Wallets, sql: Sql) -> None:
    details = []
    for number, (kind, resource) in enumerate(
        [
            ("PAYMENT.SALE.COMPLETED", {"id": "4EU7004268015634R"}),
            ("CHECKOUT.ORDER.APPROVED", {"id": "5O1", "purchase_units": [{"custom_id": "order 7"}]}),
            (
                "PAYMENT.CAPTURE.COMPLETED",
                {"id": "3C6", "custom_id": "order 7", "amount": {"value": "1.00", "currency_code": "USD"}},
            ),
            ("PAYMENT.CAPTURE.COMPLETED", {}),
        ]
    ):
        delivery = wallets.file("paypal", paypal.event(kind, resource, number=number))
        process(str(delivery))
        (row,) = sql("SELECT state, detail FROM webhook_deliveries WHERE id = :id", id=delivery)
        assert row.state == "ignored"
        details.append(row.detail.partition(":")[0])
    assert details == ["unknown_type", "not_ours", "not_ours", "nothing_to_record"]
