"""``make attack``: every attack against real processes on 127.0.0.1, a line of JSON each and a table at the end."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import get_args

from tests.attack.attacks import SETTINGS, Attack, Found, attacks
from tests.brokers.rabbit import MISSING, is_installed
from tests.faults.stack import Broker, open_house


def main(arguments: Sequence[str]) -> int:
    """Run every attack whose name contains all words, or every one; the status is 1 when one was not held off."""
    parser = ArgumentParser(prog="make attack", description=__doc__)
    parser.add_argument("--broker", choices=get_args(Broker), default="redis")
    parser.add_argument("--quick", action="store_true", help="only those of make test")
    parser.add_argument("words", nargs="*", help="only attacks with all of these in their names")
    options = parser.parse_args(arguments)
    if options.broker == "amqp" and not is_installed():
        sys.exit(MISSING)
    chosen = [
        found
        for found in attacks()
        if (found.quick or not options.quick)
        and options.broker in found.brokers
        and all(word in found.name for word in options.words)
    ]
    started = time.monotonic()
    done = list(_run(chosen, options.broker))
    sys.stdout.write("\n".join(["", *_table(done), "", f"{time.monotonic() - started:.0f} s", ""]))
    return int(not done or not all(found.held for _, found in done))


def _run(chosen: Sequence[Attack], broker: Broker) -> Iterator[tuple[Attack, Found]]:
    """Attacks of the same settings share a deployment, which is whole before each."""
    for settings, group in groupby(chosen, key=lambda attack: attack.settings):
        with open_house(broker, **SETTINGS | dict(settings)) as house:
            for attack in group:
                house.await_whole()
                found = attack.run(house)
                sys.stdout.write(f"{attack.line(broker, found)}\n")
                sys.stdout.flush()
                yield attack, found


def _table(done: Sequence[tuple[Attack, Found]]) -> Iterator[str]:
    yield "| attack | without it | beside it | held |"
    yield "|---|---|---|---|"
    for attack, found in done:
        control, attacked = (
            ", ".join(f"{name} {value}" for name, value in values.items()) for values in (found.control, found.attacked)
        )
        yield f"| {attack.name} | {control} | {attacked} | {'yes' if found.held else 'NO'} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
