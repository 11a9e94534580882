"""``checkout payments show``: everything that happened to a payment, in order."""

from __future__ import annotations

from uuid import uuid4

from flask import Flask

from tests.conftest import MakeListing, Sql
from tests.ordering import number_orders, paid_order
from tests.oversight.conftest import InWorker, add_session
from tests.refunding import insert_refund, paid_payment
from tests.webhook_bodies import insert_payment, insert_webhook, webhook
from worker.payments.look_ups import look_up
from worker.refunds.task import refund
from worker.webhooks.task import process


def _show(app: Flask, payment_id: object) -> list[str]:
    done = app.test_cli_runner().invoke(args=["payments", "show", str(payment_id)])
    assert done.exit_code == 0, done.output
    return list(done.output.splitlines())


def test_a_payments_timeline_is_shown_in_order(app: Flask, in_worker: InWorker, sql: Sql) -> None:
    reference = insert_payment(sql)
    insert_payment(sql)
    ((payment_id,),) = sql("SELECT id FROM payments WHERE provider_ref = :reference", reference=reference)
    sql("UPDATE payments SET created_at = now() - interval '1 hour', next_look_up_at = now()")
    add_session(sql, payment_id)
    failure = webhook(reference, "failed", event_id="evt_1")
    paid = webhook(reference, "paid", event_id="evt_2", amount="240.00", currency="USD")
    webhooks = [
        insert_webhook(sql, failure, received_at="now() - interval '50 minutes'"),
        insert_webhook(sql, failure, received_at="now() - interval '40 minutes'"),
        insert_webhook(sql, webhook(reference, secret="guessed"), received_at="now() - interval '30 minutes'"),
    ]
    insert_webhook(sql, webhook("mock_pi_of_another"), received_at="now() - interval '45 minutes'")
    for delivery in webhooks:
        in_worker(process, str(delivery))
    in_worker(look_up)
    webhooks.append(insert_webhook(sql, paid, received_at="now() - interval '20 minutes'"))
    in_worker(process, str(webhooks[3]))

    lines = _show(app, payment_id)

    head, entries = lines[: lines.index("")], lines[lines.index("") + 1 :]
    assert f"payment   {payment_id}" in head
    assert "status    paid" in head
    assert "amount    240.00 USD" in head
    assert [line[28:].split()[0] for line in entries] == [
        "created",
        "session",
        "webhook",
        "event",
        "webhook",
        "webhook",
        "webhook",
        "event",
        "attempt",
        "look-up",
        "order",
    ]
    assert [line[:27] for line in entries] == sorted(line[:27] for line in entries)
    assert "for 2 lines" in entries[1]
    assert f"{webhooks[0]} applied" in entries[2]
    assert f"failed: applied, event evt_1, from webhook {webhooks[0]}" in entries[3]
    assert f"{webhooks[1]} duplicate" in entries[4]
    assert f"{webhooks[2]} rejected" in entries[5]
    assert f"{webhooks[3]} applied" in entries[6]
    assert "paid 240.00 USD: applied, event evt_2" in entries[7]
    assert "one without a name: 240.00 USD came, where no capture is named" in entries[8]
    assert entries[9].endswith("nothing new")


def test_refunds_and_cancellations_are_part_of_the_timeline(app: Flask, in_worker: InWorker, sql: Sql) -> None:
    payment, reference = paid_payment(sql)
    done = insert_refund(sql, payment, "40.00", reason="'came broken'")
    pending = insert_refund(sql, payment, "5.00")
    sql("UPDATE refunds SET detail = 'in doubt' WHERE id = :id", id=pending)
    in_worker(refund, str(done))
    news = webhook(reference, "succeeded", refund_ref="re_9", amount="1.00", currency="USD", event_id="evt_9")
    delivery = insert_webhook(sql, news)
    in_worker(process, str(delivery))
    sql("INSERT INTO cancel_requests (payment_id, requested_by) VALUES (:id, :id)", id=payment)

    lines = _show(app, payment)

    assert "refunded  41.00, and 5.00 on the way" in lines
    entries = [line[29:] for line in lines[lines.index("") + 1 :]]
    first = next(line for line in entries if str(done) in line)
    assert f"{done} of 40.00 USD requested by" in first
    assert f"(came broken), now succeeded, there mock_re_{done.hex}" in first
    second = next(line for line in entries if str(pending) in line)
    assert f"{pending} of 5.00 USD" in second
    assert "now requested, tried 0 (in doubt), next" in second
    assert any("of 1.00 USD made by the provider, now succeeded, there re_9" in line for line in entries)
    assert any(f"refund succeeded 1.00 USD: applied, event evt_9, from webhook {delivery}" in line for line in entries)
    assert any(line.startswith(f"cancel    requested by {payment}, tried 0, next attempt") for line in entries)
    assert any(f"{delivery} applied" in line for line in entries)


def test_only_the_newest_look_ups_are_kept(app: Flask, in_worker: InWorker, sql: Sql) -> None:
    insert_payment(sql)
    for _ in range(55):
        sql("UPDATE payments SET next_look_up_at = now()")
        in_worker(look_up)
    ((payment_id, looked_up, noted),) = sql("SELECT id, look_ups, jsonb_array_length(look_up_log) FROM payments")
    assert (looked_up, noted) == (55, 50)
    assert sum("look-up " in line for line in _show(app, payment_id)) == 50


def test_a_strangers_control_characters_do_not_reach_the_terminal(app: Flask, in_worker: InWorker, sql: Sql) -> None:
    reference = insert_payment(sql)
    in_worker(process, str(insert_webhook(sql, webhook(reference, event_id="evt\x1b[2J"))))
    ((payment_id,),) = sql("SELECT id FROM payments")
    assert not any("\x1b" in line for line in _show(app, payment_id))


def test_a_payment_that_is_not_there(app: Flask, sql: Sql) -> None:
    done = app.test_cli_runner().invoke(args=["payments", "show", str(uuid4())])
    assert done.exit_code == 1
    assert "There is no payment" in done.output


def test_the_timeline_has_its_order(app: Flask, sql: Sql, make_listing: MakeListing) -> None:
    order, payment = paid_order(sql, (make_listing(), 3))
    assert f"order     {order} is placed" in _show(app, payment)
    number_orders(sql, prefix="HB-")
    sql(
        """INSERT INTO fulfilments (order_id, carrier, tracking, lines, requested_by, idempotency_key, request_hash)
        SELECT order_id, E'by\tbike', 'B-1', jsonb_build_array(jsonb_build_object('line_id', id, 'qty', 2)),
            uuidv7(), 'key', ''
        FROM order_lines"""
    )

    lines = _show(app, payment)
    assert "order     HB-1 is partially_fulfilled" in lines
    entries = [line[28:].strip() for line in lines if line[28:].strip().startswith("order ")]
    assert entries[0] == f"order     {order} placed, number HB-1"
    assert entries[1].startswith(r"order     2 pieces handed over by 'by\tbike', tracking B-1, requested by ")


def test_the_timeline_has_a_canceled_order_and_why_there_is_none(
    app: Flask, sql: Sql, make_listing: MakeListing
) -> None:
    order, payment = paid_order(sql, (make_listing(), 1))
    sql(
        """INSERT INTO order_cancellations (order_id, reason, requested_by, idempotency_key, request_hash)
        VALUES (:order, 'sold out', uuidv7(), 'key', '')""",
        order=order,
    )
    lines = _show(app, payment)
    assert any("order     canceled, requested by" in line and line.endswith("(sold out)") for line in lines)

    without, _ = paid_payment(sql)
    lines = _show(app, without)
    why = "none: the payment has no session that says what was bought"
    assert f"order     {why}" in lines
    assert any(line.endswith(f"order     {why}") and line.startswith("20") for line in lines)
