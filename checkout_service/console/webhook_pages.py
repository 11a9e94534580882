"""GET /ops and /ops/webhooks: how the house is doing, the list of webhooks, one webhook in full."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from flask import Response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from checkout_service.api.problems import NotFound
from checkout_service.commands.models import Action
from checkout_service.commands.queries import Command, commands_about, open_commands
from checkout_service.console import svg_plots
from checkout_service.console.access import for_operators
from checkout_service.console.filters import AT_ONCE, PENDING, read_place, read_webhook_filter
from checkout_service.console.named_payments import payments_named_in
from checkout_service.console.overview import MOST, SAMPLE, figures
from checkout_service.console.page import SOON, ConsoleBlueprint, address, listing, page, task_in_address
from checkout_service.console.payment_queries import events_of_webhook, payment_of_webhook
from checkout_service.console.untrusted import show_body, show_headers, what_it_says
from checkout_service.console.webhook_queries import WINDOW, Page, about, webhooks_page
from checkout_service.delivery_states import DeliveryState
from checkout_service.oversight.operator_phrases import phrase
from checkout_service.oversight.timeline import timeline_of
from checkout_service.pages.spans import span_of
from checkout_service.providers.base import IgnoredReason
from checkout_service.providers.registry import provider_specs
from checkout_service.spellings import parse_id
from checkout_service.webhooks.queries import Webhook, find_webhook, processable

blueprint = ConsoleBlueprint("console", __name__)

STACKED: Final = (
    DeliveryState.APPLIED,
    DeliveryState.DUPLICATE,
    DeliveryState.IGNORED,
    DeliveryState.PARKED,
    DeliveryState.RECEIVED,
    DeliveryState.REJECTED,
    DeliveryState.FAILED,
)
"""From the bottom of a bar up: what went well is the ground."""


@blueprint.get("")
@for_operators
def show_overview() -> str:
    """Plots and numbers of the last hour."""
    found = figures()
    minutes = found["minutes"]
    lags = {
        name: [None if values is None else values[place] for values in found["lags"]]
        for place, name in enumerate(("p50", "p95", "p99"))
    }
    return page(
        "overview.html",
        figures=found,
        taken_at=datetime.fromisoformat(found["taken_at"]),
        times=[datetime.fromtimestamp(minute * 60, UTC) for minute in minutes],
        kinds=STACKED,
        most=MOST,
        sample=SAMPLE,
        webhooks_plot=svg_plots.stacked(minutes, found["counts"], STACKED),
        lags=lags,
        lags_plot=svg_plots.lines(minutes, lags),
        ages_plot=svg_plots.area(minutes, found["ages"], "age"),
        payment_bars=svg_plots.lying(list(found["payments"].items()), most=MOST),
        flag_bars=svg_plots.lying([(reason, number) for reason, number in found["flags"]], most=MOST),
        commands=open_commands(),
    )


@blueprint.get("/")
@for_operators
def show_overview_elsewhere() -> AnyResponse:
    """The same, as some people type it."""
    return redirect(url_for("console.show_overview"), 308)


@blueprint.get("/webhooks")
@for_operators
def show_webhooks() -> tuple[str, int]:
    """Webhooks, newest first, narrowed to what stands in the address."""
    filters = read_webhook_filter(request.args)
    place = read_place(request.args, parse_id, filters.faults)
    payment = None if filters.faults else about(filters.find)
    found = Page(rows=()) if filters.faults else webhooks_page(filters, place, payment=payment)
    return listing(
        "webhooks.html",
        faults=filters.faults,
        filters=filters,
        payment=payment,
        rows=[(row, what_it_says(row.body, row.headers)) for row in found.rows],
        looked_back_to=found.looked_back_to,
        window=WINDOW,
        newer=_at(filters.given, after=found.newer),
        older=_at(filters.given, before=found.older),
        first=_at(filters.given, before="") if request.args.keys() & {"before", "after"} else None,
        states=tuple(DeliveryState),
        reasons=tuple(IgnoredReason),
        pending=PENDING,
        at_once=AT_ONCE,
        providers=sorted(provider_specs()),
        choosable=filters.choice(provider=None, provider_ref=None) is not None,
    )


@blueprint.get("/webhooks/<uuid:delivery_id>")
@for_operators
def show_webhook(delivery_id: UUID) -> str:
    """One webhook in full: what it says, what became of it, what can be done about it."""
    row = _found(delivery_id)
    payment = payment_of_webhook(row)
    history = commands_about(delivery_id)
    timeline = timeline_of(payment.id, pages=1) if payment else None
    return page(
        "webhook.html",
        webhook=row,
        content=what_it_says(row.body, row.headers),
        headers=show_headers(row.headers),
        body=show_body(row.body),
        payment=payment,
        named=payments_named_in(row) if payment is None else (),
        events=events_of_webhook(delivery_id, payment.id) if payment else (),
        payment_timeline=timeline,
        shown=span_of(list(map(phrase, timeline.entries))) if timeline else None,
        commands=history,
        processable=processable(delivery_id),
        task=task_in_address(),
        again=_still_at_it(row, history),
    )


@blueprint.get("/webhooks/<uuid:delivery_id>/body")
@for_operators
def download_body(delivery_id: UUID) -> Response:
    """The body as it came, to be kept and never to be shown by a browser."""
    row = _found(delivery_id)
    answer = Response(row.body, content_type="application/octet-stream")
    answer.headers["Content-Disposition"] = f'attachment; filename="{delivery_id}.bin"'
    answer.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return answer


def _found(delivery_id: UUID) -> Webhook:
    row = find_webhook(delivery_id)
    if row is None:
        raise NotFound(f"There is no webhook {delivery_id}. It may be old: webhooks are kept for a while only.")
    return row


def _still_at_it(webhook: Webhook, history: Sequence[Command]) -> bool:
    """Whether an operator has just had it processed, and there is no result yet."""
    given = [command.created_at for command in history if command.action is Action.PROCESS]
    if not given or (datetime.now(UTC) - given[0]).total_seconds() > SOON:
        return False
    return webhook.pending or webhook.processed_at is None or webhook.processed_at < given[0]


def _at(given: dict[str, str], **place: str | None) -> str | None:
    """The address of another page of the same list; None where there is none."""
    if None in place.values():
        return None
    return address("console.show_webhooks", given, **{name: value or None for name, value in place.items()})
