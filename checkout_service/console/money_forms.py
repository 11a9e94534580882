"""What operators ask of a payment's money besides a refund: to capture it, to release it, to cancel the payment.

By the same operations as the API: a row each, under the operator's id, with the form's key as the Idempotency-Key. Each
form is a page of its own, which says what would happen.
"""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from uuid import UUID

from flask import current_app, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from checkout_service.api.problems import MalformedBody, NotFound
from checkout_service.captures.operations import (
    CaptureOrder,
    VoidOrder,
    captures_several,
    request_capture,
    request_void,
)
from checkout_service.captures.queries import Capturable, capturable
from checkout_service.console import commands
from checkout_service.console.access import RoleMissing, for_operators, operator
from checkout_service.console.filters import UnreadableError, read_id, read_sum
from checkout_service.console.page import ConsoleBlueprint, origin, page
from checkout_service.console.roles import role_for_command
from checkout_service.oversight.payment_history import PaymentNow
from checkout_service.oversight.timeline import timeline_of
from checkout_service.payments.cancel_requests import NoLongerOpen
from checkout_service.payments.status import PaymentStatus
from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.refunds.operations import operator_id
from checkout_service.settings.values import WebSettings
from checkout_service.tasks import TaskName
from checkout_service.telemetry.metrics import capture_requests_total, void_requests_total

blueprint = ConsoleBlueprint("console_money", __name__)


@blueprint.get("/payments/<uuid:payment_id>/capture")
@for_operators
def confirm_capture(payment_id: UUID) -> str:
    """What is authorized, and what to capture of it would release."""
    payment, found = _payment(payment_id), _capturable(payment_id)
    several = captures_several(payment.provider, _settings().accounts)
    open_ones = [] if found.voiding else found.authorizations
    return page(
        "payment_capture.html",
        payment=payment,
        authorizations=open_ones,
        several=several,
        may_release=may_release(),
    )


@blueprint.post("/payments/<uuid:payment_id>/capture")
@for_operators
def capture_payment(payment_id: UUID) -> AnyResponse:
    """Ask for what is authorized to be captured. Needs a note, and a refunder where the rest would be released."""
    given = origin(note_needed=True)
    payment = _payment(payment_id)
    amount, final = _amount(payment.currency), "final" in request.form
    # All that is open leaves no rest. By what the form says alone: what is open may change until the request is made.
    if amount is not None and (final or not captures_several(payment.provider, _settings().accounts)):
        _check_may_release()
    done = request_capture(
        CaptureOrder(
            payment_id=payment_id,
            requested_by=operator_id(given.operator),
            key=str(given.key),
            amount=amount,
            final=True if final else None,
            authorization_id=read_id(request.form.get("authorization")),
        ),
        _settings().accounts,
        origin=given,
    )
    capture_requests_total.labels("replayed" if done.replayed else "taken").inc()
    _send(TaskName.CAPTURE_PAYMENT, done.answer["id"])
    return _back(payment_id)


@blueprint.get("/payments/<uuid:payment_id>/void")
@for_operators
def confirm_void(payment_id: UUID) -> str:
    """What it means to release what is authorized."""
    return page("payment_void.html", payment=_payment(payment_id))


@blueprint.post("/payments/<uuid:payment_id>/void")
@for_operators
def void_payment(payment_id: UUID) -> AnyResponse:
    """Ask for what is authorized to be released. Needs a note."""
    given = origin(note_needed=True)
    _payment(payment_id)
    order = VoidOrder(payment_id=payment_id, requested_by=operator_id(given.operator), key=str(given.key))
    done = request_void(order, origin=given)
    void_requests_total.labels("replayed" if done.replayed else "taken").inc()
    _send(TaskName.VOID_PAYMENT, done.answer["id"])
    return _back(payment_id)


@blueprint.get("/payments/<uuid:payment_id>/cancel")
@for_operators
def confirm_cancellation(payment_id: UUID) -> str:
    """What it means to cancel a payment that is open."""
    payment = _payment(payment_id)
    return page("payment_cancel.html", payment=payment, allowed=may_be_canceled(payment))


@blueprint.post("/payments/<uuid:payment_id>/cancel")
@for_operators
def cancel_payment(payment_id: UUID) -> AnyResponse:
    """Have the payment canceled at its provider. Needs a note."""
    given = origin(note_needed=True)
    payment = _payment(payment_id)
    if not may_be_canceled(payment):
        raise NoLongerOpen(payment_status=payment.status.value)
    commands.cancel(payment_id, requested_by=operator_id(given.operator), origin=given)
    return redirect(url_for("console_payments.show_payment", payment_id=payment_id, _anchor="commands"), 303)


def may_be_canceled(payment: PaymentNow) -> bool:
    """Whether a request to cancel makes sense now; the worker judges once more."""
    return payment.status.open and payment.status is not PaymentStatus.AUTHORIZED


def may_release() -> bool:
    """Whether whoever is at the console may let go what is authorized."""
    return operator().may("console_money.void_payment")


def _check_may_release() -> None:
    """Raises RoleMissing unless they may: to capture less and release the rest is to release."""
    if not may_release():
        raise RoleMissing(operator(), role_for_command("console_money.void_payment"))


def _settings() -> WebSettings:
    settings: WebSettings = current_app.extensions["settings"]
    return settings


def _payment(payment_id: UUID) -> PaymentNow:
    found = timeline_of(payment_id, pages=0)
    if found is None:
        raise NotFound(f"There is no payment {payment_id}.")
    return found.payment


def _capturable(payment_id: UUID) -> Capturable:
    # By a key that nobody has: what is open, and no request.
    found = capturable(payment_id=payment_id, requested_by=operator_id(""), key="")
    if found is None:
        raise NotFound(f"There is no payment {payment_id}.")
    return found


def _amount(currency: str) -> Decimal | None:
    """The amount in the form, of this currency; None for all that is open."""
    typed = request.form.get("amount", "").strip()
    if not typed:
        return None
    try:
        amount, other = read_sum(f"{typed} {currency}" if typed[-1].isdigit() else typed)
    except UnreadableError as error:
        raise MalformedBody(f"{error} Go back and write it again.") from error
    if other != currency or amount <= 0:
        raise MalformedBody(f"This is no amount of {currency}. Go back and write it again.")
    return amount


def _send(task: TaskName, row_id: str) -> None:
    with suppress(QueueUnavailableError):  # the sweep finds it without
        task_queue().enqueue(task, row_id)


def _back(payment_id: UUID) -> AnyResponse:
    return redirect(url_for("console_payments.show_payment", payment_id=payment_id), 303)
