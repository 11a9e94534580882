"""Gives commands from the console's forms: what can go wrong is answered as a problem.

A form's key is made when the form is shown, so a form that is sent twice is one command.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from uuid import UUID

from checkout_service.api.problems import Problem, Unavailable
from checkout_service.commands import operations
from checkout_service.commands.operations import KeyTakenError, Origin
from checkout_service.publishing.publisher import QueueUnavailableError
from checkout_service.webhooks.selection import Choice


class CommandNotSent(Unavailable):
    """The command is in the audit, but no message was sent; to send the form again does no harm."""

    slug = "command-not-sent"
    title = "The broker does not answer"
    default_detail = "Your command is kept in the audit, but no worker was told. One finds it within seconds."


class KeyTaken(Problem):
    """The key of a form belongs to another command; only somebody who makes keys up comes here."""

    status = 409
    slug = "command-key-taken"
    title = "This form was used before"
    default_detail = "Another command was sent with this form. Go back, reload the page, and try again."


def process(delivery_id: UUID, *, origin: Origin) -> UUID:
    """Have one webhook processed (again), as Flower's Retry does; the id of the task.

    Raises CommandNotSent, KeyTaken and DatabaseUnavailableError.
    """
    with _problems():
        return operations.process(delivery_id, origin=origin)


def process_all(choice: Choice, *, counted: int, origin: Origin) -> UUID:
    """Have all webhooks of the choice processed that are there now; the command's id. Raises as all of these do."""
    with _problems():
        return operations.process_all(choice.to_details(), counted=counted, origin=origin)


def stop(command_id: UUID, *, origin: Origin) -> None:
    """Have no further webhook of a replay taken."""
    with _problems():
        operations.stop(command_id, origin=origin)


def look_up(payment_id: UUID, *, origin: Origin) -> UUID:
    """Have the worker ask the provider about a payment; the command's id."""
    with _problems():
        return operations.look_up(payment_id, origin=origin)


def review(payment_id: UUID, *, reason: str, version: int | None, origin: Origin) -> UUID:
    """Have the worker note that a person saw these reasons of a payment in this version; the command's id."""
    with _problems():
        return operations.review(payment_id, reason=reason, version=version, origin=origin)


def accept(payment_id: UUID, *, amount: Decimal, origin: Origin) -> UUID:
    """Have the worker accept an amount, of the payment's currency, as the whole price; the command's id."""
    with _problems():
        return operations.accept(payment_id, amount=amount, origin=origin)


def settle_refund(payment_id: UUID, *, refund_id: UUID, reference: str | None, origin: Origin) -> UUID:
    """Have the worker end a refund that is in doubt: made where there is a reference, else failed; the command's id."""
    with _problems():
        return operations.settle_refund(payment_id, refund_id=refund_id, reference=reference, origin=origin)


def fail_capture(payment_id: UUID, *, request_id: UUID, origin: Origin) -> UUID:
    """Have the worker end a capture that is in doubt as failed; the command's id."""
    with _problems():
        return operations.fail_capture(payment_id, request_id=request_id, origin=origin)


def cancel(payment_id: UUID, *, requested_by: UUID, origin: Origin) -> UUID:
    """Have the worker ask the provider to cancel a payment; the command's id."""
    with _problems():
        return operations.cancel(payment_id, requested_by=requested_by, origin=origin)


def take_over(payment_id: UUID, *, origin: Origin) -> UUID:
    """Have the worker give this payment the order of another for the same filling of the cart; the command's id."""
    with _problems():
        return operations.take_over(payment_id, origin=origin)


@contextmanager
def _problems() -> Iterator[None]:
    try:
        yield
    except KeyTakenError as error:
        raise KeyTaken from error
    except QueueUnavailableError as error:
        raise CommandNotSent from error
