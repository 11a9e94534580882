"""Apps and a broker of a test's own."""

from tests.apps import make_app
from tests.webhooks.conftest import own_valkey

__all__ = ["make_app", "own_valkey"]  # fixtures
