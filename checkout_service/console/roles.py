"""Which role each route of the console takes: decided here, and nowhere else.

To read takes a viewer. What gives money or its equal away takes a refunder, and so does whatever is not listed: a new
command is closed to all others until somebody has judged it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import current_app

from checkout_service.settings.operators import Role

OF_COMMAND: Final[Mapping[str, Role]] = dict.fromkeys(
    (
        "console_commands.process_webhook",
        "console_commands.process_webhooks",
        "console_commands.stop_command",
        "console_payments.look_up_payment",
        "console_payments.review_payment",
        "console_payments.take_order_over",
        "console_doubts.refund_was_made",
        "console_doubts.refund_was_not_made",
        "console_doubts.capture_was_not_made",
        "console_money.capture_payment",
        "console_money.cancel_payment",
        "console_order_forms.fulfil_order",
        "console_endpoints.send_test",
        "console_endpoints.enable_endpoint",
        "console_endpoints.disable_endpoint",
        "console_endpoints.replay_events",
        "console_endpoints.stop",
    ),
    Role.OPERATOR,
) | dict.fromkeys(
    (
        "console_payments.accept_amount",  # less than the price becomes the price, as the API's scope refunds has it
        "console_payments.refund_payment",
        "console_order_forms.refund_lines",
        "console_order_forms.cancel_order",  # what was paid goes back
        "console_money.void_payment",  # what was promised is let go
    ),
    Role.REFUNDER,
)
"""By endpoint, those that change something. To capture and release the rest takes a refunder too: the form decides."""

CONFIRMS: Final[Mapping[str, str]] = {
    "console_doubts.confirm_refund": "console_doubts.refund_was_made",
    "console_doubts.confirm_capture": "console_doubts.capture_was_not_made",
}
"""Of pages that ask before a command at another address, the command."""

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def role_for(endpoint: str | None, method: str) -> Role:
    """The role that a request to the current app takes. A page that asks before a command takes the command's."""
    if method in _READING:
        command = _confirmed_commands().get(endpoint or "")
        return role_for_command(command) if command else Role.VIEWER
    return role_for_command(endpoint or "")


def role_for_command(endpoint: str) -> Role:
    """The role that a form takes which is sent to this endpoint."""
    return OF_COMMAND.get(endpoint, Role.REFUNDER)


def _confirmed_commands() -> Mapping[str, str]:
    """Of each page that asks before a command, the command: it has that at its own address, or is listed."""
    found: Mapping[str, str] | None = current_app.extensions.get("console_confirmations")
    if found is None:
        rules = list(current_app.url_map.iter_rules())
        commands = {rule.rule: rule.endpoint for rule in rules if "POST" in (rule.methods or ())}
        found = dict(CONFIRMS) | {
            rule.endpoint: commands[rule.rule]
            for rule in rules
            if rule.rule in commands and "GET" in (rule.methods or ())
        }
        current_app.extensions["console_confirmations"] = found
    return found
