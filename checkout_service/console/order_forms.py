"""What operators ask of an order: to fulfil it, to cancel it, to give back what was paid for some of its lines.

By the same operations as the API: a row each, under the operator's id, with the form's key as the Idempotency-Key. Each
form is a page of its own, which says what would happen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final
from uuid import UUID

from flask import current_app, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from checkout_service.api.problems import MalformedBody, Problem
from checkout_service.commands.operations import Origin
from checkout_service.console.access import for_operators
from checkout_service.console.order_pages import ways_on, whole_order
from checkout_service.console.page import ConsoleBlueprint, origin, page
from checkout_service.orders.canceling import CancellationRequest, cancel
from checkout_service.orders.fulfilling import FulfilmentRequest, Pieces, fulfil
from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.refunds.operations import PiecesBack, RefundRequest, operator_id, request_refund
from checkout_service.tasks import TaskName
from checkout_service.telemetry.metrics import (
    fulfilment_requests_total,
    order_cancellation_requests_total,
    refund_requests_total,
)

blueprint = ConsoleBlueprint("console_order_forms", __name__)

LONGEST_REASON: Final = 255
LONGEST_CARRIER: Final = 100
LONGEST_TRACKING: Final = 255


@blueprint.get("/orders/<uuid:order_id>/fulfil")
@for_operators
def confirm_fulfilment(order_id: UUID) -> str:
    """What is left of the order, to be handed over."""
    order, beside = whole_order(order_id)
    return page(
        "order_fulfil.html",
        order=order,
        beside=beside,
        allowed=ways_on(order, beside)["fulfil"],
        longest_carrier=LONGEST_CARRIER,
        longest_tracking=LONGEST_TRACKING,
    )


@blueprint.post("/orders/<uuid:order_id>/fulfil")
@for_operators
def fulfil_order(order_id: UUID) -> AnyResponse:
    """Hand over the pieces in the form."""
    given = origin()
    pieces = _pieces()
    with _lines_named(order_id):
        done = fulfil(
            FulfilmentRequest(
                order_id=order_id,
                requested_by=operator_id(given.operator),
                key=str(given.key),
                lines=[Pieces(line_id, qty) for line_id, qty in pieces.items()],
                carrier=_text("carrier", LONGEST_CARRIER),
                tracking=_text("tracking", LONGEST_TRACKING),
                capture="capture" in request.form,
            ),
            current_app.extensions["settings"].accounts,
        )
    fulfilment_requests_total.labels("replayed" if done.replayed else "taken").inc()
    if done.capture_request_id is not None:
        _send(TaskName.CAPTURE_PAYMENT, done.capture_request_id)
    return _back(order_id)


@blueprint.get("/orders/<uuid:order_id>/cancel")
@for_operators
def confirm_cancellation(order_id: UUID) -> str:
    """What canceling the order would do."""
    order, beside = whole_order(order_id)
    return page("order_cancel.html", order=order, beside=beside, allowed=ways_on(order, beside)["cancel"])


@blueprint.post("/orders/<uuid:order_id>/cancel")
@for_operators
def cancel_order(order_id: UUID) -> AnyResponse:
    """Cancel the order, and ask for its money to go back. Needs a note, which is kept as the reason."""
    given = origin(note_needed=True)
    with _lines_named(order_id):
        done = cancel(
            CancellationRequest(
                order_id=order_id, requested_by=operator_id(given.operator), key=str(given.key), reason=_reason(given)
            )
        )
    order_cancellation_requests_total.labels("replayed" if done.replayed else "taken").inc()
    for refund_id in done.refund_ids:
        _send(TaskName.REFUND_PAYMENT, refund_id)
    if done.void_id is not None:
        _send(TaskName.VOID_PAYMENT, done.void_id)
    return _back(order_id)


@blueprint.get("/orders/<uuid:order_id>/refund")
@for_operators
def confirm_refund(order_id: UUID) -> str:
    """The lines of the order that may be given back."""
    order, beside = whole_order(order_id)
    return page("order_refund.html", order=order, beside=beside, allowed=ways_on(order, beside)["refund"])


@blueprint.post("/orders/<uuid:order_id>/refund")
@for_operators
def refund_lines(order_id: UUID) -> AnyResponse:
    """Ask for the price of the pieces in the form to go back. Needs a note, which is kept as the refund's reason."""
    given = origin(note_needed=True)
    pieces = _pieces()
    order, _ = whole_order(order_id)
    with _lines_named(order_id):
        done = request_refund(
            RefundRequest(
                payment_id=UUID(order["payment_id"]),
                requested_by=operator_id(given.operator),
                key=str(given.key),
                amount=None,
                reason=_reason(given),
                lines=[PiecesBack(line_id, qty) for line_id, qty in pieces.items()],
            ),
            origin=given,
        )
    refund_requests_total.labels("replayed" if done.replayed else "taken").inc()
    for refund_id in done.ids:
        _send(TaskName.REFUND_PAYMENT, refund_id)
    return _back(order_id)


def _pieces() -> dict[UUID, int]:
    """How many pieces of which line the form names. Raises MalformedBody where it names none, or what is no number."""
    found = {}
    for name, typed in request.form.items():
        line = re.fullmatch(r"qty-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", name)
        if line is None or not typed.strip():
            continue
        if not re.fullmatch(r"[0-9]{1,4}", typed.strip(), re.ASCII):
            raise MalformedBody("A number of pieces cannot be read. Go back and write it again.")
        if int(typed):
            found[UUID(line[1])] = int(typed)
    if not found:
        raise MalformedBody("The form names no piece. Go back, and write how many of which line.")
    return found


def _text(name: str, longest: int) -> str | None:
    typed = " ".join(request.form.get(name, "").split())
    if len(typed) > longest or not typed.isprintable():
        raise MalformedBody(f"The {name} is up to {longest} printable characters. Go back and shorten it.")
    return typed or None


def _reason(given: Origin) -> str:
    return "".join(each for each in " ".join(given.why.split()) if each.isprintable())[:LONGEST_REASON]


@contextmanager
def _lines_named(order_id: UUID) -> Iterator[None]:
    """A problem that names lines says so in its words: a page shows no members."""
    try:
        yield
    except Problem as problem:
        named = problem.members.get("lines")
        if named:
            titles = _titles(order_id)
            problem.detail += " " + " ".join(_line_in_words(each, titles) for each in named)
        raise


_WORDS: Final = {"qty": "asked for", "wanted": "asked for", "qty_fulfilled": "fulfilled"}
"""Of the members of a line that a problem names."""


def _titles(order_id: UUID) -> dict[str, str]:
    order, _ = whole_order(order_id)
    lines = order["lines"]
    return {line["id"]: line["title"] for line in lines} | {line["listing_id"]: line["title"] for line in lines}


def _line_in_words(line: dict[str, Any], titles: dict[str, str]) -> str:
    title = titles.get(line.get("line_id") or line.get("listing") or "", "a line")
    numbers = [f"{value} {_WORDS.get(name, name)}" for name, value in line.items() if isinstance(value, int)]
    return f"{title}: {', '.join(numbers)}."


def _send(task: TaskName, row_id: UUID) -> None:
    with suppress(QueueUnavailableError):  # the sweep finds it without
        task_queue().enqueue(task, str(row_id))


def _back(order_id: UUID) -> AnyResponse:
    return redirect(url_for("console_orders.show_order", order_id=order_id), 303)
