"""/api/checkout/session: a customer asks to pay, and reads again what was answered."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, current_app

from checkout_service.api import problems
from checkout_service.api.blueprints import Blueprint
from checkout_service.api.callers import caller, guests_too
from checkout_service.api.idempotency_key import REPLAYED, documented, keyed
from checkout_service.api.links import leads_to
from checkout_service.api.responses import LOCATED, json_answer
from checkout_service.at_work import app_at_work, request_at_work
from checkout_service.checkout.bounds import bounds_of
from checkout_service.checkout.operations import open_session
from checkout_service.checkout.queries import session_of, show_session, with_next_action
from checkout_service.checkout.request import Order
from checkout_service.checkout.return_urls import ReturnUrlRefused, check_return_urls
from checkout_service.checkout.schemas import (
    EXAMPLE_READ_SESSION,
    EXAMPLE_SESSION,
    OpenSessionSchema,
    ReadSessionSchema,
    SessionSchema,
)
from checkout_service.settings.values import WebSettings
from checkout_service.telemetry.metrics import sessions_total

blueprint = Blueprint(
    "checkout", __name__, url_prefix="/api/checkout", description="A cart's lines and amount, fixed for one payment."
)


@blueprint.post("/session")
@blueprint.doc(operationId="openCheckoutSession")
@leads_to("getCheckoutSession", "getPayment", "cancelPayment", "adminGetPayment", payment_id="/payment_id")
@guests_too()
@keyed
@blueprint.doc(parameters=[documented("purchase")])
@blueprint.arguments(OpenSessionSchema)
@blueprint.response(201, SessionSchema, example=EXAMPLE_SESSION, headers=LOCATED)
@blueprint.problems(
    problems.MissingIdempotencyKey,
    problems.MalformedIdempotencyKey,
    problems.MalformedBody,
    problems.NotFound,
    problems.TotalChanged,
    problems.CartChanged,
    problems.OutOfStock,
    problems.AmountDiffers,
    problems.Invalid,
    problems.IdempotencyKeyReused,
    ReturnUrlRefused,
    problems.EmptyCart,
    problems.MixedCurrencies,
    problems.TotalTooLarge,
    problems.TooManyAtOnce,
    problems.TooManyOpenSessions,
    problems.TooManyHeldPieces,
    problems.RateLimited,
    problems.ProviderFailed,
    problems.ProviderUnavailable,
    problems.StillInProgress,
    problems.NoProvider,
    problems.DatabaseUnavailable,
)
def post_session(body: dict[str, Any], key: str) -> Response:
    """Open a checkout session

    Freezes the cart's lines and prices, holds their pieces where stock is tracked, opens a payment at the provider and
    answers with what the client pays with: `next_action` says how. The same Idempotency-Key with the same request gets
    the same answer, with `Idempotent-Replayed: true`; how the payment is by then, the two reads tell. Older sessions of
    the same cart are canceled, and their pieces taken over, but for those that somebody has begun to pay:
    `also_under_way` names them.
    """
    extensions = app_at_work().extensions
    settings: WebSettings = extensions["settings"]
    who = caller()
    return_urls = {name: body.get(name) for name in ("return_url", "cancel_url")}
    check_return_urls(return_urls, settings.return_origins)
    opened = open_session(
        order=Order(
            user_id=who.user_id,
            key=key,
            cart_id=body["cart_id"],
            provider=body.get("provider"),
            expected_total=body.get("expected_total"),
            buyer=body.get("buyer"),
            delivery_address=body.get("delivery_address"),
            description=body.get("description"),
            **return_urls,
            bounds=bounds_of(who, request_at_work().environ, settings),
        ),
        providers=extensions["providers"],
        namespace=settings.payment_namespace,
        ttl=settings.session_ttl,
    )
    sessions_total.labels(outcome="replayed" if opened.replayed else "opened").inc()
    headers = {"Cache-Control": "no-store", "Location": f"/api/payments/{opened.answer['payment_id']}"}
    if opened.replayed:
        headers |= REPLAYED
    answer = with_next_action(opened.answer, providers=extensions["providers"])
    return json_answer(answer, status=201, headers=headers)


@blueprint.get("/session/<uuid:payment_id>")
@blueprint.doc(operationId="getCheckoutSession")
@leads_to("getPayment", "cancelPayment", payment_id="/payment_id")
@guests_too(after_merge=True)
@blueprint.response(200, ReadSessionSchema, example=EXAMPLE_READ_SESSION)
@blueprint.problems(problems.NotFound, problems.DatabaseUnavailable)
def read_session(payment_id: UUID) -> Response:
    """Read a checkout session

    What was answered when it was opened, its lines, and its payment's status as it is now, so that a client can go on
    where it was. For its customer alone.
    """
    session = session_of(payment_id=payment_id, user_id=caller().user_id)
    if session is None:
        raise problems.NotFound("There is no such session, or it is not yours.")
    shown = show_session(session, providers=current_app.extensions["providers"])
    return json_answer(shown, headers={"Cache-Control": "no-store"})
