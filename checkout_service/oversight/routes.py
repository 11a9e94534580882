"""POST /api/admin/payments/{id}/acceptances: staff accept what came in place of a payment's amount.

It is an operator command in the audit, which a worker carries out. The other ways out of a mismatch are a refund, and
to leave it as seen.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final
from uuid import UUID, uuid5

from flask import Response
from sqlalchemy import text

from checkout_service.api import problems
from checkout_service.api.blueprints import Blueprint
from checkout_service.api.callers import InsufficientScope, caller, scoped
from checkout_service.api.idempotency_key import REPLAYED, documented, keyed
from checkout_service.api.links import leads_to
from checkout_service.api.responses import LOCATED, json_answer, show_time
from checkout_service.api.scopes import Scope
from checkout_service.commands.models import Action, Door
from checkout_service.commands.operations import KeyTakenError, Origin, accept
from checkout_service.commands.queries import Command, command_by_key
from checkout_service.database.engine import execute
from checkout_service.money import decimals, show
from checkout_service.oversight.schemas import EXAMPLE, AcceptanceSchema, NewAcceptanceSchema

CALLERS: Final = UUID("c1a3f6c4-1c0b-5a52-8a37-0c5b7c1c9d6e")
"""The namespace in which a caller and their Idempotency-Key become the key of a command."""

blueprint = Blueprint(
    "settling",
    __name__,
    url_prefix="/api/admin/payments",
    tag="Payments for staff",
    description="The payments of all customers.",
)

_currency = text("SELECT currency FROM payments WHERE id = :id")


@blueprint.post("/<uuid:payment_id>/acceptances")
@blueprint.doc(operationId="acceptPaymentAmount")
@leads_to("adminGetPayment", payment_id="{payment_id}")
@scoped(Scope.REFUNDS)
@keyed
@blueprint.doc(parameters=[documented("acceptance")])
@blueprint.arguments(NewAcceptanceSchema, example={"amount": "200.00", "why": "agreed by telephone"})
@blueprint.response(
    202, AcceptanceSchema, example=EXAMPLE, description="Written down; a worker does it next", headers=LOCATED
)
@blueprint.problems(
    problems.MissingIdempotencyKey,
    problems.MalformedIdempotencyKey,
    problems.MalformedBody,
    InsufficientScope,
    problems.NotFound,
    problems.Invalid,
    problems.IdempotencyKeyReused,
    problems.DatabaseUnavailable,
)
def post_acceptance(body: dict[str, Any], key: str, payment_id: UUID) -> Response:
    """Accept what came

    Takes the scope `refunds`. The payment is then due this amount in place of its own, which stays what it
    is; the newest acceptance counts. A worker does it, and the payment's `amount_accepted` shows it. The same
    Idempotency-Key gets the same acceptance, with `Idempotent-Replayed: true`, and tells how far it is.
    """
    amount: Decimal = body["amount"]
    rows = execute(_currency, {"id": payment_id})
    if not rows:
        raise problems.NotFound("There is no such payment.")
    currency: str = rows[0].currency
    if amount != round(amount, decimals(currency)):
        raise problems.Invalid(errors=[{"pointer": "/amount", "detail": f"{currency} has no such small unit."}])
    user_id = caller().user_id
    command_key = uuid5(CALLERS, f"{user_id}:{key}")
    before = command_by_key(command_key)
    if before is None:
        origin = Origin(key=command_key, door=Door.API, operator=caller().name, why=body["why"])
        try:
            accept(payment_id, amount=amount, origin=origin)
        except KeyTakenError as error:
            raise problems.IdempotencyKeyReused from error
    command = before or command_by_key(command_key)
    if command is None or not _is_for(command, payment_id, amount, body["why"]):
        raise problems.IdempotencyKeyReused
    headers = {"Cache-Control": "no-store", "Location": f"/api/payments/{payment_id}"}
    shown = _shown(command, payment_id, amount, currency)
    return json_answer(shown, status=202, headers=headers | (REPLAYED if before else {}))


def _is_for(command: Command, payment_id: UUID, amount: Decimal, why: str) -> bool:
    """Whether the command of this key is this request."""
    same = command.action is Action.ACCEPT and command.subject == str(payment_id) and command.why == why
    return same and Decimal(command.details["amount"]) == amount


def _shown(command: Command, payment_id: UUID, amount: Decimal, currency: str) -> dict[str, Any]:
    return {
        "id": str(command.id),
        "payment_id": str(payment_id),
        "amount": show(amount, currency),
        "currency": currency,
        "why": command.why,
        "state": None if command.state is None else command.state.value,
        "message": command.message,
        "created_at": show_time(command.created_at),
    }
