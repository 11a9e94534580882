"""``checkout token``: a bearer token for trying things, where our own secret signs tokens. ``customer``: whose an
id is, and whose a subject."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import click
import jwt
from flask import current_app
from flask.cli import with_appcontext

from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.identity.subjects import BadSubjectError, subjects_here
from checkout_service.settings.values import WebSettings
from checkout_service.terminal import Id, printable

_find: Final = Statement("SELECT issuer, subject FROM users WHERE id = :id")


def called(user: UUID | None, subject: str | None, *, issuer: str | None = None) -> UUID:
    """The id of the one user whom a command's ``--user`` or ``--subject`` means, computed and not looked up.

    Raises click.UsageError unless exactly one of them is given, and for a subject that nobody can have.
    """
    if (user is None) == (subject is None):
        raise click.UsageError("give either --user or --subject")
    if issuer is not None and subject is None:
        raise click.UsageError("--issuer goes with --subject")
    if user is not None:
        return user
    try:
        return subjects_here().read(subject, issuer=issuer).user_id
    except BadSubjectError as error:
        raise click.UsageError(f"--subject {error}") from error


@click.command("token")
@click.option("--user", type=Id(), help="The UUID that the token speaks for.")
@click.option("--subject", help="Whom it speaks for, as an identity provider writes it, such as auth0|5f7c8ec7.")
@click.option("--hours", type=click.FloatRange(0, 24 * 365, min_open=True), default=24, show_default=True)
@click.option("--scope", "scopes", multiple=True, help="What it allows besides, such as refunds; may be repeated.")
@with_appcontext
def token(user: UUID | None, subject: str | None, hours: float, scopes: tuple[str, ...]) -> None:
    """Print a bearer token for a user, and nothing else. Refused in production."""
    called(user, subject)
    settings: WebSettings = current_app.extensions["settings"]
    if settings.production:
        raise click.ClickException("tokens are not made by hand in production: they come from the identity provider")
    if settings.jwt_secret is None:
        raise click.ClickException("JWT_JWKS_URL is set: only the identity provider that publishes it can sign tokens")
    now = datetime.now(UTC)
    claims = {
        settings.jwt_subject_claim: str(user) if subject is None else subject,
        "iat": now,
        "exp": now + timedelta(hours=hours),
        "aud": settings.jwt_audience,
        "iss": settings.jwt_issuer,
        "scope": " ".join(scopes) or None,
    }
    present = {name: value for name, value in claims.items() if value is not None}
    click.echo(jwt.encode(present, settings.jwt_secret.reveal(), settings.jwt_algorithms[0]))


@click.command("customer")
@click.option("--user", type=Id(), help="The customer's id, as events, lists and the audit have it.")
@click.option("--subject", help="What their tokens call them.")
@click.option("--issuer", help="Who issues these tokens; else JWT_ISSUER.")
@with_appcontext
def customer(user: UUID | None, subject: str | None, issuer: str | None) -> None:
    """Print a customer's id, and under it what their tokens call them and who issues these, where that is kept.

    The id is computed. Subject and issuer stand in the customer's row, which comes with their first cart; a subject
    that is a UUID is the id itself.
    """
    user_id = called(user, subject, issuer=issuer)
    click.echo(user_id)
    for row in execute(_find, {"id": user_id}):
        if row.subject is not None:
            click.echo(f"subject {printable(row.subject)}")
            click.echo(f"issuer  {printable(row.issuer)}")
