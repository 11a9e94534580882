"""Probes and metrics, which anybody may ask for."""

from __future__ import annotations

from tests.attack.attacks import Found, attack
from tests.attack.neighbours import asking, customer, measured, provider, strangers
from tests.faults.stack import House

CONNECTIONS = 60
WEBHOOKS_WITHIN = 500.0
"""Milliseconds, at p99."""


@attack("sixty connections ask for /readyz and /metrics without a pause")
def probes_and_metrics(house: House) -> Found:
    neighbours = [provider(house), customer(house)]
    control = measured(house, neighbours, seconds=10)
    ready, metrics = asking(house, "GET", "/readyz"), asking(house, "GET", "/metrics")
    with strangers(ready, CONNECTIONS // 2), strangers(metrics, CONNECTIONS // 2):
        attacked = measured(house, neighbours, seconds=20)
    p99 = attacked["webhooks_p99_ms"]
    held = isinstance(p99, float) and p99 < WEBHOOKS_WITHIN and attacked["webhooks_other"] == 0
    return Found(control=control, attacked=attacked, held=held)
