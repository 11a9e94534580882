"""POST /api/checkout/session: a customer asks to pay."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, request

from checkout_service.api import problems
from checkout_service.api.blueprints import Blueprint
from checkout_service.api.callers import caller
from checkout_service.api.idempotency_key import REPLAYED, documented, keyed
from checkout_service.api.responses import json_answer
from checkout_service.checkout.bounds import bounds_of
from checkout_service.checkout.operations import Order, open_session
from checkout_service.checkout.schemas import OpenSessionSchema, SessionSchema
from checkout_service.settings.values import WebSettings
from checkout_service.telemetry.metrics import sessions_total

blueprint = Blueprint("checkout", __name__, url_prefix="/api/checkout", description="A cart frozen into a promise")


@blueprint.post("/session")
@keyed
@blueprint.doc(parameters=[documented("purchase")])
@blueprint.arguments(OpenSessionSchema)
@blueprint.response(201, SessionSchema)
@blueprint.problems(
    problems.MissingIdempotencyKey,
    problems.MalformedIdempotencyKey,
    problems.MalformedBody,
    problems.NotFound,
    problems.TotalChanged,
    problems.CartChanged,
    problems.AmountDiffers,
    problems.Invalid,
    problems.IdempotencyKeyReused,
    problems.EmptyCart,
    problems.MixedCurrencies,
    problems.TotalTooLarge,
    problems.TooManyAtOnce,
    problems.TooManyOpenSessions,
    problems.ProviderFailed,
    problems.ProviderUnavailable,
    problems.StillInProgress,
    problems.NoProvider,
    problems.DatabaseUnavailable,
)
def post_session(body: dict[str, Any], key: str) -> Response:
    """Open a checkout session

    Freezes the cart's lines and prices, opens a payment at the provider and answers with what the client pays with.
    The same Idempotency-Key with the same request gets the same answer, with `Idempotent-Replayed: true`.
    """
    settings: WebSettings = current_app.extensions["settings"]
    opened = open_session(
        order=Order(
            user_id=caller().user_id,
            key=key,
            cart_id=body["cart_id"],
            provider=body.get("provider"),
            expected_total=body.get("expected_total"),
            bounds=bounds_of(caller(), request.environ, settings),
        ),
        providers=current_app.extensions["providers"],
        namespace=settings.payment_namespace,
        ttl=settings.session_ttl,
    )
    sessions_total.labels(outcome="replayed" if opened.replayed else "opened").inc()
    headers = {"Cache-Control": "no-store", "Location": f"/api/payments/{opened.answer['payment_id']}"}
    if opened.replayed:
        headers |= REPLAYED
    return json_answer(opened.answer, status=201, headers=headers)
