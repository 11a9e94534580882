"""``flask token``: a bearer token for trying things, where our own secret signs tokens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import click
import jwt
from flask import current_app
from flask.cli import with_appcontext

from checkout_service.settings.values import WebSettings
from checkout_service.terminal import Id


@click.command("token")
@click.option("--user", type=Id(), required=True, help="The UUID that the token speaks for.")
@click.option("--hours", type=click.FloatRange(0, 24 * 365, min_open=True), default=24, show_default=True)
@click.option("--scope", "scopes", multiple=True, help="What it allows besides, such as refunds; may be repeated.")
@with_appcontext
def token(user: UUID, hours: float, scopes: tuple[str, ...]) -> None:
    """Print a bearer token for a user, and nothing else. Refused in production."""
    settings: WebSettings = current_app.extensions["settings"]
    if settings.production:
        raise click.ClickException("tokens are not made by hand in production: they come from the identity provider")
    if settings.jwt_secret is None:
        raise click.ClickException("JWT_JWKS_URL is set: only the identity provider that publishes it can sign tokens")
    now = datetime.now(UTC)
    claims = {
        "sub": str(user),
        "iat": now,
        "exp": now + timedelta(hours=hours),
        "aud": settings.jwt_audience,
        "iss": settings.jwt_issuer,
        "scope": " ".join(scopes) or None,
    }
    present = {name: value for name, value in claims.items() if value is not None}
    click.echo(jwt.encode(present, settings.jwt_secret.reveal(), settings.jwt_algorithms[0]))
