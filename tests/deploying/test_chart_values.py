"""Values of the chart: wrong ones are refused in words, and two releases do not meet."""

from __future__ import annotations

import json
from typing import Any

import pytest

from checkout_service.settings.secret_holders import SECRETS, is_secret
from tests.conftest import ROOT
from tests.deploying.charts import CHART, LEAST, OPERATOR, Helm, RefusedError, container, defaults, of_kind, pods

NAMESPACE = LEAST["settings"]["PAYMENT_NAMESPACE"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"settings": {}, "image": {}}, "settings.PAYMENT_NAMESPACE: has to be a UUID of this deployment"),
        ({"replicas": 3}, "'replicas' not allowed"),
        ({"web": {"replica": 3}}, "at '/web': additional properties 'replica' not allowed"),
        ({"web": {"replicas": 0}}, "/web/replicas.*minimum: got 0, want 1"),
        ({"web": {"replicas": "2"}}, "/web/replicas.*got string, want integer"),
        ({"beat": {"replicas": 2}}, "at '/beat': additional properties 'replicas' not allowed"),
        ({"image": {"tag": "latest build"}}, "/image/tag.*does not match"),
        ({"image": {"digest": "sha256:abc"}}, "/image/digest"),
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy.*Always"),
        ({"runAsUser": 0}, "/runAsUser.*minimum: got 0, want 1"),
        ({"worker": {"terminationGracePeriodSeconds": 30}}, "/worker/terminationGracePeriodSeconds.*minimum"),
        ({"housekeeping": {"terminationGracePeriodSeconds": 45}}, "/housekeeping/terminationGracePeriodSeconds"),
        ({"web": {"preStopSeconds": 30}}, "web.terminationGracePeriodSeconds: must be at least preStopSeconds and 35"),
        ({"web": {"resources": {"limits": None}}}, "/web/resources.*missing property 'limits'"),
        ({"web": {"resources": {"limits": {"memory": "1 GB"}}}}, "/web/resources/limits/memory"),
        ({"spread": {"zones": "always"}}, "/spread/zones.*'preferred', 'required', 'off'"),
        ({"web": {"autoscaling": {"minReplicas": 9}}}, "web.autoscaling.maxReplicas: must be at least minReplicas"),
        ({"networkPolicy": {"egress": {"database": {"ports": []}}}}, "/networkPolicy/egress/database/ports"),
        ({"ingress": {"enabled": True}}, "ingress.hosts: name at least one host"),
        ({"ingress": {"extraPaths": [{"path": "/metrics", "pathType": "Exact"}]}}, "/ingress/extraPaths/0/path"),
        ({"ingress": {"extraPaths": [{"path": "/", "pathType": "Prefix"}]}}, "/ingress/extraPaths/0/path"),
        ({"monitoring": {"prometheusRule": {"enabled": True}}}, "monitoring.prometheusRule.files: has no file"),
        ({"settings": {"PAYMENT_NAMESPACE": ""}}, "/settings/PAYMENT_NAMESPACE"),
        ({"settings": {"PAYMENT_NAMESPACE": None}}, "/settings/PAYMENT_NAMESPACE.*got null, want string"),
        ({"settings": {"ENVIRONMENT": "prod"}}, "/settings/ENVIRONMENT.*'production', 'test', 'development'"),
        ({"settings": {"web_threads": "4"}}, "web_threads"),
        ({"settings": {"WEB_CONCURRENCY": 4}}, "settings.WEB_CONCURRENCY: set web.concurrency"),
        ({"settings": {"PORT": 80}}, "settings.PORT: set nothing: the chart knows it"),
        (
            {"worker": {"extraEnv": [{"name": "WORKER_CONCURRENCY", "value": "4"}]}},
            "worker.extraEnv: WORKER_CONCURRENCY",
        ),
        ({"pods": {"extraEnv": [{"name": "JWT_SECRET", "value": "abc"}]}}, "pods.extraEnv: JWT_SECRET: is a secret"),
        ({"settings": {"REDIS_URL": "redis://:abc@valkey"}}, "settings.REDIS_URL: holds a password or a user"),
        ({"existingConfigMap": "ours"}, "existingConfigMap: `settings` are of the ConfigMap that the chart makes"),
        ({"secrets": {"web": {"DATABASE_URL": "x"}}}, "/secrets/web.*got object, want string"),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused_in_words(helm: Helm, values: dict[str, Any], words: str) -> None:
    settings = values.get("settings")
    given = values | {"settings": settings if settings == {} else LEAST["settings"] | (settings or {})}

    with pytest.raises(RefusedError, match=words):
        helm.render(given)


def test_words_that_yaml_takes_for_true_are_refused_unless_quoted(helm: Helm) -> None:
    with pytest.raises(RefusedError, match=r"/settings/PAGES.*got boolean, want"):
        helm.render(f"settings: {{PAYMENT_NAMESPACE: {NAMESPACE}, PAGES: on}}")

    found = helm.documents(f"settings: {{PAYMENT_NAMESPACE: {NAMESPACE}, PAGES: 'on', WEBHOOKS_MAX_BYTES: 4294967296}}")
    data = {document["metadata"]["name"]: document["data"] for document in of_kind(found, "ConfigMap")}
    # Large numbers are floats to Helm, and 4.294967296e+09 is no number to us.
    assert data["checkout-settings"] == {
        "ENVIRONMENT": "production",
        "PAGES": "on",
        "PAYMENT_NAMESPACE": NAMESPACE,
        "WEBHOOKS_MAX_BYTES": "4294967296",
    }


@pytest.mark.parametrize(
    "name",
    sorted(
        {pattern.replace("*", "SHOP").replace("[IL]", "L") for pattern, _ in SECRETS}
        - {"REDIS_URL", "CELERY_BROKER_URL"}
    ),
)
def test_no_secret_is_taken_for_a_setting(helm: Helm, name: str) -> None:
    assert is_secret(name)
    with pytest.raises(RefusedError, match=f"settings.{name}: is a secret"):
        helm.render({"settings": LEAST["settings"] | {name: "x"}})


@pytest.mark.parametrize(
    "name",
    ["CART_TOKEN_DAYS", "JWT_JWKS_URL", "JWT_SUBJECT_CLAIM", "WEBHOOK_TOLERANCE_SECONDS", "REDIS_URL", "PROXY_HEADER"],
)
def test_what_is_no_secret_is_taken(helm: Helm, name: str) -> None:
    assert helm.render({"settings": LEAST["settings"] | {name: "redis://valkey:6379/0"}})


def test_two_releases_in_one_namespace_do_not_meet(helm: Helm) -> None:
    long = "a-shop-whose-name-is-longer-than-what-names-may-be"
    releases = ["checkout", "checkout-web", "checkout-release", "shop", "shop-checkout", f"{long}-x", f"{long}-y"]
    made = {
        name: helm.documents(LEAST | {"flower": {"enabled": True}}, name=name, apis=[OPERATOR]) for name in releases
    }
    names = [(each["kind"], each["metadata"]["name"]) for found in made.values() for each in found]
    secrets = [
        {
            each["secretRef"]["name"]
            for pod in pods(found).values()
            for each in container(pod)["envFrom"]
            if "secretRef" in each
        }
        for found in made.values()
    ]

    assert len(set(names)) == len(names)
    assert len(set.union(*secrets)) == sum(map(len, secrets))
    # 63 is what a Service may have, and a pod's label with the name of its job.
    assert max(len(name) for kind, name in names if kind in {"Service", "Job", "Deployment"}) <= 63
    selectors = [
        json.dumps(each["spec"]["selector"], sort_keys=True)
        for found in made.values()
        for each in of_kind(found, "Deployment")
    ]
    assert len(set(selectors)) == len(selectors)
    for name, found in made.items():
        for policy in of_kind(found, "NetworkPolicy"):
            assert policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/instance"] == name


def test_any_user_is_given_by_the_cluster_where_none_is_named(helm: Helm) -> None:
    found = pods(helm.documents(LEAST | {"runAsUser": None}))

    assert all(pod["spec"]["securityContext"]["runAsNonRoot"] for pod in found.values())
    assert not [pod for pod in found.values() if "runAsUser" in pod["spec"]["securityContext"]]


def test_the_schema_knows_each_default_and_refuses_all_else() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))

    def look(inside: dict[str, Any], values: dict[str, Any], path: str) -> None:
        assert set(values) <= set(inside["properties"]), path
        for key, value in values.items():
            below = inside["properties"][key]
            if isinstance(value, dict) and "properties" in below and key != "settings":
                assert below["additionalProperties"] is False, f"{path}.{key}"
                look(below, value, f"{path}.{key}")

    look(schema, defaults(), "")


def test_the_readme_of_the_chart_has_each_value(helm: Helm) -> None:
    page = (CHART / "README.md").read_text(encoding="utf-8")

    def leaves(inside: dict[str, Any], path: str) -> list[str]:
        found = []
        for key, value in inside.items():
            is_branch = (
                isinstance(value, dict) and value and path.count(".") < 1 and key not in {"settings", "resources"}
            )
            found += leaves(value, f"{path}{key}.") if is_branch else [f"{path}{key}"]
        return found

    missing = [path for path in leaves(defaults(), "") if f"`{path}`" not in page]
    assert not missing


def test_the_chart_holds_no_secret_value(helm: Helm) -> None:
    assert not [path for path in CHART.rglob("*") if path.is_file() and "kind: Secret" in path.read_text("utf-8")]
    assert ROOT in CHART.parents
