"""``checkout webhooks``: operators look at webhooks and have them processed again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

import click
import psycopg

from checkout_service.api.responses import show_time
from checkout_service.commands import watching
from checkout_service.commands.models import Door, RunState
from checkout_service.commands.operations import Origin, process, process_all, wake_for_replay
from checkout_service.delivery_states import DeliveryState
from checkout_service.providers.base import IgnoredReason
from checkout_service.providers.registry import provider_specs
from checkout_service.publishing.publisher import QueueUnavailableError
from checkout_service.settings.values import MigrationSettings, SettingsError
from checkout_service.terminal import CommandGroup, Duration, Id, Number, echo_list, kept, os_user, printable
from checkout_service.webhooks.partitioning import LockedError, TakenError, partition_webhooks
from checkout_service.webhooks.queries import (
    WebhookSummary,
    count_processable,
    database_time,
    find_webhook,
    find_webhooks,
    processable,
)
from checkout_service.webhooks.selection import Choice

STATES: Final = click.Choice([state.value for state in DeliveryState])

REASONS: Final = click.Choice([reason.value for reason in IgnoredReason])

webhooks = CommandGroup("webhooks", help="Look at webhooks and process them again.")


@webhooks.command("list")
@click.option("--state", type=STATES)
@click.option("--ignored-for", "reason", type=REASONS, help="Only those that are ignored, and for this reason.")
@click.option("--provider")
@click.option("--since", type=Duration(), help="Only those that came within the last 90s, 30m, 2h, 7d …")
@click.option("--limit", type=Number(1, 10_000), default=50, show_default=True)
def list_webhooks(
    state: str | None, reason: str | None, provider: str | None, since: timedelta | None, limit: int
) -> None:
    """List webhooks, newest first."""
    chosen, ignored = _state_and_reason(state, reason)
    found = find_webhooks(state=chosen, ignored=ignored, provider=provider, since=since, limit=limit)
    echo_list(map(_listed, found), limit=limit, what="webhooks")


def _state_and_reason(state: str | None, reason: str | None) -> tuple[DeliveryState | None, IgnoredReason | None]:
    """As they are given; what has a reason is ignored, whether that was given or not."""
    if reason is None:
        return None if state is None else DeliveryState(state), None
    if state not in {None, DeliveryState.IGNORED}:
        raise click.UsageError(f"Only what is ignored has --ignored-for, and --state is {state}.")
    return DeliveryState.IGNORED, IgnoredReason(reason)


def _listed(row: WebhookSummary) -> str:
    is_tried = row.pending or row.state is DeliveryState.REJECTED
    pending = f"  next {show_time(row.next_attempt_at)}" if is_tried and row.next_attempt_at else ""
    return (
        f"{row.id}  {show_time(row.received_at)}  {row.provider:8}  {row.state:9}  "
        f"tried {row.attempts}{pending}  {printable(row.detail or '')}".rstrip()
    )


@webhooks.command("show")
@click.argument("delivery_id", type=Id())
def show_webhook(delivery_id: UUID) -> None:
    """Show one webhook in full, body included."""
    row = find_webhook(delivery_id)
    if row is None:
        raise click.ClickException(f"There is no webhook {delivery_id}.")
    for name in ("id", "provider", "state", "attempts", "provider_ref", "detail"):
        value = getattr(row, name)
        click.echo(f"{name:16}{'-' if value is None else printable(str(value))}")
    for name in ("received_at", "next_attempt_at", "processed_at"):
        moment = getattr(row, name)
        click.echo(f"{name:16}{show_time(moment) if moment else '-'}")
    for attempt in row.attempt_log:
        state = "done with" if attempt.state is None else attempt.state.value
        by = f", by command {attempt.command}" if attempt.command else ""
        click.echo(f"{'attempt':16}{show_time(attempt.at)}  {state}{by}  {printable(attempt.detail or '')}".rstrip())
    if row.erased_at is not None:
        click.echo(f"{'erased_at':16}{show_time(row.erased_at)}")
    for name, value in sorted(row.headers.items()):
        click.echo(f"header          {name}: {printable(str(value))}")
    if row.erased_at is None:
        click.echo(f"body            {len(row.body)} bytes\n{_pretty(row.body)}")


def _check_provider(context: click.Context, option: click.Parameter, name: str | None) -> str | None:
    # Not a Choice: which providers are installed is asked at start, where what is wrong with one can be told.
    if name is not None and name not in provider_specs():
        raise click.BadParameter(f"{name!r} is none of {', '.join(provider_specs())}")
    return name


@webhooks.command("process")
@click.argument("delivery_ids", type=Id(), nargs=-1)
@click.option("--state", type=STATES, help="Instead of ids: all in this state, as far as they can be.")
@click.option("--ignored-for", "reason", type=REASONS, help="Instead of ids: all that are ignored for this reason.")
@click.option("--provider", callback=_check_provider, help="With these two: only those of this provider.")
@click.option("--since", type=Duration(), help="With these two: only those of the last 90s, 30m, 2h, 7d …")
@click.option("--operator", help="Who you are, for the audit; by default the user of the operating system.")
@click.option("--why", default="from the command line", show_default=True, help="For the audit.")
@click.option("--dry-run", is_flag=True, help="Only say how many there are.")
def process_webhooks(
    delivery_ids: Sequence[UUID],
    state: str | None,
    reason: str | None,
    provider: str | None,
    since: timedelta | None,
    operator: str | None,
    why: str,
    dry_run: bool,
) -> None:
    """Have webhooks processed again that failed, were rejected or ignored, or were applied with a mismatch.

    What is received or parked is taken when it is due. What went well is left as it is, and what was applied is not
    applied twice. Each command is kept in the audit, which the console shows.
    """
    if delivery_ids and (state or reason or provider or since):
        raise click.UsageError("Give ids or filters, not both.")
    chosen, ignored = _state_and_reason(state, reason)
    if not delivery_ids and chosen is None:
        raise click.UsageError("Give the ids of webhooks, or --state or --ignored-for with the other filters.")
    name = printable(operator or os_user())
    if delivery_ids:
        _process_each(dict.fromkeys(delivery_ids), operator=name, why=why, dry_run=dry_run)
    elif chosen is not None:
        # A stretch of time that ends now would mean other webhooks at each moment.
        came_from = None if since is None else database_time() - since
        choice = Choice(state=chosen, reason=ignored, provider=provider, came_from=came_from)
        _process_chosen(choice, operator=name, why=why, dry_run=dry_run)


@webhooks.command("partition")
@click.option("--days", type=Number(1, 31), default=7, show_default=True, help="How many days are one part.")
def partition(days: int) -> None:
    """Turn the table into parts by time, so that what was kept for long enough is dropped and not deleted row by row.

    Connects by MIGRATION_DATABASE_URL, since only the tables' owner may do so. For tables of tens of millions of
    webhooks; there is no way back. Webhooks are taken and processed meanwhile.
    """
    try:
        first = partition_webhooks(MigrationSettings.from_environment().database_url, days=days, say=click.echo)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    except TakenError as error:
        raise click.ClickException("Another one runs this command, or migrates: wait for it.") from error
    except LockedError as error:
        raise click.ClickException("Somebody holds webhook_deliveries: see who does, and run it again.") from error
    except psycopg.Error as error:
        raise click.ClickException(f"The database refused: {error}\nNothing was changed.") from error
    if first is None:
        click.echo("The webhooks are in parts already.")
    else:
        click.echo(f"What was there is the part {first}; parts of {days} days follow. webhooks.parts sees to the rest.")


def _process_each(delivery_ids: Iterable[UUID], *, operator: str, why: str, dry_run: bool) -> None:
    found = {delivery_id: find_webhook(delivery_id) for delivery_id in delivery_ids}
    for delivery_id, webhook in found.items():
        if webhook is None:
            raise click.ClickException(f"There is no webhook {delivery_id}.")
    unsent: QueueUnavailableError | None = None
    for delivery_id, webhook in found.items():
        if webhook is not None and not processable(delivery_id):
            click.echo(f"{delivery_id} left as it is: {_why_left(webhook)}")
            continue
        if dry_run:
            click.echo(f"{delivery_id} would be enqueued")
            continue
        try:
            task_id = process(delivery_id, origin=_origin(operator, why))
        except QueueUnavailableError as error:
            # The command is written down all the same, and so are those for the others.
            unsent = unsent or error
            click.echo(f"{delivery_id} kept in the audit, without a message")
            continue
        click.echo(f"{delivery_id} enqueued as task {task_id}")
    if unsent is not None:
        kept = "Your command is kept, and a worker finds it within seconds of the broker's return"
        raise click.ClickException(f"The broker does not answer: {unsent}. {kept}.") from unsent


def _why_left(webhook: WebhookSummary) -> str:
    if webhook.erased_at is not None:
        return f"{webhook.state}, and erased at {show_time(webhook.erased_at)}"
    if webhook.pending and webhook.next_attempt_at is not None:
        return f"{webhook.state}, and next tried at {show_time(webhook.next_attempt_at)}"
    return f"{webhook.state} already"


def _process_chosen(choice: Choice, *, operator: str, why: str, dry_run: bool) -> None:
    count = count_processable(choice)
    if dry_run or not count:
        click.echo(f"{_webhooks(count)} would be processed." if dry_run else "No webhooks match.")
        return
    command_id = process_all(choice.to_details(), counted=count, origin=_origin(operator, why))
    command = watching.watch(
        command_id,
        progress=lambda command: (command.replayed, command.processed),
        line=lambda command: f"{command.processed} of {count} processed",
        wake=lambda: wake_for_replay(command_id),
    )
    results = ", ".join(f"{number} {state}" for state, number in sorted(command.results.items()))
    if command.open:
        raise click.ClickException(
            f"No worker came to it within {watching.PATIENCE:.0f} s: {_webhooks(command.processed)} of {count} "
            f"processed. Command {command_id} is kept, and goes on as soon as workers run."
        )
    if command.state is RunState.REFUSED:
        raise click.ClickException(f"Command {command_id} was refused: {command.message}.")
    click.echo(f"{_webhooks(command.replayed)} enqueued: {results or command.message or 'none processed yet'}.")


def _origin(operator: str, why: str) -> Origin:
    return Origin(key=uuid4(), door=Door.CLI, operator=operator, why=kept(why))


def _webhooks(count: int) -> str:
    return f"{count} webhook{'' if count == 1 else 's'}"


def _pretty(body: bytes) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=True)
    except (ValueError, RecursionError):
        return repr(body)
