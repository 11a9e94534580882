"""What is committed under clients/ is what ``make clients`` makes of the API as it is now."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient

from clients import make
from tests.clients.conftest import PYTHON, TYPESCRIPT


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_committed_document_is_the_one_that_is_served(app: Flask, client: FlaskClient) -> None:
    served = client.get("/api/openapi.json").data

    assert json.loads(make.DOCUMENT.read_text(encoding="utf-8")) == orjson.loads(served), "run make clients"
    assert make.DOCUMENT.read_text(encoding="utf-8") == make.served_document()


def test_the_python_client_is_generated_from_it(tmp_path: Path) -> None:
    make.make_python(tmp_path / "made")

    made = contents(tmp_path / "made")
    committed = {
        name: content
        for name, content in contents(PYTHON / "checkout_client").items()
        if name.partition("/")[0] in make.GENERATED
    }
    assert made.keys() == committed.keys(), "run make clients"
    assert [name for name in made if made[name] != committed[name]] == [], "run make clients"
    assert len(made) > 200


@pytest.mark.usefixtures("node", "another_node")
def test_the_typescript_client_is_generated_from_it(tmp_path: Path) -> None:
    make.make_typescript(tmp_path)

    made = contents(tmp_path)
    assert made.keys() == {"schema.ts", "version.ts", "keyed.ts"}
    assert [name for name in made if made[name] != (TYPESCRIPT / "src" / name).read_bytes()] == [], "run make clients"


def test_every_operation_for_shops_is_in_the_python_client() -> None:
    document = json.loads(make.DOCUMENT.read_text(encoding="utf-8"))
    operations = {
        re.sub(r"([a-z])([A-Z])", r"\1_\2", operation["operationId"]).lower()
        for item in document["paths"].values()
        for method, operation in item.items()
        if method != "parameters" and not make.NOT_FOR_SHOPS & {*operation["tags"]}
    }

    made = {path.stem for path in (PYTHON / "checkout_client" / "api").rglob("*.py")} - {"__init__"}
    assert made == operations


def test_the_lock_of_the_typescript_client_names_no_registry() -> None:
    lock = json.loads((TYPESCRIPT / "package-lock.json").read_text(encoding="utf-8"))
    package = json.loads((TYPESCRIPT / "package.json").read_text(encoding="utf-8"))

    packages = {name: each for name, each in lock["packages"].items() if name}
    assert len(packages) > 30
    assert [name for name, each in packages.items() if "resolved" in each or "integrity" not in each] == []
    pinned = package["dependencies"] | package["devDependencies"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in pinned} == pinned


def test_what_is_generated_is_marked() -> None:
    generated = ["openapi.json", "typescript/src/schema.ts", "typescript/src/version.ts", "typescript/src/keyed.ts"]
    generated += [f"python/checkout_client/{folder}/__init__.py" for folder in make.GENERATED]
    by_hand = ["typescript/src/index.ts", "python/checkout_client/watching.py", "make.py"]

    shown = subprocess.run(
        ["git", "check-attr", "linguist-generated", "--", *generated, *by_hand],
        cwd=make.CLIENTS,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()

    states = [line.rpartition(": ")[2] for line in shown]
    assert states == ["set"] * len(generated) + ["unspecified"] * len(by_hand)
