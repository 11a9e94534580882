"""``python -m benchmarks.beside FOLDER [--rounds N]``: this tree beside another one, of whatever commit, in turns.

Without a folder it is this tree beside itself, in whose database no events are written: what they cost. With
``--traces 0.1`` it is this tree, of whose webhooks a tenth is traced, beside itself, where nothing is.

Each tree has servers of its own, which both stand there all the time; one of them works at a time. Measured are
webhooks taken, the drain of deliveries that become orders, the same while their events are posted to one endpoint,
sessions of ordinary listings, whose pieces are counted or not, and single webhooks until they are seen paid, on servers
that are idle otherwise; printed is the ratio of each pair of turns. The other
tree is a checkout of that commit; it uses this Python. ``python -m benchmarks --against COMMIT`` makes both by itself.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.builds import Build, SideError
from benchmarks.bystanders import Bystanders, watching
from benchmarks.pairs import judge
from benchmarks.report import load_average, tell

FIGURES = ("receive", "receive-64", "drain", "delivered", "sessions", "untracked", "idle")
SIDE = Path(__file__).with_name("one_side.py")

END_WITHIN = 60.0
"""Seconds."""

Round = Mapping[str, Mapping[str, float]]
"""A turn of each side, by its name."""


class Side:
    """A tree's processes; asked for one figure at a time."""

    def __init__(self, build: Build, *, events: bool = True, traces: Mapping[str, str] | None = None) -> None:
        # -P: this folder has modules that are called like the standard library's.
        self._child = subprocess.Popen(
            [str(build.python), "-P", str(SIDE)],
            cwd=build.tree,
            env=build.environment() | {"BESIDE_EVENTS": "on" if events else "off"} | (traces or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def measure(self, figure: str) -> dict[str, float]:
        """Its ``rate``, so many a second, and µs of processor time of one, by group of processes.

        Raises SideError when the tree's processes have ended.
        """
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        with suppress(BrokenPipeError):  # it has ended: what is read says so
            self._child.stdin.write(f"{figure}\n")
            self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise SideError(f"a side ended with {self._child.wait()} at {figure}: what it said stands above")
        found: dict[str, float] = json.loads(line)
        return found

    def end(self) -> None:
        """Have it end what it started; one that does not within a minute is ended, and its guard does the rest."""
        assert self._child.stdin is not None
        with suppress(BrokenPipeError):
            self._child.stdin.close()
        try:
            self._child.wait(timeout=END_WITHIN)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        if self._child.stdout is not None:
            self._child.stdout.close()


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.beside", description=__doc__)
    arguments.add_argument("other", type=Path, nargs="?", help="a checkout; none: this one, without events")
    arguments.add_argument("--this", type=Path, default=Path(__file__).parents[1], help="another tree in place of this")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--figures", nargs="*", default=FIGURES, choices=FIGURES)
    arguments.add_argument(
        "--traces", type=float, help="the ratio that is traced of this tree; of the other nothing is"
    )
    given = arguments.parse_args()
    this = Build(name="this", tree=given.this.resolve(), python=Path(sys.executable))
    tree = given.other.resolve() if given.other else this.tree
    beside = Build(name="other", tree=tree, python=Path(sys.executable))
    other = Side(beside, events=bool(given.other or given.traces))
    sides = {"this": Side(this, traces=_traces(given.traces) if given.traces else None), "other": other}
    tell(load_average())
    for figure in given.figures:
        found, bystanders = in_pairs(figure, sides, rounds=given.rounds)
        shown = " beside ".join(median_of(name, found) for name in sides)
        judged = judge([(one["this"], one["other"]) for one in found])
        sys.stdout.write(f"{figure}: {judged}: {shown}; {bystanders}\n")
    tell(load_average())
    if given.traces:
        tell(f"{_Collector.taken:,} bytes of spans were exported")
    for side in sides.values():
        side.end()
    return 0


class _Collector(BaseHTTPRequestHandler):
    """Takes spans and forgets them."""

    protocol_version = "HTTP/1.1"
    taken = 0
    """Bytes so far."""

    def do_POST(self) -> None:
        _Collector.taken += len(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def _traces(ratio: float) -> dict[str, str]:
    """Settings that export spans to a collector in this process, which only waits meanwhile."""
    collector = ThreadingHTTPServer(("127.0.0.1", 0), _Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    return {
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_address[1]}",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": str(ratio),
    }


def in_pairs(figure: str, sides: Mapping[str, Side], *, rounds: int) -> tuple[list[Round], Bystanders]:
    """So many pairs of turns, after one that warms up (statements, connections), and who else worked meanwhile."""
    for side in sides.values():
        side.measure(figure)
    with watching() as bystanders:
        found = [_turn(figure, sides) for _ in range(rounds)]
    return found, bystanders


def _turn(figure: str, sides: Mapping[str, Side]) -> dict[str, dict[str, float]]:
    found = {name: side.measure(figure) for name, side in sides.items()}
    this, other = found["this"]["rate"], found["other"]["rate"]
    waits = "".join(
        f"; {name} {found['this'][name]:.1f} beside {found['other'][name]:.1f} ms"
        for name in ("p50", "p99")
        if name in found["this"]
    )
    tell(f"  {figure}: {this:,.0f} /s beside {other:,.0f} /s, {this / other:.2f}{waits}")
    return found


def median_of(name: str, rounds: Sequence[Mapping[str, Mapping[str, float]]]) -> str:
    medians = {group: statistics.median(found[name][group] for found in rounds) for group in rounds[0][name]}
    rate, _ = medians.pop("rate"), medians.pop("others", 0.0)
    waits = "".join(f", {name} {medians.pop(name):.1f} ms" for name in ("p50", "p99") if name in medians)
    used = ", ".join(f"{group} {spent:,.0f}" for group, spent in medians.items() if spent > 1)
    return f"{rate:,.0f} /s ({used} µs each){waits}"


if __name__ == "__main__":
    sys.exit(main())
