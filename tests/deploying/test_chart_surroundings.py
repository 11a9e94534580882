"""What the Helm chart makes around the pods: budgets, scaling, scrapes, who may speak with whom, the ingress."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from flask import Flask

from tests.architecture.sources import paths, texts, tree
from tests.conftest import ROOT
from tests.deploying.charts import (
    ALL,
    LEAST,
    OPERATOR,
    RULES,
    SCRAPED,
    Document,
    Helm,
    RefusedError,
    container,
    documents,
    of_kind,
    pods,
    without,
)

Values = dict[str, Any]


def test_there_is_a_budget_where_more_than_one_runs(helm: Helm, everything: list[Document]) -> None:
    def budgets(found: list[Document]) -> set[str]:
        return {
            document["metadata"]["name"].removeprefix("checkout-") for document in of_kind(found, "PodDisruptionBudget")
        }

    assert budgets(everything) == set(SCRAPED)
    # A budget of one pod alone would hold up every drain, or promise nothing.
    assert budgets(helm.documents(LEAST)) == {"web", "worker"}
    assert budgets(helm.documents(LEAST | {"web": {"replicas": 1}})) == {"worker"}
    assert budgets(helm.documents(without("podDisruptionBudget.enabled"))) == set()


def test_scaling_is_by_cpu_and_by_the_age_of_webhooks(everything: list[Document]) -> None:
    scaled = {
        document["metadata"]["name"]: document["spec"] for document in of_kind(everything, "HorizontalPodAutoscaler")
    }
    [cpu] = scaled["checkout-web"]["metrics"]
    [age] = scaled["checkout-worker"]["metrics"]
    exposed = {text for path in paths("checkout_service/health") for text in texts(tree(path))}

    assert set(scaled) == {"checkout-web", "checkout-worker"}
    assert cpu["resource"]["name"] == "cpu"
    assert age["external"]["metric"]["name"] in exposed
    assert age["external"]["metric"]["selector"] == {"matchLabels": {"namespace": "shop"}}
    # A count of pods here would be set back by each upgrade.
    for document in of_kind(everything, "Deployment"):
        assert ("replicas" in document["spec"]) == (document["metadata"]["name"] not in scaled)


def test_the_notes_say_what_scaling_needs_and_how_many_connections_it_takes(helm: Helm) -> None:
    notes = helm.render(ALL, apis=[OPERATOR])["NOTES.txt"]
    plain = helm.render(LEAST)["NOTES.txt"]

    assert "needs an adapter" in notes
    assert "adapter" not in plain
    # docs/availability.md: 6 pods × 2 children × (8 threads + 4); 6 × (2 × 2 + 1) + 2 × (2 × 2 + 1) + 2 × 5.
    assert "at most: 144 of the web, 50 of workers" in notes
    # As the table there has for one host, twice the web's and the worker's.
    assert "at most: 32 of the web, 20 of workers" in plain
    for name in ("checkout-web", "checkout-worker", "checkout-release", "checkout-broker, if it is there"):
        assert f"  {name}\n" in plain
    assert "checkout-flower\n" not in plain


def test_the_operators_kinds_are_made_where_its_api_is(helm: Helm, everything: list[Document]) -> None:
    without_it = {document["kind"] for document in helm.documents(ALL)}
    [monitor] = of_kind(everything, "PodMonitor")
    endpoints = monitor["spec"]["podMetricsEndpoints"]
    templates = pods(everything)

    assert not {"PodMonitor", "PrometheusRule"} & without_it
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    scraped = [
        name
        for name, pod in templates.items()
        for port in container(pod).get("ports", [])
        if port["name"] in {each["port"] for each in endpoints}
    ]
    assert sorted(scraped) == sorted(SCRAPED)
    assert [each["authorization"]["credentials"]["name"] for each in endpoints] == ["checkout-web", "checkout-worker"]
    [rule] = of_kind(everything, "PrometheusRule")
    # What is in braces there is Prometheus' own, and no template of Helm's.
    assert rule["spec"] == yaml.safe_load(RULES)
    with pytest.raises(RefusedError, match=r"prometheusRule.files.x: is no file of rules"):
        helm.render(
            LEAST | {"monitoring": {"prometheusRule": {"enabled": True, "files": {"x": "a: 1"}}}}, apis=[OPERATOR]
        )


def test_the_monitor_gives_the_jobs_that_the_rules_name(everything: list[Document]) -> None:
    [monitor] = of_kind(everything, "PodMonitor")
    jobs = set()
    for endpoint in monitor["spec"]["podMetricsEndpoints"]:
        [relabeling] = endpoint["relabelings"]
        assert (relabeling["action"], relabeling["targetLabel"]) == ("replace", "job")
        assert relabeling["sourceLabels"] == ["__meta_kubernetes_pod_label_app_kubernetes_io_component"]
        for pod in pods(everything).values():
            if endpoint["port"] in {port["name"] for port in container(pod).get("ports", [])}:
                label = pod["metadata"]["labels"]["app.kubernetes.io/component"]
                found = re.fullmatch(relabeling["regex"], label)
                assert found
                jobs.add(relabeling["replacement"].replace("$1", found[1]))
    files = sorted((ROOT / "deploy" / "observability" / "rules").glob("*.yaml"))
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    patterns = set(re.findall(r'job="([^"]+)"', text))
    matchers = set(re.findall(r'job=~"([^"]+)"', text))

    assert jobs == patterns == {f"checkout-{process}" for process in SCRAPED}
    assert matchers
    assert all(re.fullmatch(matcher, job) for matcher in matchers for job in jobs)


def test_nothing_comes_in_or_goes_out_but_what_is_named(helm: Helm) -> None:
    found = documents(helm.render(LEAST | {"flower": {"enabled": True}}))
    policies = {document["metadata"]["name"]: document["spec"] for document in of_kind(found, "NetworkPolicy")}
    every = policies["checkout-all"]

    assert every["podSelector"]["matchLabels"].keys() == {"app.kubernetes.io/name", "app.kubernetes.io/instance"}
    assert every["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in every
    assert {port["port"] for rule in every["egress"] for port in rule["ports"]} == {53}
    reach: dict[str, set[int]] = {}
    comes_in: dict[str, set[str]] = {}
    for policy in policies.values():
        for expression in policy["podSelector"].get("matchExpressions", []):
            for name in expression["values"]:
                reach.setdefault(name, set()).update(p["port"] for r in policy.get("egress", []) for p in r["ports"])
                comes_in.setdefault(name, set()).update(
                    p["port"] for r in policy.get("ingress", []) for p in r["ports"]
                )
    tasks = {6379, 5672}
    assert reach == {
        "web": {5432, 443} | tasks,
        "worker": {5432, 443} | tasks,
        "housekeeping": {5432, 443} | tasks,
        "sender": {5432, 443, 8443} | tasks,
        "beat": tasks,
        "flower": tasks | {15672},
    }
    assert {name: ports for name, ports in comes_in.items() if ports} == {
        "web": {"http", "management"},
        "worker": {"metrics"},
        "housekeeping": {"metrics"},
        "sender": {"metrics"},
    }
    [metrics] = policies["checkout-metrics"]["ingress"]
    assert metrics["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    [to_providers] = policies["checkout-providers"]["egress"]
    assert "10.0.0.0/8" in to_providers["to"][0]["ipBlock"]["except"]
    release = policies["checkout-release"]
    assert release["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "release"
    assert {port["port"] for rule in release["egress"] for port in rule["ports"]} == {53, 5432}


def test_what_is_inside_the_cluster_can_be_named_and_the_notes_say_when_it_must_be(helm: Helm) -> None:
    settings = LEAST["settings"] | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.tracing.svc:4318",
        "JWT_JWKS_URL": "https://identity.shop.svc.cluster.local/jwks.json",
    }
    inside = {"to": [{"namespaceSelector": {}}], "ports": [8443]}
    egress = {"identity": inside, "traces": inside | {"ports": [4318]}}
    found = documents(helm.render({"settings": settings, "networkPolicy": {"egress": egress}}))
    policies = {document["metadata"]["name"]: document["spec"] for document in of_kind(found, "NetworkPolicy")}
    assert policies["checkout-identity"]["egress"] == [
        {"to": inside["to"], "ports": [{"protocol": "TCP", "port": 8443}]}
    ]
    assert policies["checkout-identity"]["podSelector"]["matchExpressions"][0]["values"] == ["web"]
    assert policies["checkout-traces"]["podSelector"]["matchExpressions"][0]["values"] == list(SCRAPED)
    unnamed = documents(helm.render({"settings": settings}))
    assert not {"checkout-identity", "checkout-traces"} & {document["metadata"]["name"] for document in unnamed}

    notes, without_need = (helm.render(values)["NOTES.txt"] for values in ({"settings": settings}, LEAST))
    for key in ("traces", "identity"):
        assert f"networkPolicy.egress.{key}.to" in notes
        assert f"networkPolicy.egress.{key}.to" not in without_need


@pytest.mark.parametrize("name", ["true", "on", "7", "null"])
def test_labels_are_text_whatever_a_release_is_called(helm: Helm, name: str) -> None:
    for document in documents(helm.render(LEAST | {"nameOverride": "true", "flower": {"enabled": True}}, name=name)):
        for labels in _label_sets(document):
            assert all(isinstance(value, str) for value in labels.values()), (document["kind"], labels)


def _label_sets(found: Any) -> list[dict[str, Any]]:
    """What is under ``labels`` and ``matchLabels``, at any depth."""
    if isinstance(found, list):
        return [labels for each in found for labels in _label_sets(each)]
    if not isinstance(found, dict):
        return []
    own = [found[key] for key in ("labels", "matchLabels") if isinstance(found.get(key), dict)]
    return own + [labels for each in found.values() for labels in _label_sets(each)]


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({}, "/healthcheck"),
        ({"settings": LEAST["settings"] | {"FLOWER_URL_PREFIX": "/flower/"}}, "/flower/healthcheck"),
        ({"pods": {"extraEnv": [{"name": "FLOWER_URL_PREFIX", "value": "ops"}]}}, "/ops/healthcheck"),
    ],
)
def test_flower_is_probed_below_its_prefix(helm: Helm, values: Values, path: str) -> None:
    found = pods(documents(helm.render(LEAST | {"flower": {"enabled": True}} | values)))["flower"]
    probes = [container(found)[name]["httpGet"]["path"] for name in ("livenessProbe", "readinessProbe")]
    assert probes == [path] * 2


def test_the_ingress_leads_to_all_pages_and_not_to_metrics(app: Flask, everything: list[Document]) -> None:
    [ingress] = of_kind(everything, "Ingress")
    [rule] = ingress["spec"]["rules"]
    offered = [(path["path"], path["pathType"]) for path in rule["http"]["paths"]]

    def leads(path: str) -> bool:
        return any(
            path == prefix or (kind == "Prefix" and path.startswith(f"{prefix.rstrip('/')}/"))
            for prefix, kind in offered
        )

    shut = {"/metrics", "/livez", "/readyz"}
    routes = {rule.rule for rule in app.url_map.iter_rules()}
    assert shut <= routes
    assert {path for path in routes if not leads(path)} == shut
    assert not any(leads(path) for path in (*shut, "/metrics/", "//metrics", "/static/x"))
