"""A bound on what is pending: measured beside the webhook receiver, which never counts."""

from __future__ import annotations

from time import monotonic, sleep
from typing import Any

import pytest
from flask.testing import FlaskClient

from checkout_service.telemetry.metrics import background_thread_errors_total
from checkout_service.webhooks.backpressure import Backpressure
from tests.apps import MakeApp
from tests.conftest import Sql, Statements
from tests.threads.scenes import wait_until
from tests.webhook_bodies import insert_webhook, post_webhook, webhook

PATH = "/api/payments/webhook"


def wait_for(client: FlaskClient, status: int) -> Any:
    """Post until the gauge has noticed; the answer that was waited for."""
    until = monotonic() + 60
    while (answer := client.post(PATH, data=webhook("mock_pi_1"))).status_code != status:
        assert monotonic() < until, f"{answer.status_code} stays"
        sleep(0.05)
    return answer


@pytest.mark.parametrize("bounds", [{"webhooks_max_rows": 3}, {"webhooks_max_bytes": 500}], ids=str)
def test_receiver_is_full_above_its_bound_and_opens_again_when_work_is_done(
    make_app: MakeApp, sql: Sql, bounds: dict[str, int]
) -> None:
    client = make_app(**bounds).test_client()
    for _ in range(3):
        post_webhook(client, webhook("mock_pi_1", event_id="evt_" + "1" * 100))

    refused = wait_for(client, 503)
    assert refused.json["type"] == "/problems/webhook-backlog-full"
    assert refused.headers["Retry-After"] == "30"
    before = sql("SELECT count(*) AS webhooks FROM webhook_deliveries")[0].webhooks
    assert client.post(PATH, data=webhook("mock_pi_1")).status_code == 503
    assert sql("SELECT count(*) AS webhooks FROM webhook_deliveries")[0].webhooks == before

    sql("UPDATE webhook_deliveries SET state = 'applied', next_attempt_at = NULL")
    wait_for(client, 202)


def test_parked_webhooks_are_pending_and_finished_ones_are_not(make_app: MakeApp, sql: Sql) -> None:
    client = make_app(webhooks_max_rows=3).test_client()
    for state in ("applied", "duplicate", "ignored", "rejected", "failed"):
        insert_webhook(sql, b"{}", state=f"'{state}'", next_attempt_at="NULL")
    post_webhook(client, webhook("mock_pi_1"))
    sleep(1.2)
    post_webhook(client, webhook("mock_pi_1"))

    insert_webhook(sql, b"{}", state="'parked'")
    wait_for(client, 503)


@pytest.mark.parametrize("full", [False, True])
def test_receiver_never_counts(make_app: MakeApp, statements: Statements, full: bool) -> None:
    app = make_app(webhooks_max_rows=1 if full else 1_000)
    client = app.test_client()
    post_webhook(client, webhook("mock_pi_1"))
    if full:
        wait_for(client, 503)

    with statements() as seen:
        for _ in range(5):
            client.post(PATH, data=webhook("mock_pi_1"))
            sleep(0.3)

    assert len(seen) == (0 if full else 5), "other statements than the webhook receiver's own went through its pool"
    assert all("INSERT INTO webhook_deliveries" in statement for statement in seen)


def test_bounds_hold_again_after_an_error_that_nobody_foresaw(make_app: MakeApp) -> None:
    app = make_app(webhooks_max_rows=2)
    gauge: Backpressure = app.extensions["backpressure"]
    gauge._max_bytes = None  # type: ignore[assignment]  # no count can be compared with it
    client = app.test_client()
    errors = background_thread_errors_total.labels("backpressure")
    before = errors._value.get()
    post_webhook(client, webhook("mock_pi_1"))
    wait_until(lambda: errors._value.get() >= before + 2)

    gauge._max_bytes = 2**30
    wait_for(client, 503)


def test_an_old_count_keeps_webhooks_out_for_a_while_and_not_for_ever(
    make_app: MakeApp, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Backpressure, "STALE_AFTER", 1.5)
    client = make_app(webhooks_max_rows=1).test_client()
    post_webhook(client, webhook("mock_pi_1"))
    wait_for(client, 503)
    sql("REVOKE SELECT ON webhook_deliveries FROM checkout_web")
    try:
        sql("GRANT SELECT (id) ON webhook_deliveries TO checkout_web")
        started = monotonic()
        wait_for(client, 202)
        assert monotonic() - started > 1, "the last count was no older than many that are in order"
        assert client.post(PATH, data=webhook("mock_pi_1")).status_code == 202
    finally:
        sql("REVOKE SELECT ON webhook_deliveries FROM checkout_web")
        sql("GRANT SELECT ON webhook_deliveries TO checkout_web")

    wait_for(client, 503)
