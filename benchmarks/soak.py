"""Mixed load at 60 % of what is sustained: memory of each process, connections, queue and lag stay what they are."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from benchmarks import end_to_end, load, shop
from benchmarks.report import Report, load_average, milliseconds, per_second
from benchmarks.stand import Stand
from benchmarks.usage import own_memory, watched

SHARE = 0.6
MINUTES = float(os.environ.get("SOAK_MINUTES") or 15)
WEBHOOKS = 40_000

_STATE = """
    SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
        (SELECT count(*) FROM webhook_deliveries WHERE state IN ('received', 'parked')),
        (SELECT coalesce(extract(epoch FROM now() - min(received_at)), 0)::float8 FROM webhook_deliveries
            WHERE state = 'received')
"""


def run(stand: Stand, *, quick: bool) -> Report:
    seconds = 3 if quick else round(MINUTES * 60)
    webhooks = 200 if quick else WEBHOOKS
    report = Report(title=f"Soak: {seconds} s of mixed load at {SHARE:.0%} of what is sustained")
    report.remark(load_average())
    with stand.connect() as connection:
        end_to_end.seeds.add_payments(connection, first=0, count=webhooks)
        files = shop.prepare(stand)
        base = stand.serve()
        stand.work()
        for name in ("housekeeping", "beat"):
            stand.start(name)
        sustained = end_to_end.sustain(stand, base, connection, webhooks=webhooks, seconds=1 if quick else 10)
        # The webhooks come again and again: most are duplicates soon, as from a provider that repeats itself.
        webhook_rate = SHARE / 2 * sustained
        kinds = {"sustained webhooks": (stand.place.folder / "sustained.requests", webhook_rate)}
        kinds |= {route: (files[route], webhook_rate / 4) for route in ("GET cart of 10", "POST item", "POST session")}
        with watched(stand) as usage:
            loads = [load.paced(base, path, rate=rate, seconds=seconds) for path, rate in kinds.values()]
            seen = []
            while any(one.poll() is None for one in loads):
                time.sleep(1 if quick else 5)
                state = connection.execute(_STATE).fetchone()
                seen.append((*(state or ()), {name: own_memory(pid) for name, pid in stand.pids().items()}))
            answers = [load.finished(one) for one in loads]
    for name, answer in zip(kinds, answers, strict=True):
        report.add(f"{name}: rate, p99", f"{per_second(answer.rate)}, {milliseconds(answer.p99)}")
    third = max(1, len(seen) // 3)
    for name in stand.pids():
        second, last = (mean_by_process(one[3][name] for one in some) for some in (seen[third:][:third], seen[-third:]))
        growth = max((last[pid] - second[pid] for pid in last.keys() & second.keys()), default=0.0)
        shown = f"{sum(second.values()):.0f} → {sum(last.values()):.0f} MiB, {growth:+.1f}"
        report.add(f"{name}: own memory, second third → last third, most that one process grew", shown, target="flat")
    for place, figure in enumerate(
        ("connections of PostgreSQL", "webhooks pending", "age of the oldest webhook pending, s")
    ):
        shown = " → ".join(f"{max(one[place] for one in seen[start:][:third]):.0f}" for start in (third, 2 * third))
        report.add(f"{figure}: most, second third → last third", shown, target="no growth")
    report.remark(f"processors: {usage}")
    return report


def mean_by_process(samples: Iterable[dict[int, int]]) -> dict[int, float]:
    """MiB by process id; one that was not there all the time is left out, as a backend between two samples is."""
    found = list(samples)
    lasting = set.intersection(*map(set, found))
    return {pid: sum(sample[pid] for sample in found) / len(found) / 2**20 for pid in lasting}
