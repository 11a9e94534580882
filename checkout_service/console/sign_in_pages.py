"""GET /ops/sign-in: where operators sign in at the OpenID provider, come back from it, and sign out.

These routes are there only where a provider is set. What comes back is in an address that anybody can have a browser
open, so nothing of it is shown, and it counts only in the browser that began the attempt.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote
from uuid import uuid4

import structlog
from flask import Flask, current_app, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from checkout_service.api.addresses import address_hash
from checkout_service.api.callers import known_by, public
from checkout_service.commands.models import Door
from checkout_service.commands.operations import Origin, note_sign_in
from checkout_service.console import sessions
from checkout_service.console.access import identify_whoever, operator, role_of
from checkout_service.console.page import ConsoleBlueprint, check_form, page
from checkout_service.identity.oidc import NotSignedInError, OpenIdProvider
from checkout_service.identity.oidc_discovery import ProviderAwayError
from checkout_service.rates.counts import Rate
from checkout_service.rates.limits import hold_to
from checkout_service.refunds.operations import operator_id
from checkout_service.settings.values import WebSettings

blueprint = ConsoleBlueprint("console_sign_in", __name__)

ATTEMPTS_A_MINUTE: Final = 30
"""Of one address, where it is known: each may cost the provider a call."""

_ERROR: Final = re.compile(r"[a-z_]{1,64}")
"""A code of RFC 6749, section 4.1.2.1, or of OpenID Connect Core 1.0, section 3.1.2.6."""

_ERRORS: Final = {
    "access_denied": "You, or the provider, refused it.",
    "login_required": "The provider wants you to sign in there first.",
    "temporarily_unavailable": "The provider cannot do it at this moment.",
    "server_error": "Something failed at the provider.",
}

_log = structlog.get_logger()


def connect_provider(app: Flask, settings: WebSettings) -> None:
    """Give the app its provider, and the routes to sign in there; nothing where none is set."""
    if settings.console_oidc is None:
        return
    app.extensions["openid_provider"] = OpenIdProvider(settings.console_oidc, production=settings.production)
    app.register_blueprint(blueprint)


@blueprint.get("/sign-in")
@public
def choose() -> AnyResponse | str:
    """The ways to sign in."""
    then = sessions.local_path(request.args.get("next"))
    if sessions.session() is not None:
        return redirect(then, 303)
    answer = make_response(_shown("sign_in.html", then=then))
    # Here already, and not with the first click: two tabs that are opened at once then have the same one.
    sessions.keep_secret(answer, sessions.browser_secret())
    return answer


@blueprint.get("/sign-in/begin")
@public
def begin() -> AnyResponse:
    """Send the browser to the provider."""
    _hold()
    secret = sessions.browser_secret()
    attempt = sessions.begin_attempt(secret, then=sessions.local_path(request.args.get("next")))
    try:
        answer = redirect(_provider().begin(attempt), 303)
    except ProviderAwayError as error:
        return _failed("The identity provider cannot be reached, or is not set up for this console.", error, 503)
    sessions.keep_secret(answer, secret)  # type: ignore[arg-type]  # it is Flask's own response
    return answer


@blueprint.get("/sign-in/callback")
@public
def finish() -> AnyResponse:
    """Where the provider sends the browser back to."""
    found = sessions.find_attempt(request.args.get("state"))
    if found is None:
        return _failed("This browser did not begin that sign-in, or more than ten minutes ago.", None, 400)
    attempt, then = found
    _hold()
    _hold_strangers()
    if not sessions.take_attempt(attempt):
        return _failed("That sign-in has come back before: it is too old, or was used.", None, 403)
    try:
        _provider().check_sender(request.args)
        if "error" in request.args:
            return _failed(_meaning(request.args["error"]), None, 403)
        person = _provider().finish(attempt, request.args.get("code", ""))
    except NotSignedInError as error:
        return _failed(str(error), error, 403)
    except ProviderAwayError as error:
        sessions.give_attempt_back(attempt)
        return _failed("The identity provider does not answer as it should.", error, 503)
    answer = redirect(then, 303)
    opened = sessions.open_session(answer, person)  # type: ignore[arg-type]  # it is Flask's own response
    if role := role_of(opened):
        sessions.know_browser(answer)  # type: ignore[arg-type]
        origin = Origin(key=uuid4(), door=Door.CONSOLE, operator=opened.name)
        note_sign_in(operator_id(opened.name), role=role, origin=origin)
    _log.info("operator_signed_in", operator=sessions.audit_key(person.subject), role=role)
    return answer


@blueprint.get("/sign-out")
@known_by(identify_whoever)
def leave() -> str:
    """Ask before the session is closed."""
    return page("sign_out.html")


@blueprint.post("/sign-out")
@known_by(identify_whoever)
def close() -> AnyResponse:
    """Close the session of this browser, and say how to leave the provider too.

    A page, and no redirect to the provider: browsers let a form lead to no other host than the policy names.
    """
    check_form()
    _log.info("operator_signed_out", operator=operator().name)
    settings = _settings()
    back_to = f"{settings.console_oidc.console_url}/sign-in" if settings.console_oidc else ""
    answer = make_response(_shown("signed_out.html", provider_address=_provider().sign_out_address(back_to)))
    if (closed := sessions.session()) is not None:
        sessions.end_sessions(closed.subject)
    sessions.close_session(answer)
    return answer


def _failed(reason: str, error: Exception | None, status: int) -> AnyResponse:
    _log.warning("operator_not_signed_in", reason=str(error or reason))
    answer = make_response(_shown("sign_in.html", then=sessions.HOME, reason=reason), status)
    sessions.keep_secret(answer, sessions.browser_secret())
    return answer


def _meaning(code: str) -> str:
    known = _ERRORS.get(code)
    if known is None and _ERROR.fullmatch(code):
        known = f"It says {code}."
    return f"The identity provider did not sign you in. {known or ''}".rstrip()


def _shown(template: str, *, then: str = sessions.HOME, reason: str = "", provider_address: str | None = None) -> str:
    settings = _settings()
    issuer = settings.console_oidc.issuer if settings.console_oidc else ""
    return render_template(
        f"console/{template}",
        issuer=issuer,
        begin=f"{url_for('console_sign_in.begin')}?next={quote(then, safe='/')}",
        by_password=f"{url_for('console.show_overview')}?sign-in=password" if settings.console_users else None,
        reason=reason,
        provider_address=provider_address,
    )


def _hold() -> None:
    """Raises RateLimited."""
    address = address_hash(request.environ)
    if address is not None:
        hold_to(Rate("console-sign-ins", f"console-sign-ins:{address.hex()}", ATTEMPTS_A_MINUTE, 60))


def _hold_strangers() -> None:
    """Where addresses are not known, all browsers with which no operator has signed in share one bound. Raises
    RateLimited.
    """
    if address_hash(request.environ) is None:
        browser = sessions.known_browser()
        whose = f"browser:{browser}" if browser else "strangers"
        hold_to(Rate("console-sign-ins", f"console-sign-ins:{whose}", ATTEMPTS_A_MINUTE, 60))


def _provider() -> OpenIdProvider:
    found: OpenIdProvider = current_app.extensions["openid_provider"]
    return found


def _settings() -> WebSettings:
    found: WebSettings = current_app.extensions["settings"]
    return found
