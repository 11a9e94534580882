"""``flask webhooks``: operators look at webhooks and have them processed again."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import click

from checkout_service.api.responses import show_time
from checkout_service.providers.registry import provider_specs
from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.tasks import TaskName
from checkout_service.terminal import CommandGroup, Duration, printable
from checkout_service.webhooks.models import STATES
from checkout_service.webhooks.queries import count_processable, find_webhook, find_webhooks, processable
from checkout_service.webhooks.reprocessing import PATIENCE, Progress, process_all
from checkout_service.webhooks.selection import Choice

webhooks = CommandGroup("webhooks", help="Look at webhooks and process them again.")


@webhooks.command("list")
@click.option("--state", type=click.Choice(STATES))
@click.option("--provider")
@click.option("--since", type=Duration(), help="Only those that came within the last 90s, 30m, 2h, 7d …")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
def list_webhooks(state: str | None, provider: str | None, since: timedelta | None, limit: int) -> None:
    """List webhooks, newest first."""
    found = find_webhooks(state=state, provider=provider, since=since, limit=limit)
    for row in found:
        pending = f"  next {show_time(row.next_attempt_at)}" if row.state in {"received", "parked"} else ""
        click.echo(
            f"{row.id}  {show_time(row.received_at)}  {row.provider:8}  {row.state:9}  "
            f"tried {row.attempts}{pending}  {printable(row.detail or '')}".rstrip()
        )
    if not found:
        click.echo("No webhooks match.", err=True)


@webhooks.command("show")
@click.argument("delivery_id", type=click.UUID)
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
    for name, value in sorted(row.headers.items()):
        click.echo(f"header          {name}: {printable(str(value))}")
    click.echo(f"body            {len(row.body)} bytes\n{_pretty(row.body)}")


def _check_provider(context: click.Context, option: click.Parameter, name: str | None) -> str | None:
    # Not a Choice: which providers are installed is asked at start, where what is wrong with one can be told.
    if name is not None and name not in provider_specs():
        raise click.BadParameter(f"{name!r} is none of {', '.join(provider_specs())}")
    return name


@webhooks.command("process")
@click.argument("delivery_ids", type=click.UUID, nargs=-1)
@click.option("--state", type=click.Choice(STATES), help="Instead of ids: all in this state, as far as they can be.")
@click.option("--provider", callback=_check_provider, help="With --state: only those of this provider.")
@click.option("--since", type=Duration(), help="With --state: only those that came within the last 90s, 30m, 2h, 7d …")
@click.option("--dry-run", is_flag=True, help="Only say how many there are.")
def process_webhooks(
    delivery_ids: Sequence[UUID], state: str | None, provider: str | None, since: timedelta | None, dry_run: bool
) -> None:
    """Have webhooks processed again, whatever became of them; what was applied is not applied twice."""
    if delivery_ids and (state or provider or since):
        raise click.UsageError("Give ids or filters, not both.")
    if not delivery_ids and not state:
        raise click.UsageError("Give the ids of webhooks, or --state with the other filters.")
    try:
        if delivery_ids:
            _process_each(dict.fromkeys(delivery_ids), dry_run=dry_run)
        else:
            _process_chosen(Choice(state=state or "", provider=provider, since=since), dry_run=dry_run)
    except QueueUnavailableError as error:
        raise click.ClickException(f"The broker does not answer: {error}") from error


def _process_each(delivery_ids: Iterable[UUID], *, dry_run: bool) -> None:
    found = {delivery_id: find_webhook(delivery_id) for delivery_id in delivery_ids}
    for delivery_id, row in found.items():
        if row is None:
            raise click.ClickException(f"There is no webhook {delivery_id}.")
    for delivery_id, row in found.items():
        if not processable(delivery_id):
            click.echo(f"{delivery_id} left as it is: {_why_left(row)}")
            continue
        if dry_run:
            click.echo(f"{delivery_id} would be enqueued")
            continue
        task_id = task_queue().enqueue(TaskName.PROCESS_WEBHOOK, str(delivery_id), watched=True)
        click.echo(f"{delivery_id} enqueued as task {task_id}")


def _why_left(row: Any) -> str:
    if row.state in {"received", "parked"}:
        return f"{row.state}, and next tried at {show_time(row.next_attempt_at)}"
    return f"{row.state} already"


def _process_chosen(choice: Choice, *, dry_run: bool) -> None:
    count = count_processable(choice)
    if dry_run or not count:
        click.echo(f"{_webhooks(count)} would be processed." if dry_run else "No webhooks match.")
        return
    terminal = sys.stderr.isatty()

    def tell(progress: Progress) -> None:
        if terminal:
            click.echo(f"\r{progress.became.total()} of {count} processed", err=True, nl=False)

    progress = process_all(choice=choice, told=tell)
    if terminal:
        click.echo(err=True)
    became = ", ".join(f"{number} {state}" for state, number in sorted(progress.became.items()))
    click.echo(f"{_webhooks(progress.notified)} enqueued: {became or 'none processed yet'}.")
    if progress.untouched:
        waited = f"no worker came to {_webhooks(len(progress.untouched))} within {2 * PATIENCE:.0f} s"
        if progress.notified < count:
            raise click.ClickException(f"Stopped: {waited}. Start workers and run this again for what is left.")
        click.echo(f"But {waited}, {progress.untouched[0]} for one; they wait in the queue.", err=True)


def _webhooks(count: int) -> str:
    return f"{count} webhook{'' if count == 1 else 's'}"


def _pretty(body: bytes) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=True)
    except (ValueError, RecursionError):
        return repr(body)
