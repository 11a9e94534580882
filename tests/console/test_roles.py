"""Which role a route takes is decided in one place, and strictly for what nobody has decided."""

from __future__ import annotations

import pytest
from flask import Flask

from checkout_service.app import create_app
from checkout_service.console.roles import CONFIRMS, OF_COMMAND, role_for
from checkout_service.settings.operators import Role
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import WebSettings
from tests.apps import close_app
from tests.conftest import Sql
from tests.console.conftest import USER, Operator, console_settings
from tests.console.test_access import routes
from tests.money import attempt, fold
from tests.webhook_bodies import insert_payment


def test_every_command_that_is_listed_is_there(console_app: Flask) -> None:
    commands = {endpoint for endpoint, method, _ in routes(console_app) if method == "POST"}
    assert not OF_COMMAND.keys() - commands


def test_what_is_not_listed_takes_the_highest_role(console_app: Flask) -> None:
    with console_app.app_context():
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert role_for("console_payments.burn_it_all", method) is Role.REFUNDER
            assert role_for(None, method) is Role.REFUNDER


def test_reading_takes_a_viewer_and_asking_first_takes_the_commands_role(console_app: Flask) -> None:
    with console_app.app_context():
        assert role_for("console_payments.show_payment", "GET") is Role.VIEWER
        assert role_for("console.download_body", "HEAD") is Role.VIEWER
        assert role_for("console_order_forms.confirm_refund", "GET") is Role.REFUNDER
        assert role_for("console_order_forms.confirm_fulfilment", "GET") is Role.OPERATOR
        assert role_for("console_commands.confirm_processing", "GET") is Role.OPERATOR
        for endpoint, method, _ in routes(console_app):
            if method == "GET":
                assert (role_for(endpoint, method) is Role.VIEWER) is (".confirm_" not in endpoint), endpoint
        for page, command in CONFIRMS.items():
            assert role_for(page, "GET") is OF_COMMAND[command]


@pytest.mark.parametrize(
    ("role", "filled", "multicapture", "released"),
    [
        (Role.OPERATOR, {"amount": "0.01"}, False, True),
        (Role.OPERATOR, {"amount": "0.01", "final": "yes"}, True, True),
        (Role.OPERATOR, {"amount": "0.01"}, True, False),
        (Role.OPERATOR, {}, False, False),
        (Role.REFUNDER, {"amount": "0.01"}, False, True),
        (Role.REFUNDER, {"amount": "0.01", "final": "yes"}, True, True),
    ],
)
def test_to_capture_and_release_the_rest_takes_who_may_release(
    settings: WebSettings, sql: Sql, role: Role, filled: dict[str, str], multicapture: bool, released: bool
) -> None:
    account = Account(options={"multicapture": Secret("on" if multicapture else "off")})
    accounts = {**settings.accounts, "stripe": account}
    app = create_app(console_settings(settings, accounts=accounts, console_roles={USER: role}))
    app.testing = True
    payment = sql("SELECT id FROM payments WHERE provider_ref = :ref", ref=insert_payment(sql, provider="stripe"))[0].id
    attempt(sql, payment, "authorized", ref="ch_1", authorized="240")
    fold(sql, payment)
    person, form = Operator(client=app.test_client()), f"/ops/payments/{payment}/capture"

    answer = person.send(form, form, why="the parcel", **filled)

    allowed = not released or role is Role.REFUNDER
    assert answer.status_code == (303 if allowed else 403), answer.text
    assert len(sql("SELECT FROM capture_requests")) == len(sql("SELECT FROM audit")) == allowed
    close_app(app)


def test_a_role_covers_those_before_it() -> None:
    assert [[one.covers(other) for other in Role] for one in Role] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
