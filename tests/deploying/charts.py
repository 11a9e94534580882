"""Renders the Helm chart of deploy/helm/checkout, and knows what a document of Kubernetes holds."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final, Self

import yaml

from checkout_service.local.processes import read_procfile
from tests.conftest import ROOT

CHART: Final = ROOT / "deploy" / "helm" / "checkout"

VERSIONS: Final = ("1.34", "1.37")
"""The Kubernetes versions that the chart is validated against: the oldest that it takes, and the newest there is."""

PROCESSES: Final = tuple(read_procfile(ROOT / "Procfile"))

SCRAPED: Final = ("web", "worker", "housekeeping", "sender")
"""The processes that have metrics."""

OPERATOR: Final = "monitoring.coreos.com/v1"

LEAST: Final = {"settings": {"PAYMENT_NAMESPACE": "6f1d6c52-9b7e-5c1e-8f43-3d6b8a8c2a12"}}
"""Values of a deployment that says nothing but what it has to."""

RULES: Final = """
groups:
  - name: webhooks
    rules:
      - alert: WebhooksWait
        expr: max(webhook_oldest_pending_age_seconds) > 60
        annotations: {summary: "they wait for {{ $value }} s"}
"""
"""A file of rules."""

ALL: Final = {
    "settings": LEAST["settings"] | {"PAYMENT_PROVIDERS": "stripe", "DATABASE_SCHEMA": "shop", "WEB_THREADS": 8},
    "image": {"repository": "registry.example.com/shop/checkout-service", "digest": f"sha256:{'0a' * 32}"},
    "imagePullSecrets": [{"name": "registry"}],
    "serviceAccount": {"annotations": {"example.com/role": "shop"}},
    "pods": {
        "annotations": {"example.com/team": "shop"},
        "labels": {"team": "shop"},
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "shop", "operator": "Exists", "effect": "NoSchedule"}],
        "priorityClassName": "shop",
        "extraEnv": [{"name": "TZ", "value": "UTC"}],
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca", "readOnly": True}],
    },
    "spread": {"hosts": "required", "zones": "required"},
    "web": {
        "autoscaling": {"enabled": True},
        "service": {"type": "LoadBalancer", "annotations": {"example.com/internal": "true"}},
        "extraEnv": [
            {"name": "METRICS_TOKEN", "valueFrom": {"secretKeyRef": {"name": "metrics", "key": "token"}}},
        ],
    },
    "worker": {"autoscaling": {"enabled": True, "metricLabels": {"namespace": "shop"}}},
    "housekeeping": {"replicas": 2},
    "sender": {"replicas": 2},
    "flower": {"enabled": True},
    "settlements": {"enabled": True},
    "networkPolicy": {
        "ingress": {"web": [{"podSelector": {}}], "flower": [{"podSelector": {"matchLabels": {"role": "operator"}}}]},
        "egress": {
            "database": {"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}], "ports": [5432, 6432]},
            "extra": [{"to": [{"podSelector": {"matchLabels": {"app": "otlp"}}}], "ports": [{"port": 4318}]}],
        },
    },
    "monitoring": {
        "podMonitor": {"labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "files": {"some": RULES}},
    },
    "ingress": {
        "enabled": True,
        "className": "nginx",
        "hosts": ["shop.example.com"],
        "tls": [{"hosts": ["shop.example.com"], "secretName": "shop-tls"}],
        "pages": True,
        "extraPaths": [{"path": "/ops", "pathType": "Prefix"}],
    },
}
"""Values with everything on."""

OFF: Final = (
    "release.enabled",
    "web.enabled",
    "worker.enabled",
    "housekeeping.enabled",
    "sender.enabled",
    "beat.enabled",
    "flower.enabled",
    "settlements.enabled",
    "podDisruptionBudget.enabled",
    "networkPolicy.enabled",
    "networkPolicy.egress.enabled",
    "monitoring.podMonitor.enabled",
    "monitoring.podMonitor.token",
    "monitoring.prometheusRule.enabled",
    "ingress.enabled",
    "ingress.pages",
    "web.autoscaling.enabled",
    "worker.autoscaling.enabled",
    "serviceAccount.create",
)
"""Every value of the chart that is on or off."""

Document = dict[str, Any]

_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class RefusedError(Exception):
    """Helm refused the values; the message is its own."""


class Helm:
    """Helm's process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.deploying.helm_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)

    def render(
        self,
        values: dict[str, Any] | str,
        *,
        name: str = "checkout",
        namespace: str = "shop",
        version: str = VERSIONS[-1],
        apis: Sequence[str] = (),
    ) -> dict[str, str]:
        """The text of each template's file, by its name. ``values`` may be YAML's text. Raises RefusedError."""
        options = {
            "name": name,
            "namespace": namespace,
            "kube_version": f"v{version}.0",
            "api_versions": list(apis),
        }
        files: dict[str, str] = self._ask(do="render", values=values, options=options)["files"]
        return {path.rpartition("/")[2]: text for path, text in files.items()}

    def documents(self, values: dict[str, Any] | str, **options: Any) -> list[Document]:
        """What is rendered, but for the notes. Raises RefusedError."""
        return documents(self.render(values, **options))

    def lint(self, values: dict[str, Any]) -> list[dict[str, Any]]:
        """What Helm's linter has to say, warnings taken for errors."""
        found = self._ask(do="lint", values=values, options={})
        assert found["total_charts_linted"] == 1
        messages: list[dict[str, Any]] = found["messages"]
        return messages

    def _ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if not isinstance(request["values"], str):
            request["values"] = json.dumps(request["values"])
        self._process.stdin.write(json.dumps(request | {"chart": str(CHART)}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        if "refused" in answer:
            raise RefusedError(answer["refused"])
        return answer


def documents(files: dict[str, str]) -> list[Document]:
    """The documents of rendered files."""
    return [
        document
        for name, text in files.items()
        if name.endswith(".yaml")
        for document in yaml.load_all(text, _Loader)
        if document
    ]


def without(path: str) -> dict[str, Any]:
    """All values, with one of them off."""
    values: dict[str, Any] = json.loads(json.dumps(ALL))
    *above, last = path.split(".")
    inner = values
    for key in above:
        inner = inner.setdefault(key, {})
    inner[last] = False
    return values


def of_kind(found: Sequence[Document], *kinds: str) -> Iterator[Document]:
    """Those of some kinds."""
    return (document for document in found if document["kind"] in kinds)


def pods(found: Sequence[Document]) -> dict[str, Document]:
    """The pod template of each process, by the process' name."""
    return {
        document["metadata"]["labels"]["app.kubernetes.io/component"]: document["spec"].get("jobTemplate", document)[
            "spec"
        ]["template"]
        for document in of_kind(found, "Deployment", "Job", "CronJob")
    }


def container(pod: Document) -> Document:
    """The one container of a pod template."""
    [only] = pod["spec"]["containers"]
    found: Document = only
    return found


@cache
def defaults() -> dict[str, Any]:
    """The chart's values.yaml."""
    found: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    return found
