"""A blueprint that reads JSON strictly and documents its problems, and the API that makes the OpenAPI document.

Rooms take ``Blueprint`` from here instead of from flask-smorest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn, TypeVar

import flask_smorest
import marshmallow
from flask import Flask, Request
from webargs.flaskparser import FlaskParser, is_json_request
from werkzeug.exceptions import UnsupportedMediaType

from checkout_service.api.callers import Demand
from checkout_service.api.document_details import add_details
from checkout_service.api.documented_problems import responses_of
from checkout_service.api.heads import API_VERSION
from checkout_service.api.links import document_links
from checkout_service.api.one_of import document_one_of
from checkout_service.api.problem_documents import ProblemSchema, pointers
from checkout_service.api.problems import (
    Invalid,
    MalformedBody,
    Problem,
    RateLimited,
)
from checkout_service.api.query_parameters import takes_query
from checkout_service.api.scopes import OPENS
from checkout_service.api_versions import API_VERSIONS
from checkout_service.strict_json import StrictJsonError, parse_value

View = TypeVar("View", bound=Callable[..., Any])


class StrictParser(FlaskParser):
    """JSON bodies in UTF-8 that every parser reads alike; whatever else is sent ends as one of our problems.

    A schema whose ``body_may_be_left_out`` is true takes a request that has none, and says nothing of one, for ``{}``.
    """

    def load_json(self, req: Request, schema: marshmallow.Schema) -> Any:
        """The body's value. Raises Problem."""
        if _may_be_left_out(schema) and not req.mimetype and not req.get_data():
            return {}
        return super().load_json(req, schema)

    def _raw_load_json(self, req: Request) -> Any:
        body = req.get_data(cache=False)
        if not body and not req.mimetype:
            raise MalformedBody("This path takes a JSON object as its body.")
        charset = req.mimetype_params.get("charset", "utf-8").lower()
        if not is_json_request(req) or charset not in {"utf-8", "utf8", "us-ascii"}:
            raise UnsupportedMediaType("This path takes application/json in UTF-8.")
        try:
            return parse_value(body)
        except StrictJsonError as error:
            raise MalformedBody(_where(error)) from error

    def handle_error(
        self,
        error: marshmallow.ValidationError,
        req: Request,
        schema: marshmallow.Schema,
        *,
        error_status_code: int | None,
        error_headers: Mapping[str, str] | None,
    ) -> NoReturn:
        raise Invalid(errors=pointers(error.messages)) from error


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]  # flask-smorest is untyped
    """A room's routes. Views answer with finished responses; ``response`` only documents them."""

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, name: str, import_name: str, *, tag: str | None = None, **options: Any) -> None:
        super().__init__(name, import_name, **options)
        self.tag = tag or name.replace("_", " ").capitalize()
        """What the document calls the room's operations together."""
        self._prepare_doc_cbks.append(_document_problems)
        self._prepare_doc_cbks.append(_document_callers)
        self._prepare_doc_cbks.append(_document_headers)
        self._prepare_doc_cbks.append(document_links)

    def add_url_rule(self, rule: str, endpoint: str | None = None, view_func: Any = None, **options: Any) -> None:
        """As in flask-smorest; the tag, who may call the view and its links, as it is marked, are documented too."""
        marks = {name: getattr(view_func, name, None) for name in ("demand", "guest_access", "is_public", "links")}
        if any(marks.values()):
            view_func._apidoc = {**getattr(view_func, "_apidoc", {}), **marks}
        options["tags"] = options.get("tags") or [self.tag]
        super().add_url_rule(rule, endpoint, view_func, **options)

    def arguments(self, schema: marshmallow.Schema | type[marshmallow.Schema], **options: Any) -> Any:
        """As in flask-smorest, with the schema built once: webargs would build one for every request.

        The members of a query's schema are the parameters that the view takes.
        """
        built = schema() if isinstance(schema, type) else schema
        if _may_be_left_out(built):
            options.setdefault("required", False)
        decorate = super().arguments(built, **options)
        if options.get("location") != "query":
            return decorate
        names = [field.data_key or name for name, field in built.fields.items()]
        return lambda view: takes_query(decorate(view), names)

    def problems(self, *kinds: type[Problem]) -> Callable[[View], View]:
        """Document the problems that a view may answer with, each with an example."""

        def decorate(view: View) -> View:
            view._apidoc = {**getattr(view, "_apidoc", {}), "problems": kinds}  # type: ignore[attr-defined]
            return view

        return decorate

    def response(self, *arguments: Any, **options: Any) -> Any:
        """As in flask-smorest, for the document alone: a view's answer is what it answers."""
        describe = super().response(*arguments, **options)
        return lambda view: _documented(describe(view), view)

    def alt_response(self, *arguments: Any, **options: Any) -> Any:
        """The same of another answer that it may give."""
        describe = super().alt_response(*arguments, **options)
        return lambda view: _documented(describe(view), view)


class Api(flask_smorest.Api):  # type: ignore[misc]  # flask-smorest is untyped
    """flask-smorest with our problems in its document, and without its own error pages and documentation routes."""

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_ERROR_RESPONSE_NAME = None

    def __init__(self, app: Flask) -> None:
        app.config.update(API_TITLE="Checkout service", API_VERSION=API_VERSIONS.newest, OPENAPI_VERSION="3.1.0")
        super().__init__(
            app,
            spec_kwargs={
                "info": {
                    "description": _ABOUT,
                    "contact": {"name": "The shop that runs this service"},
                    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
                },
                "security": [{CUSTOMER: []}],
                "servers": [{"url": "/", "description": "Where this document is served."}],
            },
        )
        self.ma_plugin.converter.add_attribute_function(document_one_of)
        for name, words in _HEADERS.items():
            self.spec.components.header(name, {"description": words, "schema": {"type": "string"}})
        self.spec.components.parameter(API_VERSION, "header", _API_VERSION)
        scopes = "; ".join(f"`{scope}` {words}" for scope, words in OPENS.items())
        for name, form, words in ((CUSTOMER, "JWT", _CUSTOMER), (STAFF, "JWT or API key", f"{_STAFF}{scopes}.")):
            scheme = {"type": "http", "scheme": "bearer", "bearerFormat": form, "description": words}
            self.spec.components.security_scheme(name, scheme)
        self.spec.components.security_scheme(
            GUEST, {"type": "apiKey", "in": "header", "name": "Cart-Token", "description": _GUEST}
        )
        self.tags: dict[str, str] = {}
        """What the document has of operations by their tags: the words for each."""

    def register_blueprint(self, blp: Blueprint, **options: Any) -> None:
        """As in flask-smorest; operations are found by the blueprint's tag. Of one tag the first words are its own."""
        super().register_blueprint(blp, **options)
        self.tags.setdefault(blp.tag, blp.description)

    def document(self) -> dict[str, Any]:
        """The whole document, once every room has registered its routes.

        Of an object whose schema has ``least_members`` it says so: of a whole schema apispec takes nothing over.
        """
        made: dict[str, Any] = self.spec.to_dict()
        made["tags"] = [{"name": tag, "description": words} for tag, words in self.tags.items()]
        add_details(made)
        for (schema, *_), name in self.ma_plugin.converter.refs.items():
            if least := getattr(schema, "least_members", 0):
                made["components"]["schemas"][name]["minProperties"] = least
        return made

    def _register_error_handlers(self) -> None:
        """Registers none: ``problem_documents`` renders the problems of all routes, documented or not."""

    def _register_responses(self) -> None:
        """Registers none: which problems an operation has, each of its responses says."""

    def _register_pagination_header(self) -> None:
        """Registers none: our pages are keyset pages, and what they are is in their bodies."""


def _documented(wrapped: Any, view: View) -> View:
    """The view itself, with the documentation of its wrapped form: a wrapper would be one more call in each request."""
    view._apidoc = wrapped._apidoc  # type: ignore[attr-defined]  # functions take any attribute
    return view


_IF_NONE_MATCH: Final = {
    "in": "header",
    "name": "If-None-Match",
    "required": False,
    "description": "The ETag of an earlier answer: 304 without a body, where it is still the same.",
    "schema": {"type": "string"},
}

_API_VERSION: Final[dict[str, Any]] = {
    "required": False,
    "description": "A version of the API that this client was built by; one that is not known is refused.",
    "schema": {"type": "string", "enum": list(API_VERSIONS.names)},
    "example": API_VERSIONS.newest,
}

_HEADERS: Final = {
    API_VERSION: "The version that the answer is of: the newest.",
    "X-Request-Id": "Names this request in the logs; problem documents have it too.",
    "ETag": "Names what was answered, for If-None-Match.",
    "Location": "The path at which the API shows what was made, or what becomes of it.",
    "RateLimit-Policy": "How often (`q`) within how many seconds (`w`) this may be done; not to staff.",
    "RateLimit": "Of each policy what is left (`r`), and in how many seconds (`t`) the count begins anew.",
    "Idempotent-Replayed": "`true` where this repeats the answer to an earlier request with the same key.",
}

_ABOUT: Final = """A customer fills a cart, opens a checkout session and pays at a payment provider. The status of the
payment is read here, and staff refund payments here. Amounts are strings with two decimals, or
three where the currency has three; times are RFC 3339 in UTC.
Programs of the shop come with an API key; it opens the paths that name a scope, and no customer's.
Errors are problem documents (RFC 9457) with a stable `type`.

To try it here, press *Authorize* and paste a token: `make run` prints one, `checkout token --user UUID` makes one.
Then open an operation, *Try it out* and *Execute*. Without a token you see your first problem document."""

CUSTOMER: Final = "customer"
STAFF: Final = "staff"
GUEST: Final = "guest"

_CUSTOMER: Final = """A customer's token, whose claim `sub` (or the one that `JWT_SUBJECT_CLAIM` names) is a UUID, any
text of 1 to 255 characters or a whole number. It opens what is that customer's own."""

_STAFF: Final = """A token of staff, with scopes in its claim `scope`, or a program's API key (`csk_…`, made by
`checkout api-keys create`), which has its scopes since it was made. An operation names in `x-scopes` the scopes of
which it takes one. An API key opens no other operation, and a token with `refunds` still opens what it opened before
there were other scopes. Scopes: """

_GUEST: Final = """The secret that `POST /api/carts` gives a guest, in place of Authorization; both together are a 400.
It opens the guest's cart, and the payments and orders that came of it. Once the cart is a customer's, it only reads
what the guest paid for and bought."""


def _document_problems(doc: dict[str, Any], info: dict[str, Any], **_context: Any) -> dict[str, Any]:
    """Add what every operation may answer; runs after flask-smorest's own steps, which know what it takes."""
    responses = doc.setdefault("responses", {})
    for status in [status for status in responses if int(status) >= 400]:
        del responses[status]
    responses.update(responses_of(info.get("problems", ()), takes_body="requestBody" in doc))
    return doc


def _document_headers(doc: dict[str, Any], info: dict[str, Any], **_context: Any) -> dict[str, Any]:
    """Say which headers answers have: what names the request, what a later one may name, and what repeats one."""
    responses = {str(status): response for status, response in doc["responses"].items()}
    # What a view says by hand comes into the document after this step.
    by_hand = info.get("manual_doc", {}).get("parameters", ())
    by_key = any(parameter["name"] == "Idempotency-Key" for parameter in by_hand)
    is_rated = RateLimited in info.get("problems", ())
    if "304" in responses:
        doc.setdefault("parameters", []).append(_IF_NONE_MATCH)
    for status, response in responses.items():
        if "$ref" in response:
            continue
        headers = response.setdefault("headers", {})
        headers["X-Request-Id"] = {"$ref": "#/components/headers/X-Request-Id"}
        if "304" in responses and status in {"200", "304"}:
            headers["ETag"] = {"$ref": "#/components/headers/ETag"}
        if is_rated and status[0] in "24":
            headers |= {name: {"$ref": f"#/components/headers/{name}"} for name in ("RateLimit", "RateLimit-Policy")}
        if by_key and status.startswith("2"):
            headers["Idempotent-Replayed"] = {"$ref": "#/components/headers/Idempotent-Replayed"}
    return doc


def _document_callers(doc: dict[str, Any], info: dict[str, Any], **_context: Any) -> dict[str, Any]:
    """Say who may call an operation: which scopes open it, any one of them, and whether guests may. What is for
    customers too needs no scope.

    The scopes stand beside ``security``: within it, linters take those of OAuth flows alone, and ours are none.
    """
    demand: Demand | None = info.get("demand")
    ways: list[dict[str, list[str]]] = [] if demand is not None and demand.only else [{CUSTOMER: []}]
    if info.get("guest_access") is not None:
        ways.append({GUEST: []})
    if demand is not None:
        ways.append({STAFF: []})
        doc["x-scopes"] = [str(scope) for scope in demand.scopes]
    if info.get("is_public"):
        doc["security"] = []
    elif ways != [{CUSTOMER: []}]:
        doc["security"] = ways
    return doc


def _may_be_left_out(schema: marshmallow.Schema) -> bool:
    return bool(getattr(schema, "body_may_be_left_out", False))


def _where(error: StrictJsonError) -> str:
    if error.line is not None:
        return f"The body is not JSON in UTF-8: {error.reason} (line {error.line}, column {error.column})."
    return f"The body is not JSON that can be read in one way only: {error.reason}."
