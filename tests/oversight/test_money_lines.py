"""``checkout payments show`` and ``disputes``: money by its entries, what is wrong with it, and what to do about it."""

from __future__ import annotations

from uuid import UUID

import pytest
from flask import Flask

from checkout_service.oversight.reasons import explained
from checkout_service.oversight.timeline import timeline_of
from checkout_service.payments.outcomes import ReviewReason
from tests.conftest import Customer, MakeListing, Sql, Statements
from tests.disputes.entered import enter_dispute, paid_at
from tests.money import attempt, bring_to, capture, fold
from tests.purchases import fill_cart, opened
from tests.refunding import insert_refund, open_payment, paid_payment


def _run(app: Flask, *arguments: str) -> list[str]:
    done = app.test_cli_runner().invoke(args=["payments", *arguments])
    assert done.exit_code == 0, done.output
    return list(done.stdout.splitlines())


def _show(app: Flask, payment_id: object) -> tuple[dict[str, str], list[str]]:
    """What the payment is now by its labels, and the entries with their kinds."""
    lines = _run(app, "show", str(payment_id))
    head, entries = lines[: lines.index("")], lines[lines.index("") + 1 :]
    return {line[:9].strip(): line[10:] for line in head}, [line.split("  ", 1)[1] for line in entries]


def test_entries_are_part_of_the_timeline(app: Flask, sql: Sql) -> None:
    payment, _ = open_payment(sql, amount="240.00")
    attempt(sql, payment, "failed", ref="ch_0")
    attempt(sql, payment, "authorized", ref="ch_1", authorized="240")
    capture(sql, payment, "ch_1", "240", attempt_ref="ch_1")
    fold(sql, payment)
    enter_dispute(
        sql,
        payment,
        "du_1",
        money_step="1",
        money_out="true",
        capture_ref="'ch_1'",
        reason="'fraudulent'",
        evidence_due_at="'2026-12-24T12:00:00Z'",
    )
    refund = insert_refund(sql, payment, "60.00", capture_ref="'ch_1'")

    now, entries = _show(app, payment)

    assert now["status"] == "paid"
    assert now["captured"] == "240.00 USD, 40.00 lost"
    assert now["refunded"] == "0.00, and 60.00 on the way"
    assert now["left"] == "140.00 USD may be given back"
    assert any(line.startswith("attempt   ch_0 is failed, newest news ") for line in entries)
    assert any(line.startswith("attempt   ch_1 is authorized, 240.00 USD authorized") for line in entries)
    assert any(line.startswith("captured  ch_1 of ch_1, 240.00 USD, succeeded, id ") for line in entries)
    assert any(
        line.startswith("dispute   du_1 of ch_1 over 40.00 USD (fraudulent), chargeback needs_response, 40.00 taken")
        and line.endswith("evidence until 2026-12-24T12:00:00Z at the provider's dashboard")
        for line in entries
    )
    assert any(line.startswith(f"refund    {refund} of 60.00 USD of ch_1 requested by") for line in entries)


def test_requests_and_decisions_of_people_are_part_of_it(app: Flask, sql: Sql) -> None:
    payment, _ = open_payment(sql, amount="240.00")
    attempt(sql, payment, "authorized", ref="auth_1", authorized="240")
    sql("UPDATE payment_attempts SET expires_at = '2026-12-05T00:00:00Z'")
    fold(sql, payment)
    now, _ = _show(app, payment)
    assert now["promised"] == "240.00 USD authorized and not captured, until 2026-12-05T00:00:00Z"
    requested = sql(
        """INSERT INTO capture_requests (payment_id, attempt_ref, amount, requested_by, idempotency_key, request_hash)
        VALUES (:id, 'auth_1', 200, uuidv7(), 'key', '') RETURNING id""",
        id=payment,
    )[0].id
    capture(sql, payment, "cap_1", "200", attempt_ref="auth_1")
    sql("UPDATE payment_attempts SET rest_released = true")
    sql("INSERT INTO payment_notices (payment_id, reason, ref) VALUES (:id, 'recaptured', E'cap\\x1b[2J')", id=payment)
    sql("INSERT INTO payment_reviews (payment_id, reason, amounts) VALUES (:id, 'recaptured', '1')", id=payment)
    fold(sql, payment)
    now, _ = _show(app, payment)
    assert now["review"] == "mismatch"
    sql(
        """INSERT INTO payment_acceptances (payment_id, amount, operator, why, command_id)
        VALUES (:id, 200, 'ada', 'by telephone', uuidv7())""",
        id=payment,
    )
    fold(sql, payment)

    now, entries = _show(app, payment)

    assert (now["status"], now["amount"]) == ("paid", "240.00 USD, and 200.00 USD accepted")
    assert now["review"] == "-"
    assert any(line.startswith(f"capture   {requested} of 200.00 USD of auth_1, the rest released") for line in entries)
    assert any("auth_1 is authorized" in line and "the rest released" in line for line in entries)
    assert "accepted  200.00 USD in place of the amount, by ada: by telephone" in entries
    assert r"notice    recaptured about 'cap\x1b[2J'" in entries
    assert "seen      recaptured, with the amounts 1" in entries


def test_the_end_by_the_provider_and_what_an_event_was_about_are_shown(app: Flask, sql: Sql) -> None:
    payment, _ = open_payment(sql)
    bring_to(sql, payment, "canceled")
    sql(
        """INSERT INTO payment_events (payment_id, provider, event_id, outcome, entries)
        VALUES (:id, 'mock', 'evt_1', 'applied', '[{"dispute": "du_1", "status": "lost"}, {"capture": "ch_1"}]')""",
        id=payment,
    )

    _, entries = _show(app, payment)

    assert "closed    canceled: the provider closed it unpaid" in entries
    assert "event     news: applied, event evt_1 (dispute du_1 status lost; capture ch_1)" in entries


def test_a_duplicate_names_the_other_one_and_offers_its_refund(
    app: Flask, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    cart_id = fill_cart(customer, (make_listing(unit_price="100.00"), 1))
    first, second = (opened(customer, cart_id, f"tab-{tab}")["payment_id"] for tab in (1, 2))
    bring_to(sql, first, "paid")
    bring_to(sql, second, "paid")
    fold(sql, first)

    now, _ = _show(app, first)

    assert now["review"] == "paid_twice"
    assert now["duplicate"] == (
        f"{second} for the same things is paid, 100.00 USD came; to give that back: payments refund {second}"
    )


def test_a_mismatch_names_its_three_ways_out(app: Flask, sql: Sql) -> None:
    payment, _ = open_payment(sql, amount="240.00")
    capture(sql, payment, "ch_1", "200")
    fold(sql, payment)

    now, _ = _show(app, payment)

    assert (now["status"], now["review"]) == ("partially_paid", "mismatch")
    for way in (
        f"payments accept {payment} --amount 200.00",
        f"payments refund {payment}",
        f"payments review {payment}",
    ):
        assert way in now[""]


@pytest.mark.parametrize("reason", ReviewReason)
def test_every_reason_says_what_to_do(app: Flask, sql: Sql, reason: ReviewReason) -> None:
    payment, _ = paid_payment(sql)
    with app.app_context():
        found = timeline_of(payment)
    assert found is not None
    text = explained(reason, found.payment)
    assert f"payments review {payment}" in text or reason is ReviewReason.PAID_TWICE
    assert "{" not in text


def test_a_history_takes_as_many_statements_however_many_entries(app: Flask, sql: Sql, statements: Statements) -> None:
    payment = paid_at(sql)

    def read() -> int:
        with app.app_context(), statements() as seen:
            assert timeline_of(payment) is not None
        return len(seen)

    few = read()
    sql("""INSERT INTO captures (payment_id, provider, capture_ref, status, amount, currency)
        SELECT id, provider, 'ch_' || number, 'pending', 1, 'USD' FROM payments, generate_series(1, 30) AS number""")
    for number in range(10):
        attempt(sql, payment, "failed", ref=f"try_{number}")
        enter_dispute(sql, payment, f"du_{number}", stage="'inquiry'")
    assert read() == few


def test_disputes_are_listed_the_nearest_deadline_first(app: Flask, sql: Sql) -> None:
    payment = paid_at(sql)
    enter_dispute(sql, payment, "never")
    enter_dispute(sql, payment, "later", evidence_due_at="'2026-12-24T00:00:00Z'", money_step="1", money_out="true")
    enter_dispute(sql, payment, "du\x1b[2J", evidence_due_at="'2026-12-20T00:00:00Z'", reason="'fraudulent'")
    enter_dispute(sql, payment, "won", status="'won'")

    lines = _run(app, "disputes")

    assert [_name(line) for line in lines] == [r"'du\x1b[2J'", "later", "never"]
    assert lines[0].startswith("2026-12-20T00:00:00Z ")
    assert f"payment {payment}" in lines[0]
    assert lines[0].endswith("fraudulent  evidence: the Stripe Dashboard, Disputes")
    assert "40.00 USD, 40.00 taken" in lines[1]
    assert "no deadline known" in lines[2]
    assert [_name(line) for line in _run(app, "disputes", "--due-before", "2026-12-24")] == [r"'du\x1b[2J'"]
    assert [_name(line) for line in _run(app, "disputes", "--status", "won", "--status", "lost")] == ["won"]
    assert len(_run(app, "disputes", "--limit", "1")) == 1


def test_what_is_no_day_is_refused(app: Flask, sql: Sql) -> None:
    done = app.test_cli_runner().invoke(args=["payments", "disputes", "--due-before", "soon"])
    assert done.exit_code == 2
    assert "no day such as" in done.output


def _name(line: str) -> str:
    return line.split("  stripe    ")[1].split("  payment ")[0]


def test_ids_of_captures_are_there_to_be_refunded(app: Flask, sql: Sql) -> None:
    payment, _ = open_payment(sql, amount="240.00")
    capture(sql, payment, "ch_1", "240")
    fold(sql, payment)
    ((capture_id,),) = sql("SELECT id FROM captures")
    assert isinstance(capture_id, UUID)

    _, entries = _show(app, payment)

    assert any(line.endswith(f"id {capture_id}") for line in entries)


def test_open_authorizations_are_listed_the_nearest_end_first(app: Flask, sql: Sql) -> None:
    for ref, end in (("later", "2026-12-24"), ("sooner", "2026-12-20"), ("released", "2026-12-01")):
        payment, _ = open_payment(sql, amount="240.00")
        attempt(sql, payment, "authorized", ref=ref, authorized="240")
        sql(
            """UPDATE payment_attempts SET expires_at = CAST(:end AS timestamptz), rest_released = :released
            WHERE attempt_ref = :ref""",
            end=end,
            released=ref == "released",
            ref=ref,
        )
        fold(sql, payment)
    paid_at(sql)

    lines = _run(app, "authorizations")

    assert [line.split("  mock      ")[1].split("  payment ")[0] for line in lines] == ["sooner", "later"]
    assert lines[0].startswith("2026-12-20T00:00:00Z ")
    assert "240.00 USD" in lines[0]
    assert len(_run(app, "authorizations", "--due-before", "2026-12-24")) == 1
