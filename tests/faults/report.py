"""The table of a long run, as Markdown."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from tests.faults.campaign import Round
from tests.faults.flood import Figures
from tests.faults.stack import Broker

HEADINGS: dict[Broker, str] = {"redis": "## The last run on Valkey", "amqp": "## The last run on RabbitMQ"}


def machine() -> str:
    """The size of this machine: what the figures depend on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB"


def table(rounds: Sequence[Round]) -> Iterator[str]:
    """A row a round; the last column says what was wrong."""
    yield (
        "| # | fault | load | 202 | keys | sold out | no answer | 503 | slowest | whole after | final after "
        "| events | arrived | again | arrived after | wrong |"
    )
    yield "|--:|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|"
    for done in rounds:
        wrong = "<br>".join(done.wrong[:3]).replace("|", "\\|") or "nothing"
        yield (
            f"| {done.number} | {done.fault} | {'busy' if done.busy else 'idle'} | {done.deliveries} | {done.keys} "
            f"| {done.sold_out} | {done.unanswered} | {done.refused} | {done.slowest:.1f} s | {done.whole_after:.1f} s "
            f"| {done.final_after:.1f} s | {done.events} | {done.arrived} | {done.again} | {done.arrived_after:.1f} s "
            f"| {wrong} |"
        )


def summary(rounds: Sequence[Round], figures: Sequence[Figures], *, seconds: float) -> Iterator[str]:
    """What a reader wants to know first."""
    wrong = sum(bool(done.wrong) for done in rounds)
    loads = [done.load_average for done in rounds] or [0.0]
    yield f"{datetime.now(UTC):%Y-%m-%d}, on {machine()}, in {seconds / 60:.0f} minutes; the machine's load average was"
    yield f"{min(loads):.1f} to {max(loads):.1f}, {sum(loads) / len(loads):.1f} on average, its own clients included:"
    yield ""
    yield f"- {len(rounds)} rounds, of which {wrong} failed a check;"
    yield f"- {sum(done.deliveries for done in rounds):,} webhooks answered 202, all in a final state at most"
    yield f"  {max((done.final_after for done in rounds), default=0):.1f} s after everything ran again;"
    yield f"- {sum(done.keys for done in rounds):,} Idempotency-Keys replayed;"
    yield f"- {sum(done.sold_out for done in rounds):,} sessions refused because something was sold out;"
    yield f"- {sum(done.unanswered for done in rounds):,} requests without an answer and"
    yield f"  {sum(done.refused for done in rounds):,} answered 503, all sent again by the clients;"
    yield f"- {sum(done.events for done in rounds):,} events in the log, of which"
    yield f"  {sum(done.arrived for done in rounds):,} event deliveries arrived, those of a round at most"
    yield f"  {max((done.arrived_after for done in rounds), default=0):.1f} s after its last webhook was final;"
    yield f"- {sum(done.again for done in rounds):,} more came once again, after a refusal, a cut or a death."
    for found in figures:
        yield from found.lines()


def write(path: Path, broker: Broker, lines: Sequence[str]) -> None:
    """Put the lines in place of what the page says about the last run on that broker."""
    heading = HEADINGS[broker]
    before, found, old = path.read_text(encoding="utf-8").partition(f"{heading}\n")
    if not found:
        raise ValueError(f"{path} has no heading {heading!r}")
    _, following, after = old.partition("\n## ")
    path.write_text(before + "\n".join([heading, "", *lines, ""]) + following + after, encoding="utf-8")
