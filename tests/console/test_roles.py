"""Which role a route takes is decided in one place, and strictly for what nobody has decided."""

from __future__ import annotations

from flask import Flask

from checkout_service.console.roles import OF_COMMAND, role_for
from checkout_service.settings.operators import Role
from tests.console.test_access import routes


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
            if method == "GET" and ".confirm_" not in endpoint:
                assert role_for(endpoint, method) is Role.VIEWER, endpoint


def test_a_role_covers_those_before_it() -> None:
    assert [[one.covers(other) for other in Role] for one in Role] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
