"""Captures and voids that staff asks for at Stripe, from the row to the provider and back by its webhooks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from flask import Flask

from checkout_service.payments.status import PaymentStatus
from checkout_service.providers import transport
from checkout_service.providers.base import Opening
from tests.conftest import Sql
from tests.providers.kits.kit import AMOUNT, CURRENCY
from tests.providers.kits.stripe import KIT, StripeBank, event, sign
from tests.worker.conftest import MakeWorker
from tests.worker.money.playing import Player
from worker.captures.capturing import capture
from worker.captures.voiding import void
from worker.outstanding import InDoubtError
from worker.payments.look_ups import look_up_now
from worker.webhooks.task import process


class Held:
    """A payment that a customer authorized at Stripe, with what staff asks for."""

    def __init__(self, sql: Sql, app: Flask, *, several: bool = True) -> None:
        self.sql, self.app, self.bank = sql, app, StripeBank()
        self.lost = False
        """Whether answers to what we ask for are lost, though Stripe does it."""
        options = {"capture": "manual", "multicapture": "on" if several else "off"}
        app.extensions["providers"] = {"stripe": KIT.provider(answer=self._answer, **options)}
        self.payment_id = uuid4()
        held = app.extensions["providers"]["stripe"].open(
            Opening(payment_id=self.payment_id, amount=AMOUNT, currency=CURRENCY)
        )
        self.reference: str = held.provider_ref
        user = sql("INSERT INTO users DEFAULT VALUES RETURNING id")[0].id
        sql(
            """INSERT INTO payments (id, user_id, provider, provider_ref, amount, currency)
            VALUES (:id, :user, 'stripe', :reference, 240, 'USD')""",
            id=self.payment_id,
            user=user,
            reference=self.reference,
        )
        self.bank.pay(self.reference)
        self.look_up()

    def _answer(self, request: httpx.Request) -> httpx.Response:
        answer = self.bank(request)
        if self.lost and request.method == "POST":
            raise httpx.ReadTimeout("gone")
        return answer

    @property
    def intent(self) -> dict[str, Any]:
        found: dict[str, Any] = self.bank.payments[self.reference]
        return found

    def look_up(self) -> None:
        look_up_now(self.payment_id, provider="stripe", status=PaymentStatus.PENDING)

    def ask(self, table: str, **columns: Any) -> UUID:
        given = {"payment_id": self.payment_id, "requested_by": uuid4(), "idempotency_key": uuid4().hex} | columns
        names = ", ".join(given)
        marks = ", ".join(f":{name}" for name in given)
        row = self.sql(
            f"INSERT INTO {table} ({names}, request_hash) VALUES ({marks}, '') RETURNING id",
            **given,
        )[0]
        return UUID(str(row.id))

    def capture(self, amount: int, *, final: bool) -> UUID:
        attempt = self.intent["latest_charge"]["id"]
        return self.ask("capture_requests", attempt_ref=attempt, amount=amount, final=final)

    def report(self, kind: str, number: int) -> None:
        """The webhook that Stripe sends of the intent as it is now."""
        signed = sign(event(kind, self.intent, number=number), KIT.secrets[0], signed_at=datetime.now(UTC))
        row = self.sql(
            """INSERT INTO webhook_deliveries (provider, headers, body)
            VALUES ('stripe', jsonb_build_object('stripe-signature', CAST(:signature AS text)), :body) RETURNING id""",
            signature=signed.headers["stripe-signature"],
            body=signed.body,
        )[0]
        process(str(row.id))

    def sums(self) -> tuple[Any, ...]:
        (row,) = self.sql("SELECT status::text, review_reason, amount_captured, amount_authorized FROM payments")
        return tuple(row)

    def requests(self, table: str = "capture_requests") -> list[str]:
        return [row.status for row in self.sql(f"SELECT status::text FROM {table} ORDER BY created_at, id")]


@pytest.fixture
def app(make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    monkeypatch.setattr(transport, "sleep", lambda seconds: None)
    made = make_worker(payment_namespace=uuid4())
    with made.app_context():
        yield made


def test_an_authorisation_is_captured_in_parts_and_each_request_ends(sql: Sql, app: Flask, player: Player) -> None:
    held = Held(sql, app)
    assert held.sums() == ("authorized", None, 0, 240)

    capture(str(held.capture(100, final=False)))
    assert held.sums() == ("partially_paid", None, 100, 140)
    capture(str(held.capture(140, final=True)))

    assert held.sums() == ("paid", None, 240, 0)
    assert held.requests() == ["succeeded", "succeeded"]
    for _ in range(2):
        held.report("payment_intent.succeeded", 7)
    assert held.sums() == ("paid", None, 240, 0)


def test_one_part_closes_the_rest_of_an_account_without_several(sql: Sql, app: Flask) -> None:
    held = Held(sql, app, several=False)

    capture(str(held.capture(200, final=True)))

    assert held.sums() == ("partially_paid", "mismatch", 200, 0)
    assert held.requests() == ["succeeded"]


def test_the_webhook_ends_a_request_whose_answer_was_lost(sql: Sql, app: Flask) -> None:
    held = Held(sql, app)
    request = held.capture(240, final=True)
    held.lost = True

    capture(str(request))
    assert (held.requests(), held.sums()[0]) == (["requested"], "authorized")
    held.report("payment_intent.succeeded", 8)

    assert (held.requests(), held.sums()) == (["succeeded"], ("paid", None, 240, 0))


def test_a_key_that_is_sent_again_captures_once(sql: Sql, app: Flask) -> None:
    held = Held(sql, app)
    request = held.capture(100, final=False)
    held.lost = True
    capture(str(request))
    held.lost = False

    sql("UPDATE capture_requests SET next_attempt_at = now()")
    capture(str(request))

    assert (held.requests(), held.sums()) == (["succeeded"], ("partially_paid", None, 100, 140))
    assert held.intent["amount_received"] == 10000


def test_days_later_a_look_up_finds_the_capture_that_was_made_and_asks_for_no_other(sql: Sql, app: Flask) -> None:
    held = Held(sql, app)
    request = held.capture(100, final=False)
    held.lost = True
    capture(str(request))
    held.lost = False
    later = held.capture(40, final=False)
    capture(str(later))
    sql("UPDATE capture_requests SET next_attempt_at = now(), sent_at = now() - interval '2 days' WHERE id = :id",
        id=request)  # fmt: skip
    before = len([one for one in held.bank.requests if one.method == "POST"])

    capture(str(request))

    assert held.requests() == ["succeeded", "succeeded"]
    assert len([one for one in held.bank.requests if one.method == "POST"]) == before


def test_days_later_what_nobody_made_is_in_doubt(sql: Sql, app: Flask) -> None:
    held = Held(sql, app)
    request = held.capture(100, final=False)
    sql("UPDATE capture_requests SET sent_at = now() - interval '2 days'")

    with pytest.raises(InDoubtError):
        capture(str(request))
    assert held.sums() == ("authorized", None, 0, Decimal(240))


def test_what_is_authorized_is_let_go(sql: Sql, app: Flask) -> None:
    held = Held(sql, app)

    void(str(held.ask("voids")))

    assert held.sums() == ("canceled", None, 0, 0)
    assert held.requests("voids") == ["succeeded"]
    assert held.intent["status"] == "canceled"


def test_what_is_left_after_a_part_is_let_go(sql: Sql, app: Flask) -> None:
    held = Held(sql, app)
    capture(str(held.capture(100, final=False)))

    void(str(held.ask("voids")))

    assert held.sums() == ("partially_paid", "mismatch", 100, 0)
    assert held.requests("voids") == ["succeeded"]


def test_a_void_that_comes_after_a_capture_in_the_dashboard_is_refused(sql: Sql, app: Flask) -> None:
    held = Held(sql, app)
    request = held.ask("voids")
    held.intent.update(status="succeeded", amount_received=24000, amount_capturable=0)

    void(str(request))
    held.report("payment_intent.succeeded", 9)

    assert held.requests("voids") == ["failed"]
    assert held.sums() == ("paid", None, 240, 0)
