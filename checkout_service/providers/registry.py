"""Collects what the providers say of themselves; loads no adapter.

Those of this repository are the folders below ``adapters``; those of other distributions name their spec by an entry
point. So adding a provider changes nothing here. A provider that is off stays in the registry: its webhooks about old
payments must still be taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from typing import Final

from checkout_service.providers.spec import ProviderSpec
from checkout_service.settings.errors import SettingsError
from checkout_service.settings.provider_accounts import AccountForm

ENTRY_POINTS: Final = "checkout_service.providers"
"""The group in which another distribution names its provider: ``acme = "acme_payments.spec:spec"``."""

_ADAPTERS: Final = "checkout_service.providers.adapters"

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
"""A name is a step of an address, the beginning of settings, and a label of metrics."""


class ProviderSpecError(SettingsError):
    """A provider that is installed cannot be used; the message says which, where it comes from, and why."""


@cache
def provider_specs() -> Mapping[str, ProviderSpec]:
    """Every provider that is installed, by name, in the order of names. Raises ProviderSpecError."""
    specs: dict[str, ProviderSpec] = {}
    origins: dict[str, str] = {}
    for name, origin, spec in [*_own(), *_of_other_distributions()]:
        if name in specs:
            raise ProviderSpecError(f"provider {name}: it is in {origins[name]}, and also in {origin}; uninstall one")
        specs[name], origins[name] = _checked(name, origin, spec), origin
    return dict(sorted(specs.items()))


def account_forms() -> Mapping[str, AccountForm]:
    """The settings of an account at each provider, by its name. Raises ProviderSpecError."""
    return {name: spec.account for name, spec in provider_specs().items()}


def tells_all(provider: str) -> bool:
    """Whether a look-up at this provider finds refunds and captures too; not of one that is not installed."""
    spec = provider_specs().get(provider)
    return spec is not None and spec.looks_up_all


def _own() -> Iterator[tuple[str, str, object]]:
    for module in iter_modules(import_module(_ADAPTERS).__path__):
        place = f"{_ADAPTERS}.{module.name}.spec"
        try:
            yield module.name, place, import_module(place).spec
        except Exception as error:
            raise _broken(module.name, place, error) from error


def _of_other_distributions() -> Iterator[tuple[str, str, object]]:
    for entry in entry_points(group=ENTRY_POINTS):
        origin = f"the distribution {entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
        try:
            yield entry.name, origin, entry.load()
        except Exception as error:
            raise _broken(entry.name, origin, error) from error


def _broken(name: str, origin: str, error: Exception) -> ProviderSpecError:
    return ProviderSpecError(f"provider {name}: {origin} cannot be loaded ({type(error).__name__}: {error})")


def _checked(name: str, origin: str, spec: object) -> ProviderSpec:
    if not isinstance(spec, ProviderSpec):
        raise ProviderSpecError(f"provider {name}: what {origin} names is no ProviderSpec")
    if spec.name != name:
        raise ProviderSpecError(f"provider {name}: {origin} calls itself {spec.name!r}; the two names must be one")
    if not _NAME.fullmatch(name):
        raise ProviderSpecError(
            f"provider {name}: in {origin}; a name is of a to z, 0 to 9 and _, and begins with one of a to z"
        )
    return spec
