"""Orders about webhooks: process one, process all that match a filter, watch and stop that; and the audit of all
orders.

Every order is a POST with a form's token, is kept before it is acted on, and is answered by a redirect.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from flask import redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from checkout_service.api.problems import MalformedBody, NotFound
from checkout_service.console import commands as orders
from checkout_service.console.access import for_operators
from checkout_service.console.filters import WebhookFilter, read_id, read_webhook_filter
from checkout_service.console.page import ConsoleBlueprint, ordered, page
from checkout_service.console.webhook_queries import about
from checkout_service.webhooks.queries import count_processable, find_webhook
from checkout_service.webhooks.selection import Choice

blueprint = ConsoleBlueprint("console_orders", __name__)

COUNTED: Final = 100_000
"""Webhooks that are counted before an order; of more it is said that they are more."""


@blueprint.post("/webhooks/<uuid:delivery_id>/process")
@for_operators
def process_webhook(delivery_id: UUID) -> AnyResponse:
    """Have one webhook processed (again), by the task that Flower's Retry sends."""
    order = ordered()
    if find_webhook(delivery_id) is None:
        raise NotFound(f"There is no webhook {delivery_id}.")
    task = orders.process(delivery_id, ordered=order)
    return redirect(url_for("console.show_webhook", delivery_id=delivery_id, task=task), 303)


@blueprint.get("/webhooks/process-all")
@for_operators
def confirm_processing() -> str:
    """How many webhooks match, before anything is ordered."""
    wanted = read_webhook_filter(request.args)
    choice = _choice(wanted)
    counted = count_processable(choice, most=COUNTED) if choice else 0
    return page("confirm.html", wanted=wanted, choice=choice, counted=counted, most=COUNTED)


@blueprint.post("/webhooks/process-all")
@for_operators
def process_webhooks() -> AnyResponse:
    """Have the worker process all that match, in batches."""
    order = ordered(note_needed=True)
    choice = _choice(read_webhook_filter(request.form))
    if choice is None:
        raise MalformedBody("Choose one state whose webhooks can be processed together. Go back and narrow the list.")
    run = orders.process_all(choice, counted=count_processable(choice, most=COUNTED), ordered=order)
    return redirect(url_for("console_orders.show_run", run_id=run), 303)


@blueprint.get("/runs/<uuid:run_id>")
@for_operators
def show_run(run_id: UUID) -> str:
    """How far the worker is."""
    run = _run(run_id)
    return page("run.html", run=run, choice=run.details["choice"], counted=run.details["counted"], most=COUNTED)


@blueprint.post("/runs/<uuid:run_id>/stop")
@for_operators
def stop_run(run_id: UUID) -> AnyResponse:
    """Have the worker stop after the batch that it is at."""
    order = ordered()
    _run(run_id)
    orders.stop(run_id, ordered=order)
    return redirect(url_for("console_orders.show_run", run_id=run_id), 303)


@blueprint.get("/audit")
@for_operators
def show_audit() -> str:
    """Every order, newest first."""
    before = read_id(request.args.get("before"))
    rows, following = orders.orders_page(before=before)
    return page("audit.html", rows=rows, following=following, before=before)


def _choice(wanted: WebhookFilter) -> Choice | None:
    found = about(wanted.find)
    return wanted.choice(provider_ref=found.provider_ref if found else None)


def _run(run_id: UUID) -> Any:
    found = orders.order(run_id)
    if found is None or found.action != "process_all":
        raise NotFound(f"There is no run {run_id}.")
    return found
