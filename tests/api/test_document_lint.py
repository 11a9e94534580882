"""What is served is a document that public linters mind nothing of, by every rule that they recommend.

Their rules are those of tests/node/: none is off, and one finding is known there, with its reason. Their programs are
installed by ``make node``; they run without network, and report to nobody what they did.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from flask import Flask

from tests.conftest import ROOT
from tests.in_node import PACKAGES, find_node

Json = dict[str, Any]

Linter = Callable[[Mapping[str, Json], Path], Mapping[str, set[str]]]
"""Lints documents, by the names of their files, in an empty folder: the rules that each of them breaks, and where."""

RULES: Final = ROOT / "tests" / "node"

KNOWN: Final = {"no-ambiguous-paths": ["#/paths/~1api~1payments~1webhook~1{provider}"]}
"""What Redocly finds and nobody mends; the reason is in the file. Another finding there is a decision."""

SERVED: Final = "openapi.json"


def run(package: str, program: str, *arguments: str, folder: Path) -> str:
    """What the program writes to standard output."""
    node = find_node(package)
    environment = {"HOME": str(folder), "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    ran = subprocess.run(
        [node, str(PACKAGES / "node_modules" / package / program), "lint", *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=240,
    )
    assert ran.returncode in {0, 1}, ran.stderr.decode()  # 1: something is wrong with a document
    return ran.stdout.decode()


def write(documents: Mapping[str, Json], folder: Path) -> list[str]:
    for name, document in documents.items():
        (folder / name).write_bytes(orjson.dumps(document))
    return list(documents)


def redocly(documents: Mapping[str, Json], folder: Path) -> Mapping[str, set[str]]:
    shutil.copy(RULES / "redocly.yaml", folder)
    shutil.copy(RULES / ".redocly.lint-ignore.yaml", folder)
    names = write(documents, folder)
    shown = run("@redocly/cli", "bin/cli.js", *names, "--format=json", "--max-problems=1000", folder=folder)
    found: dict[str, set[str]] = {}
    for name in names:  # a report for each, one behind the other
        report, end = json.JSONDecoder().raw_decode(shown)
        shown = shown[end:].lstrip()
        found[name] = {f"{problem['ruleId']} {problem['location'][0]['pointer']}" for problem in report["problems"]}
        assert report["totals"]["ignored"] == (1 if name == SERVED else 0), "what is known is there no more"
    assert shown == ""
    return found


def spectral(documents: Mapping[str, Json], folder: Path) -> Mapping[str, set[str]]:
    shutil.copy(RULES / "spectral.yaml", folder)
    names = write(documents, folder)
    arguments = (*names, "--ruleset", "spectral.yaml", "--format", "json", "--quiet")
    found: dict[str, set[str]] = {name: set() for name in names}
    for problem in json.loads(run("@stoplight/spectral-cli", "dist/index.js", *arguments, folder=folder)):
        found[Path(problem["source"]).name].add(f"{problem['code']} #/{'/'.join(map(str, problem['path']))}")
    return found


def broken(document: Json) -> Json:
    """A path of it with a few faults, which each linter has a rule against; a whole document takes a linter long."""
    paths = deepcopy({"/api/cart/items": document["paths"]["/api/cart/items"]})
    operation = paths["/api/cart/items"]["post"]
    del operation["operationId"]
    operation["requestBody"]["content"]["application/json"]["example"] = {"listing": 7, "qty": "none"}
    components: Json = {
        "schemas": {"Unused": {"type": "object"}},
        "securitySchemes": document["components"]["securitySchemes"],
    }
    waiting = [paths]
    while waiting:
        for kind, name in re.findall(r"#/components/(\w+)/([\w-]+)", json.dumps(waiting.pop())):
            if name not in components.setdefault(kind, {}):
                waiting.append(document["components"][kind][name])
                components[kind][name] = waiting[-1]
    return {name: document[name] for name in ("openapi", "info", "servers", "security", "tags")} | {
        "paths": paths,
        "components": components,
    }


@pytest.mark.parametrize(
    ("linter", "rules"),
    [
        (redocly, {"operation-operationId", "no-unused-components", "no-invalid-media-type-examples"}),
        (spectral, {"operation-operationId", "oas3-unused-component", "oas3-valid-media-example"}),
    ],
)
def test_a_linter_minds_nothing_of_what_is_served_and_each_fault_of_another_document(
    app: Flask, tmp_path: Path, linter: Linter, rules: set[str]
) -> None:
    document: Json = orjson.loads(app.extensions["openapi"])
    # In one process: most of its time is what it takes to start.
    found = linter({SERVED: document, "broken.json": broken(document)}, tmp_path)

    assert found[SERVED] == set()
    assert {problem.split()[0] for problem in found["broken.json"]} == rules


def test_no_rule_is_off_and_one_finding_is_known() -> None:
    texts = {name: (RULES / name).read_text(encoding="utf-8") for name in ("redocly.yaml", "spectral.yaml")}
    plain = {name: re.sub(r"^#.*\n", "", text, flags=re.MULTILINE) for name, text in texts.items()}
    assert plain == {
        "redocly.yaml": 'extends:\n  - recommended\ntelemetry: "off"\n',
        "spectral.yaml": "extends: spectral:oas\n",
    }
    known = (RULES / ".redocly.lint-ignore.yaml").read_text(encoding="utf-8")
    assert re.findall(r"^  ([\w-]+):|^    - '(.+)'$|^(\S+):$", known, re.MULTILINE) == [
        ("", "", SERVED),
        *((rule, "", "") for rule in KNOWN),
        *(("", place, "") for places in KNOWN.values() for place in places),
    ]
