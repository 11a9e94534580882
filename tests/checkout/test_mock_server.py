"""The mock provider's server keeps its promises: what the other tests rely on when it is told to misbehave."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from tests.conftest import ROOT
from tests.crowd import at_once

ORDER = {"payment_id": str(uuid4()), "amount": "240.00", "currency": "USD"}


@pytest.fixture(scope="module")
def program() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "checkout_service.local.mock_server", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with process:
        yield process
        process.kill()


@pytest.fixture(scope="module")
def address(program: subprocess.Popen[str]) -> str:
    assert program.stdout
    return program.stdout.readline().split()[-1]


@pytest.fixture
def http(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=60) as http:
        http.put("/_behaviour", json={})
        http.delete("/_payments")
        yield http


def order(http: httpx.Client, key: str = "key", **changes: str) -> httpx.Response:
    return http.post("/payments", json=ORDER | changes, headers={"Idempotency-Key": key})


def test_same_key_gets_the_same_payment_with_its_first_amount(http: httpx.Client) -> None:
    first, second = order(http), order(http, amount="1.00")

    assert first.json()["amount"] == "240.00"
    assert first.json() == second.json()
    assert http.get("/_payments").json() == {
        "payments": [first.json()],
        "refunds": [],
        "calls": {"open": 2, "look_up": 0, "cancel": 0, "refund": 0, "capture": 0, "void": 0},
    }


def test_payment_is_looked_up_put_and_canceled(http: httpx.Client) -> None:
    reference = order(http).json()["provider_ref"]

    assert http.get(f"/payments/{reference}").json()["status"] == "pending"
    http.put(f"/_payments/{reference}", json={"status": "paid", "amount": "239.99"})
    assert http.get(f"/payments/{reference}").json()["amount"] == "239.99"
    assert http.post(f"/payments/{reference}/cancel").json()["status"] == "paid"
    http.put(f"/_payments/{reference}", json={"status": "failed"})
    assert http.post(f"/payments/{reference}/cancel").json()["status"] == "canceled"
    assert http.get("/payments/unknown").status_code == 404


def test_failure_before_makes_nothing_and_failure_after_makes_it(http: httpx.Client) -> None:
    http.put("/_behaviour", json={"before": "error", "times": 1})
    assert order(http).status_code == 500
    assert http.get("/_payments").json()["payments"] == []

    http.put("/_behaviour", json={"after": "drop", "times": 1})
    with pytest.raises(httpx.RemoteProtocolError):
        order(http)
    assert len(http.get("/_payments").json()["payments"]) == 1
    assert order(http).status_code == 200


def test_retry_hears_of_the_other_or_waits_for_it(address: str, http: httpx.Client) -> None:
    def retry() -> int:
        with httpx.Client(base_url=address, timeout=60) as own:
            return order(own, "shared").status_code

    http.put("/_behaviour", json={"seconds": 0.3, "in_progress": "retry"})
    assert sorted(at_once([retry, retry])) == [200, 409]
    http.put("/_behaviour", json={"seconds": 0.1})
    assert at_once([retry, retry]) == [200, 200]
    assert len(http.get("/_payments").json()["payments"]) == 1


@pytest.mark.parametrize("behaviour", [{"unknown": 1}, {"before": "unknown"}, {"garbage": "unknown"}, {"seconds": "x"}])
def test_behaviour_that_nobody_knows_is_refused(http: httpx.Client, behaviour: dict[str, object]) -> None:
    assert http.put("/_behaviour", json=behaviour).status_code == 400
    assert order(http).status_code == 200


def test_it_stops_by_sigterm(program: subprocess.Popen[str], address: str) -> None:
    program.send_signal(signal.SIGTERM)

    assert program.wait(timeout=60) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/_payments", timeout=60)
