"""What a scrape tells of money that waits for somebody: disputes, captures, voids, authorisations."""

from __future__ import annotations

from uuid import uuid4

from tests.conftest import Sql
from tests.disputes.entered import enter_dispute, paid_at
from tests.money import attempt, fold
from tests.own_apps import MakeApp
from tests.refunding import open_payment
from tests.telemetry.test_metrics import scrape, value

DAY = 86400.0


def test_open_disputes_are_counted_by_provider_and_stage(make_app: MakeApp, sql: Sql) -> None:
    stripe, adyen = paid_at(sql, "stripe"), paid_at(sql, "adyen")
    enter_dispute(sql, stripe, "du_1")
    enter_dispute(sql, stripe, "du_2", status="'under_review'")
    enter_dispute(sql, stripe, "du_3", stage="'inquiry'")
    enter_dispute(sql, stripe, "du_4", status="'lost'")
    enter_dispute(sql, adyen, "ad_1", status="'won'")
    enter_dispute(sql, adyen, "ad_2", stage="'arbitration'")

    found = scrape(make_app().test_client())

    assert {labels: number for (name, labels), number in found.items() if name == "disputes_open"} == {
        frozenset({("provider", "stripe"), ("stage", "chargeback")}): 2,
        frozenset({("provider", "stripe"), ("stage", "inquiry")}): 1,
        frozenset({("provider", "adyen"), ("stage", "arbitration")}): 1,
    }


def test_the_nearest_deadline_for_evidence_is_counted_down(make_app: MakeApp, sql: Sql) -> None:
    name = "disputes_nearest_evidence_deadline_seconds"
    payment = paid_at(sql)
    enter_dispute(sql, payment, "du_1", status="'under_review'", evidence_due_at="now() + interval '1 day'")
    enter_dispute(sql, payment, "du_2")
    assert value(make_app().test_client(), name) is None

    enter_dispute(sql, payment, "du_3", evidence_due_at="now() + interval '9 days'")
    enter_dispute(sql, payment, "du_4", evidence_due_at="now() + interval '3 days'")
    seconds = value(make_app().test_client(), name)
    assert seconds is not None
    assert 3 * DAY - 60 < seconds < 3 * DAY

    enter_dispute(sql, payment, "du_5", evidence_due_at="now() - interval '1 day'")
    seconds = value(make_app().test_client(), name)
    assert seconds is not None
    assert 3 * DAY - 60 < seconds < 3 * DAY, "one that is over hides no other"
    client = make_app().test_client()
    assert (value(client, "disputes_evidence_overdue"), value(client, "disputes_evidence_due_soon")) == (1, 0)

    enter_dispute(sql, payment, "du_6", evidence_due_at="now() + interval '47 hours'")
    client = make_app().test_client()
    assert (value(client, "disputes_evidence_overdue"), value(client, "disputes_evidence_due_soon")) == (1, 1)


def test_captures_and_voids_outstanding_are_counted_and_aged(make_app: MakeApp, sql: Sql) -> None:
    nothing = make_app().test_client()
    for kind in ("captures", "voids"):
        assert value(nothing, f"{kind}_outstanding", status="requested") == 0
        assert value(nothing, f"{kind}_oldest_outstanding_age_seconds") == 0
    sql("ALTER TABLE capture_requests DISABLE TRIGGER USER")
    sql("ALTER TABLE voids DISABLE TRIGGER USER")
    try:
        for status, age, in_doubt in (
            ("requested", "1 minute", "true"),
            ("requested", "10 minutes", "false"),
            ("processing", "9 days", "false"),
            ("succeeded", "9 days", "false"),
            ("failed", "9 days", "false"),
        ):
            _request(sql, "capture_requests", status, age, attempt_ref="'auth_1'", amount="1", in_doubt=in_doubt)
            _request(sql, "voids", status, age)
    finally:
        sql("ALTER TABLE capture_requests ENABLE TRIGGER USER")
        sql("ALTER TABLE voids ENABLE TRIGGER USER")

    client = make_app().test_client()

    for kind in ("captures", "voids"):
        assert value(client, f"{kind}_outstanding", status="requested") == 2
        assert value(client, f"{kind}_outstanding", status="processing") == 1
        age_seconds = value(client, f"{kind}_oldest_outstanding_age_seconds")
        assert age_seconds is not None
        assert 600 <= age_seconds < 660
    assert value(client, "captures_in_doubt") == 1


def _request(sql: Sql, table: str, status: str, age: str, **columns: str) -> None:
    payment, _ = open_payment(sql)
    more = "".join(f", {name}" for name in columns)
    values = "".join(f", {text}" for text in columns.values())
    sql(
        f"""INSERT INTO {table} (payment_id, provider, currency, releases, status, created_at, requested_by,
            idempotency_key, request_hash{more})
        VALUES (:payment, 'mock', 'USD', 0, CAST(:status AS request_status), now() - CAST(:age AS interval), uuidv7(),
            :key, ''{values})""",
        payment=payment,
        status=status,
        age=age,
        key=uuid4().hex,
    )


def test_the_nearest_end_of_an_authorization_is_counted_down(make_app: MakeApp, sql: Sql) -> None:
    name = "authorizations_nearest_end_seconds"
    assert value(make_app().test_client(), name) is None
    payment, _ = open_payment(sql)
    attempt(sql, payment, "authorized", ref="auth_1", authorized="100")
    sql("UPDATE payment_attempts SET expires_at = now() + interval '1 day'")
    attempt(sql, payment, "authorized", ref="auth_2", authorized="100")
    sql(
        """UPDATE payment_attempts SET expires_at = now() + interval '5 days', replaces = 'auth_1'
        WHERE attempt_ref = 'auth_2'"""
    )
    fold(sql, payment)

    seconds = value(make_app().test_client(), name)

    assert seconds is not None
    assert 5 * DAY - 60 < seconds < 5 * DAY


def test_an_authorization_that_is_past_its_end_hides_no_other(make_app: MakeApp, sql: Sql) -> None:
    for ends in ("-1 hours", "23 hours", "25 hours"):
        payment, _ = open_payment(sql)
        attempt(sql, payment, "authorized", ref=f"auth {ends}", authorized="100")
        sql(
            "UPDATE payment_attempts SET expires_at = now() + CAST(:ends AS interval) WHERE payment_id = :id",
            ends=ends,
            id=payment,
        )
        fold(sql, payment)

    client = make_app().test_client()

    seconds = value(client, "authorizations_nearest_end_seconds")
    assert seconds is not None
    assert 23 * 3600 - 60 < seconds < 23 * 3600
    assert (value(client, "authorizations_ending_soon"), value(client, "authorizations_past_end")) == (1, 1)


def test_authorizations_that_were_captured_stand_before_no_open_one(make_app: MakeApp, sql: Sql) -> None:
    captured, _ = open_payment(sql)
    sql(
        """INSERT INTO payment_attempts (payment_id, provider, attempt_ref, status, reported_at, expires_at)
        SELECT :payment, 'mock', 'auth ' || number, 'authorized', now(), now() - interval '9 days'
        FROM generate_series(1, 1001) AS number""",
        payment=captured,
    )
    payment, _ = open_payment(sql)
    attempt(sql, payment, "authorized", ref="auth_1", authorized="100")
    sql("UPDATE payment_attempts SET expires_at = now() + interval '1 day' WHERE payment_id = :id", id=payment)
    fold(sql, payment)

    seconds = value(make_app().test_client(), "authorizations_nearest_end_seconds")

    assert seconds is not None
    assert DAY - 60 < seconds < DAY
