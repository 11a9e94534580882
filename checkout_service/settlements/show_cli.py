"""``checkout settlements exceptions``, ``show`` and ``fees``: what needs a person, a payout, and what was charged."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import click

from checkout_service.command_options import Id, Number
from checkout_service.settlement_words import EXCEPTIONS, MatchState, PayoutState
from checkout_service.settlements.amounts import show_exactly
from checkout_service.settlements.command_context import settled, shown
from checkout_service.settlements.command_queries import (
    FEW,
    Row,
    accepted_of,
    bank_entries_of,
    fees_by_month,
    files_of,
    held_files,
    open_exceptions,
    parts_of,
)
from checkout_service.settlements.naming import account_option, payout_named, provider_option
from checkout_service.settlements.presenting import amount, difference, moment, number_of, residue_of, stored_residue
from checkout_service.settlements.remedies import HELD, REMEDIES, remedy_of

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


_provider = click.option("--provider", metavar="NAME", help="Of this provider alone; `bank` of bank statements.")
_json = click.option("--json", "as_json", is_flag=True, help="A JSON object a line, amounts as texts.")


@click.command("exceptions", short_help="List what needs a person, and what to do.")
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, help="May be repeated; by default all.")
@_provider
@click.option("--before", type=Id(), metavar="ID", help="Go on behind this one, the last that was listed: older ones.")
@click.option("--limit", type=Number(1, 10_000), default=50, show_default=True, metavar="N", help="So many at most.")
@_json
def list_exceptions(
    kinds: tuple[str, ...], provider: str | None, before: UUID | None, limit: int, as_json: bool
) -> None:
    """List what needs a person, the newest first: id, kind, amounts there and here, what it is about, and what to do.

    `match` is followed by the id of a match, for `resolve` and `undo`; `file` by that of a held file, for `accept`.
    There and here are gross, what customers paid or got back before any fee: that is what is compared. Of a bank's
    entry they are its part of the payout, and the payout's amount.
    """
    chosen = kinds or KINDS
    states = [MatchState(kind) for kind in chosen if kind != HELD]
    one_more = limit + 1
    with settled() as (_settings, connection):
        files = held_files(connection, provider=provider, before=before, limit=one_more) if HELD in chosen else ()
        matches = (
            open_exceptions(connection, kinds=states, provider=provider, before=before, limit=one_more)
            if states
            else ()
        )
    # One list, so that what comes behind an id is behind it, whatever it is. Ids are by their moments.
    held = [{**file, "kind": HELD} for file in files]
    found = sorted([*held, *matches], key=lambda row: row["id"], reverse=True)
    for row in found[:limit]:
        if as_json:
            remedy = remedy_of(row["kind"], row["provider"])
            click.echo(json.dumps({**_exactly(row), "remedy": remedy}, default=_plain, ensure_ascii=True))
        elif row["kind"] == HELD:
            for line in _held_lines(row):
                click.echo(line)
        else:
            click.echo(_exception(row))
    if not found and not as_json:
        click.echo("No exceptions match.", err=True)
    if len(found) > limit:
        last = found[limit - 1]["id"]
        click.echo(f"There are more than these {limit}: --limit, or --before {last}", err=True)


@click.command("show", short_help="Show a payout and what it is made of.")
@click.argument("payout", metavar="PAYOUT")
@provider_option
@account_option
def show_payout(payout: str, provider: str | None, account: str | None) -> None:
    """Show a payout, by its id or by the provider's name for it: what it is made of, exceptions, bank, files, proof.

    Times are in UTC; the day on which the bank should have it is the provider's. A residue is what was found less what
    is expected: here, the net of its entries less its amount.
    """
    with settled() as (_settings, connection):
        row = payout_named(connection, payout, provider=provider, account=account)
        for line in _payout_lines(row):
            click.echo(line)
        _list("Made of", map(_part, parts_of(connection, row["id"])), "nothing that is known yet")
        open_ones = open_exceptions(connection, payout_id=row["id"], limit=FEW)
        _list("Exceptions", map(_exception, open_ones), "none")
        _list("At the bank", map(_bank_entry, bank_entries_of(connection, row["id"])), "no entry is known")
        _list("Files", (_file(file, is_itemized=row["itemized"]) for file in files_of(connection, row["id"])), "none")
        if accepted := accepted_of(connection, row["id"]):
            click.echo(f"Accepted: {_accepted(accepted)}")


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
            click.echo(json.dumps({**_exactly(row), "timezone": settings.timezone}, default=_plain))
        return
    for row in rows:
        of = f"of {number_of(row['entries'], 'entry', 'entries')}"
        click.echo(f"{row['month']}  {row['provider']:12}  {amount(row['fees'], row['currency']):>20}  {of}")
    if not rows:
        click.echo("No fees match.", err=True)
    else:
        click.echo(f"Months are those of {settings.timezone}.", err=True)


def _payout_lines(row: Row) -> Iterator[str]:
    where = f"{row['provider']} {shown(row['account'])}".rstrip()
    currency = row["currency"]
    residue = row["net"] - row["amount"]
    has_come_out = row["state"] in (PayoutState.UNMATCHED, PayoutState.RECONCILED)
    yield f"{shown(row['payout_ref'])}  {row['id']}  {where}"
    accepted = f", accepted with a residue of {difference(residue, currency)} {currency}" if residue else ""
    yield f"  {amount(row['amount'], currency)}: {row['status']} there, {row['state']} here" + (
        accepted if has_come_out else ""
    )
    if not row["itemized"]:
        yield "  nobody can list what it is made of: it is reconciled by the balance of its account"
    elif row["entries"] or row["state"] == PayoutState.OPEN:
        yield (
            f"  entries {row['entries']}: gross {amount(row['gross'], currency)}, fee {amount(row['fee'], currency)}, "
            f"net {amount(row['net'], currency)}, residue {difference(residue, currency)} {currency}"
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
        f"{row['kind']:16} {row['entries']:>8}  gross {amount(row['gross'], row['currency'])}  "
        f"fee {amount(row['fee'], row['currency'])}  net {amount(row['net'], row['currency'])}"
    )


def _bank_entry(row: Row) -> str:
    return (
        f"{row['state']:9} {amount(row['amount'], row['currency'])}  {shown(row['occurred_local'])}  "
        f"{shown(row['account'])} {shown(row['entry_ref'])}  {shown(row['description'])}  match {row['id']}"
    )


def _file(row: Row, *, is_itemized: bool) -> str:
    rules = "; ".join(shown(rule) for rule in row["rules"] or ()) or "no rule"
    accepted = ""
    if row["accepted_by"]:
        residues = ", ".join(residue_of(residue) for residue in (row["residues"] or ())[:FEW])
        lacks = f" with a residue of {residues}" if residues else ""
        accepted = f"; accepted{lacks} by {shown(row['accepted_by'])}: {shown(row['accepted_why'])}"
    if not row["entries"]:
        brought = "lists it"
    elif is_itemized:
        brought = number_of(row["entries"], "entry", "entries")
    else:
        brought = f"its own line of {number_of(row['rows'], 'line')}"
    proof = f"  proof: {rules}" if row["entries"] else ""
    return f"{row['id']}  {shown(row['name'])}  {shown(row['form'])}  {brought}{proof}{accepted}"


def _accepted(row: Row) -> str:
    there, here = amount(row["amount"], row["currency"]), amount(row["amount_here"], row["currency"])
    return f"{there} of {here} by {shown(row['made_by'])}: {shown(row['made_why'])}  match {row['id']}"


def _exception(row: Row) -> str:
    there = amount(row["amount"], row["currency"]) or "nothing"
    here = amount(row["amount_here"], row["currency_here"]) or "nothing"
    about = [
        f"entry {row['entry_id']} {shown(row['entry_ref'])} ({row['entry_kind']}, {shown(row['provider_type'])})"
        if row["entry_id"]
        else "",
        *(
            f"{name} {shown(row[column])}"
            for name, column in (("subject", "subject_ref"), ("payment", "payment_ref"), ("order", "merchant_ref"))
            if row[column]
        ),
        f"payout {shown(row['payout_ref'])}" if row["payout_ref"] else "",
        f"our payment {row['payment_id']}" if row["payment_id"] else "",
        f"in {', '.join(row['differs'])}" if row["differs"] else "",
        shown(row["detail"], 500),
    ]
    named = f"{row['provider']} {shown(row['account'])}".rstrip()
    return (
        f"match {row['id']}  {row['kind']:13}  {named}  there {there}, here {here}  "
        f"{'  '.join(part for part in about if part)}\n    {remedy_of(row['kind'], row['provider'])}"
    )


def _held_lines(row: Row) -> Iterator[str]:
    named = f"{row['provider']} {shown(row['account'])}".rstrip()
    yield f"file {row['id']}  {HELD:13}  {named}  {shown(row['name'])}, {number_of(row['rows'], 'line')}"
    for residue in row["residues"][:FEW]:
        yield f"    {stored_residue(residue)}"
    for fault in row["faults"][:FEW]:
        yield f"    {shown(fault, 500)}"
    yield f"    {REMEDIES[HELD]}"


def _list(title: str, lines: Iterable[str], nothing: str) -> None:
    click.echo(f"{title}:")
    is_empty = True
    for line in lines:
        is_empty = False
        click.echo(f"  {line}")
    if is_empty:
        click.echo(f"  {nothing}")


def _exactly(row: Row) -> Mapping[str, Any]:
    """A row whose amounts are written with the decimals of their currencies."""
    amounts = (("amount", "currency"), ("amount_here", "currency_here"), ("fees", "currency"))
    written = {
        name: show_exactly(row[name], row[currency] or "")
        for name, currency in amounts
        if isinstance(row.get(name), Decimal)
    }
    return {**row, **written}


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return moment(value) if isinstance(value, datetime) else str(value)
