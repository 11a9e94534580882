"""Apps of a test's own."""

from tests.apps import make_app

__all__ = ["make_app"]
