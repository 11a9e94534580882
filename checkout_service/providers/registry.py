"""Makes the providers that a process may use: the only place that knows them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from checkout_service.accounts import Account
from checkout_service.providers.adyen import AdyenProvider
from checkout_service.providers.base import Provider
from checkout_service.providers.mock import MockProvider
from checkout_service.providers.mollie import MollieProvider
from checkout_service.providers.paypal import PayPalProvider

_MAKERS: Final[dict[str, Callable[[Account], Provider]]] = {
    "mock": MockProvider,
    "adyen": AdyenProvider,
    "mollie": MollieProvider,
    "paypal": PayPalProvider,
}


def make_provider(name: str, account: Account) -> Provider:
    """The translator of that name; without secrets it can open payments but read no letter. Raises KeyError."""
    return _MAKERS[name](account)


Providers = Mapping[str, Provider]
"""The translators of a process, by name."""
