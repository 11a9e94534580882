"""``checkout payments``: one payment's timeline, and whether all of them are as they must be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID

import click

from checkout_service.api.responses import show_time
from checkout_service.oversight.authorizations import listed_authorizations
from checkout_service.oversight.disputes import listed_disputes
from checkout_service.oversight.invariants import INVARIANTS
from checkout_service.oversight.operator_phrases import phrase, summary
from checkout_service.oversight.promises import Limits
from checkout_service.oversight.refunds import LISTED, listed
from checkout_service.oversight.settling import (
    accept_amount,
    refund_payment,
    review_payment,
    settle_capture,
    settle_refund_in_doubt,
    take_over_order,
)
from checkout_service.oversight.timeline import timeline_of
from checkout_service.payments.status import DisputeStatus, RefundStatus
from checkout_service.terminal import CommandGroup, Day, Duration, Id, Number, echo_list

payments = CommandGroup("payments", help="Look at payments, check what must hold of them, and settle what does not.")
payments.add_command(accept_amount)
payments.add_command(review_payment)
payments.add_command(refund_payment)
payments.add_command(settle_capture)
payments.add_command(settle_refund_in_doubt)

orders = CommandGroup("orders", help="Settle what becomes of orders.")
orders.add_command(take_over_order)


@payments.command("show")
@click.argument("payment_id", type=Id())
def show_payment(payment_id: UUID) -> None:
    """Show one payment and everything that happened to it, in order."""
    timeline = timeline_of(payment_id)
    if timeline is None:
        raise click.ClickException(f"There is no payment {payment_id}.")
    payment = timeline.payment
    for summed in summary(payment):
        click.echo(f"{summed.label:9} {summed.text}")
    click.echo()
    click.echo(f"{show_time(payment.created_at)}  created")
    for line in map(phrase, timeline.entries):
        click.echo(f"{show_time(line.at)}  {line.kind:9} {line.text}")


@payments.command("refunds")
@click.option("--status", type=click.Choice([status.value for status in LISTED]), default="failed", show_default=True)
@click.option("--within", type=Duration(), default="30d", show_default=True, help="How far back.")
@click.option("--limit", type=Number(1, 10_000), default=50, show_default=True)
def list_refunds(status: str, within: timedelta, limit: int) -> None:
    """List refunds that failed, or that are still pending, with why."""
    echo_list(listed(RefundStatus(status), within=within, limit=limit), limit=limit, what="refunds", which="first")


@payments.command("disputes")
@click.option("--due-before", type=Day(), help="Only those whose evidence is due before this day, in UTC.")
@click.option(
    "--status",
    "statuses",
    type=click.Choice([status.value for status in DisputeStatus]),
    multiple=True,
    default=[DisputeStatus.NEEDS_RESPONSE.value],
    show_default=True,
    help="May be given several times.",
)
@click.option("--limit", type=Number(1, 10_000), default=50, show_default=True)
def list_disputes(due_before: datetime | None, statuses: Sequence[str], limit: int) -> None:
    """List disputes, the nearest deadline first, with the money that they took, and where evidence is sent."""
    found = listed_disputes(list(map(DisputeStatus, statuses)), due_before=due_before, limit=limit)
    echo_list(found, limit=limit, what="disputes", which="first")


@payments.command("authorizations")
@click.option("--due-before", type=Day(), help="Only those that end before this day, in UTC.")
@click.option("--limit", type=Number(1, 10_000), default=50, show_default=True)
def list_authorizations(due_before: datetime | None, limit: int) -> None:
    """List authorisations that are open, the nearest end first: after it nothing can be captured."""
    found = listed_authorizations(due_before=due_before, limit=limit)
    echo_list(found, limit=limit, what="authorisations", which="first")


@payments.command("check")
@click.option("--pending", type=Duration(), default="15m", show_default=True, help="How long a webhook may be pending.")
@click.option("--within", type=Duration(), default="365d", show_default=True, help="How far back events are compared.")
@click.option("--limit", type=Number(1, 10_000), default=20, show_default=True, help="Rows named a promise.")
def check_payments(pending: timedelta, within: timedelta, limit: int) -> None:
    """Check what must always hold, of all rows; exits with 1 if something does not."""
    limits = Limits(pending=pending, remembered=within)
    broken = False
    longest = max(len(invariant.name) for invariant in INVARIANTS)
    for invariant in INVARIANTS:
        rows = invariant.find(limits)
        named = list(islice(rows, limit))
        click.echo(f"{'WRONG' if named else 'ok   '}  {invariant.name:{longest}} {invariant.promise}")
        for row in named:
            click.echo(f"         {row}")
        if named:
            broken = True
            _tell_more(rows)
            click.echo(f"         What to do: {invariant.remedy}")
    if broken:
        raise SystemExit(1)


def _tell_more(rows: Iterator[str]) -> None:
    more = sum(1 for _ in rows)
    if more:
        click.echo(f"         and {more} more")
