"""The samples of reports, and each of them with one cent changed, one line twice, one line lost: of each format."""

from __future__ import annotations

import copy
import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from checkout_service.providers.reports import NotFetched, Report
from checkout_service.settlement_words import BANK
from checkout_service.settlements.readers import fetcher_of, reader_of
from tests.providers import test_mollie_reports as mollie
from tests.providers import test_paypal_reports_fetch as paypal
from tests.providers.proving_reports import SAMPLES, context_of, served
from tests.providers.stripe_reports import movements
from tests.providers.stripe_reports_server import KEY, NOW, Stripe, serving
from tests.settlements.banks.samples import DETAILS_OF_02, DUTCH, GERMAN, PAYOUTS_OF_08

Reports = Callable[[], Iterator[Report]]
"""What an import of files, or a fetch, reads: one after the other, as they are entered."""

Spoiled = Iterator[tuple[str, Reports]]
"""What was done to a sample, in words, and what is read of it then."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A report as it is, and each way to spoil it that has to be noticed."""

    provider: str
    reports: Reports
    spoiled: Callable[[], Spoiled]
    account: str = ""


@dataclass(frozen=True)
class File:
    """A file under the name that its provider gives it."""

    name: str
    content: bytes

    def with_rows(self, rows: Sequence[Sequence[str]]) -> File:
        return File(self.name, csv_bytes(rows))

    def rows(self) -> list[list[str]]:
        return list(csv.reader(io.StringIO(self.content.decode(), newline="")))


def csv_bytes(rows: Sequence[Sequence[str]], **form: Any) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, **({"lineterminator": "\n"} | form)).writerows(rows)
    return text.getvalue().encode()


def sample(name: str) -> File:
    """One of the files, by its beginning."""
    [path] = SAMPLES.glob(f"{name}*")
    return File(path.name.removeprefix("paypal-"), path.read_bytes())


def read(provider: str, *files: File, account: str = "") -> Reports:
    def each() -> Iterator[Report]:
        for file in files:
            yield reader_of(provider)(io.BytesIO(file.content), name=file.name, account=account)

    return each


def cent_more(amount: str) -> str:
    return f"{Decimal(amount) + Decimal('0.01'):f}"


def rows_spoiled(file: File, first: int, money: Callable[[Sequence[str]], Iterator[int]]) -> Iterator[tuple[str, File]]:
    """From the row ``first`` on: each twice and lost, and each cell of ``money`` with a cent more."""
    rows = file.rows()
    for place in range(first, len(rows)):
        row = rows[place]
        name = f"row {place}"
        yield f"{name} twice", file.with_rows([*rows[: place + 1], *rows[place:]])
        yield f"{name} lost", file.with_rows([*rows[:place], *rows[place + 1 :]])
        for cell in money(row):
            changed = [*row[:cell], cent_more(row[cell]), *row[cell + 1 :]]
            yield f"{name}, a cent in cell {cell}", file.with_rows([*rows[:place], changed, *rows[place + 1 :]])


def adyen(file: File) -> Spoiled:
    """Of converted money a cent of gross or a fee may be rounding: net alone is compared (docs/providers/adyen.md)."""
    header = file.rows()[0]
    rate = header.index("Exchange Rate")
    amounts = [place for place, name in enumerate(header) if name.endswith(("(NC)", "(GC)"))]

    def money(row: Sequence[str]) -> Iterator[int]:
        for place in amounts:
            is_compared = row[rate] in ("", "1") or header[place].startswith("Net")
            if row[place] and is_compared:
                yield place

    for what, spoiled in rows_spoiled(file, 1, money):
        yield what, read("adyen", spoiled)


def stripe_files(payouts: File, lines: File) -> Spoiled:
    """Both files together: what the list of payouts cannot show by itself the lines do."""
    places = [lines.rows()[0].index(name) for name in ("gross", "fee", "net")]
    for what, spoiled in rows_spoiled(lines, 1, lambda _row: iter(places)):
        yield what, read("stripe", payouts, spoiled)
    rows = payouts.rows()
    places = [rows[0].index(name) for name in ("gross", "fee", "net")]
    for what, spoiled in rows_spoiled(payouts, 1, lambda _row: iter(places)):
        # The lines here are those of one payout: that another one is lost nobody can see.
        if "lost" not in what or what == "row 1 lost":
            yield f"payouts: {what}", read("stripe", spoiled, lines)
    more = [cent_more(cell) if place in (places[0], places[2]) else cell for place, cell in enumerate(rows[1])]
    yield "payouts: a cent in gross and net", read("stripe", payouts.with_rows([rows[0], more, *rows[2:]]), lines)


def stl(file: File) -> Spoiled:
    """Each amount of a movement and of the totals, each count, and each row with an amount."""
    rows = file.rows()
    header = next(row for row in rows if row[0] == "CH")
    amounts = [header.index(name) for name in ("Gross Transaction Amount", "Fee Amount")]
    places = {"SB": amounts, "SF": [2, 3, 4, 5], "RF": [2, 3, 4, 5], "SC": [1], "RC": [1], "FF": [1]}
    for number, row in enumerate(rows):
        for place in places.get(row[0], ()):
            if row[place]:
                changed = [*row[:place], str(int(row[place]) + 1), *row[place + 1 :]]
                content = file.with_rows([*rows[:number], changed, *rows[number + 1 :]])
                yield f"{row[0]} in row {number}, one more in cell {place}", read("paypal", content)
        if row[0] in ("SH", "CH", "SB", "SF", "SC", "FF"):
            twice, lost = [*rows[: number + 1], *rows[number:]], [*rows[:number], *rows[number + 1 :]]
            yield f"{row[0]} in row {number} lost", read("paypal", file.with_rows(lost))
            if row[0] != "CH":  # The same header again says nothing new.
                yield f"{row[0]} in row {number} twice", read("paypal", file.with_rows(twice))


def bank(content: str, entries: str, amounts: str, account: str = "") -> Spoiled:
    """Each entry (``entries``) twice and lost, and a cent more in each amount (``amounts``) of entries and balances."""
    for number, found in enumerate(re.finditer(entries, content, re.DOTALL)):
        for what, put in (("twice", found[0] * 2), ("lost", "")):
            spoiled = content[: found.start()] + put + content[found.end() :]
            yield f"entry {number} {what}", read(BANK, File("statement", spoiled.encode()), account=account)
    for number, found in enumerate(re.finditer(amounts, content, re.DOTALL)):
        mark = "," if "," in found["amount"] else "."
        more = cent_more(found["amount"].replace(mark, ".")).replace(".", mark)
        spoiled = content[: found.start("amount")] + more + content[found.end("amount") :]
        yield f"amount {number}, a cent", read(BANK, File("statement", spoiled.encode()), account=account)


def camt(content: str) -> Sample:
    entries = r"<Ntry>.*?</Ntry>"
    # Of an entry its own amount counts: what its parts leave is a line of its own.
    amounts = r"<(?:Bal|Ntry)>(?:(?!</Bal>|</Ntry>|<NtryDtls>).)*?<Amt Ccy=\"EUR\">(?P<amount>[\d.]+)</Amt>"
    return Sample(
        provider=BANK,
        reports=read(BANK, File("statement", content.encode())),
        spoiled=lambda: bank(content, entries, amounts),
    )


def mt940(content: str, account: str = "") -> Sample:
    amounts = r"(?::6[02]F:[CD]\d{6}EUR|:61:\d{10}[A-Z]{1,3})(?P<amount>\d+,\d+)"
    return Sample(
        provider=BANK,
        account=account,
        reports=read(BANK, File("statement", content.encode()), account=account),
        spoiled=lambda: bank(content, r":61:.*?\n(?=:6)", amounts, account),
    )


def fetched(provider: str, options: dict[str, str], **how: Any) -> Iterator[Report]:
    """Raises why a report could not be had."""
    for report in fetcher_of(provider)(context_of(options, **how)):
        if isinstance(report, NotFetched):
            raise report.error
        yield report


def from_stripe(spoil: Callable[[Stripe], object] = lambda _stripe: None) -> Reports:
    def reports() -> Iterator[Report]:
        with serving() as server:
            spoil(server)
            yield from fetched("stripe", {"reports_key": KEY, "reports_base": server.base}, now=NOW)

    return reports


def stripe_api() -> Spoiled:
    """The first movement is the payout's own: without it the others are what they are."""
    number = len(movements())
    for place in range(number):
        for name in ("amount", "fee", "net"):
            yield f"movement {place}, a cent of {name}", from_stripe(changing(place, name))
        yield f"movement {place} twice", from_stripe(lambda s, p=place: of_sample(s).insert(p, of_sample(s)[p]))
        if place:
            yield f"movement {place} lost", from_stripe(lambda s, p=place: of_sample(s).pop(p))
    yield "the payout, a cent", from_stripe(lambda s: s.payouts[0].update(amount=s.payouts[0]["amount"] + 1))


def from_paypal(spoil: Callable[[list[dict[str, Any]]], object] = lambda _rows: None) -> Reports:
    def reports() -> Iterator[Report]:
        rows = paypal.chained(
            *copy.deepcopy([each["transaction_info"] for each in paypal.SAMPLE["transaction_details"]])
        )
        spoil(rows)
        with served(paypal.PayPal(rows, loaded=paypal.moment("2026-11-28T00:00:00+00:00"))) as (base, _):
            options = {**paypal.CREDENTIALS, "reports_api_base": base}
            yield from fetched("paypal", options, now=paypal.moment("2026-11-28T12:00:00+00:00"))

    return reports


def paypal_api() -> Spoiled:
    """Of the first and the last movement of a window only one neighbour tells a balance (docs/providers/paypal.md)."""

    def more(rows: list[dict[str, Any]], place: int, name: str) -> None:
        rows[place][name]["value"] = cent_more(rows[place][name]["value"])

    for place in range(3):
        yield f"row {place} twice", from_paypal(lambda rows, p=place: rows.insert(p, rows[p]))
        if place:
            yield f"row {place}, a cent", from_paypal(lambda rows, p=place: more(rows, p, "transaction_amount"))
        if place < 2:
            yield (
                f"row {place}, a cent of its balance",
                from_paypal(lambda rows, p=place: more(rows, p, "ending_balance")),
            )
    yield "row 1 lost", from_paypal(lambda rows: rows.pop(1))


def from_mollie(spoil: Callable[[mollie.Mollie], object] = lambda _mollie: None) -> Reports:
    def reports() -> Iterator[Report]:
        api = mollie.Mollie()
        spoil(api)
        with served(api) as (base, _):
            yield from fetched("mollie", {"reports_token": mollie.TOKEN, "reports_api_base": base})

    return reports


def mollie_api() -> Spoiled:
    def more(amount: dict[str, str]) -> None:
        amount["value"] = cent_more(amount["value"])

    for name, items in mollie.LISTS.items():
        for place in range(len(items)):
            yield (
                f"{name} {place}, a cent",
                from_mollie(lambda m, n=name, p=place: more(m.lists[n][p]["settlementAmount"])),
            )
            yield f"{name} {place} twice", from_mollie(lambda m, n=name, p=place: m.lists[n].append(m.lists[n][p]))
            yield f"{name} {place} lost", from_mollie(lambda m, n=name, p=place: m.lists[n].pop(p))
    for year, months in mollie.SAMPLE["periods"].items():
        for month, parts in months.items():
            for place in range(len(parts["costs"])):
                at = (year, month, place)
                yield f"costs {at}, a cent", from_mollie(lambda m, at=at: more(costs(m, at)[at[2]]["amountGross"]))
                yield f"costs {at} twice", from_mollie(lambda m, at=at: costs(m, at).append(costs(m, at)[at[2]]))
                yield f"costs {at} lost", from_mollie(lambda m, at=at: costs(m, at).pop(at[2]))
    yield "the settlement, a cent", from_mollie(lambda m: more(m.settlements[0]["amount"]))


def costs(api: mollie.Mollie, at: tuple[str, str, int]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.settlements[0]["periods"][at[0]][at[1]]["costs"]
    return found


def of_sample(server: Stripe) -> list[dict[str, Any]]:
    return server.movements["po_made1"]


def changing(place: int, name: str) -> Callable[[Stripe], object]:
    return lambda server: of_sample(server)[place].update({name: of_sample(server)[place][name] + 1})


ADYEN_41: Final = sample("adyen-settlement_detail_report_batch_41")
ADYEN_42: Final = sample("adyen-settlement_detail_report_batch_42")
STL: Final = sample("paypal-STL")
PAYOUTS: Final = sample("stripe-report-payouts")
LINES: Final = sample("stripe-report-payout_reconciliation")

EACH: Final = {
    "adyen 41": Sample(provider="adyen", reports=read("adyen", ADYEN_41), spoiled=lambda: adyen(ADYEN_41)),
    "adyen 42": Sample(provider="adyen", reports=read("adyen", ADYEN_42), spoiled=lambda: adyen(ADYEN_42)),
    "stripe files": Sample(
        provider="stripe", reports=read("stripe", PAYOUTS, LINES), spoiled=lambda: stripe_files(PAYOUTS, LINES)
    ),
    "stripe api": Sample(provider="stripe", reports=from_stripe(), spoiled=stripe_api),
    "paypal stl": Sample(provider="paypal", reports=read("paypal", STL), spoiled=lambda: stl(STL)),
    "paypal api": Sample(provider="paypal", reports=from_paypal(), spoiled=paypal_api),
    "mollie api": Sample(provider="mollie", reports=from_mollie(), spoiled=mollie_api),
    "camt.053.001.02": camt(DETAILS_OF_02),
    "camt.053.001.08": camt(PAYOUTS_OF_08),
    "mt940, dutch": mt940(DUTCH),
    "mt940, german": mt940(GERMAN, "DE00MADE"),
}
"""What is read of each format, and what of it has to be noticed."""

REFUSED: Final = ("mollie-export-settlement", "mollie-export-mt940")
"""Of what is only assumed of a format nothing is read."""
