"""The Helm chart: what it renders is valid and fits together, whatever is on or off."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from itertools import pairwise
from typing import Any

import kubernetes_validate
import pytest
import yaml

from checkout_service.settings.secret_holders import FILES_OF_COMMAND, FILES_OF_PROCESS
from tests.conftest import ROOT
from tests.deploying.charts import (
    ALL,
    CHART,
    LEAST,
    OFF,
    OPERATOR,
    PROCESSES,
    VERSIONS,
    Document,
    Helm,
    container,
    defaults,
    of_kind,
    pods,
    without,
)

Values = dict[str, Any]


def _validate(document: Document, version: str) -> None:
    """Raises where the version of Kubernetes does not take it. Of the operator's kinds there is no schema here."""
    if document["apiVersion"] == OPERATOR:
        assert set(document) == {"apiVersion", "kind", "metadata", "spec"}
    else:
        _validate_text(json.dumps(document), version)


@cache
def _validate_text(document: str, version: str) -> None:
    """Each document once: most are rendered alike by many values, and to validate one takes 50 ms."""
    kubernetes_validate.validate(json.loads(document), version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "values", [LEAST, ALL, *(without(path) for path in OFF)], ids=["least", "all", *(f"no {path}" for path in OFF)]
)
def test_each_kubernetes_takes_it(helm: Helm, values: Values, version: str) -> None:
    found = helm.documents(values, version=version, apis=[OPERATOR])

    assert len(found) >= 10
    for document in found:
        _validate(document, version)
    names = [(document["kind"], document["metadata"]["name"]) for document in found]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_validation_is_strict_and_is_that_of_the_version(helm: Helm, version: str) -> None:
    [web] = [
        each for each in helm.documents(LEAST) if each["kind"] == "Deployment" and "-web" in each["metadata"]["name"]
    ]
    web["spec"]["template"]["spec"]["containers"][0]["livenessprobe"] = {}

    with pytest.raises(kubernetes_validate.ValidationError, match="livenessprobe"):
        _validate(web, version)
    assert kubernetes_validate.validate({"apiVersion": "v1", "kind": "ConfigMap"}, version, strict=True) == version


def test_an_older_kubernetes_is_named_as_too_old(helm: Helm) -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))

    assert chart["kubeVersion"] == f">={VERSIONS[0]}.0-0"
    assert chart["appVersion"] == tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]


@pytest.mark.parametrize("values", [LEAST, ALL], ids=["least", "all"])
def test_helms_linter_finds_nothing(helm: Helm, values: Values) -> None:
    assert [found["error"] for found in helm.lint(values)] == ["icon is recommended"]


@pytest.mark.parametrize("path", OFF)
def test_each_toggle_takes_something_away_and_nothing_else_breaks(helm: Helm, path: str) -> None:
    def count(found: list[Document]) -> int:
        return len(json.dumps(found))

    less, more = helm.documents(without(path), apis=[OPERATOR]), helm.documents(ALL, apis=[OPERATOR])

    if path != "podDisruptionBudget.enabled":
        assert less != more
    if (
        path.endswith(".enabled")
        and path.partition(".")[0] in {*PROCESSES, *FILES_OF_COMMAND}
        and "autoscaling" not in path
    ):
        assert set(pods(more)) - set(pods(less)) == {path.partition(".")[0]}
    _fit_together(less)


def test_every_toggle_is_tried() -> None:
    def switches(inside: Any, path: str = "") -> set[str]:
        if isinstance(inside, bool):
            return {path}
        if not isinstance(inside, dict):
            return set()
        return {found for key, value in inside.items() for found in switches(value, f"{path}.{key}".lstrip("."))}

    assert switches(defaults()) == set(OFF)


def test_all_of_it_fits_together(everything: list[Document]) -> None:
    _fit_together(everything)
    kinds = {document["kind"] for document in everything}
    assert {"HorizontalPodAutoscaler", "PodMonitor", "PrometheusRule", "Ingress", "NetworkPolicy"} <= kinds
    assert "Secret" not in kinds


def _fit_together(found: list[Document]) -> None:
    """Selectors find pods, names lead to what is there, and ports to ports."""
    templates = pods(found)
    labels = {name: pod["metadata"]["labels"] for name, pod in templates.items()}
    ports = {name: {port["name"] for port in container(pod).get("ports", [])} for name, pod in templates.items()}
    there = {(document["kind"], document["metadata"]["name"]) for document in found}

    for document in of_kind(found, "Deployment"):
        component = document["metadata"]["labels"]["app.kubernetes.io/component"]
        assert document["spec"]["selector"]["matchLabels"].items() <= labels[component].items()
        # What changes with a release must not be in it: a selector cannot be changed.
        assert set(document["spec"]["selector"]["matchLabels"]) == {
            f"app.kubernetes.io/{part}" for part in ("name", "instance", "component")
        }
    for document in of_kind(found, "Service", "PodDisruptionBudget"):
        selector = document["spec"]["selector"]
        selected = [
            name for name, has in labels.items() if selector.get("matchLabels", selector).items() <= has.items()
        ]
        assert selected == [document["metadata"]["labels"]["app.kubernetes.io/component"]]
        for port in document["spec"].get("ports", []):
            assert port["targetPort"] in ports[selected[0]]
    for document in of_kind(found, "HorizontalPodAutoscaler"):
        target = document["spec"]["scaleTargetRef"]
        assert (target["kind"], target["name"]) in there
    for document in of_kind(found, "NetworkPolicy"):
        selector = document["spec"]["podSelector"]
        for expression in selector.get("matchExpressions", []):
            assert set(expression["values"]) <= {*FILES_OF_PROCESS, *FILES_OF_COMMAND}
        for rule in document["spec"].get("ingress", []):
            for port in rule["ports"]:
                for component in selector["matchExpressions"][0]["values"]:
                    assert component not in ports or port["port"] in ports[component]
    for document in of_kind(found, "Ingress"):
        for rule in document["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                service = path["backend"]["service"]
                assert service["port"] == {"name": "http"}
                assert ("Deployment", service["name"]) not in there or ("Service", service["name"]) in there
    for name, pod in templates.items():
        account = pod["spec"]["serviceAccountName"]
        assert account == "default" or ("ServiceAccount", account) in there, name
        settings = container(pod)["envFrom"][0]["configMapRef"]["name"]
        assert ("ConfigMap", settings) in there, name
        volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
        assert {mount["name"] for mount in container(pod)["volumeMounts"]} == volumes


def test_every_process_is_one_of_the_values_and_in_order_of_the_procfile() -> None:
    named = [key for key in defaults() if key in PROCESSES]
    assert set(named) == set(PROCESSES)
    assert [named.index(a) < named.index(b) for a, b in pairwise(("web", "worker", "housekeeping", "sender", "beat"))]


def test_a_change_of_settings_replaces_the_pods(helm: Helm) -> None:
    def sums(values: Values) -> set[str]:
        found = helm.documents(values)
        return {
            document["spec"]["template"]["metadata"]["annotations"]["checksum/settings"]
            for document in of_kind(found, "Deployment")
        }

    other = {"settings": LEAST["settings"] | {"STOCK_LOW": 7}}
    assert len(sums(LEAST)) == 1
    assert sums(LEAST) == sums(LEAST)
    assert sums(LEAST).isdisjoint(sums(other))


def test_a_config_map_of_ones_own_takes_the_place_of_the_settings(helm: Helm) -> None:
    found = helm.documents({"existingConfigMap": "ours"})

    assert not list(of_kind(found, "ConfigMap"))
    assert {container(pod)["envFrom"][0]["configMapRef"]["name"] for pod in pods(found).values()} == {"ours"}
