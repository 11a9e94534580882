"""``checkout events listen``: this deployment's events, shown as they come and posted to a program that is being built.

Only the command line loads it: a web process forwards nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import nullcontext
from datetime import UTC
from typing import Any

import click
import orjson
from flask import Flask, current_app
from marshmallow import ValidationError

from checkout_service.endpoints.addresses import Policy, RefusedAddressError
from checkout_service.endpoints.listening import (
    LOOK_EVERY,
    Filters,
    Forwarder,
    Outcome,
    check_address,
    follow,
    newest_seq,
)
from checkout_service.endpoints.secrets import make_unkept_secret
from checkout_service.events.posted import show_event
from checkout_service.events.queries import DroppedEventsError, EventRow, UnknownPlaceError
from checkout_service.events.schemas import NamedObject, ObjectField, TypesField
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import WebSettings
from checkout_service.terminal import CommandGroup, Number, printable

LARGEST_SEQ = 2**63 - 1

events = CommandGroup("events", help="Events: what happened to money, orders, disputes and stock.")


def init_app(app: Flask) -> None:
    """Give the app's command line its ``events`` group."""
    app.cli.add_command(events)


class _Types(click.ParamType[tuple[str, ...]]):
    """Types of events with commas between them."""

    name = "types"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        try:
            return tuple(TypesField().deserialize(value))
        except ValidationError as error:
            self.fail(str(error.messages[0]), param, ctx)


class _Object(click.ParamType[NamedObject]):
    """An object as its id, or as its type, a colon and its id."""

    name = "object"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> NamedObject:
        try:
            return NamedObject(*ObjectField().deserialize(value))
        except ValidationError as error:
            self.fail(str(error.messages[0]), param, ctx)


@events.command("listen")
@click.option("--forward-to", "url", metavar="URL", help="Post each to this address; without it they are only shown.")
@click.option("--types", type=_Types(), help="Only these, with commas between them: payment.paid,order.placed")
@click.option("--object", "named", type=_Object(), help="Only about this one: an id, or payment:ID.")
@click.option("--after", type=Number(0, LARGEST_SEQ), metavar="SEQ", help="Begin behind this number.")
@click.option("--since-start", is_flag=True, help="Begin with the oldest event that is kept.")
@click.option("--secret", envvar="EVENTS_LISTEN_SECRET", help="Sign with this whsec_…; by default a new one each run.")
@click.option("--anywhere", is_flag=True, help="Let the address be that of another machine, as the settings allow.")
@click.option("--json", "as_json", is_flag=True, help="Print whole events, as the API shows them, a line each.")
def listen(
    url: str | None,
    types: tuple[str, ...] | None,
    named: NamedObject | None,
    after: int | None,
    since_start: bool,
    secret: str | None,
    anywhere: bool,
    as_json: bool,
) -> None:
    """Show events as they come, until Ctrl-C; post each to an address of this machine, signed as webhooks are.

    Without --after or --since-start it begins with what comes from now on. Where nobody answers, an event is tried
    again for a few seconds; any answer ends it, and the next one follows. It needs the database, and nothing else.
    """
    if after is not None and since_start:
        raise click.UsageError("--after, or --since-start")
    signed_with = _secret_of(secret, url)
    settings: WebSettings = current_app.extensions["settings"]
    if url is not None:
        policy = Policy(private=settings.webhook_allow_private_addresses, ports=settings.webhook_ports)
        try:
            check_address(url, policy=policy, anywhere=anywhere)
        except RefusedAddressError as error:
            raise click.UsageError(f"--forward-to: {error.reason}") from error
    place = None if since_start else newest_seq() if after is None else after
    if url is not None:
        click.echo(f"Secret of this run: {signed_with.reveal()}", err=as_json)
    begin = "the oldest event that is kept" if place is None else f"number {place + 1}"
    click.echo(f"{f'Posting to {url}' if url else 'Listening'}, from {begin} on. Ctrl-C ends it.", err=as_json)
    shown = Counter[str]()
    about = named or NamedObject()
    filters = Filters(types=types, object_type=about.type, object_id=about.id)
    try:
        with nullcontext() if url is None else Forwarder(url, signed_with) as forwarder:
            for event in follow(place, filters):
                if event is None:
                    time.sleep(LOOK_EVERY)
                    continue
                if as_json:
                    click.echo(orjson.dumps(show_event(event)))
                outcome = forwarder.forward(event) if forwarder else None
                if forwarder or not as_json:
                    click.echo(_line(event, outcome), err=as_json)
                shown["shown"] += 1
                shown["taken"] += outcome is not None and outcome.succeeded
    except KeyboardInterrupt:
        taken = f", {shown['taken']} taken" if url else ""
        click.echo(f"\n{shown['shown']} events{taken}.", err=True)
    except DroppedEventsError as error:
        raise click.ClickException(
            f"What follows that number is no longer kept. Go on with --after {error.oldest_seq}."
        ) from error
    except UnknownPlaceError as error:
        raise click.ClickException(f"No such number was given yet. The last one is {error.newest_seq}.") from error


def _secret_of(given: str | None, url: str | None) -> Secret:
    if given is None:
        return make_unkept_secret()
    secret = Secret(given.strip())
    try:
        Forwarder(url or "", secret)
    except ValueError as error:
        raise click.UsageError("--secret: whsec_ and 24 to 64 bytes in Base64") from error
    return secret


def _line(event: EventRow, outcome: Outcome | None) -> str:
    """One event: when it was written in UTC, its number, type, object and version, and what came of it."""
    moment = event.created_at.astimezone(UTC).strftime("%H:%M:%S.%f")[:-3]
    about = f"{event.object_type} {event.object_id}"
    line = f"{moment}Z {event.seq:>7}  {event.type:30} {about:54} v{event.version:<4}"
    if outcome is None:
        return line.rstrip()
    answer = str(outcome.status) if outcome.error is None else printable(outcome.error)
    tries = f", {outcome.tries} tries" if outcome.tries > 1 else ""
    return f"{line} {answer}  {outcome.milliseconds:.0f} ms{tries}"
