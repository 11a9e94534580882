"""GET /ops/payments: the list of payments, and one in full with its timeline and the commands for it."""

from __future__ import annotations

import re
from contextlib import suppress
from decimal import Decimal
from typing import Final
from uuid import UUID

from flask import redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from checkout_service.api.problems import MalformedBody, NotFound
from checkout_service.commands.queries import commands_about
from checkout_service.console import commands
from checkout_service.console.access import for_operators
from checkout_service.console.beside_payment import beside_payment
from checkout_service.console.doubt_queries import doubts_of
from checkout_service.console.filters import read_id, read_place
from checkout_service.console.money_forms import may_be_canceled
from checkout_service.console.page import ConsoleBlueprint, address, awaited, listing, origin, page
from checkout_service.console.payment_dashboards import dashboard_of_payment
from checkout_service.console.payment_filters import read_payment_filter
from checkout_service.console.payment_queries import LOOKED_THROUGH, PaymentPage, payments_by, payments_page
from checkout_service.cursors import read_cursor
from checkout_service.money import InvalidAmountError, decimals, parse_amount
from checkout_service.oversight.operator_phrases import phrase, without_order_because
from checkout_service.oversight.payment_history import PaymentNow
from checkout_service.oversight.reasons import explained
from checkout_service.oversight.timeline import Timeline, timeline_of
from checkout_service.pages.spans import read_until, span_of
from checkout_service.payments.outcomes import ReviewReason, read_reasons
from checkout_service.payments.status import PaymentStatus
from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.refunds.operations import RefundRequest, operator_id, request_refund
from checkout_service.tasks import TaskName

blueprint = ConsoleBlueprint("console_payments", __name__)

PAGES_SEARCHED: Final = 2
"""Pages of webhooks that one view of a payment looks through for those that only their bytes tie to it."""

LONGEST_REASON: Final = 255
"""Of a refund, as in the API."""


@blueprint.get("/payments")
@for_operators
def show_payments() -> tuple[str, int] | AnyResponse:
    """Payments, newest first; or those that were looked for, and straight to the one that it is."""
    chosen = read_payment_filter(request.args)
    place = read_place(request.args, read_cursor, chosen.faults)
    sought = chosen.given.get("find", "")
    found = payments_by(payment_id=read_id(sought), provider_ref=sought) if sought and not chosen.faults else []
    if len(found) == 1:
        return redirect(url_for("console_payments.show_payment", payment_id=found[0].id))
    if sought and not found and not chosen.faults:
        chosen.faults["find"] = "There is no payment with this id or reference."
    rows = PaymentPage(rows=found) if found or chosen.faults else payments_page(chosen, place)
    edges = {"newer": ("after", rows.newer), "older": ("before", rows.older)}
    addresses = {
        name: address("console_payments.show_payments", chosen.given, **{way: edge}) if edge else None
        for name, (way, edge) in edges.items()
    }
    moved = bool(request.args.keys() & {"before", "after"})
    return listing(
        "payments.html",
        faults=chosen.faults,
        filters=chosen,
        rows=rows.rows,
        looked_back_to=rows.looked_back_to,
        looked_through=LOOKED_THROUGH,
        statuses=[status.value for status in PaymentStatus],
        reasons=[reason.value for reason in ReviewReason],
        first=address("console_payments.show_payments", chosen.given) if moved else None,
        **addresses,
    )


@blueprint.get("/payments/<uuid:payment_id>")
@for_operators
def show_payment(payment_id: UUID) -> str:
    """One payment, and everything that happened to it."""
    # The commands first: what is carried out between the two is then waited for, and not shown half.
    history = commands_about(payment_id)
    found = _found(payment_id, after=read_id(request.args.get("beyond")))
    payment, beside = found.payment, beside_payment(payment_id)
    return page(
        "payment.html",
        payment=payment,
        beside=beside,
        dashboard=dashboard_of_payment(payment, beside),
        may_be_canceled=may_be_canceled(payment),
        without_order=without_order_because(found.payment.without_order) if found.payment.without_order else None,
        shown=span_of(list(map(phrase, found.entries)), until=read_until(request.args.get("until"))),
        looked_until=found.looked_until,
        beyond=read_id(request.args.get("beyond")),
        commands=history,
        again=awaited(history),
        # What is in doubt holds money back, or what is authorized.
        doubts=doubts_of(payment_id) if payment.amount_refunding > 0 or payment.amount_authorized > 0 else (),
        reasons=[
            explained(reason, found.payment, commands=False)
            for reason in sorted(read_reasons(found.payment.review_reason))
        ],
    )


@blueprint.post("/payments/<uuid:payment_id>/look-up")
@for_operators
def look_up_payment(payment_id: UUID) -> AnyResponse:
    """Have the worker ask the provider."""
    given = origin()
    _known(payment_id)
    commands.look_up(payment_id, origin=given)
    return redirect(url_for("console_payments.show_payment", payment_id=payment_id, _anchor="commands"), 303)


@blueprint.post("/payments/<uuid:payment_id>/review")
@for_operators
def review_payment(payment_id: UUID) -> AnyResponse:
    """Have the flag taken off that a person has looked at. Needs a note; the reason is the one that they saw."""
    given = origin(note_needed=True)
    reason = request.form.get("reason", "")
    if not reason or len(reason) > 200:
        raise MalformedBody("The form does not say which flag was looked at. Go back, reload the page, and try again.")
    _known(payment_id)
    version = request.form.get("version", "")
    commands.review(
        payment_id, reason=reason, version=int(version) if re.fullmatch(r"[0-9]{1,9}", version) else None, origin=given
    )
    return redirect(url_for("console_payments.show_payment", payment_id=payment_id, _anchor="commands"), 303)


@blueprint.post("/payments/<uuid:payment_id>/accept")
@for_operators
def accept_amount(payment_id: UUID) -> AnyResponse:
    """Have an amount accepted in place of the payment's. Needs a note."""
    given = origin(note_needed=True)
    amount = _amount(_payment(payment_id).currency)
    commands.accept(payment_id, amount=amount, origin=given)
    return redirect(url_for("console_payments.show_payment", payment_id=payment_id, _anchor="commands"), 303)


@blueprint.post("/payments/<uuid:payment_id>/take-over")
@for_operators
def take_order_over(payment_id: UUID) -> AnyResponse:
    """Have this payment given the order of its duplicate. Needs a note."""
    given = origin(note_needed=True)
    _known(payment_id)
    commands.take_over(payment_id, origin=given)
    return redirect(url_for("console_payments.show_payment", payment_id=payment_id, _anchor="commands"), 303)


@blueprint.get("/payments/<uuid:payment_id>/refund")
@for_operators
def confirm_refund(payment_id: UUID) -> str:
    """What may be given back, and what that means."""
    return page("payment_refund.html", payment=_payment(payment_id))


@blueprint.post("/payments/<uuid:payment_id>/refund")
@for_operators
def refund_payment(payment_id: UUID) -> AnyResponse:
    """Ask for a refund, as the API does. Needs a note, which is kept as the refund's reason."""
    given = origin(note_needed=True)
    currency = _payment(payment_id).currency
    requested = request_refund(
        RefundRequest(
            payment_id=payment_id,
            requested_by=operator_id(given.operator),
            key=str(given.key),
            amount=_amount(currency) if request.form.get("amount", "").strip() else None,
            reason=" ".join(given.why.split())[:LONGEST_REASON],
        ),
        origin=given,
    )
    with suppress(QueueUnavailableError):  # the sweep finds it without
        task_queue().enqueue(TaskName.REFUND_PAYMENT, requested.refund["id"])
    return redirect(url_for("console_payments.show_payment", payment_id=payment_id), 303)


def _amount(currency: str) -> Decimal:
    """The amount in the form."""
    try:
        amount = parse_amount(request.form.get("amount", "").strip())
    except InvalidAmountError as error:
        raise MalformedBody(f"The amount cannot be read: {error}. Go back and write it again.") from error
    if amount <= 0 or amount != round(amount, decimals(currency)):
        raise MalformedBody(f"This is no amount of {currency}. Go back and write it again.")
    return amount


def _payment(payment_id: UUID) -> PaymentNow:
    return _found(payment_id, after=None, pages=0).payment


def _found(payment_id: UUID, *, after: UUID | None, pages: int = PAGES_SEARCHED) -> Timeline:
    found = timeline_of(payment_id, pages=pages, after=after)
    if found is None:
        raise NotFound(f"There is no payment {payment_id}.")
    return found


def _known(payment_id: UUID) -> None:
    if not payments_by(payment_id=payment_id):
        raise NotFound(f"There is no payment {payment_id}.")
