"""What a payment's page shows beside its timeline: what it is for, and where its provider's dashboard has it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from tests.conftest import MakeListing, Sql
from tests.console.conftest import Operator
from tests.identity.test_subjects import customer_called
from tests.money import attempt
from tests.orders.buying import bought
from tests.refunding import open_payment


def test_what_was_bought_and_by_whom_stands_on_the_page(
    operator: Operator, app: Flask, sql: Sql, make_listing: MakeListing
) -> None:
    order = bought(
        customer_called(app, "<i>ada</i>"), sql, (make_listing(title="A <b>globe</b>", unit_price="12.50"), 2)
    )
    (row,) = sql("SELECT payment_id, user_id FROM orders")

    page = operator.get(f"/ops/payments/{row.payment_id}").text

    lines = re.search(r'<h2 id="lines-h">.*?</table>', page, re.S)
    assert lines
    assert "A &lt;b&gt;globe&lt;/b&gt;" in lines[0]
    assert "25.00" in lines[0]
    assert "<code>&lt;i&gt;ada&lt;/i&gt;</code>" in page
    assert f"/ops/payments?customer={row.user_id}" in page
    assert f"/ops/orders/{order.id}" in page
    assert operator.get(f"/ops/payments?customer={row.user_id}").status_code == 200
    assert operator.get("/ops/payments?customer=%3Ci%3Eada%3C/i%3E").status_code == 200


def test_a_payment_without_a_session_says_so(operator: Operator, sql: Sql) -> None:
    payment, _ = open_payment(sql)
    assert "nothing says what was bought" in operator.get(f"/ops/payments/{payment}").text


@pytest.fixture
def accounts(console_app: Flask) -> Iterator[Any]:
    """``accounts(stripe={"api_key": …})`` sets up these for the test."""
    settings = console_app.extensions["settings"]

    def set_up(**given: dict[str, str]) -> None:
        made = {
            name: Account(options={option: Secret(value) for option, value in options.items()})
            for name, options in given.items()
        }
        console_app.extensions["settings"] = replace(settings, accounts=settings.accounts | made)

    yield set_up
    console_app.extensions["settings"] = settings


def _dashboard(operator: Operator, payment: UUID) -> str | None:
    found = re.search(
        r'<dt>Dashboard</dt><dd><a href="([^"]*)" rel="noreferrer', operator.get(f"/ops/payments/{payment}").text
    )
    return unescape(found[1]) if found else None


@pytest.mark.parametrize(
    ("provider", "options", "expected"),
    [
        ("stripe", {"api_key": "sk_live_1"}, "https://dashboard.stripe.com/payments/pi_1"),
        ("stripe", {"api_key": "rk_test_1"}, "https://dashboard.stripe.com/test/payments/pi_1"),
        ("stripe", {"api_key": "sk_1"}, None),
        ("stripe", {"api_key": "sk_test_1", "api_base": "http://127.0.0.1:1"}, None),
        ("mollie", {"api_key": "live_1"}, "https://my.mollie.com/dashboard/payments/pi_1"),
        ("paypal", {}, "https://www.paypal.com/activity/payment/AT1"),
        (
            "paypal",
            {"api_base": "https://api-m.sandbox.paypal.com"},
            "https://www.sandbox.paypal.com/activity/payment/AT1",
        ),
        ("paypal", {"api_base": "https://api-m.paypal.com.evil.example"}, None),
        ("adyen", {}, "https://ca-test.adyen.com/ca/ca/accounts/showTx.shtml?pspReference=AT1&txType=Payment"),
        (
            "adyen",
            {"api_base": "https://1797-shop-checkout-live.adyenpayments.com/checkout/v72"},
            "https://ca-live.adyen.com/ca/ca/accounts/showTx.shtml?pspReference=AT1&txType=Payment",
        ),
        ("adyen", {"api_base": "http://127.0.0.1:1"}, None),
        ("standard", {"api_key": "key"}, None),
        ("mock", {}, None),
        ("gone", {}, None),
    ],
)
def test_the_link_leads_to_the_dashboard_of_the_accounts_mode(
    operator: Operator, sql: Sql, accounts: Any, provider: str, options: dict[str, str], expected: str | None
) -> None:
    accounts(**{provider: options})
    payment = _payment(sql, provider, "pi_1")
    attempt(sql, payment, "authorized", ref="AT1")

    assert _dashboard(operator, payment) == expected


def _payment(sql: Sql, provider: str, reference: str) -> UUID:
    payment, _ = open_payment(sql)
    (row,) = sql(
        """INSERT INTO payments (user_id, provider, provider_ref, amount, currency)
        SELECT user_id, :provider, :reference, 1, 'USD' FROM payments WHERE id = :id RETURNING id""",
        provider=provider,
        reference=reference,
        id=payment,
    )
    found: UUID = row.id
    return found


def test_without_an_account_or_an_attempt_there_is_no_link(operator: Operator, sql: Sql, accounts: Any) -> None:
    assert _dashboard(operator, _payment(sql, "stripe", "pi_1")) is None
    accounts(paypal={})
    assert _dashboard(operator, _payment(sql, "paypal", "pp_1")) is None


def test_a_reference_cannot_leave_its_place_in_the_address(operator: Operator, sql: Sql, accounts: Any) -> None:
    accounts(stripe={"api_key": "sk_live_1"})
    payment = _payment(sql, "stripe", '../x?a=b#"><script>é')

    assert _dashboard(operator, payment) == (
        "https://dashboard.stripe.com/payments/..%2Fx%3Fa%3Db%23%22%3E%3Cscript%3E%C3%A9"
    )
