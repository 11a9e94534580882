"""The three ways out of a mismatch, as command lines: accept what came, give it back, or leave it as seen.

And the ways out of a refund or a capture that is in doubt, and of two payments for one cart.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from time import monotonic, sleep
from typing import Final, NamedTuple
from uuid import UUID, uuid4

import click
from flask.cli import with_appcontext
from sqlalchemy import text

from checkout_service.api.problems import Problem
from checkout_service.commands.models import Door, RunState
from checkout_service.commands.operations import Origin, accept, fail_capture, review, settle_refund, take_over
from checkout_service.commands.queries import find_command
from checkout_service.database.engine import execute
from checkout_service.money import InvalidAmountError, parse_amount
from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.refunds.operations import RefundRequest, operator_id, request_refund
from checkout_service.refunds.settling import InvalidReferenceError, read_reference
from checkout_service.tasks import TaskName
from checkout_service.terminal import Id, kept, os_user, printable

PATIENCE: Final = 20.0
"""Seconds after which a command is left to the workers."""

LOOK_EVERY: Final = 0.2

_payment = text("SELECT currency, review_reason, version FROM payments WHERE id = :id")

_captured = text("SELECT payment_id FROM capture_requests WHERE id = :id")

_refunded = text("SELECT payment_id FROM refunds WHERE id = :id")

_operator = click.option("--operator", help="Who you are, for the audit; by default the operating system's user.")
_why = click.option("--why", required=True, help="For the audit.")


class _Payment(NamedTuple):
    currency: str
    review_reason: str | None
    version: int


@click.command("accept")
@with_appcontext
@click.argument("payment_id", type=Id())
@click.option("--amount", required=True, help="What the payment is worth, in its currency: what came, as a rule.")
@_why
@_operator
def accept_amount(payment_id: UUID, amount: str, why: str, operator: str | None) -> None:
    """Accept another amount than was to be paid: what came then counts as all of it. A worker does it.

    The payment's own amount stays what it is, and the newest acceptance counts.
    """
    accepted = _amount(amount, _found(payment_id).currency)
    _await(accept(payment_id, amount=accepted, origin=_origin(operator, why)))


@click.command("review")
@with_appcontext
@click.argument("payment_id", type=Id())
@_why
@_operator
def review_payment(payment_id: UUID, why: str, operator: str | None) -> None:
    """Leave a payment as it is: its reasons were seen. They come back when its money moves. A worker does it."""
    found = _found(payment_id)
    if found.review_reason is None:
        click.echo("There is no reason to look at this payment.")
        return
    origin = _origin(operator, why)
    _await(review(payment_id, reason=found.review_reason, version=found.version, origin=origin))


@click.command("settle-capture")
@with_appcontext
@click.argument("request_id", type=Id())
@click.option(
    "--failed",
    is_flag=True,
    required=True,
    expose_value=False,
    help="It was not made: you saw that in the provider's dashboard.",
)
@_why
@_operator
def settle_capture(request_id: UUID, why: str, operator: str | None) -> None:
    """End a capture that is in doubt, since it was not made: what is authorized is free again. A worker does it.

    One that was made is ended by its webhook: have the provider send that again.
    """
    rows = execute(_captured, {"id": request_id})
    if not rows:
        raise click.ClickException(f"There is no capture {request_id}.")
    _await(fail_capture(rows[0].payment_id, request_id=request_id, origin=_origin(operator, why)))


@click.command("settle-refund")
@with_appcontext
@click.argument("refund_id", type=Id())
@click.option("--made", "reference", help="It was made, and the provider calls it so: you saw that in its dashboard.")
@click.option("--not-made", is_flag=True, help="It was not made: you saw that in the provider's dashboard.")
@_why
@_operator
def settle_refund_in_doubt(
    refund_id: UUID, reference: str | None, not_made: bool, why: str, operator: str | None
) -> None:
    """End a refund that is in doubt: it was made, or it was not and may be asked for again. A worker does it."""
    if (reference is None) is not not_made:
        raise click.UsageError("Say either --made with the provider's reference, or --not-made.")
    try:
        named = None if reference is None else read_reference(reference)
    except InvalidReferenceError as error:
        raise click.UsageError(f"--made: {error}") from error
    rows = execute(_refunded, {"id": refund_id})
    if not rows:
        raise click.ClickException(f"There is no refund {refund_id}.")
    origin = _origin(operator, why)
    _await(settle_refund(rows[0].payment_id, refund_id=refund_id, reference=named, origin=origin))


@click.command("take-over")
@with_appcontext
@click.option("--payment", "payment_id", type=Id(), required=True, help="The payment that gets the order.")
@_why
@_operator
def take_over_order(payment_id: UUID, why: str, operator: str | None) -> None:
    """Give the order of a cart that was paid twice to the other payment. A worker does it.

    It is then of what that payment's session sealed, and keeps its number. Not where something of it was fulfilled, or
    given back by line.
    """
    _found(payment_id)
    _await(take_over(payment_id, origin=_origin(operator, why)))


@click.command("refund")
@with_appcontext
@click.argument("payment_id", type=Id())
@click.option("--amount", help="In the payment's currency; without it, all that is left.")
@click.option("--capture", "capture_id", type=Id(), help="Of this capture alone; its id is in `payments show`.")
@click.option("--why", help="For the books, and passed on to the provider.")
@click.option("--key", help="The Idempotency-Key: the same key for each retry; made up where none is given.")
@click.option(
    "--operator",
    help="Who asks, by default the operating system's user: for the same one the same key gets the same refund.",
)
def refund_payment(
    payment_id: UUID,
    amount: str | None,
    capture_id: UUID | None,
    why: str | None,
    key: str | None,
    operator: str | None,
) -> None:
    """Ask for a refund, as the API does: a worker then sends it to the provider."""
    found = _found(payment_id)
    request = RefundRequest(
        payment_id=payment_id,
        requested_by=operator_id(operator or os_user()),
        key=key or uuid4().hex,
        amount=None if amount is None else _amount(amount, found.currency),
        reason=None if why is None else kept(why),
        capture_id=capture_id,
    )
    try:
        given = request_refund(request)
    except Problem as problem:
        raise click.ClickException(
            " ".join(error["detail"] for error in problem.errors or ()) or problem.detail
        ) from problem
    refund = given.refund
    if not given.replayed:
        _wake(given.ids)
    again = "was asked for before" if given.replayed else "is asked for"
    click.echo(f"{refund['id']}: {refund['amount']} {refund['currency']} {again}, with the key {request.key}.")


def _found(payment_id: UUID) -> _Payment:
    rows = execute(_payment, {"id": payment_id})
    if not rows:
        raise click.ClickException(f"There is no payment {payment_id}.")
    return _Payment._make(rows[0])


def _amount(given: str, currency: str) -> Decimal:
    try:
        amount = parse_amount(given, currency)
    except InvalidAmountError as error:
        raise click.UsageError(f"--amount: {error}") from error
    if amount == 0:
        raise click.UsageError("--amount: it is of more than nothing")
    return amount


def _origin(operator: str | None, why: str) -> Origin:
    return Origin(key=uuid4(), door=Door.CLI, operator=printable(operator or os_user()), why=kept(why))


def _await(command_id: UUID) -> None:
    """Say what came of the command, or that a worker will come to it."""
    until = monotonic() + PATIENCE
    while (command := find_command(command_id)) is not None and command.open and monotonic() < until:
        sleep(LOOK_EVERY)
    if command is None or command.open:
        raise click.ClickException(
            f"No worker came to it within {PATIENCE:.0f} s. Command {command_id} is kept, and is carried out as soon "
            "as workers run."
        )
    if command.state is RunState.REFUSED:
        raise click.ClickException(f"Command {command_id} was refused: {command.message}.")
    click.echo(f"Done: {command.message}.")


def _wake(refund_ids: Sequence[UUID]) -> None:
    """Send the worker's messages; the sweep finds the refunds without them."""
    try:
        for refund_id in refund_ids:
            task_queue().enqueue(TaskName.REFUND_PAYMENT, str(refund_id))
    except QueueUnavailableError:
        click.echo("The broker does not answer: the worker finds the refund when it is back.", err=True)
