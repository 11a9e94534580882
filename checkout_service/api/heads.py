"""What is decided by a request's head alone, before any view: whatever cannot be meant in one way is refused.

The server joins headers of one name by commas, and hands one on as empty that holds a byte beyond ASCII. So a header
that is there and empty was sent, and could not be read: it is never taken for one that is missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from flask import Flask, Response, current_app, request
from werkzeug.exceptions import MethodNotAllowed

from checkout_service.api.problems import (
    EncodedBody,
    Invalid,
    MalformedHost,
    NotFound,
    PreconditionFailed,
    UnknownApiVersion,
    UnknownTransferCoding,
)
from checkout_service.api.query_parameters import refuse_unknown_parameters
from checkout_service.api_versions import API_VERSIONS
from checkout_service.at_work import request_at_work

# A host of RFC 3986, section 3.2.2, and its port. Without the comma that may stand in a name: two headers are joined
# by it, and a proxy may have routed by either.
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._~%!$&'()*+;=-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")

_API: Final = "/api/"

API_VERSION: Final = "API-Version"
"""The header, of requests and of answers."""

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_WITHOUT_CONTENT: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})

_TAKES_ANY_HEAD: Final = "webhooks.receive_webhook"
"""A provider's webhook is taken whatever conditions a proxy on its way added."""


def init_app(app: Flask) -> None:
    """From here on no such request reaches a view, and no answer is kept by a cache unless it says so."""
    app.before_request(_check)
    app.after_request(_finish)


def is_unreadable(environ: Mapping[str, Any], header: str) -> bool:
    """Whether the header, named as WSGI names it, was sent and arrived empty."""
    value = environ.get(header)
    return value is not None and not value.strip()


def is_of_api(environ: Mapping[str, Any]) -> bool:
    """Whether the request is for a path of the API."""
    return bool(environ["PATH_INFO"].startswith(_API))


def refuse_unkeepable_form() -> None:
    """Raise Invalid where a field of the form at work holds a NUL, which PostgreSQL keeps in no text.

    Only for paths whose bodies are forms: the body is read.
    """
    _refuse_nul([(name, value) for name, values in request.form.lists() for value in values])


def _methods_here() -> list[str] | None:
    """All methods of the path: each of them may be a route of its own."""
    adapter = current_app.create_url_adapter(request)
    return None if adapter is None else list(adapter.allowed_methods())


def _check() -> None:
    request = request_at_work()
    environ = request.environ
    if "//" in environ["PATH_INFO"]:
        # Werkzeug strips the slashes that a path begins with, so what a proxy forbids by path would be reached.
        request.url_rule = None
        raise NotFound("There is nothing at this path.")
    method = environ["REQUEST_METHOD"]
    if method != method.upper():
        # Werkzeug takes "post" for POST, which a proxy that forbids POST has let through (RFC 9110, section 9.1).
        raise request.routing_exception or MethodNotAllowed(_methods_here())
    # HTTP/1.0 knows no Host, and the server says only that it is empty.
    host = environ.get("HTTP_HOST", "")
    if not _HOST.fullmatch(host) and (host or environ.get("SERVER_PROTOCOL") not in {"HTTP/1", "HTTP/1.0"}):
        raise MalformedHost
    if "HTTP_TRANSFER_ENCODING" in environ and environ["HTTP_TRANSFER_ENCODING"].strip().lower() != "chunked":
        raise UnknownTransferCoding
    if "HTTP_CONTENT_ENCODING" in environ:
        _refuse_encoded_body(environ)
    if "HTTP_IF_MATCH" in environ and request.endpoint != _TAKES_ANY_HEAD:
        _refuse_condition(environ)
    if "HTTP_API_VERSION" in environ and is_of_api(environ) and request.endpoint != _TAKES_ANY_HEAD:
        _refuse_unknown_version(environ["HTTP_API_VERSION"])
    if query := environ["QUERY_STRING"]:
        if "%00" in query or "\0" in query:
            _refuse_nul(list(request.args.items(multi=True)))
        refuse_unknown_parameters()


def _refuse_encoded_body(environ: Mapping[str, Any]) -> None:
    """Nobody here decodes a body, so one that is encoded would be read, or kept, as something else."""
    has_body = environ.get("CONTENT_LENGTH", "").strip("0") or "HTTP_TRANSFER_ENCODING" in environ
    codings = {coding.strip().lower() for coding in environ["HTTP_CONTENT_ENCODING"].split(",")}
    if has_body and codings != {"identity"}:
        raise EncodedBody


def _refuse_condition(environ: dict[str, Any]) -> None:
    """What changes something has no ETag to name, so its condition is not met (RFC 9110, section 13.1.1)."""
    if environ["HTTP_IF_MATCH"].strip() == "*":
        # Whatever there is meets it, and what there is not is 404. Werkzeug knows no ETag of that name.
        del environ["HTTP_IF_MATCH"]
    elif request.method not in _SAFE or is_unreadable(environ, "HTTP_IF_MATCH"):
        raise PreconditionFailed


def _refuse_unknown_version(named: str) -> None:
    """Two of them come joined by a comma, and one that cannot be read comes empty: neither is the name of any."""
    if named.strip() not in API_VERSIONS:
        raise UnknownApiVersion(versions=list(API_VERSIONS.names))


def _refuse_nul(pairs: list[tuple[str, str]]) -> None:
    faulty = dict.fromkeys(name.replace("\0", "") for name, value in pairs if "\0" in name or "\0" in value)
    if faulty:
        shown = (name.replace("~", "~0").replace("/", "~1") for name in faulty)
        raise Invalid(errors=[{"pointer": f"/{name}", "detail": "A text holds no NUL."} for name in shown])


def _finish(answer: Response) -> Response:
    """What the head of each answer says, whatever it is."""
    environ, headers, status = request_at_work().environ, answer.headers, answer.status_code
    if status == HTTPStatus.OK and "HTTP_IF_MATCH" in environ and "HTTP_IF_NONE_MATCH" in environ:
        # Where If-Match is met, If-None-Match counts as well (RFC 9110, section 13.2.2): Werkzeug leaves it out then.
        answer.make_conditional({name: value for name, value in environ.items() if name != "HTTP_IF_MATCH"})
        status = answer.status_code
    names = {name.lower() for name, _ in headers}
    if is_of_api(environ):
        headers.add(API_VERSION, API_VERSIONS.newest)  # nobody else does: to look for it costs more
    if status in _WITHOUT_CONTENT:
        # What has no content has no type of it; Werkzeug would call it HTML (RFC 9110, section 8.3).
        headers.pop("Content-Type", None)
    # What is said to one caller is private, unless the view says otherwise: none can be forgotten this way.
    if "cache-control" not in names:
        headers.add("Cache-Control", "no-store")
    return answer
