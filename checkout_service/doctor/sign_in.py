"""Checks that operators can sign in at the OpenID provider of the settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from flask import current_app

from checkout_service.doctor.findings import Finding, advice, ok, wrong
from checkout_service.identity.oidc_discovery import Discovery, ProviderAwayError
from checkout_service.settings.values import WebSettings

ABOUT: Final = "console sign-in"


def check_sign_in() -> Iterator[Finding]:
    """The provider answers from this host, and names itself as the settings do."""
    settings: WebSettings = current_app.extensions["settings"]
    oidc = settings.console_oidc
    if oidc is None:
        if settings.console:
            yield ok(ABOUT, "no OpenID provider: by passwords, tokens and API keys")
        return
    try:
        Discovery(oidc.issuer, production=settings.production).find()
    except ProviderAwayError as away:
        remedy = (
            "Compare CONSOLE_OIDC_ISSUER with the issuer in the provider's own document. Passwords go on meanwhile."
        )
        reason = away.reason
        yield wrong(ABOUT, f"{oidc.issuer}: {reason}", remedy)
        return
    yield ok(ABOUT, f"{oidc.issuer} answers; it has to know {oidc.redirect_uri}")
    if not settings.console:
        yield advice(ABOUT, "the console is off", "CONSOLE=off counts before CONSOLE_OIDC_ISSUER.")
