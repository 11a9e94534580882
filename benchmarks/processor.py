"""Processor time of one call of each route without an HTTP server; hardly minds what else the machine does."""

from __future__ import annotations

import json
import sys

from benchmarks.report import Report, load_average
from benchmarks.stand import Stand


def run(stand: Stand, *, quick: bool) -> Report:
    report = Report(title="Processor time of a call, in one thread, without an HTTP server")
    report.remark(load_average())
    chunks = "1" if quick else "20"
    output = stand.run(sys.executable, "-m", "benchmarks.calls", "--chunks", chunks, name="calls")
    for route, spent in json.loads(output.strip().splitlines()[-1]).items():
        ratio = spent["floor"] / spent["service"]
        report.add(route, f"{spent['service']:.0f} µs", floor=f"{spent['floor']:.0f} µs", ratio=ratio)
    return report
