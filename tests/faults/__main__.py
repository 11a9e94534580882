"""``make faults``: the long campaign and the long flood, told round by round and written into docs/faults.md."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Sequence

from checkout_service.local.place import ROOT
from tests.faults.campaign import Campaign
from tests.faults.faults import FAULTS
from tests.faults.flood import Figures, Flood
from tests.faults.house import open_house
from tests.faults.report import summary, table, write

PAYMENTS_A_SECOND = 30.0
FORGERIES = 200_000
FLOOD_WITHIN = 1200.0


def main(names: Sequence[str]) -> int:
    """Run every fault whose name contains one of the names, or all; the status is 1 when anything was wrong."""
    chosen = [fault for fault in FAULTS if not names or any(name in fault.name for name in names)]
    started = time.monotonic()
    with open_house() as house:
        campaign = Campaign(house, payments_a_second=PAYMENTS_A_SECOND)
        for busy, fault in itertools.product((True, False), chosen):
            done = campaign.strike(fault, busy=busy)
            sys.stdout.write(f"{list(table([done]))[-1]}\n")
            sys.stdout.flush()
    figures: list[Figures] = []
    if not names:
        with open_house() as house:
            figures.append(Flood(house, FORGERIES).run(within=FLOOD_WITHIN))
    rounds = campaign.rounds
    lines = [*summary(rounds, figures, seconds=time.monotonic() - started), "", *table(rounds)]
    sys.stdout.write("\n".join(["", *lines, ""]))
    if not names:
        write(ROOT / "docs" / "faults.md", lines)
    return int(any(done.wrong for done in rounds))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
