"""Makes the providers that a process may use: the only place that knows them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pkgutil import resolve_name
from typing import Final

from checkout_service.providers.adapters.adyen.provider import AdyenProvider
from checkout_service.providers.adapters.mock.provider import MockProvider
from checkout_service.providers.adapters.mollie.provider import MollieProvider
from checkout_service.providers.adapters.standard.provider import StandardProvider
from checkout_service.providers.base import Provider
from checkout_service.settings.provider_accounts import Account


def _when_needed(place: str) -> Callable[[Account], Provider]:
    """A provider adapter whose module is loaded with the first account: what it imports is an extra, and large."""

    def make(account: Account) -> Provider:
        adapter: Callable[[Account], Provider] = resolve_name(place)
        return adapter(account)

    return make


_MAKERS: Final[dict[str, Callable[[Account], Provider]]] = {
    "adyen": AdyenProvider,
    "mock": MockProvider,
    "mollie": MollieProvider,
    "paypal": _when_needed("checkout_service.providers.adapters.paypal.provider:PayPalProvider"),
    "standard": StandardProvider,
    "stripe": _when_needed("checkout_service.providers.adapters.stripe.provider:StripeProvider"),
}


def make_provider(name: str, account: Account) -> Provider:
    """The provider adapter of that name; without secrets it can open payments but read no webhook. Raises KeyError."""
    return _MAKERS[name](account)


Providers = Mapping[str, Provider]
"""The provider adapters of a process, by name."""
