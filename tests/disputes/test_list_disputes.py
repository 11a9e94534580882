"""Staff list disputes: by status, and by the deadline for evidence, in keyset pages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Customer, Sql, Statements
from tests.disputes.entered import enter_dispute, paid_at
from tests.refunding import staff_of

PATH = "/api/admin/disputes"


@pytest.fixture
def staff(customer: Customer) -> Customer:
    return staff_of(customer)


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [dispute["name"] for dispute in answer.json["data"]]


def test_a_dispute_says_what_went_and_where_evidence_goes(staff: Customer, sql: Sql) -> None:
    payment = paid_at(sql)
    dispute = enter_dispute(
        sql,
        payment,
        "du_1",
        reason="'fraudulent'",
        money_step="1",
        money_out="true",
        evidence_due_at="'2026-12-24T12:00:00Z'",
    )

    answer = staff.get(PATH)

    (shown,) = answer.json["data"]
    assert shown.pop("created_at") == shown.pop("updated_at")
    assert shown == {
        "id": str(dispute),
        "payment_id": str(payment),
        "provider": "stripe",
        "name": "du_1",
        "stage": "chargeback",
        "status": "needs_response",
        "reason": "fraudulent",
        "amount": "40.00",
        "currency": "USD",
        "amount_lost": "40.00",
        "blocks_refund": False,
        "evidence_due_at": "2026-12-24T12:00:00Z",
        "evidence_at": "the Stripe Dashboard, Disputes",
    }
    assert answer.json["has_more"] is False
    assert answer.headers["Cache-Control"] == "private, no-cache"


def test_what_took_no_money_lost_none(staff: Customer, sql: Sql) -> None:
    payment = paid_at(sql)
    enter_dispute(sql, payment, "inquiry", stage="'inquiry'")
    enter_dispute(sql, payment, "announced", blocks_refund="true")
    enter_dispute(sql, payment, "lost_by_word", status="'lost'")
    enter_dispute(sql, payment, "won", status="'won'", money_step="2", blocks_refund="true")
    enter_dispute(sql, payment, "taken", money_step="3", money_out="true", blocks_refund="true")

    shown = {dispute["name"]: dispute for dispute in staff.get(PATH).json["data"]}

    assert {name for name, dispute in shown.items() if dispute["amount_lost"] != "0.00"} == {"taken"}
    assert {name for name, dispute in shown.items() if dispute["blocks_refund"]} == {"announced"}


def test_a_dispute_without_a_name_or_an_amount_took_all_that_came(staff: Customer, sql: Sql) -> None:
    payment = paid_at(sql, "adyen")
    enter_dispute(sql, payment, "", amount="NULL", currency="NULL", money_step="1", money_out="true")

    (shown,) = staff.get(PATH).json["data"]

    assert (shown["name"], shown["amount"], shown["amount_lost"], shown["currency"]) == (
        None,
        "240.00",
        "240.00",
        "USD",
    )
    assert shown["evidence_at"] == "the Adyen Customer Area, Disputes"


def test_newest_come_first_and_a_status_selects(staff: Customer, sql: Sql) -> None:
    payment = paid_at(sql)
    for number, status in enumerate(("won", "needs_response", "won")):
        enter_dispute(sql, payment, f"du_{number}", status=f"'{status}'")

    assert names(staff.get(PATH)) == ["du_2", "du_1", "du_0"]
    assert names(staff.get(f"{PATH}?status=won")) == ["du_2", "du_0"]
    assert names(staff.get(f"{PATH}?status=lost")) == []


def test_due_before_lists_what_needs_a_response_the_next_first(staff: Customer, sql: Sql) -> None:
    payment = paid_at(sql)
    enter_dispute(sql, payment, "later", evidence_due_at="'2026-12-23T22:00:00Z'")
    enter_dispute(sql, payment, "sooner", evidence_due_at="'2026-12-20T00:00:00Z'")
    enter_dispute(sql, payment, "after", evidence_due_at="'2026-12-24T00:00:00Z'")
    enter_dispute(sql, payment, "answered", evidence_due_at="'2026-12-20T00:00:00Z'", status="'under_review'")
    enter_dispute(sql, payment, "never")

    assert names(staff.get(f"{PATH}?due_before=2026-12-24")) == ["sooner", "later"]
    assert names(staff.get(f"{PATH}?due_before=2026-12-24T01:00:00%2B01:00")) == ["sooner", "later"]
    assert names(staff.get(f"{PATH}?due_before=2026-12-24T00:00:00.000001Z")) == ["sooner", "later", "after"]
    assert names(staff.get(f"{PATH}?due_before=2026-12-24&status=under_review")) == ["answered"]


@pytest.mark.parametrize("filters", ["", "status=needs_response", "due_before=2027-01-01"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_hold_everything_once_even_where_moments_tie(staff: Customer, sql: Sql, filters: str, limit: int) -> None:
    payment = paid_at(sql)
    for number in range(7):
        enter_dispute(sql, payment, f"du_{number}", evidence_due_at=f"'2026-12-2{number // 3}T00:00:00Z'")
    expected = names(staff.get(f"{PATH}?{filters}"))
    assert len(expected) == 7

    found: list[str] = []
    page = staff.get(f"{PATH}?{filters}&limit={limit}")
    while True:
        found += names(page)
        if not page.json["has_more"]:
            break
        link = page.headers["Link"]
        page = staff.get(link[1 : link.index(">")])

    assert found == expected


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("due_before=", "/due_before"),
        ("due_before=tomorrow", "/due_before"),
        ("due_before=2026-13-01", "/due_before"),
        ("due_before=2026-12-24T00:00:00", "/due_before"),
        ("due_before=0001-01-01T00:00:00%2B23:00", "/due_before"),
        ("status=open", "/status"),
        ("limit=0", "/limit"),
        ("limit=101", "/limit"),
        ("cursor=nonsense", "/cursor"),
    ],
)
def test_what_is_no_filter_is_refused(staff: Customer, query: str, pointer: str) -> None:
    answer = staff.get(f"{PATH}?{query}")

    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]


def test_disputes_are_for_staff(customer: Customer, sql: Sql) -> None:
    enter_dispute(sql, paid_at(sql), "du_1")

    refused, unknown = customer.get(PATH), customer.client.get(PATH)

    assert (refused.status_code, refused.json["type"].rpartition("/")[2]) == (403, "insufficient-scope")
    assert "du_1" not in refused.text
    assert unknown.status_code == 401


def test_listing_takes_one_statement(staff: Customer, sql: Sql, statements: Statements) -> None:
    payment = paid_at(sql)
    for number in range(30):
        enter_dispute(sql, payment, f"du_{number}")
    with statements() as seen:
        assert len(names(staff.get(f"{PATH}?limit=30"))) == 30

    assert len(seen) == 1
