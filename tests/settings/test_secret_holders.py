"""Who holds which secret."""

from __future__ import annotations

import ast
import re

import pytest

from checkout_service.settings.secret_holders import FILES_OF_PROCESS, may_hold
from tests.conftest import ROOT

LOOKS_SECRET = re.compile(r"(?:[A-Z0-9]+_)*(SECRETS?|PASSWORD|KEY|TOKEN|AUTH|DATABASE_URL|REDIS_URL|BROKER_URL)")


def holders(setting: str) -> set[str]:
    return {process for process in FILES_OF_PROCESS if may_hold(process, setting)}


@pytest.mark.parametrize(
    ("setting", "processes"),
    [
        ("JWT_SECRET", {"web", "release"}),
        ("PAGES_SECRET", {"web", "release"}),
        ("CONSOLE_BASIC_AUTH", {"web", "release"}),
        ("CONSOLE_OIDC_CLIENT_SECRET", {"web", "release"}),
        ("DATABASE_URL", {"web", "release"}),
        ("WORKER_DATABASE_URL", {"worker", "housekeeping", "sender"}),
        ("MIGRATION_DATABASE_URL", {"release"}),
        ("MOCK_WEBHOOK_SECRETS", {"worker", "housekeeping", "sender"}),
        ("PAYPAL_WEBHOOK_ID", {"worker", "housekeeping", "sender"}),
        ("STRIPE_API_KEY", {"web", "release", "worker", "housekeeping", "sender"}),
        ("PAYPAL_CLIENT_SECRET", {"web", "release", "worker", "housekeeping", "sender"}),
        ("WEBHOOK_SECRETS_KEY", {"web", "release", "worker", "housekeeping", "sender"}),
        ("METRICS_TOKEN", {"web", "release", "worker", "housekeeping", "sender"}),
        ("FLOWER_BASIC_AUTH", {"flower"}),
        ("FLOWER_COOKIE_SECRET", {"flower"}),
        ("FLOWER_KEYFILE", {"flower"}),
        ("PGPASSWORD", {"web", "release", "worker", "housekeeping", "sender"}),
        ("PGPASSFILE", {"web", "release", "worker", "housekeeping", "sender"}),
    ],
)
def test_a_secret_is_held_by_those_who_need_it_alone(setting: str, processes: set[str]) -> None:
    assert holders(setting) == processes


@pytest.mark.parametrize(
    "setting",
    [
        "RABBITMQ_DEFAULT_PASS",
        "REDISCLI_AUTH",
        "CLOUDAMQP_URL",
        "REDISCLOUD_URL",
        "REDIS_TLS_URL",
        "READONLY_DATABASE_URL",
        "SENTRY_DSN",
        "AWS_ACCESS_KEY_ID",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "NPM_TOKEN_FILE",
        "SECRETS_OF_ANOTHER_PROGRAM",
        "rabbitmq_password_file",
    ],
)
def test_a_name_that_looks_secret_and_is_not_listed_goes_to_nobody(setting: str) -> None:
    assert holders(setting) == set()


@pytest.mark.parametrize(
    "setting", ["REDIS_URL", "CELERY_BROKER_URL", "PATH", "PORT", "FLOWER_URL", "PAYMENT_PROVIDERS", "STRIPE_API_BASE"]
)
def test_what_is_no_secret_or_the_brokers_goes_to_all(setting: str) -> None:
    assert holders(setting) == set(FILES_OF_PROCESS)


def test_no_setting_that_looks_like_a_secret_goes_to_all() -> None:
    sources = [
        *(ROOT / "checkout_service" / "settings").glob("*.py"),
        ROOT / "worker" / "celery_settings.py",
        ROOT / "checkout_service" / "flower_pages" / "flower_settings.py",
    ]
    names = {
        node.value
        for path in sources
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and LOOKS_SECRET.fullmatch(node.value)
    }
    assert {"JWT_SECRET", "FLOWER_BASIC_AUTH", "WORKER_DATABASE_URL"} <= names
    assert {name for name in names if holders(name) == set(FILES_OF_PROCESS)} == {"REDIS_URL", "CELERY_BROKER_URL"}
