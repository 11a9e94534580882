"""How long a file of a million settled lines takes: read, proved, entered and matched with as many captures.

A second file has as many lines about the same payments: of each three a refund, a fee, and money that goes back of a
capture, which so becomes another than ours. Then the first lines come once more, as Stripe's itemised payout
reconciliation: a file on disk, entered by ``checkout settlements import`` itself.

Each file is entered by a process of its own, as the command does it, so that its memory can be seen. Beside the time of
all of it stands that of each statement that takes longer than a hundredth.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import psycopg

from benchmarks.report import Report, load_average, per_second
from benchmarks.stand import DATABASE, Stand
from checkout_service.providers.reports import Report as SettlementReport
from checkout_service.providers.reports import ReportLine, ReportPayout, ReportSection
from checkout_service.settlement_words import EntryKind, PayoutStatus, Subject
from checkout_service.settlements.entering import enter

LINES: Final = 1_000_000
QUICK: Final = 20_000
OF_A_PAYOUT: Final = 10_000
"""Lines; a file has as many payouts as it takes."""

BEGAN: Final = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
"""When the first line took place, in each report of this process: so two reports of the same lines are equal."""

# Triggers and keys are off while rows are made: only what is entered afterwards is measured.
_SEED: Final = """
    INSERT INTO users (id) VALUES ('00000000-0000-7000-8000-000000000001') ON CONFLICT DO NOTHING;
    INSERT INTO payments (id, user_id, provider, provider_ref, amount, currency)
    SELECT md5('settled ' || n)::uuid, '00000000-0000-7000-8000-000000000001', 'stripe', 'pi_settled_' || n, 25, 'USD'
    FROM generate_series(0, {last}) AS n;
    INSERT INTO captures (payment_id, provider, capture_ref, status, amount, currency)
    SELECT md5('settled ' || n)::uuid, 'stripe', 'ch_settled_' || n, 'succeeded', 25, 'USD'
    FROM generate_series(0, {last}) AS n;
    INSERT INTO refunds (payment_id, provider, provider_ref, status, amount, currency, next_attempt_at)
    SELECT md5('settled ' || n)::uuid, 'stripe', 're_settled_' || n, 'succeeded', 5, 'USD', NULL
    FROM generate_series(0, {last}, 3) AS n
"""


def run(stand: Stand, *, quick: bool) -> Report:
    lines = QUICK if quick else LINES
    report = Report(title=f"Settled money: files of {lines:,} lines")
    report.remark(load_average())
    with stand.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in seeded(lines):
            connection.execute(statement)
        connection.execute("RESET session_replication_role")
        connection.execute("ANALYZE payments, captures, refunds")
        url = stand.environment["MIGRATION_DATABASE_URL"].replace("postgresql+psycopg://", "postgresql://")
        for name in REPORTS:
            before = _wal(connection)
            command = (sys.executable, "-m", "benchmarks.settlements", url, str(lines), name)
            found = json.loads(stand.run(*command, name=f"settlements {name}"))
            report.add(f"{name}, all of it", f"{found['seconds']:.1f} s", target="120 s" if lines == LINES else "")
            report.add(f"{name}, lines", per_second(lines / found["seconds"]))
            report.add(f"{name}, most memory of the process", f"{found['memory']:.0f} MiB", target="300 MiB")
            report.add(f"{name}, write-ahead log", f"{(_wal(connection) - before) / 2**20:,.0f} MiB")
            for statement, seconds in sorted(found["statements"].items(), key=lambda each: -each[1]):
                if seconds > found["seconds"] / 100:
                    report.add(f"{name}, {statement}", f"{seconds:.1f} s")
        report.remark(_found(connection))
        connection.execute(
            "TRUNCATE settlement_matches, balance_entries, settlement_lines, payouts, settlement_accounts,"
            " settlement_files"
        )
        found = _imported(stand, lines)
        report.add("Stripe's file, the command", f"{found['seconds']:.1f} s", target="120 s" if lines == LINES else "")
        report.add("Stripe's file, most memory of the command", f"{found['memory']:.0f} MiB", target="300 MiB")
        report.remark(f"Stripe's file: {_found(connection)}")
    return report


def _found(connection: psycopg.Connection[Any]) -> str:
    states = connection.execute("SELECT state::text, count(*) FROM payouts GROUP BY 1").fetchall()
    matched = connection.execute(
        "SELECT state::text, count(*) FROM settlement_matches WHERE undone_at IS NULL GROUP BY 1"
    ).fetchall()
    return f"payouts {dict(states)}, matches {dict(matched)}"


def _imported(stand: Stand, count: int) -> dict[str, float]:
    """How long the command takes for Stripe's file of so many lines, in seconds, and its most memory, in MiB."""
    lines, payouts = stand.place.folder / "lines.csv", stand.place.folder / "payouts.csv"
    report = report_of(count)
    with lines.open("w", encoding="utf-8") as file:
        file.write(
            "automatic_payout_id,balance_transaction_id,created_utc,currency,gross,fee,net,reporting_category,"
            "source_id,charge_id,payment_intent_id\n"
        )
        for line in report.lines:
            file.write(
                f"{line.payout_ref},{line.entry_ref},{line.occurred_at:%Y-%m-%d %H:%M:%S},usd,{line.gross},{line.fee},"
                f"{line.net},charge,{line.subject_ref},{line.subject_ref},{line.payment_ref}\n"
            )
    with payouts.open("w", encoding="utf-8") as file:
        file.write(
            "payout_id,effective_at_utc,payout_expected_arrival_date,payout_status,balance_transaction_id,currency,"
            "gross,fee,net,reporting_category\n"
        )
        for payout in report.payouts:
            amount = -payout.amount
            file.write(
                f"{payout.payout_ref},2026-11-27 00:00:00,2026-11-27,paid,txn_of_{payout.payout_ref},usd,{amount},0.00,"
                f"{amount},payout\n"
            )
    settings = {
        "SETTLEMENTS_DATABASE_URL": stand.postgres.url("checkout_settlements", DATABASE),
        "PATH": stand.environment["PATH"],
    }
    given = [f"{name}={value}" for name, value in settings.items()]
    command = ("/usr/bin/env", "-i", *given, sys.executable, "-m", "checkout_service.command_line", "settlements")
    options = ("--provider", "stripe")
    stand.run(*command, "import", str(payouts), *options, name="settlements payouts")
    found: dict[str, float] = json.loads(
        stand.run(
            *(sys.executable, "-m", "benchmarks.command_peak", *command, "import", str(lines), *options),
            name="settlements import",
        )
    )
    return found


def seeded(count: int) -> list[str]:
    """The statements that make so many payments, each with its capture, and a third of them with a refund."""
    return _SEED.format(last=count - 1).split(";")


def report_of(count: int, *, first: int = 0) -> SettlementReport:
    """A report of captures of 25.00 USD, from ``first`` to ``count``, in payouts of 10,000, as an adapter reads one."""
    made = SettlementReport(form="benchmark", name=f"{count}.csv", lines=iter(()))
    gross, fee = Decimal("25.00"), Decimal("0.65")
    net = gross - fee

    def read() -> Iterator[ReportLine]:
        for number in range(first, count):
            payout = f"po_settled_{first}_{number // OF_A_PAYOUT}"
            moment = BEGAN + timedelta(milliseconds=number)
            yield ReportLine(
                line=number + 2,
                account="",
                section=payout,
                entry_ref=f"txn_settled_{number}",
                is_made=False,
                kind=EntryKind.CAPTURE,
                provider_type="charge",
                gross=Decimal(str(gross)),
                fee=Decimal(str(fee)),
                net=Decimal(str(net)),
                currency="USD",
                occurred_at=moment,
                occurred_local=str(moment),
                payout_ref=payout,
                about=Subject.CAPTURE,
                subject_ref=f"ch_settled_{number}",
                payment_ref=f"pi_settled_{number}",
                merchant_ref=f"order-{number}",
            )
        for place in range(first // OF_A_PAYOUT, -(-count // OF_A_PAYOUT)):
            ref = f"po_settled_{first}_{place}"
            amount = net * (min((place + 1) * OF_A_PAYOUT, count) - max(place * OF_A_PAYOUT, first))
            made.payouts.append(
                ReportPayout(account="", payout_ref=ref, amount=amount, currency="USD", status=PayoutStatus.PAID)
            )
            made.sections.append(ReportSection(account="", name=ref, rule="lines = payout", of_payout=ref))
        made.sha256 = (first << 64 | count).to_bytes(32, "big")

    made.lines = read()
    return made


def second_report_of(count: int) -> SettlementReport:
    """A report of so many lines about the payments of ``report_of``, each third alike, in payouts of 10,000."""
    first = report_of(count)
    made = SettlementReport(form="benchmark", name=f"{count} again.csv", lines=iter(()))
    zero = Decimal(0)
    nets = dict[str, Decimal]()

    def read() -> Iterator[ReportLine]:
        for number, line in enumerate(first.lines):
            payout = line.payout_ref.replace("po_", "po_second_")
            second = line._replace(entry_ref=f"txn_second_{number}", section=payout, payout_ref=payout, fee=zero)
            if number % 3 == 0:
                amount, subject = Decimal("-5.00"), f"re_settled_{number}"
                second = second._replace(kind=EntryKind.REFUND, about=Subject.REFUND, subject_ref=subject)
            elif number % 3 == 1:
                amount = zero
                second = second._replace(kind=EntryKind.FEE, about=Subject.CAPTURE, fee=Decimal("0.10"))
            else:
                amount = Decimal("-1.00")
                second = second._replace(kind=EntryKind.RELEASE)
            second = second._replace(gross=amount, net=amount - second.fee, provider_type=second.kind.value)
            nets[payout] = nets.get(payout, zero) + second.net
            yield second
        for ref, amount in nets.items():
            made.payouts.append(
                ReportPayout(account="", payout_ref=ref, amount=amount, currency="USD", status=PayoutStatus.PAID)
            )
            made.sections.append(ReportSection(account="", name=ref, rule="lines = payout", of_payout=ref))
        made.sha256 = count.to_bytes(32, "little")

    made.lines = read()
    return made


REPORTS: Final[Mapping[str, Callable[[int], SettlementReport]]] = {
    "first lines": report_of,
    "second lines": second_report_of,
}
"""By how the rows of the result begin."""


class _Timed(psycopg.Cursor[Any]):
    """Notes how long each statement takes, by its first words."""

    seconds: dict[str, float] = {}  # noqa: RUF012 (of the process)

    def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return super().execute(query, *arguments, **options)
        finally:
            words = " ".join(str(query).split())[:60]
            self.seconds[words] = self.seconds.get(words, 0.0) + time.perf_counter() - began


def main(url: str, lines: int, name: str) -> None:
    """Enter the file of that name, and print what it took as JSON."""
    with psycopg.connect(url, autocommit=True, prepare_threshold=None, cursor_factory=_Timed) as connection:
        connection.execute("SET ROLE checkout_settlements")
        began = time.perf_counter()
        read_until: list[float] = []
        enter(
            connection,
            REPORTS[name](lines),
            provider="stripe",
            account="",
            progress=lambda _rows: read_until.append(time.perf_counter()),
        )
        seconds = time.perf_counter() - began
    statements = {f"statement {name}": took for name, took in _Timed.seconds.items()}
    statements["reading, into a file"] = read_until[-1] - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps({"seconds": seconds, "memory": memory, "statements": statements}))


def _wal(connection: psycopg.Connection[Any]) -> float:
    found = connection.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").fetchone()
    return float(found[0]) if found else 0.0


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
