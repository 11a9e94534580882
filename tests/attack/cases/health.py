"""Probes and metrics, which anybody may ask for."""

from __future__ import annotations

import socket
from contextlib import ExitStack

from checkout_service.local.servers import free_port
from tests.attack.attacks import Found, attack
from tests.attack.neighbours import Neighbour, asking, customer, measured, provider, strangers
from tests.faults.stack import House
from tests.faults.wire import Wire

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


MUTE = 300
"""Connections to the management port that send nothing; more than it holds."""

PROBES_WITHIN = 1000.0
"""Milliseconds, at p99: an orchestrator waits for as long."""


@attack("a flood of pages, and mute connections to the management port", MANAGEMENT_PORT=str(free_port()))
def management_port(house: House) -> Found:
    port = ("127.0.0.1", int(house.environment["MANAGEMENT_PORT"]))
    watching = {name: Wire(port) for name in ("readyz", "metrics")}
    neighbours = [
        Neighbour(name=name, good=200, ask=lambda _wire, own=wire, path=f"/{name}": own.ask("GET", path))  # type: ignore[misc]  # a default binds it
        for name, wire in watching.items()
    ]
    control = measured(house, neighbours, seconds=5)
    with strangers(asking(house, "GET", "/"), CONNECTIONS), ExitStack() as stack:
        for _ in range(MUTE):
            stack.enter_context(socket.create_connection(port, timeout=10))
        attacked = measured(house, neighbours, seconds=10)
    held = all(
        attacked[f"{name}_other"] == 0
        and isinstance(attacked[f"{name}_p99_ms"], float)
        and attacked[f"{name}_p99_ms"] < PROBES_WITHIN  # type: ignore[operator]  # a float, as asked above
        for name in watching
    )
    return Found(control=control, attacked=attacked, held=held)
