"""What we ask providers for, under many hands: captures, voids, refunds and disputes; nothing without cover."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask

from checkout_service.database.engine import transaction
from checkout_service.payments.status import (
    AttemptStatus,
    CaptureStatus,
    DisputeStage,
    DisputeStatus,
    RefundStatus,
)
from checkout_service.providers.base import ProviderEvent, ProviderRefundEvent
from checkout_service.providers.entries import AttemptEntry, CaptureEntry, DisputeEntry
from tests.apps import MakeApp, make_app
from tests.capturing import ask_capture, ask_void, authorized_payment, insert_capture_request
from tests.conftest import Customer, Sql
from tests.crowd import at_once
from tests.money import capture as enter_capture
from tests.money import fold
from tests.refunding import ask_refund, insert_refund, open_payment, paid_payment, refund_row, staff_of
from tests.worker.conftest import MakeWorker, make_worker
from tests.worker.scripted import ScriptedProvider
from worker.captures.capturing import capture
from worker.refunds.task import refund
from worker.transitions.outcomes import received_now
from worker.transitions.recording import record

__all__ = ["make_app", "make_worker"]  # fixtures


def in_app(app: Flask, job: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    def run() -> Any:
        with app.app_context():
            return job(*arguments)

    return run


def insisting(ask: Callable[[], Any]) -> Any:
    """The answer; 503 asks to be sent again."""
    while (answer := ask()).status_code == 503:
        pass
    return answer


def enter(event: ProviderEvent | ProviderRefundEvent) -> None:
    with transaction() as connection:
        record(connection, received_now([event]))


def entered(reference: str, *entries: Any) -> ProviderEvent:
    return ProviderEvent(
        provider="mock", provider_ref=reference, event_id=f"evt_{uuid4().hex}", status=None, entries=entries
    )


def chargeback(reference: str, amount: str, *, step: int = 0, capture_ref: str = "") -> ProviderEvent:
    """A chargeback that is open and blocks refunds; with a step the money went."""
    dispute = DisputeEntry(
        ref=f"dp_{uuid4().hex}",
        stage=DisputeStage.CHARGEBACK,
        status=DisputeStatus.NEEDS_RESPONSE,
        blocks_refund=True,
        step=step,
        money_out=step == 1,
        amount=Decimal(amount),
        currency="USD",
        capture_ref=capture_ref,
    )
    return entered(reference, dispute)


def test_a_capture_against_a_void(sql: Sql, make_app: MakeApp, customer: Customer) -> None:
    """Of a payment one of the two is taken, at whichever machine, and never both."""
    apps = [make_app(web_threads=6) for _ in range(2)]
    taken = Counter()
    for turn in range(10):
        payment, _ = authorized_payment(sql)
        staffs = [replace(staff_of(customer), client=app.test_client()) for app in apps]
        jobs = [
            lambda: ("capture", insisting(lambda: ask_capture(staffs[0], payment, f"capture-{turn}"))),  # noqa: B023 (runs at once)
            lambda: ("void", insisting(lambda: ask_void(staffs[1], payment, f"void-{turn}"))),  # noqa: B023 (runs at once)
        ]

        answers = at_once(jobs if turn % 2 else jobs[::-1])

        assert sorted(answer.status_code for _, answer in answers) == [202, 409]
        taken.update(kind for kind, answer in answers if answer.status_code == 202)
        (row,) = sql(
            """SELECT (SELECT count(*) FROM capture_requests WHERE payment_id = :id) AS captures,
                (SELECT count(*) FROM voids WHERE payment_id = :id) AS voids""",
            id=payment,
        )
        assert row.captures + row.voids == 1
    assert sum(taken.values()) == 10


def test_captures_at_two_machines_take_no_more_than_is_open(sql: Sql, make_app: MakeApp, customer: Customer) -> None:
    payment, _ = authorized_payment(sql)
    apps = [make_app(web_threads=12) for _ in range(2)]

    def ask(number: int) -> int:
        staff = replace(staff_of(customer), client=apps[number % 2].test_client())
        request = {"amount": "50.00", "final": False}
        return insisting(lambda: ask_capture(staff, payment, f"capture-{number}", **request)).status_code

    codes = Counter(at_once([lambda number=number: ask(number) for number in range(16)]))

    assert sql("SELECT sum(amount) AS total FROM capture_requests")[0].total == Decimal(200)
    assert codes == {202: 4, 409: 12}


def test_retries_of_one_capture_get_one(sql: Sql, make_app: MakeApp, customer: Customer) -> None:
    payment, _ = authorized_payment(sql)
    staff = staff_of(customer)
    apps = [make_app(web_threads=8) for _ in range(2)]

    answers = at_once(
        [
            lambda app=app: ask_capture(replace(staff, client=app.test_client()), payment, amount="240.00")
            for app in apps * 5
        ]
    )

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1


def test_one_capture_at_many_workers_is_requested_once(sql: Sql, make_worker: MakeWorker) -> None:
    provider = ScriptedProvider()
    workers = [make_worker() for _ in range(6)]
    for app in workers:
        app.extensions["providers"] = {"mock": provider}
    for turn in range(5):
        payment, reference = authorized_payment(sql, refs=(f"at_{turn}",))
        request_id = insert_capture_request(sql, payment)
        made = CaptureEntry(
            ref=f"ca_{turn}",
            status=CaptureStatus.SUCCEEDED,
            amount=Decimal(240),
            currency="USD",
            attempt_ref=f"at_{turn}",
            request_id=str(request_id),
        )
        provider.captures[request_id] = [entered(reference, made)]

        at_once([in_app(app, capture, str(request_id)) for app in workers])

        assert [id_ for id_, _, _ in provider.captured].count(request_id) == 1
        (row,) = sql("SELECT status::text AS now, amount_captured FROM payments WHERE id = :id", id=payment)
        assert (row.now, row.amount_captured) == ("paid", 240)


def test_a_capture_is_not_sent_once_the_authorisation_is_gone(sql: Sql, make_worker: MakeWorker) -> None:
    """Its first sending and the event that ends it follow each other at the payment's lock."""
    provider = ScriptedProvider()
    workers = [make_worker() for _ in range(2)]
    workers[0].extensions["providers"] = {"mock": provider}
    for turn in range(10):
        payment, reference = authorized_payment(sql, refs=(f"at_{turn}",))
        request_id = insert_capture_request(sql, payment)
        ended = entered(reference, AttemptEntry(ref=f"at_{turn}", status=AttemptStatus.CANCELED))

        at_once([in_app(workers[0], capture, str(request_id)), in_app(workers[1], enter, ended)])

        (row,) = sql("SELECT status::text AS now, sent_at FROM capture_requests WHERE id = :id", id=request_id)
        was_sent = request_id in {id_ for id_, _, _ in provider.captured}
        assert was_sent == (row.sent_at is not None)
        assert row.now == ("requested" if was_sent else "failed")


@pytest.mark.parametrize("step", [0, 1], ids=["blocks", "takes"])
def test_a_refund_is_requested_against_a_dispute(
    sql: Sql, make_worker: MakeWorker, make_app: MakeApp, customer: Customer, step: int
) -> None:
    """Whoever comes first: what was taken before the dispute is not sent after it."""
    provider = ScriptedProvider()
    worker, web = make_worker(), make_app(web_threads=4)
    worker.extensions["providers"] = {"mock": provider}
    for turn in range(10):
        payment, reference = paid_payment(sql)
        staff = replace(staff_of(customer), client=web.test_client())

        answer, _ = at_once(
            [
                lambda: ask_refund(staff, payment, f"refund-{turn}", amount="70.00"),  # noqa: B023 (runs at once)
                in_app(worker, enter, chargeback(reference, "40.00", step=step)),
            ]
        )

        assert answer.status_code in {202, 409}
        for row in sql("SELECT id FROM refunds WHERE payment_id = :id", id=payment):
            assert in_app(worker, refund, str(row.id))() == "refused: not_in_this_state"
    assert provider.refunded == []


def test_a_refund_is_sent_first_against_a_dispute(sql: Sql, make_worker: MakeWorker) -> None:
    """Either it was written down as sent before the dispute came, or the provider is not asked."""
    provider = ScriptedProvider()
    workers = [make_worker() for _ in range(2)]
    workers[0].extensions["providers"] = {"mock": provider}
    for _ in range(12):
        payment, reference = paid_payment(sql)
        refund_id = insert_refund(sql, payment, "70.00")

        at_once(
            [
                in_app(workers[0], refund, str(refund_id)),
                in_app(workers[1], enter, chargeback(reference, "40.00", step=1)),
            ]
        )

        row = refund_row(sql, refund_id)
        was_sent = refund_id in {id_ for id_, _ in provider.refunded}
        assert was_sent == (row.sent_at is not None)
        assert row.now == ("requested" if was_sent else "failed")


def test_requests_over_two_captures_race(sql: Sql, make_app: MakeApp, customer: Customer) -> None:
    """Each of 300.00 takes two rows of two captures of 240.00: one fits, whole, and nothing of the others is left."""
    apps = [make_app(web_threads=10) for _ in range(2)]
    for turn in range(4):
        payment, _ = open_payment(sql, amount="240.00")
        for number in (1, 2):
            enter_capture(sql, payment, f"ca_{turn}_{number}", "240")
        fold(sql, payment)

        def ask(number: int, payment: UUID = payment) -> Any:
            staff = replace(staff_of(customer), client=apps[number % 2].test_client())
            return insisting(lambda: ask_refund(staff, payment, f"refund-{number}", amount="300.00"))

        answers = at_once([lambda number=number: ask(number) for number in range(8)])

        assert Counter(answer.status_code for answer in answers) == {202: 1, 409: 7}
        rows = sql("SELECT capture_ref, amount FROM refunds WHERE payment_id = :id ORDER BY part", id=payment)
        assert [(row.capture_ref, row.amount) for row in rows] == [(f"ca_{turn}_1", 240), (f"ca_{turn}_2", 60)]


@pytest.mark.parametrize("seed", range(4))
def test_no_race_makes_us_give_back_more_than_is_here(
    sql: Sql, make_app: MakeApp, make_worker: MakeWorker, customer: Customer, seed: int
) -> None:
    """Requests, sendings, answers, disputes and dashboards at once: what a provider hears from us has cover then."""
    chance = random.Random(seed)
    payment, reference = open_payment(sql, amount="100.00")
    for number in (1, 2, 3):
        enter_capture(sql, payment, f"ca_{number}", "40")
    fold(sql, payment)
    apps, workers = [make_app(web_threads=8) for _ in range(2)], [make_worker() for _ in range(3)]
    provider = CountingProvider(sql, payment, reference)
    for worker in workers:
        worker.extensions["providers"] = {"mock": provider}

    def ask(number: int) -> None:
        staff = replace(staff_of(customer), client=apps[number % 2].test_client())
        amount = {"amount": f"{chance.randint(5, 70)}.00"} if number % 4 else {}
        ask_refund(staff, payment, f"refund-{number}", **amount)

    def work(app: Flask) -> None:
        with app.app_context():
            for _ in range(12):
                for row in sql("SELECT id FROM refunds WHERE status = 'requested' AND requested_by IS NOT NULL"):
                    refund(str(row.id))

    dashboard = ProviderRefundEvent(
        provider="mock",
        provider_ref=reference,
        refund_ref="re_dashboard",
        event_id="evt_dashboard",
        status=RefundStatus.SUCCEEDED,
        amount=Decimal(10),
        currency="USD",
        capture_ref="ca_3",
    )
    at_once(
        [
            *[lambda number=number: ask(number) for number in range(12)],
            *[lambda app=app: work(app) for app in workers],
            in_app(make_worker(), enter, chargeback(reference, "30.00", step=seed % 2, capture_ref="ca_2")),
            in_app(make_worker(), enter, dashboard),
        ]
    )

    assert provider.without_cover == []
    (row,) = sql(
        """SELECT sum(amount) FILTER (WHERE sent_at IS NOT NULL) AS sent,
            sum(amount) FILTER (WHERE status <> 'failed' AND requested_by IS NOT NULL) AS held
        FROM refunds"""
    )
    assert (row.sent or 0) == provider.given
    assert provider.given <= 120
    (sums,) = sql("SELECT * FROM payments")
    (held,) = sql("SELECT coalesce(sum(amount), 0) AS total FROM refunds WHERE status <> 'failed'")
    assert sums.amount_refunded + sums.amount_refunding == held.total


class CountingProvider(ScriptedProvider):
    """Makes every refund, and counts those for which there was no cover when they were written down as sent."""

    def __init__(self, sql: Sql, payment: UUID, reference: str) -> None:
        super().__init__()
        self._sql, self._payment, self._reference = sql, payment, reference
        self.given = Decimal(0)
        self.without_cover: list[UUID] = []

    def refund(self, reference: Any, *, refund_id: UUID, amount: Decimal, reason: str | None) -> Any:
        super().refund(reference, refund_id=refund_id, amount=amount, reason=reason)
        # Those that were written down before this one: an event that came a moment later is no fault of the sending.
        (row,) = self._sql(
            """SELECT own.sent_at, payment.amount_captured - coalesce((SELECT sum(other.amount) FROM refunds AS other
                    WHERE other.payment_id = payment.id AND other.status <> 'failed'
                        AND other.sent_at <= own.sent_at), 0) AS rest
            FROM refunds AS own JOIN payments AS payment ON payment.id = own.payment_id WHERE own.id = :id""",
            id=refund_id,
        )
        with self._lock:
            self.given += amount
            if row.rest < 0:
                self.without_cover.append(refund_id)
        return [
            ProviderRefundEvent(
                provider="mock",
                provider_ref=self._reference,
                refund_ref=f"re_{refund_id.hex}",
                event_id=f"evt_{uuid4().hex}",
                status=RefundStatus.SUCCEEDED,
                amount=amount,
                currency="USD",
                refund_id=refund_id,
            )
        ]
