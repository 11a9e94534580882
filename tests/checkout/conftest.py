"""Checkout is tested with and without a provider that misbehaves."""

from tests.apps import make_app

__all__ = ["make_app"]
