"""What a scrape tells: answers by route and status, and from the database what is pending."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient
from prometheus_client import Histogram
from prometheus_client.parser import text_string_to_metric_families

from checkout_service.health.backlog import PENDING
from checkout_service.settings.secret import Secret
from checkout_service.telemetry import scrape_page
from checkout_service.telemetry.metrics import count_lags, webhook_delivery_lag_seconds
from tests.conftest import Customer, Sql
from tests.events.rows import insert_event
from tests.own_apps import MakeApp
from tests.refunding import insert_refund, paid_payment


@pytest.fixture(autouse=True)
def _each_scrape_makes_its_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape_page, "FRESH_FOR", 0.0)


def scrape(client: FlaskClient) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(client: FlaskClient, name: str, **labels: str) -> float | None:
    return scrape(client).get((name, frozenset(labels.items())))


def test_lags_of_many_webhooks_are_counted_as_each_would_be() -> None:
    lags = [-1.0, 0.0, 0.005, 0.0051, 0.3, 60.0, 3600.0, 4000.0, 0.3]
    one_by_one = Histogram("lags_of_a_test", "", buckets=webhook_delivery_lag_seconds._upper_bounds, registry=None)
    before = _samples(webhook_delivery_lag_seconds)

    count_lags(lags)
    for lag in lags:
        one_by_one.observe(max(lag, 0.0))

    after, expected = _samples(webhook_delivery_lag_seconds), _samples(one_by_one)
    assert {name: pytest.approx(after[name] - before[name]) for name in after} == expected


def _samples(histogram: Histogram) -> dict[str, float]:
    (family,) = histogram.collect()
    samples = {sample.name.rpartition("_")[2] + str(sample.labels): sample.value for sample in family.samples}
    return {name: value for name, value in samples.items() if not name.startswith("created")}


def insert_webhook(sql: Sql, *, state: str, age: float, due: float = 5) -> None:
    sql(
        """INSERT INTO webhook_deliveries (provider, body, state, received_at, next_attempt_at)
        VALUES ('mock', '{}', :state, now() - make_interval(secs => :age), now() + make_interval(secs => :due))""",
        state=state,
        age=age,
        due=due,
    )


def test_answers_are_counted_by_route_and_status(customer: Customer) -> None:
    client = customer.client
    labels = {"method": "GET", "route": "/api/payments/<uuid:payment_id>", "status": "404"}
    before = value(client, "http_requests_total", **labels) or 0
    for _ in range(3):
        customer.get(f"/api/payments/{uuid4()}")
    assert value(client, "http_requests_total", **labels) == before + 3
    assert (value(client, "http_request_duration_seconds_count", route=labels["route"]) or 0) >= 3


def test_paths_and_methods_of_strangers_make_no_series(client: FlaskClient) -> None:
    for n in range(20):
        client.get(f"/probe/{n}.php")
        client.open("/api/cart", method=f"PROBE{n}")
    text = client.get("/metrics").text
    assert "probe" not in text.lower()
    assert (value(client, "http_requests_total", method="GET", route="unmatched", status="404") or 0) >= 20
    assert (value(client, "http_requests_total", method="other", route="unmatched", status="405") or 0) >= 20


def test_sessions_are_there_from_the_start(client: FlaskClient) -> None:
    assert value(client, "checkout_sessions_total", outcome="opened") is not None
    assert value(client, "checkout_sessions_total", outcome="replayed") is not None


def test_with_nothing_pending_the_gauges_are_nought(make_app: MakeApp) -> None:
    client = make_app().test_client()
    assert value(client, "checkout_database_up") == 1
    assert value(client, "webhook_oldest_pending_age_seconds") == 0
    assert value(client, "webhook_deliveries_pending", state="received") == 0
    assert value(client, "webhook_deliveries_pending", state="parked") == 0
    assert value(client, "webhook_deliveries_failed") == 0
    assert value(client, "payments_flagged") == 0


def test_webhooks_pending_and_failed_are_counted_and_the_oldest_is_aged(make_app: MakeApp, sql: Sql) -> None:
    insert_webhook(sql, state="received", age=60)
    insert_webhook(sql, state="received", age=600, due=300)
    insert_webhook(sql, state="parked", age=90_000, due=1000)
    insert_webhook(sql, state="failed", age=100_000)
    insert_webhook(sql, state="applied", age=100_000)
    client = make_app().test_client()
    assert value(client, "webhook_deliveries_pending", state="received") == 2
    assert value(client, "webhook_deliveries_pending", state="parked") == 1
    assert value(client, "webhook_deliveries_failed") == 1
    age = value(client, "webhook_oldest_pending_age_seconds")
    assert age is not None
    assert 600 <= age < 660


def test_a_parked_webhook_past_due_is_pending_work(make_app: MakeApp, sql: Sql) -> None:
    insert_webhook(sql, state="received", age=60)
    insert_webhook(sql, state="parked", age=90_000, due=-1)
    age = value(make_app().test_client(), "webhook_oldest_pending_age_seconds")
    assert age is not None
    assert 90_000 <= age < 90_060


def test_flagged_payments_are_counted(make_app: MakeApp, sql: Sql) -> None:
    user = uuid4()
    sql("INSERT INTO users (id) VALUES (:user)", user=user)
    for ref, reason in (("a", None), ("b", "mismatch")):
        sql(
            """INSERT INTO payments (user_id, provider, provider_ref, amount, currency, review_reason)
            VALUES (:user, 'mock', :ref, 1, 'USD', :reason)""",
            user=user,
            ref=ref,
            reason=reason,
        )
    assert value(make_app().test_client(), "payments_flagged") == 1


def test_refunds_are_counted_and_the_oldest_that_is_pending_is_aged(make_app: MakeApp, sql: Sql) -> None:
    payment, _ = paid_payment(sql)
    nothing = make_app().test_client()
    assert value(nothing, "refunds_oldest_outstanding_age_seconds") == 0
    assert value(nothing, "refunds_outstanding", status="requested") == 0
    insert_refund(sql, payment, "1.00")
    insert_refund(sql, payment, "2.00", created_at="now() - interval '10 minutes'", in_doubt="true")
    insert_refund(sql, payment, "3.00", status="'processing'", created_at="now() - interval '9 days'")
    insert_refund(sql, payment, "4.00", status="'succeeded'")
    insert_refund(sql, payment, "5.00", status="'failed'")
    insert_refund(sql, payment, "6.00", status="'failed'", updated_at="now() - interval '8 days'")

    client = make_app().test_client()

    assert value(client, "refunds_outstanding", status="requested") == 2
    assert value(client, "refunds_outstanding", status="processing") == 1
    assert value(client, "refunds_in_doubt") == 1
    assert value(client, "refunds_failed") == 1
    age = value(client, "refunds_oldest_outstanding_age_seconds")
    assert age is not None
    assert 600 <= age < 660
    assert value(client, "refund_requests_total", outcome="replayed") is not None


def test_many_scrapes_ask_the_database_once(make_app: MakeApp, sql: Sql) -> None:
    client = make_app().test_client()
    assert value(client, "webhook_deliveries_pending", state="received") == 0
    started = time.monotonic()
    insert_webhook(sql, state="received", age=1)
    again = value(client, "webhook_deliveries_pending", state="received")
    assert again == 0 or time.monotonic() - started > 1.9, "a busy machine may take longer than it is fresh"
    time.sleep(2.1)
    assert value(client, "webhook_deliveries_pending", state="received") == 1


def test_without_the_database_the_rest_is_still_shown(make_app: MakeApp) -> None:
    client = make_app(database_url=Secret("postgresql+psycopg://x@127.0.0.1:1/x")).test_client()
    assert value(client, "checkout_database_up") == 0
    assert value(client, "webhook_deliveries_pending", state="received") is None
    assert value(client, "checkout_sessions_total", outcome="opened") is not None


def test_a_frozen_database_does_not_hold_a_scrape_for_long(make_app: MakeApp, frozen_port: int) -> None:
    client = make_app(database_url=Secret(f"postgresql+psycopg://x@127.0.0.1:{frozen_port}/x")).test_client()
    started = time.monotonic()
    assert value(client, "checkout_database_up") == 0
    assert time.monotonic() - started < 6


def test_the_statement_of_a_scrape_uses_the_partial_indexes(sql: Sql) -> None:
    for n in range(2000):
        insert_webhook(sql, state="applied" if n % 100 else "received", age=n)
    payment, _ = paid_payment(sql)
    sql(
        """INSERT INTO refunds (payment_id, amount, status, provider_ref)
        SELECT :payment, 0.01, CAST(CASE number % 100 WHEN 0 THEN 'failed' ELSE 'succeeded' END AS refund_status),
            're_' || number
        FROM generate_series(1, 4000) AS number""",
        payment=payment,
    )
    sql("ANALYZE webhook_deliveries, refunds")
    plan = "\n".join(row[0] for row in sql("EXPLAIN " + PENDING.text))
    assert "webhook_deliveries_next_attempt_at" in plan
    assert "webhook_deliveries_parked" in plan
    assert "webhook_deliveries_failed" in plan
    assert "refunds_next_attempt_at" in plan
    assert "refunds_failed" in plan
    assert "Seq Scan on webhook_deliveries" not in plan
    assert "Seq Scan on refunds" not in plan


def test_a_scrape_tells_of_endpoints_and_of_events_that_wait_and_failed(make_app: MakeApp, sql: Sql) -> None:
    def endpoint(state: str, types: list[str] | None = None) -> UUID:
        made = sql(
            """INSERT INTO webhook_endpoints (url, state, types)
            VALUES ('https://shop.example.com/', CAST(:state AS endpoint_state), :types) RETURNING id""",
            state=state,
            types=types,
        )
        return UUID(str(made[0].id))

    slow = endpoint("enabled")
    endpoint("enabled", ["dispute.won"])
    endpoint("suspended")
    insert_event(sql)
    sql("UPDATE event_numbers SET created_at = now() - interval '90 seconds'")
    sql(
        """INSERT INTO pending_deliveries (endpoint_id, event_id, type, lane, state, next_attempt_at)
        SELECT :id, uuidv7(), 'payment.paid', uuidv7(), state, CASE state WHEN 'waiting' THEN now() END
        FROM unnest(ARRAY['waiting', 'waiting', 'failed']) AS state""",
        id=slow,
    )
    client = make_app().test_client()
    assert value(client, "event_endpoints", state="enabled") == 2
    assert value(client, "event_endpoints", state="suspended") == 1
    assert value(client, "event_deliveries_waiting") == 2
    assert value(client, "event_deliveries_failed") == 1
    assert (value(client, "event_oldest_undelivered_age_seconds") or 0) >= 90


def test_processes_that_count_together_are_shown_together(tmp_path: Path) -> None:
    count = "from checkout_service.telemetry import metrics; metrics.count_request('GET', '/x', 200, 0.01)"
    tell = "from checkout_service.telemetry import metrics; print(metrics.expose().decode())"
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for code in (count, count, tell):
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert 'http_requests_total{method="GET",route="/x",status="200"} 2.0' in done.stdout
    assert 'http_request_duration_seconds_count{route="/x"} 2.0' in done.stdout


@pytest.mark.parametrize("path", ["/livez", "/metrics"])
def test_operators_need_no_token(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 200
