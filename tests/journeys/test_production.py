"""Production mode from end to end: what is refused where things are tried works, and what is for trying is refused."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest

from checkout_service.local.data_folder import ROOT
from checkout_service.local.mock_server import MockServer
from checkout_service.local.purchase import customer_token
from tests.collector import Collector, collecting
from tests.faults.signers import SIGNERS
from tests.faults.stack import House, open_house
from tests.journeys.conftest import eventually

STANDARD = next(signer for signer in SIGNERS if signer.provider == "standard")

SECRETS = ("SECRET", "KEY", "AUTH", "URL")


@pytest.fixture(scope="module")
def provider() -> Iterator[MockServer]:
    """It keeps the contract of a provider of one's own, but for webhooks."""
    with MockServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def house(provider: MockServer, collector: Collector) -> Iterator[House]:
    settings = {**STANDARD.settings, "STANDARD_API_BASE": provider.url, "PAYMENT_PROVIDERS": "standard"}
    own = {"ENVIRONMENT": "production", "CONSOLE": "on", "WEBHOOK_ALLOW_PRIVATE_ADDRESSES": "off"}
    with open_house(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, **own, **settings) as house:
        yield house


@pytest.fixture
def web(house: House) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=house.base_url, timeout=60) as client:
        yield client


@pytest.fixture
def customer(house: House) -> Iterator[httpx.Client]:
    token = customer_token(uuid4(), house.environment)
    with httpx.Client(base_url=house.base_url, timeout=60, headers={"Authorization": f"Bearer {token}"}) as client:
        yield client


@pytest.fixture
def paid(house: House, web: httpx.Client, customer: httpx.Client) -> dict[str, Any]:
    """A session whose payment its provider reported as paid."""
    listing = house.listing()
    house.sql(
        "UPDATE listings SET unit_price = 40, currency = 'USD' WHERE id = %(id)s", id=listing
    )  # as the signer says
    customer.post("/api/cart/items", json={"listing": listing, "qty": 1}).raise_for_status()
    cart = customer.get("/api/cart").raise_for_status().json()
    opened = customer.post(
        "/api/checkout/session", json={"cart_id": cart["id"]}, headers={"Idempotency-Key": str(uuid4())}
    )
    assert opened.status_code == 201, opened.text
    session: dict[str, Any] = opened.json()
    reference = session["payment_token"]
    signed = STANDARD.sign(reference, datetime.now(UTC), house.environment)
    taken = web.post(
        "/api/payments/webhook/standard",
        content=signed.body,
        headers={**signed.headers, "Content-Type": "application/json"},
    )
    assert taken.status_code == 202, taken.text
    eventually(lambda: _status(customer, session) == "paid")
    return session


def test_a_purchase_is_made_paid_and_given_back(
    house: House, provider: MockServer, web: httpx.Client, customer: httpx.Client, paid: dict[str, Any]
) -> None:
    claims = {"sub": str(uuid4()), "scope": "refunds", "exp": datetime.now(UTC).timestamp() + 600}
    staff = {"Authorization": f"Bearer {jwt.encode(claims, house.environment['JWT_SECRET'])}"}
    path = f"/api/payments/{paid['payment_id']}/refunds"
    provider.bank.put(paid["payment_token"], {"status": "paid", "amount": "40.00"})

    requested = web.post(path, json={"amount": "1.00"}, headers={**staff, "Idempotency-Key": "refund-1"})

    assert requested.status_code == 202, requested.text
    eventually(lambda: [refund["status"] for refund in customer.get(path).json()["data"]] == ["succeeded"])


@pytest.mark.parametrize("path", ["/metrics", "/", "/cart", "/api/payments/webhook/mock"])
def test_what_is_for_trying_is_not_there(web: httpx.Client, path: str) -> None:
    answer = web.post(path) if "webhook" in path else web.get(path)

    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_the_console_asks_who_it_is_and_lets_in_who_knows_the_password(house: House, web: httpx.Client) -> None:
    user, _, password = house.environment["CONSOLE_BASIC_AUTH"].partition(":")

    assert web.get("/ops").status_code == 401
    assert web.get("/ops", auth=(user, password[:-1])).status_code == 401
    page = web.get("/ops", auth=(user, password), follow_redirects=True)

    assert page.status_code == 200
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


def test_no_token_is_made_by_hand_and_the_command_says_so(house: House) -> None:
    done = subprocess.run(
        ["flask", "--app", "wsgi", "token", "--user", str(uuid4())],
        cwd=ROOT,
        env=house.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert "identity provider" in done.stderr
    assert done.stdout == ""


@pytest.mark.usefixtures("paid")
def test_every_line_of_the_web_and_of_the_workers_is_json_and_none_holds_a_secret(house: House) -> None:
    secrets = [
        value
        for name, value in house.environment.items()
        if name.endswith(SECRETS) and len(value) >= 16 and not value.startswith("http")
    ]
    assert len(secrets) > 5
    lines = 0
    for name in ("web", "worker", "housekeeping", "sender"):
        for line in house.processes.named(name).log.read_text().splitlines():
            assert not any(secret in line for secret in secrets), name
            if line.startswith("{"):
                assert json.loads(line)["level"]
                lines += 1
    assert lines > 3


def _status(customer: httpx.Client, session: dict[str, Any]) -> str:
    return str(customer.get(f"/api/payments/{session['payment_id']}").raise_for_status().json()["status"])


def test_lines_of_the_log_name_the_request_and_the_trace_that_they_belong_to(
    house: House, collector: Collector, paid: dict[str, Any]
) -> None:
    """``paid`` has been through every process but the sender."""
    (request, *_) = collector.eventually(lambda: collector.named("POST /api/checkout/session"))
    lines = [line for line in log_lines(house) if line.get("trace_id") == request.trace_id]

    assert ("request", request.span_id) in {(line["event"], line["span_id"]) for line in lines}
    assert all(line["request_id"] for line in lines)


def test_each_field_of_a_line_is_documented(house: House, paid: dict[str, Any]) -> None:
    page = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")
    documented = {*re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)}
    written = {field for line in log_lines(house) for field in line}

    assert written > {"event", "level", "timestamp", "request_id", "trace_id", "span_id", "route", "ms"}
    assert written - documented == set()


def log_lines(house: House) -> list[dict[str, Any]]:
    """Every line of JSON that a process of ours wrote."""
    texts = [file.read_text(errors="replace") for file in sorted(house.place.logs.glob("*.log"))]
    return [json.loads(line) for text in texts for line in text.splitlines() if line.startswith("{")]
