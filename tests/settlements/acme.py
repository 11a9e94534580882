"""A provider of another distribution, whose reports lie in a folder: what a fetch finds there, and how it fails.

Its reports are text. ``payout REF AMOUNT`` says what the lines add up to, each ``REF KIND GROSS FEE`` is one of them,
all in EUR. ``wait SECONDS`` makes the reader wait. ``section REF`` begins lines of a payout that another report lists,
by ``listed REF AMOUNT``. A name that ends with ``away`` is a provider that does not answer; one that ends with ``slow``
is read for as long as it is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from pathlib import Path
from time import sleep
from typing import BinaryIO

from checkout_service.providers.base import ProviderUnavailableError
from checkout_service.providers.reports import (
    FetchContext,
    Report,
    ReportForm,
    ReportLine,
    ReportPayout,
    ReportSection,
    UnreadableReportError,
)
from checkout_service.providers.spec import ProviderSpec, WebhookFormat
from checkout_service.settings.provider_accounts import AccountForm
from checkout_service.settlement_words import EntryKind, PayoutStatus

spec = ProviderSpec(
    name="acme",
    account=AccountForm(needed=("api_key",)),
    webhooks=WebhookFormat(body="json"),
    provider="tests.settlements.acme:Nobody",
    reports=ReportForm(
        read="tests.settlements.acme:read",
        fetch="tests.settlements.acme:fetch",
        account=AccountForm(
            needed=("reports_folder",), optional=("reports_account",), shapes={"reports_account": "[A-Z]+"}
        ),
        account_option="reports_account",
    ),
)

OCCURRED = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)


def read(file: BinaryIO, *, name: str, account: str) -> Report:
    """A file as it is told above."""
    report = Report(form="acme 1", name=name, lines=iter(()), columns=("ref", "kind", "gross", "fee"))
    report.lines = _lines(report, file, account)
    return report


def fetch(context: FetchContext) -> Iterator[Report]:
    """Each file of the folder that comes after the last one that was fetched."""
    folder = Path(context.account.option("reports_folder") or "")
    after = context.cursor or ""
    if context.since:
        after = ""
    for path in sorted(folder.iterdir()):
        if path.name <= after:
            continue
        if path.name.endswith("away"):
            raise ProviderUnavailableError("acme does not answer")
        while path.name.endswith("slow") and path.exists():
            sleep(0.05)
        if path.exists():
            with path.open("rb") as file:
                report = read(file, name=path.name, account=context.account.option("reports_account") or "")
                report.cursor = path.name
                yield report


def _payout(account: str, ref: str, amount: str) -> ReportPayout:
    return ReportPayout(
        account=account,
        payout_ref=ref,
        amount=Decimal(amount),
        currency="EUR",
        status=PayoutStatus.PAID,
        bank_reference=f"ACME {ref}",
    )


def _lines(report: Report, file: BinaryIO, account: str) -> Iterator[ReportLine]:
    digest, payout = sha256(), ""
    for number, line in enumerate(file, start=1):
        digest.update(line)
        words = line.decode("utf-8", "replace").split()
        try:
            if words[:1] == ["payout"]:
                _, payout, amount = words
                report.payouts.append(_payout(account, payout, amount))
                section = ReportSection(account=account, name=payout, of_payout=payout, rule="lines = payout")
                report.sections.append(section)
                continue
            if words[:1] == ["wait"]:
                sleep(float(words[1]))
                continue
            if words[:1] == ["section"]:
                _, payout = words
                report.sections.append(
                    ReportSection(account=account, name=payout, of_payout=payout, rule="lines = payout")
                )
                continue
            if words[:1] == ["listed"]:
                _, ref, amount = words
                report.payouts.append(_payout(account, ref, amount))
                continue
            ref, kind, gross, fee = words
            yield ReportLine(
                line=number,
                account=account,
                section=payout,
                entry_ref=ref,
                is_made=False,
                kind=EntryKind(kind),
                provider_type=kind,
                gross=Decimal(gross),
                fee=Decimal(fee),
                net=Decimal(gross) - Decimal(fee),
                currency="EUR",
                occurred_at=OCCURRED,
                occurred_local="2026-11-20 23:30:00",
                payout_ref=payout,
                payment_ref=f"pi_of_{ref}",
                merchant_ref=f"order-{ref}",
            )
        except (ValueError, InvalidOperation) as error:
            raise UnreadableReportError(f"{words[:4]} is no movement", line=number) from error
    report.sha256 = digest.digest()
