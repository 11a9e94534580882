"""``checkout webhook-endpoints``: where the shop wants its events, made, looked at and changed by operators.

By the same operations as the API, as the web tier's role: a secret that is made is printed, and no other is ever read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import click

from checkout_service.api.problems import Problem
from checkout_service.commands.models import Door
from checkout_service.commands.operations import Origin
from checkout_service.durations import parse_duration
from checkout_service.endpoints import operations
from checkout_service.endpoints.deliveries import DeliveryStatus, deliveries_page
from checkout_service.endpoints.queries import endpoint_of, endpoints_page
from checkout_service.endpoints.replays import ReplayRequest, plan_replay, request_replay, stop_replay
from checkout_service.endpoints.secrets import LONGEST_OLD_FOR
from checkout_service.endpoints.states import EndpointState, Payload, Signing
from checkout_service.events.types import EVENT_TYPES
from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.spellings import parse_day, parse_moment
from checkout_service.tasks import TaskName
from checkout_service.terminal import CommandGroup, Duration, Id, Number, echo_list, kept, os_user, printable

DELIVERIES_SHOWN: Final = 20

webhook_endpoints = CommandGroup(
    "webhook-endpoints", help="Webhook endpoints: where the shop wants its events, and what became of them there."
)

_operator = click.option("--operator", help="Who you are, for the audit; by default the operating system's user.")
_why = click.option("--why", default="", help="For the audit.")
_endpoint = click.argument("endpoint_id", type=Id(), metavar="ENDPOINT_ID")


class EventType(click.ParamType[str]):
    """One of the types of events that there are."""

    name = "type"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in EVENT_TYPES:
            self.fail(f"{printable(str(value))} is no type of event. There are:\n  {' '.join(EVENT_TYPES)}", param, ctx)
        return str(value)


class Moment(click.ParamType[datetime]):
    """How long ago (2h), a day (its beginning in UTC), or a time, which is in UTC unless it has an offset."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        text = str(value)
        try:
            return datetime.now(UTC) - parse_duration(text)
        except (ValueError, OverflowError):
            pass
        try:
            moment = parse_day(text) if len(text) == len("2026-12-24") else parse_moment(text)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(
                "write how long ago (90s, 30m, 2h, 7d), a day, or a time such as 2026-11-25T04:05:06Z.", param, ctx
            )


_types = click.option("--type", "types", type=EventType(), multiple=True, help="May be repeated; by default all.")


@webhook_endpoints.command("create")
@click.option("--url", required=True, help="Where events are posted.")
@_types
@click.option("--description", default="", help="Your own words.")
@click.option("--payload", type=click.Choice([each.value for each in Payload]), default=Payload.SNAPSHOT.value)
@click.option("--signing", type=click.Choice([each.value for each in Signing]), default=Signing.V1.value)
@click.option("--in-any-order", is_flag=True, help="Do not keep the order of a lane.")
@_why
@_operator
def create(
    url: str,
    types: tuple[str, ...],
    description: str,
    payload: str,
    signing: str,
    in_any_order: bool,
    why: str,
    operator: str | None,
) -> None:
    """Make an endpoint and print its secret: alone, on the last line of the output. It is shown this once."""
    with _sentences():
        made = operations.create_endpoint(
            url=url,
            types=types or None,
            description=printable(kept(description))[:500],
            payload=Payload(payload),
            in_order=not in_any_order,
            signing=Signing(signing),
            origin=_origin(operator, why),
        )
    click.echo(f"Endpoint {made.endpoint['id']} gets {_wants(made.endpoint)} from now on. Its secret:", err=True)
    click.echo(made.secret.reveal())


@webhook_endpoints.command("list")
@click.option("--limit", type=Number(1, 10_000), default=50, show_default=True)
def list_endpoints(limit: int) -> None:
    """List endpoints, the newest first: id, state, what waits and failed there, address, types."""
    lines = (
        f"{each['id']}  {_state(each):24}  waiting {each['waiting']}, failed {each['failed']}, last success "
        f"{each['last_success_at'] or 'never'}  {printable(each['url'])}  {_wants(each)}"
        f"{'  ' + printable(each['description']) if each['description'] else ''}"
        for each in endpoints_page(limit=limit).endpoints
    )
    echo_list(lines, limit=limit, what="webhook endpoints")


@webhook_endpoints.command("show")
@_endpoint
def show(endpoint_id: UUID) -> None:
    """Show one endpoint, and the newest of what was, or is to be, sent there."""
    endpoint = endpoint_of(endpoint_id)
    if endpoint is None:
        raise click.ClickException(f"There is no webhook endpoint {endpoint_id}.")
    for name, value in endpoint.items():
        click.echo(f"{name:16} {'all' if name == 'types' and value is None else printable(_text(value))}")
    click.echo()
    enabled = endpoint["state"] == EndpointState.ENABLED
    for each in deliveries_page(endpoint_id, enabled=enabled, limit=DELIVERIES_SHOWN).deliveries:
        click.echo(
            f"{each['created_at']}  {each['state']:9}  {each['type']:28}  {each['event_id']}  "
            f"{_attempts(each, enabled=enabled)}"
        )


@webhook_endpoints.command("rotate")
@_endpoint
@click.option(
    "--old-for",
    type=Duration(),
    default="1d",
    show_default=True,
    help="How long the secrets before go on signing, to 7d; 0s ends them at once.",
)
@click.option("--signing", type=click.Choice([each.value for each in Signing]), help="By default as before.")
@_why
@_operator
def rotate(endpoint_id: UUID, old_for: timedelta, signing: str | None, why: str, operator: str | None) -> None:
    """Give an endpoint a new secret and print it: alone, on the last line of the output. It is shown this once."""
    if old_for > LONGEST_OLD_FOR:
        raise click.UsageError("--old-for: up to 7d")
    with _sentences():
        rotated = operations.rotate_secret(
            endpoint_id,
            old_for=old_for,
            signing=None if signing is None else Signing(signing),
            origin=_origin(operator, why),
        )
    click.echo(f"The secrets before end at {operations.show_end(rotated)}. The new one:", err=True)
    click.echo(rotated.secret.reveal())


@webhook_endpoints.command("test")
@_endpoint
@_why
@_operator
def test(endpoint_id: UUID, why: str, operator: str | None) -> None:
    """Have a test event sent to an endpoint."""
    with _sentences():
        event_id = operations.send_test(endpoint_id, origin=_origin(operator, why))
    _wake()
    click.echo(f"Event {event_id} is on its way: see `webhook-endpoints show {endpoint_id}`.")


@webhook_endpoints.command("replay")
@_endpoint
@click.option("--since", type=Moment(), help="All that were written then or later: 2h, a day, or a time.")
@click.option("--event", "event_id", type=Id(), help="This event alone.")
@_types
@click.option("--only-failed", is_flag=True, help="Only those that were given up.")
@click.option("--dry-run", is_flag=True, help="Only count them.")
@_why
@_operator
def replay(
    endpoint_id: UUID,
    since: datetime | None,
    event_id: UUID | None,
    types: tuple[str, ...],
    only_failed: bool,
    dry_run: bool,
    why: str,
    operator: str | None,
) -> None:
    """Have events sent to an endpoint once more, with the same ids: all since a moment, or one."""
    if (since is None) == (event_id is None):
        raise click.UsageError("Give one of --since and --event.")
    if event_id is not None and (types or only_failed):
        raise click.UsageError("--event stands alone.")
    request = ReplayRequest(
        endpoint_id=endpoint_id, event_id=event_id, since=since, types=types or None, only_failed=only_failed
    )
    with _sentences():
        if dry_run:
            plan = plan_replay(request)
            click.echo(f"{_events(plan.events, more=plan.more)} would be sent.")
            return
        given = request_replay(request, origin=_origin(operator, why)).replay
    _wake()
    click.echo(f"Replay {given['id']}: {_events(given['events'], more=given['more'])} will be sent.")


@webhook_endpoints.command("stop-replay")
@_endpoint
@click.argument("replay_id", type=Id(), metavar="REPLAY_ID")
@_why
@_operator
def stop(endpoint_id: UUID, replay_id: UUID, why: str, operator: str | None) -> None:
    """Have no further event of a replay sent."""
    with _sentences():
        given = stop_replay(endpoint_id, replay_id, origin=_origin(operator, why))
    _wake()
    click.echo(f"Replay {replay_id} stops; {given['sent']} events were sent.")


@webhook_endpoints.command("enable")
@_endpoint
@_why
@_operator
def enable(endpoint_id: UUID, why: str, operator: str | None) -> None:
    """Have events sent to an endpoint again: all that waits there is due at once."""
    with _sentences():
        operations.enable_endpoint(endpoint_id, origin=_origin(operator, why))
    _wake()
    click.echo(f"Endpoint {endpoint_id} is enabled.")


@webhook_endpoints.command("disable")
@_endpoint
@_why
@_operator
def disable(endpoint_id: UUID, why: str, operator: str | None) -> None:
    """Have nothing sent to an endpoint until somebody enables it."""
    with _sentences():
        operations.disable_endpoint(endpoint_id, origin=_origin(operator, why))
    click.echo(f"Endpoint {endpoint_id} is disabled.")


@webhook_endpoints.command("delete")
@_endpoint
@_why
@_operator
def delete(endpoint_id: UUID, why: str, operator: str | None) -> None:
    """Delete an endpoint, for good: nothing more is sent there."""
    with _sentences():
        operations.delete_endpoint(endpoint_id, origin=_origin(operator, why))
    click.echo(f"Endpoint {endpoint_id} is deleted.")


@contextmanager
def _sentences() -> Iterator[None]:
    """What is refused within ends the command with a sentence."""
    try:
        yield
    except Problem as problem:
        named = " ".join(error["detail"] for error in problem.errors or ())
        raise click.ClickException(named or problem.detail) from problem


def _origin(operator: str | None, why: str) -> Origin:
    return Origin(key=uuid4(), door=Door.CLI, operator=printable(operator or os_user())[:200], why=kept(why))


def _wake() -> None:
    try:
        task_queue().enqueue(TaskName.SEND_EVENTS)
    except QueueUnavailableError:
        click.echo("The broker does not answer: a sender finds it when it is back.", err=True)


def _wants(endpoint: dict[str, Any]) -> str:
    return "all types" if endpoint["types"] is None else " ".join(endpoint["types"])


def _state(endpoint: dict[str, Any]) -> str:
    reason = endpoint["state_reason"]
    return f"{endpoint['state']} ({reason})" if reason else str(endpoint["state"])


def _attempts(delivery: dict[str, Any], *, enabled: bool) -> str:
    """What came of the newest attempt, and when the next one is."""
    newest = delivery["attempts"][0] if delivery["attempts"] else None
    if newest is None:
        result = "not tried"
    else:
        result = f"attempt {delivery['attempts_made']}: {printable(str(newest['status'] or newest['error']))}"
    if delivery["next_attempt_at"]:
        return f"{result}, next {delivery['next_attempt_at']}"
    behind = enabled and delivery["state"] == DeliveryStatus.WAITING
    return f"{result}, behind another of its lane" if behind else result


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return " ".join(value) if isinstance(value, list) else str(value)


def _events(number: int, *, more: bool) -> str:
    return f"{'At least ' if more else ''}{number} event{'' if number == 1 else 's'}"
