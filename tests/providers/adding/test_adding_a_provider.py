"""A provider is added by its folder or by its distribution, and nothing else is touched: all who need it know it."""

from __future__ import annotations

import hmac
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from checkout_service.providers import adapters
from checkout_service.providers.factory import make_provider
from checkout_service.providers.registry import account_forms, provider_specs
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.values import SettingsError, WebSettings, WorkerSettings
from tests.conftest import ROOT, Servers, Sql
from tests.providers.adding.added import write_distribution, write_package
from tests.webhook_bodies import insert_payment, state_of, status_of
from tests.worker.conftest import MakeWorker
from worker.webhooks.task import process

pytestmark = pytest.mark.usefixtures("registry_afresh")

SECRET = "the secret of a provider that was added"
OWN = ["adyen", "gocardless", "mock", "mollie", "paypal", "standard", "stripe"]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, servers: Servers) -> pytest.MonkeyPatch:
    for name, value in settings_of(servers).items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def settings_of(servers: Servers) -> dict[str, str]:
    return {
        "DATABASE_URL": servers.web_url,
        "WORKER_DATABASE_URL": servers.worker_url,
        "REDIS_URL": servers.redis_url,
        "JWT_SECRET": "hunter2-hunter2-hunter2-hunter2-hunter2",
        "ENVIRONMENT": "test",
        "PAYMENT_PROVIDERS": "mock",
        "MOCK_WEBHOOK_SECRETS": SECRET,
    }


@pytest.fixture(params=["folder", "distribution"])
def added(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a provider that was added in one of the two ways."""
    if request.param == "folder":
        write_package(tmp_path, f"{adapters.__name__}.inhouse", "inhouse")
        monkeypatch.setattr(adapters, "__path__", [*adapters.__path__, str(tmp_path)])
        return "inhouse"
    write_package(tmp_path, "acme_payments", "acme")
    write_distribution(tmp_path, "acme-payments", acme="acme_payments.spec:spec")
    monkeypatch.syspath_prepend(tmp_path)
    return "acme"


def test_the_seven_of_this_repository_are_found() -> None:
    assert list(provider_specs()) == OWN
    assert {name: spec.name for name, spec in provider_specs().items()} == dict(zip(OWN, OWN, strict=True))


def test_its_webhook_is_taken_processed_and_pays(
    added: str, environment: pytest.MonkeyPatch, client: FlaskClient, make_worker: MakeWorker, sql: Sql
) -> None:
    environment.setenv("PAYMENT_PROVIDERS", f"mock,{added}")
    environment.setenv(f"{added.upper()}_API_KEY", "key_1")
    environment.setenv(f"{added.upper()}_WEBHOOK_SECRETS", SECRET)
    reference = insert_payment(sql, provider=added, provider_ref=f"{added}_1")
    body = json.dumps({"id": "evt_1", "reference": reference}).encode()
    headers = {f"{added}-signature": hmac.digest(SECRET.encode(), body, "sha256").hex(), "x-other": "not kept"}

    answer = client.post(f"/api/payments/webhook/{added}", data=body, headers=headers)
    (row,) = sql("SELECT id, headers FROM webhook_deliveries")
    with make_worker(accounts=WorkerSettings.from_environment(account_forms()).accounts).app_context():
        process(str(row.id))

    assert (answer.status_code, answer.text) == (200, "thanks")
    assert set(row.headers) == {f"{added}-signature", "x-request-id"}
    assert (state_of(sql, UUID(str(row.id))), status_of(sql, reference)) == ("applied", "paid")


def test_its_settings_are_checked_at_start(added: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PAYMENT_PROVIDERS", added)
    with pytest.raises(SettingsError, match=f"^{added.upper()}_API_KEY: [^\n]*$"):
        WebSettings.from_environment(account_forms())

    environment.setenv(f"{added.upper()}_API_KEY", "another kind of key")
    with pytest.raises(SettingsError, match=f"{added.upper()}_API_KEY: does not look like one of {added}'s"):
        WebSettings.from_environment(account_forms())

    environment.setenv(f"{added.upper()}_API_KEY", "key_1")
    assert WebSettings.from_environment(account_forms()).accounts[added].option("api_key") == "key_1"


def start_web(servers: Servers, site: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """Load the web process's entry, with what lies in ``site`` installed; what it prints are its adapters."""
    loaded = "import sys, wsgi; print(*sorted(m for m in sys.modules if m.startswith(('stripe', 'acme'))))"
    environment: Mapping[str, str] = {**settings_of(servers), "PYTHONPATH": str(site), **changes}
    return subprocess.run(
        [sys.executable, "-c", loaded], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_the_web_loads_no_adapter_of_a_provider_that_is_off(servers: Servers, tmp_path: Path) -> None:
    write_package(tmp_path, "acme_payments", "acme")
    write_distribution(tmp_path, "acme-payments", acme="acme_payments.spec:spec")

    started = start_web(servers, tmp_path)

    assert (started.returncode, started.stdout.split()) == (0, ["acme_payments", "acme_payments.spec"]), started.stderr


@pytest.mark.parametrize(
    ("entry_points", "message"),
    [
        ({"acme": "acme_gone.spec:spec"}, "provider acme: the distribution acme-payments 1.0 cannot be loaded"),
        ({"acme": "acme_payments.spec:none"}, "provider acme: the distribution acme-payments 1.0 cannot be loaded"),
        ({"acme": "acme_payments.spec:ProviderSpec"}, "provider acme: what the distribution acme-payments 1.0 names"),
        ({"another": "acme_payments.spec:spec"}, "provider another: the distribution acme-payments 1.0 calls itself"),
        ({"stripe": "acme_payments.spec:spec"}, "provider stripe: it is in checkout_service.providers.adapters.stripe"),
    ],
)
def test_a_broken_or_clashing_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry_points: dict[str, str], message: str
) -> None:
    write_package(tmp_path, "acme_payments", "acme")
    write_distribution(tmp_path, "acme-payments", **entry_points)
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(SettingsError) as caught:
        provider_specs()

    assert str(caught.value).startswith(message)
    assert len(str(caught.value).splitlines()) == 1


def test_two_distributions_with_one_provider_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_package(tmp_path, "acme_payments", "acme")
    write_distribution(tmp_path, "acme-payments", acme="acme_payments.spec:spec")
    write_distribution(tmp_path, "acme-legacy", acme="acme_payments.spec:spec")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(SettingsError) as caught:
        provider_specs()

    for part in ("provider acme: ", "acme-payments 1.0", "acme-legacy 1.0", "uninstall one"):
        assert part in str(caught.value)


def test_the_web_says_so_at_start_in_plain_words(servers: Servers, tmp_path: Path) -> None:
    write_package(tmp_path, "acme_payments", "acme")
    write_distribution(tmp_path, "acme-payments", acme="acme_gone.spec:spec")

    started = start_web(servers, tmp_path)

    assert started.returncode == 1
    assert started.stderr.startswith("The environment cannot be used:\nprovider acme: the distribution"), started.stderr
    assert len(started.stderr.splitlines()) == 2, "no traceback"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("class AddedProvider", "class Other", "acme_payments.provider:AddedProvider cannot be loaded"),
        ("def refund", "def give_back", "it has no refund"),
        ('name = "acme"', 'name = "other"', "it calls itself 'other'"),
    ],
)
def test_one_whose_class_cannot_be_used_is_refused_where_there_is_an_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, message: str
) -> None:
    write_package(tmp_path, "acme_payments", "acme")
    write_distribution(tmp_path, "acme-payments", acme="acme_payments.spec:spec")
    adapter = tmp_path / "acme_payments" / "provider.py"
    adapter.write_text(adapter.read_text().replace(old, new))
    monkeypatch.syspath_prepend(tmp_path)

    assert "acme" in provider_specs(), "it is loaded when it is used"
    with pytest.raises(SettingsError, match=message):
        make_provider("acme", Account())


@pytest.mark.parametrize("name", ["Acme", "acme-pay", "1acme", "a" * 33])
def test_a_name_is_fit_for_addresses_and_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    write_package(tmp_path, "acme_payments", name)
    write_distribution(tmp_path, "acme-payments", **{name: "acme_payments.spec:spec"})
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(SettingsError, match=f"provider {name}: "):
        provider_specs()
