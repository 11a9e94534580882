"""How many webhooks a second are taken, beside a bare view that inserts the same bytes; no worker runs meanwhile."""

from __future__ import annotations

from benchmarks import load, seeds
from benchmarks.report import Report, in_turns, load_average, milliseconds, per_second
from benchmarks.stand import Stand
from benchmarks.usage import Usage, watched

WEBHOOKS = 4000


def run(stand: Stand, *, quick: bool) -> Report:
    report = Report(title="Receiver: POST of a signed webhook of 1.6 KB, 16 connections")
    report.remark(load_average())
    rounds, seconds = (1, 0.5) if quick else (5, 6.0)
    requests = load.prepare(stand, "webhooks", map(load.webhook, some_webhooks(stand, 50 if quick else WEBHOOKS)))
    bases = {"floor": stand.serve_floor(), "service": stand.serve()}
    usage: dict[str, Usage] = {}

    def measure(name: str, lasting: float = seconds) -> float:
        with watched(stand) as usage[name]:
            answers = load.full_speed(bases[name], requests, seconds=lasting)
        return answers.rate

    for name in bases:
        measure(name, min(2.0, seconds))  # warms up: connections, prepared statements
    found = in_turns(rounds, {name: lambda name=name: measure(name) for name in bases})  # type: ignore[misc]
    report.add(
        "webhooks taken",
        per_second(found["service"]),
        floor=per_second(found["floor"]),
        ratio=found["service"] / found["floor"],
        target="≥ 0.85",
    )

    def at_half(name: str) -> float:
        return load.finished(load.paced(bases[name], requests, rate=found["service"] / 2, seconds=2 * seconds)).p99

    # In turns, and the median: a disk has its moments, and a p99 is made of them.
    p99 = in_turns(1 if quick else 3, {name: lambda name=name: at_half(name) for name in bases})  # type: ignore[misc]
    report.add("p99 at half of that", milliseconds(p99["service"]), floor=milliseconds(p99["floor"]), target="< 25 ms")
    for name in bases:
        report.remark(f"processors while the {name} was loaded: {usage[name]}")
        stand.stop("web" if name == "service" else name)
    return report


def some_webhooks(stand: Stand, count: int) -> list[bytes]:
    """Signed webhooks about payments of nobody: the webhook receiver does not look."""
    references = (f"mock_pi_{number:032x}" for number in range(count))
    return list(seeds.webhooks(references, stand.environment["MOCK_WEBHOOK_SECRETS"]))
