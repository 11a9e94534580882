"""What these tests begin with: apps and servers of their own."""

from tests.apps import make_app
from tests.webhooks.conftest import count_own_letters, letters, own_postgres, own_valkey

__all__ = ["count_own_letters", "letters", "make_app", "own_postgres", "own_valkey"]
