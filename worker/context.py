"""What tasks work with: a bare Flask application with the database, the cache, the queue and the providers."""

from __future__ import annotations

from flask import Flask, current_app

from checkout_service.cache import connect_cache
from checkout_service.database.engine import connect_database
from checkout_service.database.pools import WORKER_POOL
from checkout_service.delivery_states import DeliveryState
from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.base import IgnoredReason, Provider
from checkout_service.providers.certificate_store import KeepsCertificates
from checkout_service.providers.factory import Providers, make_provider
from checkout_service.publishing.publisher import connect_queue
from checkout_service.settings.values import WorkerSettings
from checkout_service.telemetry.metrics import begin_series
from worker.certificates import BelievedCertificates


def make_context(settings: WorkerSettings) -> Flask:
    """An application to work in; connects to nothing yet, so it may be made before a fork."""
    app = Flask("worker")
    app.extensions["settings"] = settings
    connect_database(
        app,
        settings.database_url,
        name="checkout-worker",
        pool_size=WORKER_POOL,
        patient=True,
        pooler=settings.database_pooler,
    )
    connect_cache(app, settings.redis_url, deployment=settings.payment_namespace)
    connect_queue(app, settings.broker_url)
    app.extensions["providers"] = {
        # A provider that is off has its webhooks processed and its payments looked up all the same: it opened them.
        name: make_provider(name, account)
        for name, account in settings.accounts.items()
    }
    for adapter in app.extensions["providers"].values():
        if isinstance(adapter, KeepsCertificates):
            adapter.keep_certificates(BelievedCertificates())
    begin_series(
        settings.accounts,
        payment_statuses=[status.value for status in PaymentStatus if status is not PaymentStatus.PENDING],
        refund_statuses=[status.value for status in RefundStatus if status is not RefundStatus.REQUESTED],
        delivery_states=[state.value for state in (DeliveryState.APPLIED, DeliveryState.REJECTED)],
        ignored_reasons=[reason.value for reason in IgnoredReason],
    )
    return app


def settings() -> WorkerSettings:
    """The settings of the context at work."""
    found: WorkerSettings = current_app.extensions["settings"]
    return found


def providers() -> Providers:
    """The provider adapters of the providers at which this worker holds an account, by name."""
    found: Providers = current_app.extensions["providers"]
    return found


def provider(name: str) -> Provider | None:
    """The provider adapter of that name, if this worker holds an account there."""
    return providers().get(name)
