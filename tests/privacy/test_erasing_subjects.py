"""Erasing somebody whom their tokens name by a text: the text goes with the row, and stands nowhere else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep

from flask import Flask

from tests.conftest import MakeListing, Sql
from tests.identity.test_subjects import customer_called
from tests.privacy.test_erasing import everything
from tests.purchases import fill_cart, opened
from tests.webhook_bodies import post_webhook, webhook
from tests.worker.conftest import worker
from worker.commands import run_commands
from worker.webhooks.task import process

__all__ = ["worker"]  # fixtures

ADA = "auth0|ada-lovelace"


def test_what_named_them_is_gone_and_they_may_come_back(
    sql: Sql, app: Flask, worker_app: Flask, make_listing: MakeListing
) -> None:
    ada = customer_called(app, ADA)
    payment = opened(ada, fill_cart(ada, (make_listing(), 1)))
    (reference,) = sql("SELECT provider_ref FROM payments")[0]
    delivery = post_webhook(ada.client, webhook(reference, amount="40.00"))
    with worker_app.app_context():
        process(str(delivery))
    assert ADA in everything(sql, "users")

    with ThreadPoolExecutor(1) as pool:
        erasing = pool.submit(
            app.test_cli_runner().invoke, args=["privacy", "erase", "--subject", ADA, "--why", "asked for in writing"]
        )
        deadline = monotonic() + 60
        while not sql("SELECT FROM command_runs"):
            assert monotonic() < deadline, "no command was given"
            sleep(0.05)
        with worker_app.app_context():
            run_commands()
        result = erasing.result(60)

    assert result.exit_code == 0, result.output
    left = everything(sql)
    assert ADA not in left
    assert str(ada.id) not in left
    assert [str(row.subject) for row in sql("SELECT subject FROM audit")] == [str(ada.id)], "what is kept is the id"
    assert ADA not in str(sql("SELECT to_jsonb(audit) FROM audit"))
    assert sql("SELECT count(*) FROM payments")[0].count == 1
    assert ada.get(f"/api/payments/{payment['payment_id']}").status_code == 404

    fill_cart(ada, (make_listing(), 1))
    assert [tuple(row) for row in sql("SELECT id, subject FROM users WHERE subject IS NOT NULL")] == [(ada.id, ADA)]
