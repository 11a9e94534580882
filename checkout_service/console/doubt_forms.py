"""What operators say of a refund or a capture that is in doubt: it was made, or it was not.

The form is a page of its own, which says what each answer does. The web tier writes the command down, and the worker
carries it out.
"""

from __future__ import annotations

from uuid import UUID

from flask import redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from checkout_service.api.problems import MalformedBody, NotFound
from checkout_service.console import commands
from checkout_service.console.access import for_operators
from checkout_service.console.beside_payment import beside_payment
from checkout_service.console.doubt_queries import Doubt, Doubted, find_doubt
from checkout_service.console.page import ConsoleBlueprint, origin, page
from checkout_service.console.payment_dashboards import dashboard_of_payment
from checkout_service.oversight.payment_history import PaymentNow
from checkout_service.oversight.timeline import timeline_of
from checkout_service.refunds.settling import (
    LONGEST_REFERENCE,
    InvalidReferenceError,
    read_reference,
    waiting_reports,
)

blueprint = ConsoleBlueprint("console_doubts", __name__)


@blueprint.get("/payments/<uuid:payment_id>/refunds/<uuid:refund_id>/settle")
@for_operators
def confirm_refund(payment_id: UUID, refund_id: UUID) -> str:
    """What each answer about a refund would do."""
    doubt, payment = _existing(Doubted.REFUND, payment_id, refund_id), _payment(payment_id)
    return page(
        "refund_settle.html",
        doubt=doubt,
        dashboard=dashboard_of_payment(payment, beside_payment(payment_id)),
        reports=waiting_reports(doubt.provider, payment.provider_ref, amount=doubt.amount, currency=doubt.currency)
        if doubt.settleable
        else (),
        longest_reference=LONGEST_REFERENCE,
    )


@blueprint.post("/payments/<uuid:payment_id>/refunds/<uuid:refund_id>/made")
@for_operators
def refund_was_made(payment_id: UUID, refund_id: UUID) -> AnyResponse:
    """Have the refund recorded as made, under the provider's name for it. Needs a note."""
    given = origin(note_needed=True)
    _existing(Doubted.REFUND, payment_id, refund_id)
    try:
        reference = read_reference(request.form.get("reference", ""))
    except InvalidReferenceError as error:
        raise MalformedBody(f"The reference cannot be used: {error}. Go back and copy it once more.") from error
    commands.settle_refund(payment_id, refund_id=refund_id, reference=reference, origin=given)
    return _back(payment_id)


@blueprint.post("/payments/<uuid:payment_id>/refunds/<uuid:refund_id>/not-made")
@for_operators
def refund_was_not_made(payment_id: UUID, refund_id: UUID) -> AnyResponse:
    """Have the refund ended as failed. Needs a note."""
    given = origin(note_needed=True)
    _existing(Doubted.REFUND, payment_id, refund_id)
    commands.settle_refund(payment_id, refund_id=refund_id, reference=None, origin=given)
    return _back(payment_id)


@blueprint.get("/payments/<uuid:payment_id>/captures/<uuid:request_id>/settle")
@for_operators
def confirm_capture(payment_id: UUID, request_id: UUID) -> str:
    """What it would do to end a capture."""
    doubt = _existing(Doubted.CAPTURE, payment_id, request_id)
    dashboard = dashboard_of_payment(_payment(payment_id), beside_payment(payment_id))
    return page("capture_settle.html", doubt=doubt, dashboard=dashboard)


@blueprint.post("/payments/<uuid:payment_id>/captures/<uuid:request_id>/not-made")
@for_operators
def capture_was_not_made(payment_id: UUID, request_id: UUID) -> AnyResponse:
    """Have the capture ended as failed. Needs a note."""
    given = origin(note_needed=True)
    _existing(Doubted.CAPTURE, payment_id, request_id)
    commands.fail_capture(payment_id, request_id=request_id, origin=given)
    return _back(payment_id)


def _existing(kind: Doubted, payment_id: UUID, row_id: UUID) -> Doubt:
    found = find_doubt(kind, payment_id=payment_id, row_id=row_id)
    if found is None:
        raise NotFound(f"Payment {payment_id} has no {kind.value} {row_id}.")
    return found


def _payment(payment_id: UUID) -> PaymentNow:
    found = timeline_of(payment_id, pages=0)
    if found is None:
        raise NotFound(f"There is no payment {payment_id}.")
    return found.payment


def _back(payment_id: UUID) -> AnyResponse:
    return redirect(url_for("console_payments.show_payment", payment_id=payment_id, _anchor="commands"), 303)
