"""POST /api/payments/webhook: takes a provider's webhook, commits it as it came, and wakes a worker."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import orjson
from flask import Blueprint, Response, request

from checkout_service.api.callers import public
from checkout_service.api.problem_documents import slug_of_answer
from checkout_service.api.problems import MalformedBody, NotFound, TooLarge
from checkout_service.api.responses import Finished
from checkout_service.at_work import app_at_work, request_at_work
from checkout_service.providers.registry import provider_specs
from checkout_service.providers.spec import WebhookFormat
from checkout_service.publishing.wake_up import notifier
from checkout_service.server import late_answers
from checkout_service.server.bodies import LARGEST_WEBHOOK, WEBHOOK_PATH, body_as_read
from checkout_service.strict_json import is_object
from checkout_service.telemetry.logs import request_id
from checkout_service.telemetry.metrics import webhook_refused_total
from checkout_service.webhooks.backpressure import Backpressure
from checkout_service.webhooks.committing import Committer
from checkout_service.webhooks.operations import new_webhook

LARGEST_HEADERS: Final = 8 * 1024
"""Characters of the headers that are kept; several times what any provider sends.

What is counted of webhooks are their bodies, so nothing else of them may be large.
"""

_NO_ID: Final = str(UUID(int=0))
"""As long as the id of any row, whose place it takes until there is one."""

blueprint = Blueprint("webhooks", __name__, url_prefix=WEBHOOK_PATH)


@blueprint.post("", defaults={"provider": "mock"})
@blueprint.post("/<provider>")
@public
def receive_webhook(provider: str) -> Response:
    """Commit the webhook, then answer: 202 is a promise.

    Where others are committed at this moment, it is left to be committed with those that come meanwhile.
    """
    environ, extensions = request_at_work().environ, app_at_work().extensions
    spec = provider_specs().get(provider)
    if spec is None or (extensions["settings"].production and not spec.account.production):
        raise NotFound(f"There is no webhook receiver for a provider {provider!r}.")
    webhook_format = spec.webhooks
    body = _read_body(environ)
    _check_kind(webhook_format, body, environ)
    backpressure: Backpressure = extensions["backpressure"]
    backpressure.check()
    webhook = new_webhook(provider=provider, headers=_kept_headers(webhook_format), body=body)
    committer: Committer = extensions["committer"]
    acknowledgement = webhook_format.acknowledgement
    if late_answers.is_possible(environ):
        left = committer.admit(webhook, request_id(), partial(_shown, acknowledgement))
        if left is not None:
            return late_answers.leave(left, partial(_answer, acknowledgement, _NO_ID))
    delivery_id = committer.insert(webhook)
    notifier().notify(delivery_id, request_id())
    return _answer(acknowledgement, delivery_id)


def _answer(acknowledgement: str | None, delivery_id: str) -> Response:
    content = _shown(acknowledgement, delivery_id)
    if acknowledgement is not None:
        return Response(content, mimetype="text/plain")
    return Finished(content, status=202, content_type="application/json")


def _shown(acknowledgement: str | None, delivery_id: str) -> bytes:
    return orjson.dumps({"delivery_id": delivery_id}) if acknowledgement is None else acknowledgement.encode()


def paths_of_webhooks() -> list[str]:
    """The paths to which webhooks are sent, of all providers that there are."""
    return [WEBHOOK_PATH, *(f"{WEBHOOK_PATH}/{provider}" for provider in provider_specs())]


@blueprint.after_request
def _count_refusal(answer: Response) -> Response:
    """Whatever refused it: a view, a check of its head, or that there was no room to read it."""
    if answer.status_code >= HTTPStatus.BAD_REQUEST:
        webhook_refused_total.labels(slug_of_answer() or "unknown").inc()
    return answer


def _read_body(environ: dict[str, Any]) -> bytes:
    body = body_as_read(environ)
    if body is None:
        body = _read_stream()
    if len(body) > LARGEST_WEBHOOK:
        raise TooLarge
    return body


def _read_stream() -> bytes:
    # One more than is taken: a chunked body that is too large would be cut off at the limit without a word.
    request.max_content_length = LARGEST_WEBHOOK + 1
    return request.get_data(cache=False)


def _check_kind(webhook_format: WebhookFormat, body: bytes, environ: dict[str, Any]) -> None:
    """Refuse what no provider of this kind sends, so that noise is not kept; says nothing of verification."""
    kind = webhook_format.kind_of(environ.get("CONTENT_TYPE"))
    if kind is None:
        raise MalformedBody("The Content-Type is of no kind of body that this provider sends.")
    if kind == "json" and not is_object(body):
        raise MalformedBody("The body is not a JSON object.")
    if kind == "form" and b"=" not in body:
        raise MalformedBody("The body is not a form.")


def _kept_headers(webhook_format: WebhookFormat) -> dict[str, str]:
    kept = {name: request.headers[name] for name in webhook_format.headers if name in request.headers}
    if sum(map(len, kept.values())) > LARGEST_HEADERS:
        raise TooLarge("The headers that would be kept with this webhook are too large.")
    return kept | {"x-request-id": request_id()}
