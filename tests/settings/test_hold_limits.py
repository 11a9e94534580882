"""How long pieces stay held while money is under way is each provider's own."""

from __future__ import annotations

from datetime import timedelta

import pytest

from checkout_service.settings.errors import SettingsError
from checkout_service.settings.provider_accounts import AccountForm
from checkout_service.settings.values import WorkerSettings

PROVIDERS = {"mock": AccountForm(), "bank": AccountForm()}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ENVIRONMENT": "test",
        "WORKER_DATABASE_URL": "postgresql://checkout_worker@127.0.0.1:1/nowhere",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "PAYMENT_PROVIDERS": "mock,bank",
        "MOCK_WEBHOOK_SECRETS": "a secret of the tests",
        "BANK_WEBHOOK_SECRETS": "a secret of the tests",
    }.items():
        monkeypatch.setenv(name, value)


def test_a_limit_is_set_for_one_provider_and_usual_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANK_HOLD_LIMIT_SECONDS", "864000")

    accounts = WorkerSettings.from_environment(PROVIDERS).accounts

    assert accounts["bank"].hold_limit == timedelta(days=10)
    assert accounts["mock"].hold_limit == timedelta(days=3)


@pytest.mark.parametrize("value", ["0", "-1", "99999999999", "long"])
def test_a_limit_that_is_none_is_a_fault_at_start(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("BANK_HOLD_LIMIT_SECONDS", value)

    with pytest.raises(SettingsError, match="BANK_HOLD_LIMIT_SECONDS"):
        WorkerSettings.from_environment(PROVIDERS)
