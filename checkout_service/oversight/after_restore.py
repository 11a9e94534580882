"""``checkout after-restore``: what a database that was put back to an earlier moment has to know of what it lost.

Numbers that were given after that moment are known outside: to readers of the log, and to customers. Given again to
others, readers would pass over events, and two orders would have one number. And what providers reported since was
answered 202, so they do not report it again: they have to be asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import click
import psycopg

from checkout_service.database.owner import LOCK_WITHIN, as_owner, owner_steps
from checkout_service.providers.registry import tells_all
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import MigrationSettings, SettingsError
from checkout_service.terminal import Duration, Moment, Number

LARGEST: Final = 2**53
"""What a reader may write as a number in JSON."""

PAGE: Final = 1000
"""Payments of one transaction."""

# Of those who give numbers one works at a time: whoever comes second sees what this one did.
_LOCK: Final = "LOCK TABLE order_numbering IN SHARE UPDATE EXCLUSIVE MODE"

_ORDERS: Final = """
    INSERT INTO order_numbers (id, number) SELECT uuidv7(), %(number)s
    WHERE %(number)s > (SELECT coalesce(max(number), 0) FROM order_numbers)
"""
"""The number belongs to no order: the next one is greater."""

# A sender knows a log again by its last number and that one's event, so the last event gets the new number too. A log
# without any has no event: all up to the number counts as dropped there, which a sender takes for its own log as well.
_EVENTS: Final = """
    WITH moved AS (
        INSERT INTO event_series AS known (last_seq, day, last_event_id, dropped_seq)
        SELECT %(number)s, (now() AT TIME ZONE 'UTC')::date - 1, uuidv7(), %(number)s WHERE %(number)s > 0
        ON CONFLICT ((true)) DO UPDATE SET last_seq = excluded.last_seq, updated_at = now()
        WHERE known.last_seq < excluded.last_seq
        RETURNING old.last_seq AS before, new.last_seq, new.day, new.last_event_id
    ), numbered AS (
        INSERT INTO event_numbers (seq, day, event_id, type, object_id, lane, order_number)
        SELECT moved.last_seq, moved.day, last.event_id, last.type, last.object_id, last.lane, last.order_number
        FROM moved JOIN event_numbers AS last
            ON last.seq = moved.before AND last.day = moved.day AND last.event_id = moved.last_event_id
        RETURNING type, seq
    )
    UPDATE event_types SET last_seq = numbered.seq, updated_at = now() FROM numbered
    WHERE event_types.type = numbered.type
"""

_LAST: Final = """
    SELECT coalesce((SELECT last_seq FROM event_series), 0), coalesce((SELECT max(number) FROM order_numbers), 0)
"""

# Also those that are settled: what came after it, a refund or a dispute, is lost as well. Locked in the order in which
# workers lock them, and a page at a time, since whoever is promoted in place of a primary is at work already.
_LOOK_UPS: Final = f"""
    WITH page AS (
        SELECT created_at, id FROM payments
        WHERE (created_at, id) > (CAST(%(after)s AS timestamptz), CAST(%(after_id)s AS uuid))
            AND (created_at >= coalesce(%(moment)s, now()) - %(since)s OR next_look_up_at IS NOT NULL)
        ORDER BY created_at, id LIMIT {PAGE}
    ), locked AS (
        SELECT id, provider FROM payments WHERE id IN (SELECT id FROM page) ORDER BY id FOR NO KEY UPDATE
    ), due AS (
        INSERT INTO look_ups_after_restore AS known (payment_id, provider) SELECT id, provider FROM locked
        ON CONFLICT (payment_id) DO UPDATE SET due_at = now(), answered_at = NULL, updated_at = now()
    )
    SELECT created_at::text, id, count(*) OVER () FROM page ORDER BY page.created_at DESC, page.id DESC LIMIT 1
"""  # noqa: S608 (only our own constants)


_PROVIDERS: Final = "SELECT DISTINCT provider FROM look_ups_after_restore ORDER BY provider"

_LET_GO: Final = f"""
    DELETE FROM look_ups_after_restore WHERE id IN (
        SELECT id FROM look_ups_after_restore WHERE provider = %(provider)s AND (answered_at IS NOT NULL OR %(all)s)
        ORDER BY id LIMIT {PAGE})
"""  # noqa: S608 (only our own constants)


class Series(NamedTuple):
    """The last number of the log of events, and of the orders."""

    event: int
    order: int


class Done(NamedTuple):
    """The series before and after, how many payments are looked up, and of which providers."""

    before: Series
    after: Series
    payments: int
    providers: Sequence[str] = ()


def after_restore(
    *,
    events_past: int,
    orders_past: int,
    payments_since: timedelta,
    moment: datetime | None = None,
    database_url: Secret,
) -> Done:
    """Move the series past these numbers, then have providers asked about payments of so long before the moment.

    A series is never moved back, so it may be run again. Raises psycopg.Error.
    """
    with owner_steps(database_url, name="after-restore") as connection:
        with as_owner(connection) as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_WITHIN}'")
            cursor.execute(_LOCK)
            before = _last(cursor)
            cursor.execute(_EVENTS, {"number": events_past})
            cursor.execute(_ORDERS, {"number": orders_past})
            after = _last(cursor)
        payments, place = 0, ("-infinity", UUID(int=0))
        while True:
            with as_owner(connection) as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_WITHIN}'")
                cursor.execute(
                    _LOOK_UPS.encode(),
                    {"after": place[0], "after_id": place[1], "since": payments_since, "moment": moment},
                )
                page = cursor.fetchone()
                if page is None:
                    cursor.execute(_PROVIDERS)
                    return Done(before, after, payments, [row[0] for row in cursor])
            place, payments = (page[0], page[1]), payments + page[2]


def let_go(*, provider: str, unanswered: bool, database_url: Secret) -> int:
    """Have this provider's payments wait no more: those that it answered, or all; how many. Raises psycopg.Error."""
    with owner_steps(database_url, name="after-restore") as connection:
        count = 0
        while True:
            with as_owner(connection) as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_WITHIN}'")
                cursor.execute(_LET_GO.encode(), {"provider": provider, "all": unanswered})
                gone = cursor.rowcount
            count += gone
            if gone < PAGE:
                return count


def _last(cursor: psycopg.Cursor[Any]) -> Series:
    cursor.execute(_LAST)
    return Series(*next(iter(cursor)))


@click.command("after-restore")
@click.option("--events-past", type=Number(0, LARGEST), required=True, help="Above every number a reader has seen.")
@click.option("--orders-past", type=Number(0, LARGEST), required=True, help="Above every number a customer has seen.")
@click.option(
    "--payments-since",
    type=Duration(),
    default="180d",
    show_default=True,
    help="Ask providers about all payments of so long before the moment, and about all that are open.",
)
@click.option(
    "--moment",
    type=Moment(),
    help="To which the database was put back, with its offset from UTC; now, if it is not given.",
)
def after_restore_command(
    events_past: int, orders_past: int, payments_since: timedelta, moment: datetime | None
) -> None:
    """Have a database that was put back to an earlier moment give no number twice, and ask what it missed.

    Run it after the restore, before web and workers are started, with MIGRATION_DATABASE_URL. Where a number is
    not known give one that is surely too great: numbers in between are left out, and nobody minds. See
    docs/availability.md.
    """
    try:
        url = MigrationSettings.from_environment().database_url
        done = after_restore(
            events_past=events_past,
            orders_past=orders_past,
            payments_since=payments_since,
            moment=moment,
            database_url=url,
        )
        silent = [name for name in done.providers if not tells_all(name)]
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    except psycopg.Error as error:
        raise click.ClickException(f"The database refused: {error}\nIt may be run again.") from error
    click.echo(f"Events: the last number was {done.before.event}, the next one is {done.after.event + 1}.")
    click.echo(f"Orders: the last number was {done.before.order}, the next one is {done.after.order + 1}.")
    click.echo(f"Payments: {done.payments} are looked up as soon as workers run. Until then they are not refunded.")
    for name in silent:
        click.echo(
            f"{name}: its look-ups find no refunds and captures. Have its webhooks of that time sent again, then run "
            f"flask after-restore-done {name}: until then its payments are neither refunded nor captured."
        )


@click.command("after-restore-done")
@click.argument("provider")
@click.option("--unanswered", is_flag=True, help="Also those that it has not answered, such as of a closed account.")
def after_restore_done_command(provider: str, unanswered: bool) -> None:
    """Let refunds and captures be asked for again of this provider's payments, whose look-ups cannot tell all.

    Run it once all that happened there since the moment of the restore is here, with MIGRATION_DATABASE_URL.
    """
    try:
        url = MigrationSettings.from_environment().database_url
        count = let_go(provider=provider, unanswered=unanswered, database_url=url)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    except psycopg.Error as error:
        raise click.ClickException(f"The database refused: {error}\nIt may be run again.") from error
    click.echo(f"{count} payments of {provider} wait no more.")
