"""Checkout is tested with and without a provider that misbehaves."""

from tests.apps import make_app
from tests.provider import _provider_server, make_shopper, mock_provider, provider_app, shopper

__all__ = ["_provider_server", "make_app", "make_shopper", "mock_provider", "provider_app", "shopper"]
