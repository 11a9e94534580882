"""What the tests of reports share: reading one whole, the proof that is made of it when it is entered, and a server."""

from __future__ import annotations

import io
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from checkout_service.providers.reports import FetchContext, FetchReports, NotFetched, ReadReport, Report, ReportLine
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret

SAMPLES: Final = Path(__file__).parent / "report_samples"

NOW: Final = datetime(2026, 11, 27, 12, tzinfo=UTC)

Answer = Callable[[str, Mapping[str, str], Mapping[str, str]], tuple[int, Any]]
"""What a server answers to a path, its query and the request's headers: a status and JSON."""


def read_whole(reader: ReadReport, data: bytes, *, name: str, account: str = "") -> tuple[Report, list[ReportLine]]:
    """The report and its lines, once the last one was read."""
    report = reader(io.BytesIO(data), name=name, account=account)
    return report, list(report.lines)


def why_held(report: Report, lines: list[ReportLine]) -> list[str]:
    """What keeps a report from being entered: its faults, and what its sections lack (`ReportSection`)."""
    reasons = list(report.faults)
    for section in report.sections:
        own = [line for line in lines if (line.account, line.section) == (section.account, section.name)]
        nets: dict[str, Decimal] = defaultdict(Decimal)
        for line in own:
            nets[line.currency] += line.net
        expected = section.expected
        if section.of_payout:
            payout = next(item for item in report.payouts if item.payout_ref == section.of_payout)
            expected = {payout.currency: payout.amount}
        if expected is not None:
            for currency in sorted(nets.keys() | expected.keys()):
                residue = nets[currency] - expected.get(currency, Decimal(0))
                if residue:
                    reasons.append(f"residue {residue:.2f} {currency}")
        if section.rows is not None and section.rows != len(own):
            reasons.append(f"rows {len(own)} of {section.rows}")
    assert {(line.account, line.section) for line in lines} <= {(each.account, each.name) for each in report.sections}
    assert len({line.line for line in lines}) == len(lines)
    return reasons


@contextmanager
def served(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """A server on this machine: its address, and the paths with queries that it was requested for."""
    requested: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            requested.append(self.path)
            self._answer()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._answer()

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            status, body = answer(parts.path, query, dict(self.headers))
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            # Providers' clients are of a process that ends: a connection that is kept would be one that nobody closes.
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", requested
        finally:
            server.shutdown()
            thread.join()


def context_of(
    options: Mapping[str, str],
    *,
    now: datetime = NOW,
    since: datetime | None = None,
    cursor: str | None = None,
    is_entered: Callable[[str], bool] = lambda _: False,
) -> FetchContext:
    """What a fetch knows, with these settings."""
    account = Account(options={name: Secret(value) for name, value in options.items()})
    return FetchContext(account=account, now=now, since=since, cursor=cursor, is_entered=is_entered)


def fetched(fetch: FetchReports, options: Mapping[str, str], **how: Any) -> list[tuple[Report, list[ReportLine]]]:
    """All reports of a fetch, each with its lines, read before the next one is fetched; raises why one is not there."""
    found = []
    for report in fetch(context_of(options, **how)):
        if isinstance(report, NotFetched):
            raise report.error
        found.append((report, list(report.lines)))
    return found
