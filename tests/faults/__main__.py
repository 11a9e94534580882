"""``make faults``: the long campaign on each broker and the long flood, told round by round, kept in docs/faults.md."""

from __future__ import annotations

import itertools
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence

from checkout_service.local.data_folder import ROOT
from tests.brokers.rabbit import MISSING, is_installed
from tests.faults.campaign import Round, open_campaign
from tests.faults.faults import FAULTS
from tests.faults.flood import Figures, Flood
from tests.faults.report import HEADINGS, summary, table, write
from tests.faults.stack import Broker, open_house

PAYMENTS_A_SECOND = 8.0
UNVERIFIED = 200_000
FLOOD_WITHIN = 1800.0


def main(arguments: Sequence[str]) -> int:
    """Run every fault whose name contains one of the names, or all; the status is 1 when anything was wrong."""
    parser = ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--broker", choices=list(FAULTS), help="only this one; both otherwise")
    parser.add_argument("names", nargs="*", help="only faults with one of these in their names; keeps no table")
    options = parser.parse_args(arguments)
    wrong = 0
    for broker in [options.broker] if options.broker else FAULTS:
        if broker == "amqp" and not is_installed():
            sys.exit(MISSING)
        wrong += _run(broker, options.names)
    return int(wrong > 0)


def _run(broker: Broker, names: Sequence[str]) -> int:
    """The rounds on one broker, and how many of them broke the invariant."""
    started = time.monotonic()
    rounds: list[Round] = []
    figures: list[Figures] = []
    try:
        rounds.extend(_rounds(broker, names))
        if broker == "redis" and not names:
            figures.append(_flood())
    finally:  # what was done by then is told, also of a run that was broken off
        lines = [*summary(rounds, figures, seconds=time.monotonic() - started), "", *table(rounds)]
        sys.stdout.write("\n".join(["", HEADINGS[broker], "", *lines, ""]))
        if not names:
            write(ROOT / "docs" / "faults.md", broker, lines)
    return sum(bool(done.wrong) for done in rounds)


def _rounds(broker: Broker, names: Sequence[str]) -> Iterator[Round]:
    chosen = [fault for fault in FAULTS[broker] if not names or any(name in fault.name for name in names)]
    with open_house(broker) as house, open_campaign(house, payments_a_second=PAYMENTS_A_SECOND) as campaign:
        for busy, fault in itertools.product((True, False), chosen):
            done = campaign.strike(fault, busy=busy)
            sys.stdout.write(f"{list(table([done]))[-1]}\n")
            sys.stdout.flush()
            yield done


def _flood() -> Figures:
    with open_house() as house:
        return Flood(house, UNVERIFIED).run(within=FLOOD_WITHIN)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
