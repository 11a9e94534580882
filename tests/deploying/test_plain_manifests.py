"""deploy/kubernetes/ is what the chart renders, byte for byte; ``make manifests`` writes it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from checkout_service.settings.secret_holders import FILES_OF_COMMAND, FILES_OF_PROCESS, SECRETS, files_with, is_secret
from tests.conftest import ROOT
from tests.deploying.charts import VERSIONS, Helm

FOLDER = ROOT / "deploy" / "kubernetes"
VALUES = FOLDER / "values" / "values.yaml"
HEAD = "# Rendered from deploy/helm/checkout with values/values.yaml: edit those, and run `make manifests`.\n"


def test_the_plain_manifests_are_what_the_chart_renders(helm: Helm) -> None:
    files = helm.render(VALUES.read_text(encoding="utf-8"), name="checkout", namespace="default")
    rendered = {
        name: HEAD + text.strip() + "\n" for name, text in files.items() if name.endswith(".yaml") and text.strip()
    }
    if os.environ.get("WRITE_MANIFESTS"):
        for path in FOLDER.glob("*.yaml"):
            path.unlink()
        for name, text in rendered.items():
            (FOLDER / name).write_text(text, encoding="utf-8")

    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.yaml")} == rendered
    assert {"web.yaml", "worker.yaml", "release.yaml", "network-policy.yaml"} <= set(rendered)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_kubernetes_takes_them(path: Path, version: str) -> None:
    documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))

    assert documents
    for document in documents:
        kubernetes_validate.validate(document, version, strict=True)


def test_the_settings_of_all_hold_no_secret_and_say_where_each_belongs() -> None:
    path = FOLDER / "settings.yaml"
    secrets = [name for name in yaml.safe_load(path.read_text())["data"] if is_secret(name)]
    assert sorted(secrets) == ["CELERY_BROKER_URL", "REDIS_URL"], "here without passwords"
    named = {
        line.split()[1].removeprefix("checkout-"): set(re.findall(r"[A-Z<>]+(?:_[A-Z<>]+)+", line))
        for line in path.read_text().splitlines()
        if line.startswith("#   checkout-")
    }
    in_full = {name: files for name, files in SECRETS if "*" not in name}
    read = (*FILES_OF_PROCESS.values(), *FILES_OF_COMMAND.values())
    assert set(named) == {file for files in read for file in files}
    for file, names in named.items():
        assert {name for name in names if file not in files_with(name)} == set()
        assert {name for name, files in in_full.items() if file in files} <= names
