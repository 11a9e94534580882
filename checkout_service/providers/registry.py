"""Makes the providers that a process may use: the only place that knows them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from checkout_service.providers.base import Provider
from checkout_service.providers.mock import MockProvider


def make_provider(name: str, *, mock_api_base: str | None = None, secrets: Sequence[str] = ()) -> Provider:
    """The translator of that name; without secrets it can open payments but read no letter. Raises KeyError."""
    if name == MockProvider.name:
        return MockProvider(api_base=mock_api_base, secrets=secrets)
    raise KeyError(name)


Providers = Mapping[str, Provider]
"""The translators of a process, by name."""
