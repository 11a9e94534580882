"""Finds the payout that somebody names, by its id or by the provider's name for it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import click

from checkout_service.command_options import kept
from checkout_service.settlements.command_context import shown
from checkout_service.settlements.command_queries import Row, entries_naming, payout_of, payouts_called
from checkout_service.settlements.connecting import SettlementsConnection
from checkout_service.settlements.presenting import amount, number_of
from checkout_service.spellings import parse_id

provider_option: Final = click.option(
    "--provider", metavar="NAME", help="Whose payout it is, where several have this name."
)
account_option: Final = click.option("--account", metavar="NAME", help="Of this account there.")


def payout_named(
    connection: SettlementsConnection, named: str, *, provider: str | None = None, account: str | None = None
) -> Row:
    """The payout of this id or name. Raises ClickException where there is none, or more than one."""
    found: Sequence[Row] = ()
    with suppress(ValueError):
        found = [row for row in [payout_of(connection, parse_id(named))] if row]
    name = kept(named)
    found = found or payouts_called(connection, name, provider=provider, account=account)
    if not found:
        waiting = "".join(
            f" {number_of(row['entries'], 'entry', 'entries')} of {row['provider']} {shown(row['account'])}".rstrip()
            + f" {'names' if row['entries'] == 1 else 'name'} it, and no report has listed it: import the one that "
            "lists payouts, or fetch."
            for row in entries_naming(connection, name)
        )
        raise click.ClickException(f"No payout has this id or name.{waiting}")
    if len(found) > 1:
        names = "".join(
            f"\n  {row['id']}  {row['provider']} {shown(row['account'])}  {amount(row['amount'], row['currency'])}"
            for row in found
        )
        raise click.ClickException(f"Several payouts have this name; name one by its id, or --account:{names}")
    return found[0]
