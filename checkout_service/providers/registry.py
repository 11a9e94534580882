"""Makes the providers that a process may use: the only place that knows them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from checkout_service.accounts import Account
from checkout_service.providers.base import Provider
from checkout_service.providers.mock import MockProvider

_MAKERS: Final[dict[str, Callable[[Account], Provider]]] = {
    "mock": MockProvider,
}


def make_provider(name: str, account: Account) -> Provider:
    """The translator of that name; without secrets it can open payments but read no letter. Raises KeyError."""
    return _MAKERS[name](account)


Providers = Mapping[str, Provider]
"""The translators of a process, by name."""
