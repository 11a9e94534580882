"""The clients under clients/ buy, watch, refund, read events and verify webhooks at a service that runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from checkout_service.local.purchase import customer_token
from tests.clients.conftest import compiled, in_node, node
from tests.conftest import ROOT
from tests.journeys.conftest import Town

CLIENTS: Final = ROOT / "clients"
__all__ = ["compiled", "in_node", "node"]

SCOPES: Final = ("refunds", "payments:read", "events:read", "webhooks:write")


def caller(town: Town) -> dict[str, str]:
    """The environment of a journey: a customer and a program of its own."""
    # Of the demo's pieces there are a dozen, for however many journeys; one of those takes all of a listing with a
    # hundred at most.
    town.sql("UPDATE listings SET stock = 90")
    scopes = [part for scope in SCOPES for part in ("--scope", scope)]
    printed = town.running.processes.run_once(
        ["flask", "--app", "wsgi", "api-keys", "create", *scopes], name="journey-key"
    )
    return {
        "CHECKOUT_URL": town.running.base_url,
        "CUSTOMER_TOKEN": customer_token(uuid4(), town.environment),
        "API_KEY": printed.splitlines()[-1],
        "PATH": os.environ["PATH"],
    }


def travel(town: Town, *command: str, **environment: str) -> None:
    """Run a journey; what it says that it did is what the database has."""
    done = subprocess.run(
        command, env=caller(town) | environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    printed: dict[str, Any] = json.loads(done.stdout)

    assert {"payment.paid", "refund.requested", "refund.succeeded"} <= {*printed["events"]}
    paid = town.sql("SELECT status FROM payments WHERE id = ANY(%s::uuid[])", [printed["guest"], printed["customer"]])
    assert paid == [("paid",), ("paid",)]
    refunds = town.sql("SELECT id::text, status FROM refunds WHERE payment_id = %s", printed["customer"])
    assert refunds == [(printed["refund"], "succeeded")]


def test_the_client_for_python(town: Town) -> None:
    travel(town, sys.executable, str(CLIENTS / "python" / "journey.py"))


def test_the_client_for_typescript(town: Town, node: str, compiled: Path) -> None:
    travel(town, node, str(compiled / "journey.js"))
