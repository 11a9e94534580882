"""What these tests begin with: apps and servers of their own."""

from tests.apps import make_app, patience
from tests.webhooks.conftest import count_own_webhooks, own_postgres, own_valkey, webhooks

__all__ = ["count_own_webhooks", "make_app", "own_postgres", "own_valkey", "patience", "webhooks"]
