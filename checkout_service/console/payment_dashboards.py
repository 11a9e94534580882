"""The page of a payment in its provider's dashboard, by all names that are known of it."""

from __future__ import annotations

from flask import current_app

from checkout_service.console.beside_payment import BesidePayment
from checkout_service.oversight.payment_history import PaymentNow
from checkout_service.providers.dashboards import DashboardAddress, dashboard_of
from checkout_service.providers.registry import provider_specs
from checkout_service.settings.values import WebSettings


def dashboard_of_payment(payment: PaymentNow, beside: BesidePayment) -> DashboardAddress | None:
    """Where an operator sees it at the provider; None where no page of it is known."""
    settings: WebSettings = current_app.extensions["settings"]
    return dashboard_of(
        provider_specs().get(payment.provider),
        settings.accounts.get(payment.provider),
        payment_ref=payment.provider_ref,
        attempt_refs=[*beside.attempt_refs, *beside.capture_refs],
    )
