"""Debian's Prometheus scrapes the running service: every query of a dashboard finds something, and every rule works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml

from checkout_service.local.servers import free_port
from tests.journeys.conftest import Town, eventually
from tests.observability.files import DASHBOARDS, HOME, alarms, metrics_in

PORTS = {
    "checkout-web": "PORT",
    "checkout-worker": "WORKER_METRICS_PORT",
    "checkout-housekeeping": "HOUSEKEEPING_METRICS_PORT",
    "checkout-sender": "SENDER_METRICS_PORT",
}


class Prometheus:
    """One that runs, and what it is asked."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=60)

    def close(self) -> None:
        self._client.close()

    def is_ready(self) -> bool:
        try:
            return self._client.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an expression; fails with Prometheus' own words."""
        answer = self._client.post("/api/v1/query", data={"query": expression}).json()
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        assert not answer.get("warnings"), f"{expression}: {answer['warnings']}"
        return list(answer["data"]["result"])

    def rules(self) -> dict[str, dict[str, Any]]:
        groups = self._client.get("/api/v1/rules").json()["data"]["groups"]
        return {rule["name"]: rule for group in groups for rule in group["rules"]}


@pytest.fixture
def prometheus(town: Town, tmp_path: Path) -> Iterator[Prometheus]:
    """Debian's, with the repository's scrape configuration and rules; targets and times are those of a test."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("NO PROMETHEUS: install Debian's prometheus to have dashboards and rules run against the service")
    config = yaml.safe_load((HOME / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    del config["alerting"]
    for job in config["scrape_configs"]:
        job["static_configs"][0]["targets"] = [f"127.0.0.1:{town.environment[PORTS[job['job_name']]]}"]
    (tmp_path / "checkout-metrics-token").write_text("there is none in a demonstration")
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    shutil.copytree(HOME / "rules", tmp_path / "rules")
    port = free_port()
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(
            [
                program,
                f"--config.file={tmp_path}/prometheus.yml",
                f"--storage.tsdb.path={tmp_path}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"]},
            stdout=log,
            stderr=log,
        ) as process,
        closing(Prometheus(f"http://127.0.0.1:{port}")) as running,
    ):
        try:
            eventually(running.is_ready)
            yield running
        finally:
            process.terminate()


NOT_HERE = ("trace_spans_total", "catalog_sync", "catalog_source_")
"""Series of what is not turned on here: traces, and a source of the catalogue."""


def test_every_query_finds_a_series_and_every_rule_is_evaluated(town: Town, prometheus: Prometheus) -> None:
    _live(town)
    eventually(lambda: len(prometheus.query("up == 1")) == len(PORTS))
    # A rate is of two scrapes; what a worker's child has just begun to count is on the page after the next.
    eventually(lambda: all(len(samples["values"]) >= 4 for samples in prometheus.query("up[1m]")))

    empty = {}
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", ()):
                query = target["expr"].replace("$__rate_interval", "1m").replace("$environment", ".*")
                assert "$" not in query
                if not any(name in query for name in NOT_HERE) and not prometheus.query(query):
                    empty[f"{path.stem}: {panel['title']}"] = query
    assert empty == {}

    named = {name for rule in alarms().values() for name in metrics_in(rule["expr"])}
    missing = {name for name in named if not name.startswith(NOT_HERE) and not prometheus.query(name)}
    assert missing == set(), "what nobody exposes never fires"

    rules = eventually(lambda: _evaluated(prometheus))
    assert {name: rule["lastError"] for name, rule in rules.items() if rule["health"] != "ok"} == {}
    quiet = {"CheckoutTargetDown", "CheckoutTargetMissing", "CheckoutDatabaseDown", "CheckoutBeatSilent"}
    eventually(lambda: all(prometheus.rules()[name]["state"] == "inactive" for name in quiet))
    # What is on its way to an alarm is what was done here.
    assert rules["CheckoutDisputeEvidenceDue"]["state"] in {"pending", "firing"}
    assert rules["CheckoutAuthorizationEnding"]["state"] in {"pending", "firing"}


def _evaluated(prometheus: Prometheus) -> dict[str, dict[str, Any]]:
    rules = prometheus.rules()
    is_evaluated = rules.keys() >= alarms().keys() and all(rule["health"] != "unknown" for rule in rules.values())
    return rules if is_evaluated else {}


def _live(town: Town) -> None:
    """A purchase, a refund, a dispute and a promise of money that ends soon."""
    opened = town.open_session()
    town.report(opened)
    eventually(lambda: town.status(opened) == "paid")
    town.sql(
        """INSERT INTO refunds (payment_id, amount, requested_by, idempotency_key, request_hash)
        VALUES (%s, 1, uuidv7(), %s, '')""",
        opened["payment_id"],
        uuid4().hex,
    )
    town.sql(
        """INSERT INTO disputes (payment_id, provider, dispute_ref, stage, status, amount, currency, evidence_due_at)
        SELECT id, provider, 'du_' || id, 'chargeback', 'needs_response', 1, currency, now() + interval '1 day'
        FROM payments WHERE id = %s""",
        opened["payment_id"],
    )
    promised = town.open_session()
    town.sql(
        """INSERT INTO payment_attempts
            (payment_id, provider, attempt_ref, status, reported_at, currency, amount_authorized, expires_at)
        SELECT id, provider, 'auth_' || id, 'authorized', now(), currency, amount, now() + interval '20 hours'
        FROM payments WHERE id = %s""",
        promised["payment_id"],
    )
    for payment in (opened, promised):
        town.sql("SELECT payments_fold(ARRAY[%s]::uuid[])", payment["payment_id"])
