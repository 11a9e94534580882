"""The OpenAPI document, and a page to read it and try it. All of it is served from here, without inline scripts."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import flask_swagger_ui
import orjson
from flask import Blueprint, Flask, Response, current_app, request

from checkout_service.api.blueprints import Api
from checkout_service.api.callers import public
from checkout_service.api.compressing import compressed, offer
from checkout_service.api.documented_problems import common_responses, problem_schemas, responses_of
from checkout_service.api.problem_documents import ProblemSchema
from checkout_service.api.problems import NotFound, Problem

blueprint = Blueprint("docs", __name__, url_prefix="/api")

_AGAIN: Final = {"Cache-Control": "public, no-cache"}
"""Nothing here is anybody's own. A new version is seen at once."""

ASSETS: Final = frozenset({"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"})

_FOLDER: Final = Path(flask_swagger_ui.__file__).parent / "dist"

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

# Paths are relative, so that the page also works below a prefix that a proxy adds.
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Checkout service: API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="stylesheet" href="docs/page.css">
<script defer src="docs/swagger-ui-bundle.js"></script>
<script defer src="docs/start.js"></script>
</head>
<body><div id="swagger-ui"></div></body>
</html>
"""

# Without validatorUrl the page would send the document's address to a validator on the internet.
_START: Final = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
// What Swagger UI scrolls cannot be scrolled by keyboard, and its choices have no names.
new MutationObserver(() => {
  for (const box of document.querySelectorAll(".microlight, .curl")) box.tabIndex = 0;
  for (const field of document.querySelectorAll("select:not([aria-label]), textarea:not([aria-label])")) {
    field.setAttribute("aria-label", field.localName === "textarea" ? "Body" : "Example");
  }
  for (const cross of document.querySelectorAll(".close-modal:not([aria-label])")) {
    cross.setAttribute("aria-label", "Close");
  }
  // A link within a button cannot be reached; the button does what it would.
  for (const link of document.querySelectorAll(".opblock-summary-control a[href]")) link.removeAttribute("href");
  // A level of headings is left out between the page's own and the rest.
  for (const heading of document.querySelectorAll("h3:not([aria-level]), h4:not([aria-level]), h5:not([aria-level])")) {
    heading.ariaLevel = heading.matches(".models > h4") ? 2 : heading.localName[1] - 1;
  }
  for (const table of document.querySelectorAll("table.responses-table:not([aria-label])")) {
    table.ariaLabel = table.id.replaceAll("_", " ");
  }
  // What stands outside of the main part belongs to a part with a name.
  for (const [part, role, name] of [
    [".information-container", "region", "About"],
    [".schemes-server-container", "region", "Servers"],
    [".modal-ux", "dialog", "Authorizations"],
  ]) {
    const found = document.querySelector(part);
    if (found && !found.role) Object.assign(found, { role, ariaLabel: name });
  }
  // The fields of two schemes have one id and one name there.
  for (const box of document.querySelectorAll(".auth-container")) {
    const field = box.querySelector("#auth-bearer-value");
    const scheme = box.querySelector("h4 code")?.textContent;
    if (!field || !scheme) continue;
    const label = box.querySelector("label[for=auth-bearer-value]");
    field.id = "token-of-" + scheme;
    field.setAttribute("aria-label", "Token of " + scheme);
    if (label) label.htmlFor = field.id;
  }
}).observe(document.getElementById("swagger-ui"), { childList: true, subtree: true });
"""

# Swagger UI's own colours are too pale to be read by everybody (WCAG 2.2, 1.4.3).
_STYLE: Final = """body { margin: 0; }
.swagger-ui .info .title small, .swagger-ui .info .title small.version-stamp { background: #3d4451; }
.swagger-ui .info .title small.version-stamp { background: #3f5c02; }
.swagger-ui .info a, .swagger-ui .info .base-url, .swagger-ui a.nostyle { color: #1d4f91; }
.swagger-ui .btn.authorize { color: #17603a; border-color: #17603a; }
.swagger-ui .btn.authorize svg { fill: #17603a; }
.swagger-ui .btn.cancel { color: #a01e2b; border-color: #a01e2b; }
.swagger-ui .btn.execute { background: #1d4f91; border-color: #1d4f91; }
.swagger-ui .opblock.opblock-get .opblock-summary-method { background: #1d4f91; }
.swagger-ui .download-contents { background: #3d4451; }
.swagger-ui .opblock.opblock-post .opblock-summary-method { background: #17603a; }
.swagger-ui .opblock.opblock-patch .opblock-summary-method { background: #0b5e5e; }
.swagger-ui .opblock.opblock-delete .opblock-summary-method { background: #a01e2b; }
.swagger-ui .markdown code, .swagger-ui .renderedMarkdown code { color: #6a2c91; }
.swagger-ui .parameter__name.required::after, .swagger-ui .parameter__name.required span { color: #a01e2b; }
.swagger-ui .parameter__in, .swagger-ui .prop-format, .swagger-ui .response-col_links { color: #4a4e5a; }
.swagger-ui .response-control-media-type__accept-message { color: #17603a; }
.swagger-ui .json-schema-2020-12__attribute, .swagger-ui .json-schema-2020-12-expand-deep-button { color: #4a4e5a; }
.swagger-ui .json-schema-2020-12__attribute--primary { color: #1d4f91; }
.swagger-ui .opblock-body { overflow-x: auto; }
.swagger-ui .opblock-summary-path a { display: inline-block; min-height: 1.5rem; line-height: 1.5rem; }
.swagger-ui .microlight span[style*="211, 99, 99"] { color: #f2a5a5 !important; }
.swagger-ui :focus-visible { outline: 3px solid #1d4f91; outline-offset: 2px; }
"""


def static_page() -> dict[str, str]:
    """The page as files, by path, for a site that has ``ASSETS`` under docs/ and the document as openapi.json."""
    return {"index.html": _PAGE, "docs/start.js": _START, "docs/page.css": _STYLE}


_REQUEST_ID: Final = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}

_TAG: Final = "Provider webhooks"

_RECEIVER: Final[dict[str, Any]] = {
    "summary": "Receive a provider's webhook",
    "description": "Stores the webhook as it came and answers. 202 means that it is stored, not that it is verified. "
    "The body below is the mock provider's; each provider sends its own. In its raw_data, attempt, capture_ref, "
    "refund_ref, dispute_ref, stage and step may name what it is about.",
    "tags": [_TAG],
    "security": [],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "example": {
                    "provider_ref": "mock_pi_6a1f0c3f5f0e5d7c9f3b1d2e4c5a6b7d",
                    "status": "paid",
                    "raw_data": {"event_id": "evt_1", "amount": "240.00", "currency": "USD"},
                    "signature": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                },
            }
        },
    },
    "responses": {
        "202": {
            "description": "Stored",
            "headers": {**_REQUEST_ID},
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["delivery_id"],
                        "properties": {"delivery_id": {"type": "string", "format": "uuid"}},
                    },
                    "example": {"delivery_id": "019ab1f4-2f6e-7c1a-9f55-0b9f5a3c8d21"},
                }
            },
        },
    },
}


def init_app(app: Flask, api: Api, *, acknowledgements: Mapping[str, str], refusals: Iterable[type[Problem]]) -> None:
    """Serve the API's document. Must come after every room has registered its routes.

    ``acknowledgements`` are the texts that some providers want in answer to a webhook, by the provider's name;
    ``refusals`` are the problems of the webhook receiver.
    """
    api.spec.components.schema("Problem", schema=ProblemSchema)
    for name, response in common_responses():
        api.spec.components.response(name, response)
    for name, schema in problem_schemas():
        api.spec.components.schema(name, schema)
    api.tags[_TAG] = "What payment providers report, taken as it comes."
    # The webhook receiver is a plain Flask view, because it has to be fast. So it is described by hand.
    for rule in app.url_map.iter_rules("webhooks.receive_webhook"):
        named = "provider" in rule.arguments and not rule.defaults
        operation = {**_RECEIVER, "operationId": "receiveWebhook" if named else "receiveMockWebhook"}
        operation["responses"] = _RECEIVER["responses"] | responses_of(refusals, takes_body=True, token=False)
        if named and acknowledgements:
            operation["responses"] = {"200": _acknowledged(acknowledgements), **operation["responses"]}
        api.spec.path(rule=rule, operations={"post": operation})
    # Read once: as many as read the largest, of 1.6 MiB, would each have held one of their own.
    found = {name: (_FOLDER / name).read_bytes() for name in ASSETS}
    app.extensions["swagger_ui"] = {
        name: (content, hashlib.sha256(content).hexdigest()[:16]) for name, content in found.items()
    }
    content = app.extensions["openapi"] = orjson.dumps(api.document())
    app.extensions["openapi_digest"] = hashlib.sha256(content).hexdigest()[:16]
    app.register_blueprint(blueprint)


def _acknowledged(texts: Mapping[str, str]) -> dict[str, Any]:
    """The answer to providers that want a text in place of our 202."""
    return {
        "description": f"Stored, in the words that {', '.join(sorted(texts))} waits for",
        "headers": {**_REQUEST_ID},
        "content": {
            "text/plain": {
                "schema": {"type": "string", "enum": sorted(set(texts.values()))},
                "examples": {name: {"value": text} for name, text in sorted(texts.items())},
            }
        },
    }


@blueprint.get("/openapi.json")
@public
@compressed
def show_document() -> Response:
    """The API as an OpenAPI 3.1 document."""
    content: bytes = current_app.extensions["openapi"]
    offer(content)
    answer = Response(content, headers=_AGAIN, content_type="application/json")
    answer.set_etag(current_app.extensions["openapi_digest"], weak=True)
    answer.make_conditional(request)
    return answer


@blueprint.get("/docs")
@public
@compressed
def show_page() -> Response:
    """The document as a page."""
    headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}
    return Response(_PAGE, headers=headers | _AGAIN, content_type="text/html; charset=utf-8")


@blueprint.get("/docs/start.js")
@public
def show_start() -> Response:
    """The page's only script of our own."""
    return Response(_START, headers=_AGAIN, content_type="text/javascript; charset=utf-8")


@blueprint.get("/docs/page.css")
@public
def show_style() -> Response:
    """What the page's style adds to Swagger UI's."""
    return Response(_STYLE, headers=_AGAIN, content_type="text/css; charset=utf-8")


@blueprint.get("/docs/<name>")
@public
def show_asset(name: str) -> Response:
    """The page's scripts and styles, from the wheel that brings them."""
    assets: dict[str, tuple[bytes, str]] = current_app.extensions["swagger_ui"]
    if name not in assets:
        raise NotFound
    content, digest = assets[name]
    answer = Response(content, content_type=mimetypes.guess_type(name)[0])
    answer.headers["Cache-Control"] = "public, max-age=86400"
    answer.set_etag(digest)
    answer.make_conditional(request)
    return answer
