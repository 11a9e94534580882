"""The words that endpoints are described by: their states, why they are in one, how they are signed."""

from __future__ import annotations

from enum import StrEnum


class EndpointState(StrEnum):
    """Whether events are sent to an endpoint."""

    ENABLED = "enabled"
    SUSPENDED = "suspended"
    """It takes nothing: only probes are sent, and nothing is given up meanwhile."""
    DISABLED = "disabled"
    """Nothing is sent until somebody enables it."""


class StateReason(StrEnum):
    """Why an endpoint is suspended or disabled."""

    REQUESTED = "requested"
    """Staff disabled it."""
    FAILING = "failing"
    """It took nothing for minutes."""
    GONE = "gone"
    """It answered 410."""
    STALE = "stale"
    """It was suspended for days."""
    DELETED = "deleted"


class Signing(StrEnum):
    """The schemes of Standard Webhooks by which event deliveries are signed."""

    V1 = "v1"
    """HMAC-SHA256 of a secret that both sides have."""
    V1A = "v1a"
    """Ed25519: the shop has the public half alone."""


class Payload(StrEnum):
    """What an event delivery has as its data."""

    SNAPSHOT = "snapshot"
    """The object as lists show it."""
    THIN = "thin"
    """The object's type, id and version alone."""


class ReplayState(StrEnum):
    """How far a replay is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
