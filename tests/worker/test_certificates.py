"""PayPal's certificates, once believed, lie in the database: bounded, and verified again at the next start."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from flask import Flask
from sqlalchemy.exc import DBAPIError

from checkout_service.providers.adapters.paypal.provider import PayPalProvider
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import WorkerSettings
from tests.conftest import Sql
from tests.providers.kits import authority
from tests.providers.kits.kit import NOW
from tests.providers.kits.paypal import KIT, OPTIONS, approved, certificates
from tests.webhook_bodies import state_of
from tests.worker.conftest import MakeWorker, webhook_row
from tests.worker.other_providers import Wallets
from worker.certificates import MOST, BelievedCertificates
from worker.context import make_context
from worker.webhooks.task import process

URL = authority.CERT_URL

READ = "ignored"
"""What a verified webhook becomes whose payment did not come for days."""


def start(app: Flask, *, answers: bool = True) -> list[str]:
    """A new process's adapter, which knows nothing but what is in the database; the addresses that it fetches."""
    requests: list[str] = []
    real = authority.serving(authority.paypal(), authority.intermediate())

    def serve(request: httpx.Request) -> httpx.Response:
        requests.append(str(request.url))
        return real(request) if answers and str(request.url) == URL else httpx.Response(404)

    adapter = KIT.provider(certificates_=certificates(transport=httpx.MockTransport(serve), moment=lambda: NOW))
    adapter.keep_certificates(BelievedCertificates())
    app.extensions["providers"] = {"paypal": adapter}
    return requests


def filed(wallets: Wallets, number: int, *, cert_url: str = URL) -> str:
    """The id of a webhook of PayPal's about a payment that is not here, kept as it came."""
    webhook = approved(f"pp_{number}", KIT.secrets[0], number=number)
    webhook = replace(webhook, headers={**webhook.headers, "paypal-cert-url": cert_url})
    return str(wallets.file("paypal", webhook))


def test_after_a_start_webhooks_are_read_without_a_fetch_whatever_strangers_name(wallets: Wallets, sql: Sql) -> None:
    assert start(wallets.app) == []
    requests = start(wallets.app)
    first = filed(wallets, 1)
    process(first)
    assert (requests, state_of(sql, first)) == ([URL], READ)
    (row,) = sql("SELECT address, fingerprint, chain, ends_at FROM believed_certificates")
    der = authority.paypal().certificate.public_bytes(Encoding.DER)
    assert (row.address, row.fingerprint, row.ends_at) == (URL, hashlib.sha256(der).hexdigest(), authority.UNTIL)
    assert row.chain.count("BEGIN CERTIFICATE") == 2

    requests = start(wallets.app)
    for number in range(2, 40):
        made_up = filed(wallets, number, cert_url=f"{URL}-{number}")
        process(made_up)
        assert state_of(sql, made_up) in {"rejected", "received"}
        assert webhook_row(sql, made_up).attempts == 1
        own = filed(wallets, 100 + number)
        process(own)
        assert state_of(sql, own) == READ
    assert URL not in requests


def test_what_somebody_wrote_into_the_table_makes_nothing_believed(wallets: Wallets, sql: Sql) -> None:
    root = authority.issue("Another Root", by=None, authority=True)
    another = authority.issue(authority.NAME, by=root)
    sql(
        """INSERT INTO believed_certificates (address, fingerprint, chain, ends_at)
        VALUES (:url, 'x', :chain, now() + interval '1 year')""",
        url=URL,
        chain=(another.pem + root.pem).decode(),
    )
    requests = start(wallets.app)
    own = filed(wallets, 1)

    process(own)

    assert (requests, state_of(sql, own)) == ([URL], READ)
    (row,) = sql("SELECT fingerprint, updated_at > created_at AS is_newer FROM believed_certificates")
    assert row.fingerprint != "x"
    assert row.is_newer


@pytest.mark.usefixtures("worker")
def test_the_table_is_bounded_and_what_ended_long_ago_goes(sql: Sql) -> None:
    sql(
        """INSERT INTO believed_certificates (address, fingerprint, chain, ends_at)
        SELECT 'https://' || number, '', number::text, now() - interval '89 days' + number * interval '1 hour'
        FROM generate_series(-200, :most) AS number""",
        most=MOST,
    )
    store = BelievedCertificates()
    assert len(store.chains()) == MOST

    store.keep(URL, chain="own", fingerprint="f", ends_at=authority.UNTIL)

    (count,) = sql("SELECT count(*) FROM believed_certificates")
    assert count.count == MOST
    assert store.chains()[URL] == "own"
    store.keep(URL, chain="newer", fingerprint="f", ends_at=authority.UNTIL)
    assert (len(store.chains()), store.chains()[URL]) == (MOST, "newer")
    store.forget(URL)
    assert URL not in store.chains()


def test_without_a_database_nothing_is_kept_and_nothing_breaks(make_worker: MakeWorker) -> None:
    away = make_worker(database_url=Secret("postgresql+psycopg://nobody@127.0.0.1:1/none"))
    with away.app_context():
        store = BelievedCertificates()
        assert store.chains() == {}
        store.keep(URL, chain="own", fingerprint="f", ends_at=authority.UNTIL)
        store.forget(URL)


def test_a_worker_gives_its_adapters_the_table(worker_settings: WorkerSettings) -> None:
    account = Account(options={name: Secret(value) for name, value in OPTIONS.items()})
    app = make_context(replace(worker_settings, accounts={"paypal": account}))
    adapter = app.extensions["providers"]["paypal"]
    assert isinstance(adapter, PayPalProvider)
    assert isinstance(adapter._certificates._store, BelievedCertificates)


def test_a_chain_has_a_bound(sql: Sql) -> None:
    with pytest.raises(DBAPIError, match="believed_certificates_bounded"):
        sql("""INSERT INTO believed_certificates (address, fingerprint, chain, ends_at)
            VALUES ('a', 'f', repeat('x', 200001), now())""")
