"""POST /api/payments/webhook: takes a provider's webhook, files it unopened, and rings."""

from __future__ import annotations

import json
from typing import Final

import orjson
from flask import Blueprint, Response, current_app, request

from checkout_service.api.callers import public
from checkout_service.api.problems import MalformedBody, NotFound, TooLarge
from checkout_service.api.responses import json_answer
from checkout_service.providers.base import WEBHOOK_FORMATS, WebhookFormat
from checkout_service.publishing.wake_up import notifier
from checkout_service.server.bodies import LARGEST_WEBHOOK, WEBHOOK_PATH
from checkout_service.telemetry.logs import request_id
from checkout_service.webhooks.backpressure import Backpressure
from checkout_service.webhooks.operations import insert_webhook

LARGEST_HEADERS: Final = 8 * 1024
"""Characters of signatures and the like; several times what any provider sends.

Webhooks are counted by their bodies.
"""

blueprint = Blueprint("webhooks", __name__, url_prefix=WEBHOOK_PATH)


@blueprint.post("", defaults={"provider": "mock"})
@blueprint.post("/<provider>")
@public
def receive_webhook(provider: str) -> Response:
    """Commit the webhook, then answer: 202 is a promise."""
    webhook_format = WEBHOOK_FORMATS.get(provider)
    if webhook_format is None or (current_app.extensions["settings"].production and not webhook_format.production):
        raise NotFound(f"There is no webhook receiver for a provider {provider!r}.")
    body = _read_body()
    _check_kind(webhook_format, body)
    backpressure: Backpressure = current_app.extensions["backpressure"]
    backpressure.check()
    delivery_id = insert_webhook(provider=provider, headers=_kept_headers(webhook_format), body=body)
    notifier().notify(delivery_id, request_id())
    if webhook_format.acknowledgement is not None:
        return Response(webhook_format.acknowledgement, mimetype="text/plain")
    return json_answer({"delivery_id": delivery_id}, status=202)


def _read_body() -> bytes:
    # One more than is taken: a chunked body that is too large would be cut off at the limit without a word.
    request.max_content_length = LARGEST_WEBHOOK + 1
    body = request.get_data(cache=False)
    if len(body) > LARGEST_WEBHOOK:
        raise TooLarge
    return body


def _check_kind(webhook_format: WebhookFormat, body: bytes) -> None:
    """Refuse what no provider of this kind sends, so that noise is not kept; says nothing of verification."""
    if webhook_format.body == "json" and not _is_object(body):
        raise MalformedBody("The body is not a JSON object.")
    if webhook_format.body == "form" and b"=" not in body:
        raise MalformedBody("The body is not a form.")


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(orjson.loads(body), dict)
    except orjson.JSONDecodeError:
        pass
    # orjson is stricter than some providers' writers (a lone surrogate in a name): a second opinion before refusing.
    try:
        return isinstance(json.loads(body.decode("utf-8"), parse_constant=_no_number), dict)
    except (ValueError, RecursionError):
        return False


def _no_number(text: str) -> None:
    raise ValueError(text)  # NaN and Infinity, which Python reads and JSON does not know (RFC 8259, section 6)


def _kept_headers(webhook_format: WebhookFormat) -> dict[str, str]:
    kept = {name: request.headers[name] for name in webhook_format.headers if name in request.headers}
    if sum(map(len, kept.values())) > LARGEST_HEADERS:
        raise TooLarge("The headers that would be kept with this webhook are too large.")
    return kept | {"x-request-id": request_id()}
