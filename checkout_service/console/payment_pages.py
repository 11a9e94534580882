"""GET /ops/payments: the list of payments, and one in full with its timeline and the commands for it."""

from __future__ import annotations

from uuid import UUID

from flask import redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from checkout_service.api.problems import MalformedBody, NotFound
from checkout_service.commands.queries import commands_about
from checkout_service.console import commands
from checkout_service.console.access import for_operators
from checkout_service.console.filters import read_id, read_payment_filter, read_place
from checkout_service.console.page import ConsoleBlueprint, address, awaited, origin, page
from checkout_service.console.payment_queries import payment_by, payments_page
from checkout_service.oversight.operator_phrases import phrase
from checkout_service.oversight.timeline import Timeline, timeline_of
from checkout_service.payments.status import PaymentStatus

blueprint = ConsoleBlueprint("console_payments", __name__)

PAGES_SEARCHED = 2
"""Pages of webhooks that one view of a payment looks through for those that only their bytes tie to it."""


@blueprint.get("/payments")
@for_operators
def show_payments() -> str | AnyResponse:
    """Payments, newest first; or straight to the one that was looked for."""
    sought = (request.args.get("find") or "").strip()[:200].replace("\0", "")
    if sought:
        found = payment_by(payment_id=read_id(sought), provider_ref=sought)
        if found is not None:
            return redirect(url_for("console_payments.show_payment", payment_id=found))
    chosen = read_payment_filter(request.args)
    rows = payments_page(chosen, read_place(request.args))
    place = {"newer": ("after", rows.newer), "older": ("before", rows.older)}
    addresses = {
        name: address("console_payments.show_payments", chosen.given, **{way: edge}) if edge else None
        for name, (way, edge) in place.items()
    }
    moved = bool(request.args.keys() & {"before", "after"})
    return page(
        "payments.html",
        filters=chosen,
        sought=sought,
        rows=rows.rows,
        statuses=[status.value for status in PaymentStatus],
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
    return page(
        "payment.html",
        payment=found.payment,
        entries=list(map(phrase, found.entries)),
        looked_until=found.looked_until,
        beyond=read_id(request.args.get("beyond")),
        commands=history,
        again=awaited(history),
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
    commands.review(payment_id, reason=reason, origin=given)
    return redirect(url_for("console_payments.show_payment", payment_id=payment_id, _anchor="commands"), 303)


def _found(payment_id: UUID, *, after: UUID | None) -> Timeline:
    found = timeline_of(payment_id, pages=PAGES_SEARCHED, after=after)
    if found is None:
        raise NotFound(f"There is no payment {payment_id}.")
    return found


def _known(payment_id: UUID) -> None:
    if payment_by(payment_id=payment_id) is None:
        raise NotFound(f"There is no payment {payment_id}.")
