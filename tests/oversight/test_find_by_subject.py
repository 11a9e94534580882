"""Staff find payments and orders by what the shop's tokens call a customer."""

from __future__ import annotations

from uuid import UUID

import pytest
from flask import Flask

from tests.conftest import Customer, MakeListing, Sql, Statements
from tests.identity.test_subjects import customer_called
from tests.orders.buying import bought
from tests.refunding import staff_of

LISTS = ("/api/admin/payments", "/api/admin/orders")


@pytest.fixture
def staff(customer: Customer) -> Customer:
    return staff_of(customer, scope="payments:read orders:read")


@pytest.mark.parametrize("path", LISTS)
def test_a_subject_finds_what_the_id_finds_in_as_many_statements(
    app: Flask, sql: Sql, make_listing: MakeListing, staff: Customer, path: str, statements: Statements
) -> None:
    ada, other = customer_called(app, "auth0|ada"), customer_called(app, "42")
    for _ in range(3):
        bought(ada, sql, (make_listing(), 1))
    bought(other, sql, (make_listing(), 1))

    for customer, subject in ((ada, "auth0|ada"), (other, "42"), (ada, str(ada.id).upper())):
        with statements() as seen:
            by_subject = staff.get(path, query_string={"subject": subject})
        assert by_subject.status_code == 200, by_subject.text
        assert len(seen) == 1
        assert by_subject.json == staff.get(path, query_string={"customer": str(customer.id)}).json
        assert {row["customer"] for row in by_subject.json["data"]} == {str(customer.id)}
    assert staff.get(path, query_string={"subject": "auth0|Ada"}).json["data"] == []

    first = staff.get(path, query_string={"subject": "auth0|ada", "limit": 2})
    following = first.headers["Link"].partition("<")[2].partition(">")[0]
    assert [row["customer"] for row in staff.get(following).json["data"]] == [str(ada.id)], "a link keeps the filter"


@pytest.mark.parametrize("path", [*LISTS, "/api/admin/orders.csv"])
@pytest.mark.parametrize(
    "subject",
    [{"subject": ""}, {"subject": "x" * 256}, {"subject": "a\x7fb"}, {"subject": "a", "customer": str(UUID(int=0))}],
)
def test_a_subject_that_nobody_can_have_or_two_names_at_once_are_refused(
    staff: Customer, path: str, subject: dict[str, str]
) -> None:
    answer = staff.get(path, query_string=subject)
    assert (answer.status_code, answer.json["type"]) == (422, "/problems/invalid"), answer.text
    assert [error["pointer"] for error in answer.json["errors"]] == ["/subject"]


def test_the_export_of_orders_is_narrowed_by_it_too(
    app: Flask, sql: Sql, make_listing: MakeListing, staff: Customer
) -> None:
    order = bought(customer_called(app, "auth0|ada"), sql, (make_listing(), 1))
    bought(customer_called(app, "auth0|other"), sql, (make_listing(), 1))
    lines = staff.get("/api/admin/orders.csv", query_string={"subject": "auth0|ada"}).text.splitlines()
    assert len(lines) == 2
    assert str(order.id) in lines[1]
