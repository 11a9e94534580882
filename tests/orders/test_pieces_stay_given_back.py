"""Pieces of a refund that failed here, and that the provider made all the same: they are not given back twice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from checkout_service.database.engine import transaction
from tests.conftest import Customer, MakeListing, Servers, Sql
from tests.migrations.conftest import run_as
from tests.money import fold
from tests.order_requests import Ordered, ask_fulfilment, ordered, ordered_by_captures, pieces, problem, reasons_of
from tests.refunding import ask_refund, refund_event, refund_row, staff_of, sums
from worker.payments.refund_settling import fail_refund, settle_made
from worker.payments.settling import NotDoneError
from worker.refunds.task import refund as refund_now
from worker.transitions.outcomes import received_now
from worker.transitions.recording import record


@pytest.fixture
def staff(customer: Customer) -> Customer:
    return staff_of(customer)


@pytest.fixture
def listing(make_listing: MakeListing) -> dict[str, Any]:
    return make_listing(unit_price="40.00")


@pytest.fixture
def order(sql: Sql, customer: Customer, listing: dict[str, Any]) -> Ordered:
    """Of 3 × 40.00, paid."""
    return ordered(sql, customer, (listing, 3))


def in_doubt(sql: Sql, staff: Customer, order: Ordered, key: str = "1", qty: int = 3) -> UUID:
    """A refund of so many pieces that was sent a day ago, and of which only a person can tell what became of it."""
    answer = ask_refund(staff, order.payment_id, key, lines=[pieces(order.lines[0], qty)])
    assert answer.status_code == 202, answer.text
    sql(
        """UPDATE refunds SET attempts = 9, sent_at = now() - interval '25 hours', in_doubt = true,
            next_attempt_at = now() + interval '50 minutes' WHERE id = :id""",
        id=answer.json["id"],
    )
    return UUID(answer.json["id"])


def not_made(worker_app: Flask, order: Ordered, refund_id: UUID) -> None:
    with worker_app.app_context():
        fail_refund(order.payment_id, refund_id=refund_id)


def report(worker_app: Flask, *events: Any) -> None:
    with worker_app.app_context(), transaction() as connection:
        record(connection, received_now(events))


def given_back(sql: Sql, order: Ordered) -> tuple[int, int]:
    """Of the first line: the pieces that were given back, and those on their way."""
    row = sql("SELECT * FROM order_line_refunds(:line)", line=order.lines[0])[0]
    return row.refunded, row.refunding


def canceled(sql: Sql, order: Ordered) -> int:
    return sql("SELECT qty_canceled FROM order_lines WHERE id = :id", id=order.lines[0])[0].qty_canceled


def reviewed(sql: Sql, order: Ordered) -> None:
    """A person has seen why the payment is flagged."""
    sql(
        """INSERT INTO payment_reviews (payment_id, reason, amounts)
        SELECT payment_id, reason, count(*)::text FROM payment_notices WHERE payment_id = :id GROUP BY 1, 2""",
        id=order.payment_id,
    )
    fold(sql, order.payment_id)


def test_pieces_stay_with_the_refund_that_was_made(
    staff: Customer, worker_app: Flask, order: Ordered, sql: Sql
) -> None:
    ours = in_doubt(sql, staff, order)
    not_made(worker_app, order, ours)
    assert given_back(sql, order) == (0, 0)
    amount = Decimal("120.00")

    report(
        worker_app,
        refund_event(order.reference, "processing", refund_id=ours, amount=amount),
    )
    assert given_back(sql, order) == (0, 3)
    report(worker_app, refund_event(order.reference, "succeeded", amount=amount))

    assert (given_back(sql, order), canceled(sql, order)) == ((3, 0), 3)
    assert "refund_mismatch" in (reasons_of(sql, order) or "")
    assert problem(ask_refund(staff, order.payment_id, "2", lines=[pieces(order.lines[0], 1)])) == (
        409,
        "refund-lines-too-large",
    )
    assert sums(sql, order.payment_id) == ("120.00", "0.00")
    assert problem(ask_fulfilment(staff, order.id))[0] == 409, "nobody is sent what they were refunded"
    # The bank sent it back: so they are free again.
    report(worker_app, refund_event(order.reference, "failed", refund_id=ours, amount=amount))
    assert (given_back(sql, order), canceled(sql, order)) == ((0, 0), 0)
    assert ask_refund(staff, order.payment_id, "2", lines=[pieces(order.lines[0], 3)]).status_code == 202


def test_a_name_of_the_dashboard_that_turns_out_to_be_ours_keeps_the_pieces(
    staff: Customer, worker_app: Flask, order: Ordered, sql: Sql
) -> None:
    ours = in_doubt(sql, staff, order, qty=2)
    with worker_app.app_context():
        settle_made(order.payment_id, refund_id=ours, reference="re_X1")
    report(worker_app, refund_event(order.reference, "succeeded", refund_ref="re_X", amount=Decimal("80.00")))
    assert given_back(sql, order) == (2, 0)

    for _ in range(2):
        report(
            worker_app,
            refund_event(
                order.reference, "succeeded", refund_ref="re_X", refund_id=ours, amount=Decimal("80.00"), event_id="e"
            ),
        )

    assert refund_row(sql, ours).now == "failed"
    assert (given_back(sql, order), canceled(sql, order)) == ((2, 0), 2)
    assert problem(ask_refund(staff, order.payment_id, "2", lines=[pieces(order.lines[0], 2)])) == (
        409,
        "refund-lines-too-large",
    )


def test_one_that_was_entered_without_our_id_is_ours_once_the_provider_says_so(
    staff: Customer, worker_app: Flask, order: Ordered, sql: Sql
) -> None:
    """Until then nobody knows: it is flagged, and moves nothing."""
    ours = in_doubt(sql, staff, order)
    not_made(worker_app, order, ours)
    amount = Decimal("120.00")
    report(worker_app, refund_event(order.reference, "succeeded", amount=amount))
    assert (given_back(sql, order), canceled(sql, order)) == ((0, 0), 0)
    assert "refund_mismatch" in (reasons_of(sql, order) or "")

    report(worker_app, refund_event(order.reference, "succeeded", refund_id=ours, amount=amount))

    assert (given_back(sql, order), canceled(sql, order)) == ((3, 0), 3)


@pytest.mark.parametrize("named", ["at once", "later"])
def test_another_amount_gives_no_pieces_back(
    staff: Customer, worker_app: Flask, order: Ordered, sql: Sql, named: str
) -> None:
    """What was given back by our id is entered, and flagged; nobody knows for which pieces it is."""
    ours = in_doubt(sql, staff, order)
    not_made(worker_app, order, ours)
    five = Decimal("5.00")
    if named == "later":
        report(worker_app, refund_event(order.reference, "succeeded", amount=five))

    for _ in range(2):
        report(worker_app, refund_event(order.reference, "succeeded", refund_id=ours, amount=five))

    assert (given_back(sql, order), canceled(sql, order)) == ((0, 0), 0)
    assert sums(sql, order.payment_id) == ("5.00", "0.00")
    assert "refund_mismatch" in (reasons_of(sql, order) or "")
    (detail,) = sql("SELECT detail FROM payment_notices WHERE reason = 'refund_mismatch'")[0]
    assert detail == f"refund {ours} was refused, and another amount was made"
    assert ask_refund(staff, order.payment_id, "2", lines=[pieces(order.lines[0], 2)]).status_code == 202


def test_what_may_be_ours_moves_nothing_and_keeps_its_pieces_until_somebody_has_looked(
    staff: Customer, worker_app: Flask, order: Ordered, sql: Sql
) -> None:
    not_made(worker_app, order, in_doubt(sql, staff, order, qty=2))
    taken = ask_refund(staff, order.payment_id, "before", lines=[pieces(order.lines[0], 2)])
    assert taken.status_code == 202

    report(worker_app, refund_event(order.reference, "succeeded", amount=Decimal("80.00")))

    with worker_app.app_context():
        assert refund_now(taken.json["id"]) == "refused: not_in_this_state", "it was taken before anybody knew"
    assert (given_back(sql, order), canceled(sql, order)) == ((0, 0), 0)
    answer = ask_refund(staff, order.payment_id, "2", lines=[pieces(order.lines[0], 2)])
    assert problem(answer) == (409, "refund-lines-too-large")
    assert answer.json["lines"][0]["left"] == 1
    assert ask_fulfilment(staff, order.id, lines=[pieces(order.lines[0], 3)]).status_code == 201

    reviewed(sql, order)
    assert (given_back(sql, order), canceled(sql, order)) == ((0, 0), 0)
    assert ask_refund(staff, order.payment_id, "3", lines=[pieces(order.lines[0], 1)]).status_code == 202


def test_the_database_refuses_pieces_that_are_in_question(
    staff: Customer, worker_app: Flask, order: Ordered, sql: Sql
) -> None:
    """A web process of the release before, or one that had read what was left, goes by it too."""
    not_made(worker_app, order, in_doubt(sql, staff, order, qty=1))
    report(worker_app, refund_event(order.reference, "succeeded"))
    assert ask_refund(staff, order.payment_id, "2", lines=[pieces(order.lines[0], 2)]).status_code == 202

    line = """INSERT INTO refund_lines (refund_id, order_line_id, qty, amount)
        SELECT id, :line, 1, 40 FROM refunds WHERE provider_ref = 're_1'"""
    with pytest.raises(Exception, match="may have been given back"):
        sql(line, line=order.lines[0])


def test_what_may_be_ours_is_no_question_once_it_failed(
    staff: Customer, worker_app: Flask, order: Ordered, sql: Sql
) -> None:
    not_made(worker_app, order, in_doubt(sql, staff, order))
    amount = Decimal("120.00")
    for status in ("succeeded", "failed"):
        report(worker_app, refund_event(order.reference, status, amount=amount))

    assert ask_refund(staff, order.payment_id, "2", lines=[pieces(order.lines[0], 3)]).status_code == 202


@pytest.mark.parametrize("other", [{"amount": Decimal("119.00")}, {"status": "failed"}, {"capture_ref": "ca_other"}])
def test_another_refund_of_the_dashboard_is_no_refund_of_ours(
    staff: Customer, worker_app: Flask, order: Ordered, sql: Sql, other: dict[str, Any]
) -> None:
    ours = in_doubt(sql, staff, order)
    sql("UPDATE refunds SET capture_ref = 'ca_1' WHERE id = :id", id=ours)
    not_made(worker_app, order, ours)
    given = {"status": "succeeded", "amount": Decimal("120.00")} | other

    report(worker_app, refund_event(order.reference, **given))

    assert (given_back(sql, order), reasons_of(sql, order)) == ((0, 0), None)


def test_what_the_provider_itself_refused_is_not_guessed_to_be_made(
    staff: Customer, worker_app: Flask, order: Ordered, sql: Sql
) -> None:
    answer = ask_refund(staff, order.payment_id, "1", lines=[pieces(order.lines[0], 3)])
    sql(
        "UPDATE refunds SET status = 'failed', sent_at = now(), next_attempt_at = NULL WHERE id = :id",
        id=answer.json["id"],
    )
    fold(sql, order.payment_id)

    report(worker_app, refund_event(order.reference, "succeeded", amount=Decimal("120.00")))

    assert (given_back(sql, order), reasons_of(sql, order)) == ((0, 0), None)


def test_each_refund_that_one_of_the_dashboard_may_be_is_in_question(
    staff: Customer, worker_app: Flask, order: Ordered, sql: Sql
) -> None:
    ours = [in_doubt(sql, staff, order, key, qty=1) for key in ("1", "2")]
    for each in ours:
        not_made(worker_app, order, each)

    report(worker_app, refund_event(order.reference, "succeeded", refund_ref="re_1"))

    (detail,) = sql("SELECT detail FROM payment_notices")[0]
    assert detail == f"perhaps refund {ours[0]} or {ours[1]}, which an operator ended as not made"
    assert problem(ask_refund(staff, order.payment_id, "3", lines=[pieces(order.lines[0], 2)]))[0] == 409
    # It was the second: so nothing is known of the first, and it is free.
    report(worker_app, refund_event(order.reference, "succeeded", refund_ref="re_1", refund_id=ours[1]))
    assert given_back(sql, order) == (1, 0)
    assert ask_refund(staff, order.payment_id, "3", lines=[pieces(order.lines[0], 2)]).status_code == 202


def test_parts_over_several_captures_count_until_all_of_what_was_made_failed(
    staff: Customer, customer: Customer, worker_app: Flask, listing: dict[str, Any], sql: Sql
) -> None:
    order = ordered_by_captures(sql, customer, (listing, 3), amounts=["50.00", "70.00"])
    in_doubt(sql, staff, order)
    parts = sql("SELECT id, amount FROM refunds ORDER BY part")
    assert len(parts) == 2
    sql("UPDATE refunds SET status = 'failed', sent_at = now(), next_attempt_at = NULL")
    fold(sql, order.payment_id)
    second = parts[1]

    made = {"refund_id": second.id, "amount": second.amount}
    report(worker_app, refund_event(order.reference, "succeeded", **made))
    assert given_back(sql, order) == (3, 0)
    report(worker_app, refund_event(order.reference, "failed", **made))
    assert given_back(sql, order) == (0, 0)


def test_what_was_requested_again_meanwhile_is_not_sent(
    staff: Customer, worker_app: Flask, order: Ordered, sql: Sql
) -> None:
    """Half of the order's money is there, so that the sum alone would let it through."""
    ours = in_doubt(sql, staff, order, qty=1)
    not_made(worker_app, order, ours)
    ask_refund(staff, order.payment_id, "2", lines=[pieces(order.lines[0], 2)])
    again = ask_refund(staff, order.payment_id, "3", lines=[pieces(order.lines[0], 1)])
    assert again.status_code == 202

    report(worker_app, refund_event(order.reference, "succeeded", refund_id=ours))
    assert given_back(sql, order) == (1, 3), "what a provider reports is entered"
    sql("UPDATE refunds SET sent_at = now(), attempts = 1 WHERE idempotency_key = '2'")
    with worker_app.app_context():
        assert refund_now(again.json["id"]) == "refused: not_in_this_state"

    assert given_back(sql, order) == (1, 2)


def test_who_settles_it_once_more_learns_that_it_was_made(
    staff: Customer, worker_app: Flask, order: Ordered, sql: Sql
) -> None:
    ours = in_doubt(sql, staff, order)
    for _ in range(2):
        not_made(worker_app, order, ours)
    report(worker_app, refund_event(order.reference, "succeeded", refund_id=ours, amount=Decimal("120.00")))

    with pytest.raises(NotDoneError, match="made it all the same, as re_1"):
        not_made(worker_app, order, ours)


def test_the_database_lets_none_stand_for_a_refund_of_another_payment(
    staff: Customer, customer: Customer, worker_app: Flask, order: Ordered, listing: dict[str, Any], sql: Sql
) -> None:
    ours = in_doubt(sql, staff, order)
    other = ordered(sql, customer, (listing, 1))
    report(worker_app, refund_event(other.reference, "succeeded"))

    with pytest.raises(Exception, match="cannot stand for"):
        sql("UPDATE refunds SET made_for = :ours WHERE provider_ref = 're_1'", ours=ours)


def test_the_database_lets_none_stand_for_a_refund_of_another_amount(
    staff: Customer, worker_app: Flask, order: Ordered, sql: Sql
) -> None:
    ours = in_doubt(sql, staff, order)
    report(worker_app, refund_event(order.reference, "succeeded", amount=Decimal("5.00")))

    with pytest.raises(Exception, match="cannot stand for"):
        sql("UPDATE refunds SET made_for = :ours WHERE provider_ref = 're_1'", ours=ours)


def test_what_the_release_before_flagged_is_entered_and_followed(
    staff: Customer, worker_app: Flask, order: Ordered, servers: Servers, sql: Sql
) -> None:
    """By migration 0033, and by the same call once more when its last worker has ended."""
    ours = in_doubt(sql, staff, order)
    not_made(worker_app, order, ours)
    report(worker_app, refund_event(order.reference, "succeeded", refund_id=ours, amount=Decimal("120.00")))
    sql("UPDATE refunds SET made_for = NULL")
    fold(sql, order.payment_id)
    assert (given_back(sql, order), canceled(sql, order)) == ((0, 0), 0), "as that release left it"

    run_as(servers.superuser_url, "CALL refunds_stand_in()")

    assert (given_back(sql, order), canceled(sql, order)) == ((3, 0), 3)
    assert problem(ask_fulfilment(staff, order.id))[0] == 409
    assert sql("SELECT count(*) FROM holds")[0].count == 0
