"""The pods of the Helm chart: each process has what it needs and no more."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask

from checkout_service.server.supervisor import STOPS_WITHIN
from checkout_service.settings.secret_holders import FILES_OF_COMMAND, FILES_OF_PROCESS, is_secret
from checkout_service.tasks import ENDING, QUEUES_OF_PROCESS, TaskName
from tests.architecture.sources import paths, texts, tree
from tests.conftest import ROOT
from tests.deploying.charts import (
    CHART,
    LEAST,
    OPERATOR,
    PROCESSES,
    SCRAPED,
    Document,
    Helm,
    container,
    of_kind,
    pods,
)

NEEDED = {"web": STOPS_WITHIN} | {
    process: max(t.declaration.time_limit for t in TaskName if t.declaration.queue in queues).total_seconds()
    + ENDING.total_seconds()
    for process, queues in QUEUES_OF_PROCESS.items()
}
"""Seconds that a process may take to end in good order."""

FILES = {**FILES_OF_PROCESS, **FILES_OF_COMMAND}

ON = {"flower": {"enabled": True}, "settlements": {"enabled": True}}
"""What is off unless somebody wants it."""

NAME = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")

Values = dict[str, Any]


def test_each_process_is_deployed_by_its_command(everything: list[Document]) -> None:
    assert {name: container(pod)["command"] for name, pod in pods(everything).items()} == {
        name: ["checkout", name] for name in PROCESSES
    } | {"settlements": ["checkout", "settlements", "fetch"]}


def test_each_process_reads_the_settings_and_its_own_secrets_alone(everything: list[Document], helm: Helm) -> None:
    for found in (everything, helm.documents(LEAST | ON)):
        templates = pods(found)
        assert set(templates) == set(FILES)
        for process, files in FILES.items():
            first, *secrets = container(templates[process])["envFrom"]
            assert list(first) == ["configMapRef"]
            assert [each["secretRef"]["name"] for each in secrets] == [f"checkout-{file}" for file in files], process
            assert [each["secretRef"].get("optional", False) for each in secrets] == [
                file == "broker" for file in files
            ]
            for each in container(templates[process]).get("env", []):
                assert "valueFrom" in each or not is_secret(each["name"])


def test_secrets_are_named_and_one_that_is_named_has_to_be_there(helm: Helm) -> None:
    names = {"broker": "b", "web": "w", "worker": "k", "flower": "f", "release": "r", "settlements": "s"}
    found = helm.documents(LEAST | ON | {"secrets": names}, apis=[OPERATOR])

    for process, files in FILES.items():
        _, *secrets = container(pods(found)[process])["envFrom"]
        assert [each["secretRef"] for each in secrets] == [{"name": names[file]} for file in files]
    [monitor] = of_kind(found, "PodMonitor")
    credentials = [each["authorization"]["credentials"] for each in monitor["spec"]["podMetricsEndpoints"]]
    assert credentials == [{"name": name, "key": "METRICS_TOKEN"} for name in ("w", "k")]


def test_every_setting_that_it_names_is_one_that_the_product_reads(everything: list[Document]) -> None:
    read = {
        name
        for path in [
            *paths("checkout_service/settings"),
            *paths("."),
            ROOT / "checkout_service" / "telemetry" / "logs.py",
            ROOT / "worker" / "celery_settings.py",
        ]
        for text in texts(tree(path))
        for name in NAME.findall(text)
    } | {"HOST", "PORT", "PAGES", "CONSOLE", "ENVIRONMENT", "TZ"}
    given = {each["name"] for pod in pods(everything).values() for each in container(pod).get("env", [])}
    given |= {name for document in of_kind(everything, "ConfigMap") for name in document["data"]}
    written = {
        name
        for path in (*CHART.rglob("*.yaml"), *CHART.rglob("*.tpl"), CHART / "README.md")
        for name in NAME.findall(path.read_text(encoding="utf-8"))
    }
    # DATABASE_SCHEMA is only tried here; those of a provider are read by its name; the others are no settings.
    others = {"PROVIDER", "DATABASE_SCHEMA", "DATABASE_ROLE_PREFIX", "PAYPAL_CLIENT_SECRET", "PAYPAL_WEBHOOK_ID"}
    others |= {"GOCARDLESS_ACCESS_TOKEN"}
    others |= {"OTEL_EXPORTER_OTLP_HEADERS", "FLOWER_URL_PREFIX"}
    others |= {"DRAIN_SECONDS", "STOPS_WITHIN", "REDIS_URL", "_API_KEY", "_WEBHOOK_SECRETS", "_URL"}

    assert len(given) >= 10
    assert len(written) >= 15
    assert {name for name in given | written if name not in others} <= read


def test_the_migrations_run_before_all_else_with_what_they_need(everything: list[Document]) -> None:
    hooks = {
        (document["kind"], document["metadata"]["name"]): document["metadata"]["annotations"]
        for document in everything
        if "helm.sh/hook" in document["metadata"].get("annotations", {})
    }
    job = hooks.pop(("Job", "checkout-release"))

    assert set(hooks) == {
        ("ServiceAccount", "checkout-release"),
        ("ConfigMap", "checkout-release-environment"),
        ("NetworkPolicy", "checkout-release"),
    }
    assert job["helm.sh/hook"] == "pre-install,pre-upgrade"
    # It stays for its log; what it needed goes.
    assert job["helm.sh/hook-delete-policy"] == "before-hook-creation"
    for needed in hooks.values():
        assert needed["helm.sh/hook"] == job["helm.sh/hook"]
        assert int(needed["helm.sh/hook-weight"]) < int(job["helm.sh/hook-weight"])
        assert needed["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
    pod = pods(everything)["release"]
    assert pod["spec"]["serviceAccountName"] == "checkout-release"
    assert container(pod)["envFrom"][0]["configMapRef"]["name"] == "checkout-release-environment"
    same = [document["data"] for document in of_kind(everything, "ConfigMap")]
    assert len(same) == 2
    assert same[0] == same[1]


def test_reports_are_fetched_by_one_at_a_time_and_only_where_somebody_wants_it(
    helm: Helm, everything: list[Document]
) -> None:
    assert not list(of_kind(helm.documents(LEAST), "CronJob"))
    [job] = of_kind(everything, "CronJob")
    assert (job["spec"]["concurrencyPolicy"], job["spec"]["schedule"]) == ("Forbid", "17 * * * *")
    run = job["spec"]["jobTemplate"]["spec"]
    # What fails is the next one's. A long one is not broken off by the hour: no second one begins beside it.
    assert run["backoffLimit"] == 0
    assert 3600 < run["activeDeadlineSeconds"] < 86400
    assert run["template"]["spec"]["restartPolicy"] == "Never"
    reached = {
        policy["metadata"]["name"].removeprefix("checkout-")
        for policy in of_kind(everything, "NetworkPolicy")
        for expression in policy["spec"]["podSelector"].get("matchExpressions", [])
        if "settlements" in expression["values"]
    }
    assert reached == {"database", "providers"}, "neither the broker nor anybody's endpoints"


def test_each_has_the_time_that_it_needs_to_end(helm: Helm) -> None:
    for name, pod in pods(helm.documents(LEAST)).items():
        if name in NEEDED:
            sleeps = container(pod).get("lifecycle", {}).get("preStop", {}).get("sleep", {"seconds": 0})["seconds"]
            assert pod["spec"]["terminationGracePeriodSeconds"] >= NEEDED[name] + sleeps + 5, name


def test_every_pod_is_locked_up_and_bounded(everything: list[Document]) -> None:
    for name, pod in pods(everything).items():
        spec, inside = pod["spec"], container(pod)
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert spec["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert inside["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert [volume for volume in spec["volumes"] if volume["name"] == "tmp"] == [
            {"name": "tmp", "emptyDir": {"sizeLimit": "2Gi" if name == "settlements" else "256Mi"}}
        ], "on the node's disk: a medium in memory would count as the container's"
        assert {"name": "tmp", "mountPath": "/tmp"} in inside["volumeMounts"]
        assert set(inside["resources"]["requests"]) == {"cpu", "memory"}, name
        assert "memory" in inside["resources"]["limits"], name
        assert inside["image"] == f"registry.example.com/shop/checkout-service@sha256:{'0a' * 32}"


def test_what_a_fetch_of_reports_may_put_on_a_disk_is_a_value_of_its_own(helm: Helm) -> None:
    own = {"enabled": True, "tmp": {"sizeLimit": "3Gi"}}
    found = pods(helm.documents(LEAST | {"tmp": {"sizeLimit": "1Gi"}, "settlements": own}))
    sizes = {
        name: volume["emptyDir"]
        for name, pod in found.items()
        for volume in pod["spec"]["volumes"]
        if volume["name"] == "tmp"
    }
    assert sizes.pop("settlements") == {"sizeLimit": "3Gi"}
    assert {each["sizeLimit"] for each in sizes.values()} == {"1Gi"}


def test_pods_have_what_all_pods_are_to_have(everything: list[Document]) -> None:
    for name, pod in pods(everything).items():
        assert pod["metadata"]["labels"]["team"] == "shop"
        assert pod["metadata"]["annotations"]["example.com/team"] == "shop"
        assert pod["spec"]["priorityClassName"] == "shop"
        assert pod["spec"]["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
        assert {"key": "shop", "operator": "Exists", "effect": "NoSchedule"} in pod["spec"]["tolerations"]
        assert {"name": "TZ", "value": "UTC"} in container(pod)["env"], name


def test_pods_of_one_process_are_kept_apart_and_leave_a_node_that_is_lost(
    helm: Helm, everything: list[Document]
) -> None:
    for found, hard in ((helm.documents(LEAST), False), (everything, True)):
        for document in of_kind(found, "Deployment"):
            spec, selector = document["spec"]["template"]["spec"], document["spec"]["selector"]
            [(rule, [term])] = spec["affinity"]["podAntiAffinity"].items()
            assert rule.startswith("required" if hard else "preferred")
            term = term.get("podAffinityTerm", term)
            assert term["topologyKey"] == "kubernetes.io/hostname"
            [zones] = spec["topologySpreadConstraints"]
            assert zones["whenUnsatisfiable"] == ("DoNotSchedule" if hard else "ScheduleAnyway")
            # Of one generation: else a rollout onto as many nodes as there are pods never ends.
            assert term["labelSelector"] == zones["labelSelector"] == selector
            assert term["matchLabelKeys"] == zones["matchLabelKeys"] == ["pod-template-hash"]
            lost = {each["key"]: each for each in spec["tolerations"] if each.get("effect") == "NoExecute"}
            assert set(lost) == {f"node.kubernetes.io/{state}" for state in ("not-ready", "unreachable")}
            assert {each["tolerationSeconds"] for each in lost.values()} == {30}
        off = helm.documents(LEAST | {"spread": {"hosts": "off", "zones": "off"}})
        assert not [pod for pod in pods(off).values() if {"affinity", "topologySpreadConstraints"} & set(pod["spec"])]


def test_a_rollout_takes_nobody_away_before_another_serves_and_beat_is_one(everything: list[Document]) -> None:
    strategies = {
        document["metadata"]["labels"]["app.kubernetes.io/component"]: document["spec"]["strategy"]
        for document in of_kind(everything, "Deployment")
    }
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}

    assert strategies == dict.fromkeys(SCRAPED, rolling) | {name: {"type": "Recreate"} for name in ("beat", "flower")}
    [beat] = [each for each in of_kind(everything, "Deployment") if each["metadata"]["name"] == "checkout-beat"]
    assert beat["spec"]["replicas"] == 1


def test_probes_ask_for_what_is_answered_where_it_is(app: Flask, everything: list[Document]) -> None:
    routes = {rule.rule for rule in app.url_map.iter_rules()}
    probed = {
        (name, kind): container(pod)[kind]["httpGet"]
        for name, pod in pods(everything).items()
        for kind in PROBES
        if kind in container(pod)
    }

    assert {path["path"] for (name, _), path in probed.items() if name == "web"} == {"/livez", "/readyz"} & routes
    assert {path["path"] for (name, _), path in probed.items() if name in QUEUES_OF_PROCESS} == {"/livez"}
    assert {name for name, kind in probed if kind == "livenessProbe"} == {*SCRAPED, "flower"}
    assert {name for name, kind in probed if kind == "startupProbe"} == set(SCRAPED)
    assert {name for name, kind in probed if kind == "readinessProbe"} == {"web", "flower"}
    for (name, kind), probe in probed.items():
        inside = container(pods(everything)[name])
        port = {each["name"]: each["containerPort"] for each in inside["ports"]}[probe["port"]]
        if name != "flower":
            setting = "MANAGEMENT_PORT" if name == "web" else f"{name.upper()}_METRICS_PORT"
            assert {"name": setting, "value": str(port)} in inside["env"], kind
