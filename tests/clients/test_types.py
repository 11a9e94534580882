"""The type checkers pass both clients with their journeys, and find what a caller gets wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest

from tests.clients.conftest import PYTHON, TYPESCRIPT, InNode
from tests.conftest import ROOT

Errors = dict[str, list[str]]
"""Codes of errors by the name of the file."""

IN_PYTHON: Final = {
    "a member that is not there": ("cart.total", "attr-defined"),
    "a member that may be null": ("cart.total_amount.upper()", "union-attr"),
    "a required member left out": ("NewItem(listing=cart.items[0].listing.id)", "call-arg"),
    "null for what may only be left out": ("OpenSession(cart_id=cart_id, description=None)", "arg-type"),
    "the body of another operation": ("add_cart_item.sync(client=client, body=NewCart())", "arg-type"),
    "a status that is none": ("payment.status == 'payed'", "comparison-overlap"),
    "an ETag where there is no 304": ("get_payment.sync(cart_id, client=client, if_none_match='x')", "call-arg"),
    "what may be a 304": (
        "get_payment.sync_detailed(cart_id, client=client, if_none_match='x').parsed.status",
        "union-attr",
    ),
    "an item of another list": ("for one in each(list_payments.sync, client=client): one.number", "attr-defined"),
    "a list's parameter that is not there": ("each(list_payments.sync, client=client, size=3)", "call-arg"),
}

PYTHON_BEFORE: Final = """
from uuid import UUID

from checkout_client import Client, each
from checkout_client.api.cart import add_cart_item, get_cart
from checkout_client.api.payments import get_payment, list_payments
from checkout_client.models import NewCart, NewItem, OpenSession

client = Client("http://127.0.0.1:1")
cart = get_cart.sync(client=client)
cart_id = UUID(int=0)
payment = get_payment.sync(cart_id, client=client)
"""

IN_TYPESCRIPT: Final = {
    "a member that is not there": ("cart.total;", "TS2339"),
    "a member that may be null": ("cart.total_amount.length;", "TS18047"),
    "an item that may be missing": ("cart.items[0].qty;", "TS2532"),
    "a required member left out": (
        'client.POST("/api/cart/items", { body: { listing: cart.items[0]!.listing.id } });',
        "TS2322",
    ),
    "undefined for what may only be left out": (
        'client.POST("/api/checkout/session", { body: { cart_id: "x", description: undefined } });',
        "TS2375",
    ),
    "the body of another operation": (
        'client.POST("/api/cart/items", { body: { currency: "USD" } });',
        "TS2353",
    ),
    "a status that is none": ('payment.status === "payed";', "TS2367"),
    "a path that is none": ('client.GET("/api/basket", {});', "TS2345"),
    "a method that the path has not": ('client.DELETE("/api/payments", {});', "TS2345"),
    "two callers at once": ('createCheckoutClient({ baseUrl: "x", token: "a", cartToken: "b" });', "TS2345"),
    "a member of another problem": (
        'try { } catch (error) { if (isProblem(error, "out-of-stock")) error.problem.amount_left.length; }',
        "TS18046",
    ),
    "a key that is no text": (
        """
        const header = { "Idempotency-Key": 1 };
        client.POST("/api/checkout/session", { body: { cart_id: "x" }, params: { header } });
        """,
        "TS2322",
    ),
}

TYPESCRIPT_BEFORE: Final = """
import { createCheckoutClient, isProblem, unwrap } from "%s/src/index.js";

const client = createCheckoutClient({ baseUrl: "http://127.0.0.1:1" });
const cart = await unwrap(client.GET("/api/cart"));
const params = { path: { payment_id: "x" } };
const payment = await unwrap(client.GET("/api/payments/{payment_id}", { params }));
void [createCheckoutClient, isProblem, cart, payment];
"""


def named(mistake: str) -> str:
    return mistake.replace(" ", "_")


@pytest.fixture(scope="session")
def by_mypy(tmp_path_factory: pytest.TempPathFactory) -> Errors:
    """What mypy finds in the package, its journey, and a module for each mistake."""
    folder = tmp_path_factory.mktemp("mistakes")
    for mistake, (code, _) in IN_PYTHON.items():
        (folder / f"{named(mistake)}.py").write_text(f"{PYTHON_BEFORE}\n{code}\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(PYTHON / "pyproject.toml")]
    command += ["--cache-dir", str(ROOT / ".mypy_cache" / "clients"), "--no-error-summary", "--no-pretty"]
    files = [PYTHON / "checkout_client", PYTHON / "journey.py", *sorted(folder.iterdir())]
    done = subprocess.run(
        [*command, *map(str, files)], cwd=PYTHON, capture_output=True, text=True, check=False, timeout=250
    )
    return errors(done.stdout, r"^(?P<path>\S+?):\d+: error: .*\[(?P<code>[a-z-]+)\]$")


@pytest.fixture(scope="session")
def by_tsc(in_node: InNode, tmp_path_factory: pytest.TempPathFactory) -> Errors:
    """What tsc finds in the sources, the journey, and a module for each mistake."""
    folder = tmp_path_factory.mktemp("mistakes")
    for mistake, (code, _) in IN_TYPESCRIPT.items():
        (folder / f"{named(mistake)}.ts").write_text(f"{TYPESCRIPT_BEFORE % TYPESCRIPT}\n{code}\n")
    sources = [f"{TYPESCRIPT}/{each}" for each in ("src", "journey.ts", "client.test.ts")] + [str(folder)]
    settings = {
        "extends": f"{TYPESCRIPT}/tsconfig.json",
        "compilerOptions": {"typeRoots": [f"{TYPESCRIPT}/node_modules/@types"]},
        "include": sources,
    }
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "tsconfig.json").write_text(json.dumps(settings))
    command = in_node("tsc", "--noEmit", "--strict", "--pretty", "false", "--project", str(folder))
    done = subprocess.run(command, cwd=TYPESCRIPT, capture_output=True, text=True, check=False, timeout=250)
    return errors(done.stdout, r"^(?P<path>\S+?)\(\d+,\d+\): error (?P<code>TS\d+):")


def errors(output: str, line: str) -> Errors:
    found = defaultdict(list)
    for each in re.finditer(line, output, re.M):
        found[Path(each["path"]).stem].append(each["code"])
    return dict(found)


@pytest.mark.parametrize("mistake", IN_PYTHON)
def test_mypy_finds(by_mypy: Errors, mistake: str) -> None:
    assert by_mypy[named(mistake)] == [IN_PYTHON[mistake][1]]


def test_mypy_finds_nothing_in_the_client_and_its_journey(by_mypy: Errors) -> None:
    assert by_mypy.keys() == {named(mistake) for mistake in IN_PYTHON}


@pytest.mark.parametrize("mistake", IN_TYPESCRIPT)
def test_tsc_finds(by_tsc: Errors, mistake: str) -> None:
    assert by_tsc[named(mistake)] == [IN_TYPESCRIPT[mistake][1]]


def test_tsc_finds_nothing_in_the_client_and_its_journey(by_tsc: Errors) -> None:
    assert by_tsc.keys() == {named(mistake) for mistake in IN_TYPESCRIPT}


def test_what_tsc_holds_the_client_to() -> None:
    package = json.loads((TYPESCRIPT / "package.json").read_text(encoding="utf-8"))
    options = json.loads((TYPESCRIPT / "tsconfig.json").read_text(encoding="utf-8"))["compilerOptions"]

    assert package["scripts"]["check"] == "tsc --noEmit --strict"
    assert all(options[name] for name in ("strict", "exactOptionalPropertyTypes", "noUncheckedIndexedAccess"))
