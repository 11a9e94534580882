"""``checkout events trigger``: a real event of a type, by really buying with the mock provider."""

from __future__ import annotations

import click
import httpx
from flask import Flask, current_app
from flask.cli import with_appcontext

from checkout_service.endpoints.cli import EventType
from checkout_service.local.recipes import REASONS, RECIPES, Recipe
from checkout_service.local.screen import show_seconds
from checkout_service.local.triggering import Deployment, Scene, TriggerError, Way
from checkout_service.settings.values import SettingsError, WebSettings, signing_secret
from checkout_service.terminal import CommandGroup, printable

LOW = 5
"""What STOCK_LOW is where nobody sets it: the web tier's commands do not know the worker's settings."""


def init_app(app: Flask) -> None:
    """Give the ``events`` group of the app's command line this command."""
    group = app.cli.commands["events"]
    if isinstance(group, CommandGroup):
        group.add_command(trigger)


@click.command("trigger")
@click.argument("event_type", metavar="TYPE", type=EventType())
@click.option("--twice", is_flag=True, help="The provider sends each webhook twice.")
@click.option("--late", is_flag=True, help="The money comes after the payment expired.")
@click.option("--reordered", is_flag=True, help="The provider's webhooks come in another order.")
@click.option("--url", help="The service's address.  [default: http://127.0.0.1:PORT]")
@click.option("--port", envvar="PORT", default=8000, hidden=True)
@click.pass_context
@with_appcontext
def trigger(
    context: click.Context, event_type: str, twice: bool, late: bool, reordered: bool, url: str | None, port: int
) -> None:
    """Make an event of this type happen, and show it with its number.

    It buys something over HTTP, reports as the mock provider does and asks as staff do: the service must be running,
    with its workers. What was bought stays.
    """
    settings: WebSettings = current_app.extensions["settings"]
    if settings.production:
        raise click.ClickException("The mock provider takes no money and is refused in production.")
    if event_type in REASONS:
        click.echo(f"{event_type} cannot be made in a moment: {REASONS[event_type]}.", err=True)
        context.exit(2)
    recipe = RECIPES[event_type]
    way = Way(twice=twice, late=late, reordered=reordered)
    _check(event_type, recipe, way)
    deployment = deployment_of(settings, (url or f"http://127.0.0.1:{port}").rstrip("/"))
    try:
        with Scene(deployment, way, _show) as scene:
            recipe.steps(scene)
            rows = scene.wait_for(event_type, within=recipe.within)
            number = len(rows)
            if recipe.webhooks:
                number = scene.count(event_type)
            if recipe.afterwards is not None:
                recipe.afterwards(scene)
    except TriggerError as error:
        raise click.ClickException(printable(str(error))) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise click.ClickException(f"The service does not answer at {deployment.base_url}: {error}") from error
    click.echo()
    for event in rows:
        about = f"{event.object_type} {event.object_id}"
        click.echo(f"{event.seq}  {event.type}  {about}  version {event.version}  event {event.id}")
    if twice or late or reordered:
        click.echo(f"It came {'once' if number == 1 else f'{number} times'}.")
        if number > 1:
            context.exit(1)


def _check(event_type: str, recipe: Recipe, way: Way) -> None:
    if way.late and not recipe.money:
        raise click.UsageError(f"--late: no money comes before {event_type}")
    if (way.twice or way.reordered) and not recipe.webhooks:
        raise click.UsageError(f"--twice and --reordered: no provider reports anything before {event_type}")
    if way.reordered and not recipe.reorders:
        raise click.UsageError(f"--reordered: {event_type} tells the first thing that happens to a payment")


def deployment_of(settings: WebSettings, base_url: str) -> Deployment:
    """What the steps need to know. Raises click.ClickException where the settings do not have it."""
    if settings.jwt_secret is None:
        raise click.ClickException("JWT_JWKS_URL is set: only the identity provider that publishes it can sign tokens.")
    account = settings.accounts.get("mock")
    if account is None:
        raise click.ClickException("The mock provider is not among PAYMENT_PROVIDERS.")
    try:
        secret = signing_secret("mock").reveal()
    except SettingsError as error:
        raise click.ClickException(f"The mock provider signs, so it needs its secret:\n{error}") from error
    tokens = {
        "JWT_SECRET": settings.jwt_secret.reveal(),
        "JWT_AUDIENCE": settings.jwt_audience or "",
        "JWT_ISSUER": settings.jwt_issuer or "",
        "JWT_SUBJECT_CLAIM": settings.jwt_subject_claim,
        "JWT_ALGORITHMS": ",".join(settings.jwt_algorithms),
    }
    return Deployment(
        base_url=base_url,
        token_settings=tokens,
        provider_secret=secret,
        provider_server=account.option("api_base") or None,
        low=LOW,
    )


def _show(action: str, outcome: str, seconds: float) -> None:
    """A step, as ``make run`` shows those of its purchase."""
    click.echo(f"  {action:<34} {outcome:<64} {show_seconds(seconds):>7}")
