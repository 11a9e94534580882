"""Commands about webhooks: process one, process all that match a filter, watch and stop that; and the audit of what
people did.

Every command is a POST with a form's token, is kept before anything is done about it, and is answered by a redirect.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from flask import current_app, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from checkout_service.api.problems import MalformedBody, NotFound, Problem
from checkout_service.commands.models import Action
from checkout_service.commands.queries import Command, find_command
from checkout_service.console import commands
from checkout_service.console.access import for_operators
from checkout_service.console.audit_queries import audit_page
from checkout_service.console.filters import WebhookFilter, read_id, read_place, read_webhook_filter
from checkout_service.console.page import ConsoleBlueprint, listing, origin, page
from checkout_service.console.webhook_queries import about
from checkout_service.settings.values import WebSettings
from checkout_service.spellings import parse_id
from checkout_service.webhooks.queries import count_processable, find_webhook
from checkout_service.webhooks.selection import Choice

blueprint = ConsoleBlueprint("console_commands", __name__)


class WebhookErased(Problem):
    """Its bytes are gone, with the person that they named."""

    status = 409
    slug = "webhook-erased"
    title = "This webhook was erased"
    default_detail = "Its body was erased with the person that it named: nothing is left to be processed again."


COUNTED: Final = 100_000
"""Webhooks that are counted before a command; of more the page says that they are more."""


@blueprint.post("/webhooks/<uuid:delivery_id>/process")
@for_operators
def process_webhook(delivery_id: UUID) -> AnyResponse:
    """Have one webhook processed (again), by the task that Flower's Retry sends."""
    given = origin()
    webhook = find_webhook(delivery_id)
    if webhook is None:
        raise NotFound(f"There is no webhook {delivery_id}.")
    if webhook.erased_at is not None:
        raise WebhookErased
    task = commands.process(delivery_id, origin=given)
    return redirect(url_for("console.show_webhook", delivery_id=delivery_id, task=task), 303)


@blueprint.get("/webhooks/process-all")
@for_operators
def confirm_processing() -> tuple[str, int]:
    """How many webhooks match, before the command is given."""
    filters = read_webhook_filter(request.args)
    choice = _choice(filters)
    counted = count_processable(choice, most=COUNTED) if choice else 0
    return listing("confirm.html", faults=filters.faults, filters=filters, choice=choice, counted=counted, most=COUNTED)


@blueprint.post("/webhooks/process-all")
@for_operators
def process_webhooks() -> AnyResponse:
    """Have the worker process all that match, set after set."""
    given = origin(note_needed=True)
    choice = _choice(read_webhook_filter(request.form))
    if choice is None:
        raise MalformedBody("Choose one state whose webhooks can be processed together. Go back and narrow the list.")
    command_id = commands.process_all(choice, counted=count_processable(choice, most=COUNTED), origin=given)
    return redirect(url_for("console_commands.show_command", command_id=command_id), 303)


@blueprint.get("/commands/<uuid:command_id>")
@for_operators
def show_command(command_id: UUID) -> str:
    """How far the worker is with a replay of many."""
    command = _replay(command_id)
    choice, counted = command.details["choice"], command.details["counted"]
    return page("command.html", command=command, choice=choice, counted=counted, most=COUNTED)


@blueprint.post("/commands/<uuid:command_id>/stop")
@for_operators
def stop_command(command_id: UUID) -> AnyResponse:
    """Have the worker stop after the set that it is at."""
    given = origin()
    _replay(command_id)
    commands.stop(command_id, origin=given)
    return redirect(url_for("console_commands.show_command", command_id=command_id), 303)


@blueprint.get("/audit")
@for_operators
def show_audit() -> str:
    """Every command, and what people asked for of orders and money, newest first."""
    faults: dict[str, str] = {}
    before = read_id(read_place(request.args, parse_id, faults).before)
    if faults:
        raise MalformedBody("The address names a place that the audit does not have: see the newest.")
    settings: WebSettings = current_app.extensions["settings"]
    return page("audit.html", found=audit_page(before=before, operators=settings.console_users), before=before)


def _choice(filters: WebhookFilter) -> Choice | None:
    found = None if filters.faults else about(filters.find)
    if found is None:
        return filters.choice(provider=None, provider_ref=None)
    return filters.choice(provider=found.provider, provider_ref=found.provider_ref)


def _replay(command_id: UUID) -> Command:
    found = find_command(command_id)
    if found is None or found.action is not Action.PROCESS_ALL:
        raise NotFound(f"There is no replay {command_id}.")
    return found
