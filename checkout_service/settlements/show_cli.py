"""``checkout settlements exceptions``, ``show`` and ``fees``: what needs a person, a payout, and what was charged."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import click

from checkout_service.command_options import Id, Number, echo_list, kept
from checkout_service.settlement_words import EXCEPTIONS, MatchState
from checkout_service.settlements.command_context import settled, shown
from checkout_service.settlements.command_queries import (
    FEW,
    Row,
    bank_entries_of,
    fees_by_month,
    files_of,
    held_files,
    open_exceptions,
    parts_of,
    payout_of,
    payouts_called,
)
from checkout_service.settlements.connecting import SettlementsConnection
from checkout_service.settlements.presenting import amount, moment, stored_residue
from checkout_service.settlements.remedies import HELD, REMEDIES
from checkout_service.spellings import parse_id

KINDS: Final = (*(state.value for state in EXCEPTIONS), HELD)

_MONTH: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


class Month(click.ParamType[date]):
    """A month such as 2026-11: its first day."""

    name = "month"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        found = _MONTH.fullmatch(str(value))
        if not found or not int(found[1]):
            self.fail(f"{str(value)!r} is no month such as 2026-11", param, ctx)
        return date(int(found[1]), int(found[2]), 1)


_provider = click.option("--provider", help="Of this provider alone; `bank` of bank statements.")
_json = click.option("--json", "as_json", is_flag=True, help="A JSON object a line, amounts as texts.")


@click.command("exceptions")
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, help="May be repeated; by default all.")
@_provider
@click.option("--before", type=Id(), metavar="ID", help="Go on behind this one, the last that was listed.")
@click.option(
    "--limit", type=Number(1, 10_000), default=50, show_default=True, help="Of each: matches, and held files."
)
@_json
def list_exceptions(
    kinds: tuple[str, ...], provider: str | None, before: UUID | None, limit: int, as_json: bool
) -> None:
    """List what needs a person, the newest first: id, kind, amounts there and here, what it is about, and what to do.

    Held files are among them, as the kind held. `resolve` and `undo` take the id of a match, `accept` that of a file.
    """
    chosen = kinds or KINDS
    states = [MatchState(kind) for kind in chosen if kind != HELD]
    with settled() as (_settings, connection):
        files = held_files(connection, provider=provider, before=before, limit=limit) if HELD in chosen else ()
        matches = (
            open_exceptions(connection, kinds=states, provider=provider, before=before, limit=limit) if states else ()
        )
    if as_json:
        for row in (*({**file, "kind": HELD} for file in files), *matches):
            click.echo(json.dumps({**row, "remedy": REMEDIES[row["kind"]]}, default=_plain, ensure_ascii=True))
        return
    for file in files:
        for line in _held_lines(file):
            click.echo(line)
    if len(files) == limit:
        click.echo(f"The newest {limit} held files are shown; there may be more: --limit", err=True)
    if matches or not files:
        echo_list(map(_exception, matches), limit=limit, what="exceptions")


@click.command("show")
@click.argument("payout", metavar="PAYOUT")
@_provider
@click.option("--account", help="Of this account there.")
def show_payout(payout: str, provider: str | None, account: str | None) -> None:
    """Show a payout, by its id or by the provider's name for it: what it is made of, exceptions, bank, files, proof.

    Times are in UTC; the day on which the bank should have it is the provider's.
    """
    with settled() as (_settings, connection):
        row = _payout(connection, payout, provider, account)
        for line in _payout_lines(row):
            click.echo(line)
        _list("Made of", map(_part, parts_of(connection, row["id"])), "nothing that is known yet")
        open_ones = open_exceptions(connection, payout_id=row["id"], limit=FEW)
        _list("Exceptions", map(_exception, open_ones), "none")
        _list("At the bank", map(_bank_entry, bank_entries_of(connection, row["id"])), "no entry is known")
        _list("Files", map(_file, files_of(connection, row["id"])), "none")


@click.command("fees")
@click.option("--month", type=Month(), help="Such as 2026-11; by default the last twelve.")
@_provider
@_json
def show_fees(month: date | None, provider: str | None, as_json: bool) -> None:
    """Show what providers charged, by month, provider and currency.

    Fees within lines and lines that are fees count alike; what was given back counts against it. A month is that in
    which a line occurred, in SETTLEMENTS_TIMEZONE.
    """
    with settled() as (settings, connection):
        rows = fees_by_month(connection, zone=settings.timezone, month=month, provider=provider)
    if as_json:
        for row in rows:
            click.echo(json.dumps({**row, "timezone": settings.timezone}, default=_plain))
        return
    for row in rows:
        of = f"of {row['entries']} entries"
        click.echo(f"{row['month']}  {row['provider']:12}  {amount(row['fees'], row['currency']):>20}  {of}")
    if not rows:
        click.echo("No fees match.", err=True)
    else:
        click.echo(f"Months are those of {settings.timezone}.", err=True)


def _payout(connection: SettlementsConnection, named: str, provider: str | None, account: str | None) -> Row:
    """The payout of this id or name. Raises ClickException where there is none, or more than one."""
    found: Sequence[Row] = ()
    with suppress(ValueError):
        found = [row for row in [payout_of(connection, parse_id(named))] if row]
    found = found or payouts_called(connection, kept(named), provider=provider, account=account)
    if not found:
        raise click.ClickException("No payout has this id or name.")
    if len(found) > 1:
        names = "".join(
            f"\n  {row['id']}  {row['provider']} {shown(row['account'])}  {amount(row['amount'], row['currency'])}"
            for row in found
        )
        raise click.ClickException(f"Several payouts have this name; name one by its id, or --account:{names}")
    return found[0]


def _payout_lines(row: Row) -> Iterator[str]:
    where = f"{row['provider']} {shown(row['account'])}".rstrip()
    yield f"{shown(row['payout_ref'])}  {row['id']}  {where}"
    yield f"  {amount(row['amount'], row['currency'])}: {row['status']} there, {row['state']} here"
    if not row["itemized"]:
        yield "  nobody can list what it is made of: it is reconciled by the balance of its account"
    yield (
        f"  entries {row['entries']}: gross {row['gross']:f}, fee {row['fee']:f}, net {row['net']:f}, "
        f"residue {row['amount'] - row['net']:f}"
    )
    bank = amount(row["amount_at_bank"], row["currency"]) or "nothing is known"
    yield f"  at the bank: {bank}"
    for name, value in (
        ("made", moment(row["issued_at"])),
        ("expected on", str(row["arrival_on"] or "")),
        ("reference for the bank", shown(row["bank_reference"])),
        ("text for the bank", shown(row["descriptor"])),
        ("takes back", shown(row["original_ref"])),
        ("failed", " ".join(part for part in (moment(row["failed_at"]), shown(row["failure_code"])) if part)),
        ("reconciled", moment(row["reconciled_at"])),
    ):
        if value:
            yield f"  {name}: {value}"


def _part(row: Row) -> str:
    return (
        f"{row['kind']:16} {row['entries']:>8}  gross {row['gross']:f}  fee {row['fee']:f}  "
        f"net {amount(row['net'], row['currency'])}"
    )


def _bank_entry(row: Row) -> str:
    return (
        f"{row['state']:9} {amount(row['amount'], row['currency'])}  {shown(row['occurred_local'])}  "
        f"{shown(row['account'])} {shown(row['entry_ref'])}  {shown(row['description'])}  match {row['id']}"
    )


def _file(row: Row) -> str:
    rules = "; ".join(shown(rule) for rule in row["rules"] or ()) or "no rule"
    accepted = f"; accepted by {shown(row['accepted_by'])}: {shown(row['accepted_why'])}" if row["accepted_by"] else ""
    return (
        f"{row['id']}  {shown(row['name'])}  {shown(row['form'])}  {row['entries']} entries  proof: {rules}{accepted}"
    )


def _exception(row: Row) -> str:
    there = amount(row["amount"], row["currency"]) or "nothing"
    here = amount(row["amount_here"], row["currency_here"]) or "nothing"
    about = [
        f"entry {row['entry_id']} {shown(row['entry_ref'])} ({row['entry_kind']}, {shown(row['provider_type'])})"
        if row["entry_id"]
        else "",
        f"payout {shown(row['payout_ref'])}" if row["payout_ref"] else "",
        f"payment {row['payment_id']}" if row["payment_id"] else "",
        f"in {', '.join(row['differs'])}" if row["differs"] else "",
        shown(row["detail"], 500),
    ]
    named = f"{row['provider']} {shown(row['account'])}".rstrip()
    return (
        f"{row['id']}  {row['kind']:13}  {named}  there {there}, here {here}  "
        f"{'  '.join(part for part in about if part)}\n    {REMEDIES[row['kind']]}"
    )


def _held_lines(row: Row) -> Iterator[str]:
    named = f"{row['provider']} {shown(row['account'])}".rstrip()
    yield f"{row['id']}  {HELD:13}  {named}  {shown(row['name'])}, {row['rows']} lines"
    for residue in row["residues"][:FEW]:
        yield f"    {stored_residue(residue)}"
    for fault in row["faults"][:FEW]:
        yield f"    {shown(fault, 500)}"
    yield f"    {REMEDIES[HELD]}"


def _list(title: str, lines: Iterator[str], nothing: str) -> None:
    click.echo(f"{title}:")
    is_empty = True
    for line in lines:
        is_empty = False
        click.echo(f"  {line}")
    if is_empty:
        click.echo(f"  {nothing}")


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return moment(value) if isinstance(value, datetime) else str(value)
