"""Makes provider adapters for accounts: the only place that loads their modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pkgutil import resolve_name
from typing import Final

from checkout_service.providers.base import Provider
from checkout_service.providers.registry import ProviderSpecError, provider_specs
from checkout_service.settings.provider_accounts import Account

Providers = Mapping[str, Provider]
"""The provider adapters of a process, by name."""

_METHODS: Final = ("open", "verify_and_parse", "look_up", "cancel", "refund")


def make_provider(name: str, account: Account) -> Provider:
    """The provider adapter of that name; without secrets it can open payments but verify no webhook.

    Raises KeyError for a provider that is not installed, and ProviderSpecError for one whose class cannot be used.
    """
    place = provider_specs()[name].provider
    try:
        adapter: Callable[[Account], Provider] = resolve_name(place)
    except (ImportError, AttributeError, ValueError) as error:
        raise ProviderSpecError(f"provider {name}: {place} cannot be loaded ({error})") from error
    provider = adapter(account)
    missing = [method for method in _METHODS if not callable(getattr(provider, method, None))]
    if missing or provider.name != name:
        reason = f"it has no {', '.join(missing)}" if missing else f"it calls itself {provider.name!r}"
        raise ProviderSpecError(f"provider {name}: {place} is no provider of that name; {reason}")
    return provider
