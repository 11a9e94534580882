"""POST /api/payments/webhook: takes a provider's letter, files it unopened, and rings."""

from __future__ import annotations

import json
from typing import Final

import orjson
from flask import Blueprint, Response, current_app, request

from checkout_service.api.callers import public
from checkout_service.api.problems import MalformedBody, NotFound, TooLarge
from checkout_service.api.responses import json_answer
from checkout_service.providers.base import LETTERHEADS, Letterhead
from checkout_service.publishing.wake_up import notifier
from checkout_service.server.bodies import LARGEST_LETTER, LETTERBOX
from checkout_service.telemetry.logs import request_id
from checkout_service.webhooks.backpressure import Pressure
from checkout_service.webhooks.operations import file_letter

LARGEST_HEADERS: Final = 8 * 1024
"""Characters of signatures and the like; several times what any provider sends. Letters are counted by their bodies."""

blueprint = Blueprint("webhooks", __name__, url_prefix=LETTERBOX)


@blueprint.post("", defaults={"provider": "mock"})
@blueprint.post("/<provider>")
@public
def take_letter(provider: str) -> Response:
    """Commit the letter, then answer: 202 is a promise."""
    letterhead = LETTERHEADS.get(provider)
    if letterhead is None or (current_app.extensions["settings"].production and not letterhead.production):
        raise NotFound(f"There is no letterbox for a provider {provider!r}.")
    body = _read_body()
    _check_kind(letterhead, body)
    pressure: Pressure = current_app.extensions["pressure"]
    pressure.check()
    delivery_id = file_letter(provider=provider, headers=_kept_headers(letterhead), body=body)
    notifier().notify(delivery_id, request_id())
    if letterhead.acknowledgement is not None:
        return Response(letterhead.acknowledgement, mimetype="text/plain")
    return json_answer({"delivery_id": delivery_id}, status=202)


def _read_body() -> bytes:
    # One more than is taken: a chunked body that is too large would be cut off at the limit without a word.
    request.max_content_length = LARGEST_LETTER + 1
    body = request.get_data(cache=False)
    if len(body) > LARGEST_LETTER:
        raise TooLarge
    return body


def _check_kind(letterhead: Letterhead, body: bytes) -> None:
    """Refuse what no provider of this kind sends, so that noise is not kept; says nothing of genuineness."""
    if letterhead.body == "json" and not _is_object(body):
        raise MalformedBody("The body is not a JSON object.")
    if letterhead.body == "form" and b"=" not in body:
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


def _kept_headers(letterhead: Letterhead) -> dict[str, str]:
    kept = {name: request.headers[name] for name in letterhead.headers if name in request.headers}
    if sum(map(len, kept.values())) > LARGEST_HEADERS:
        raise TooLarge("The headers that would be kept with this webhook are too large.")
    return kept | {"x-request-id": request_id()}
