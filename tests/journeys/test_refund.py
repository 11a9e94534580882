"""Money given back, and a payment called off, through real web, queue, worker and beat processes."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx

from tests.journeys.conftest import Town, eventually


def test_a_requested_refund_is_given(town: Town) -> None:
    opened = town.open_session()
    town.report(opened)
    eventually(lambda: town.status(opened) == "paid")
    path = f"/api/payments/{opened['payment_id']}/refunds"

    printed = town.running.processes.run_once(
        ["flask", "--app", "wsgi", "token", "--user", str(uuid4()), "--scope", "refunds"], name="staff-token"
    )
    staff = {"Authorization": f"Bearer {printed.strip()}", "Idempotency-Key": "refund-1"}
    answer = town.web.post(path, json={"amount": "1.00"}, headers=staff)

    assert answer.status_code == 202, answer.text
    (refund,) = eventually(lambda: _ended(town.customer.get(path)))
    assert (refund["id"], refund["amount"], refund["status"]) == (answer.json()["id"], "1.00", "succeeded")
    payment = town.customer.get(f"/api/payments/{opened['payment_id']}").json()
    assert (payment["status"], payment["amount_refunded"], payment["amount_refunding"]) == ("paid", "1.00", "0.00")


def test_a_refund_whose_message_was_lost_is_found_by_the_sweep(town: Town) -> None:
    opened = town.open_session()
    town.report(opened)
    eventually(lambda: town.status(opened) == "paid")
    town.sql(
        """INSERT INTO refunds (payment_id, amount, requested_by, idempotency_key, request_hash)
        VALUES (%s, 1, uuidv7(), 'key', '')""",
        opened["payment_id"],
    )

    eventually(lambda: _ended(town.customer.get(f"/api/payments/{opened['payment_id']}/refunds")))


def test_an_open_payment_is_called_off(town: Town) -> None:
    opened = town.open_session()

    assert town.customer.post(f"/api/payments/{opened['payment_id']}/cancel").status_code == 202

    eventually(lambda: town.status(opened) == "canceled")


def _ended(answer: httpx.Response) -> list[dict[str, Any]]:
    refunds: list[dict[str, Any]] = answer.raise_for_status().json()["data"]
    return [refund for refund in refunds if refund["status"] == "succeeded"]
