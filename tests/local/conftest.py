"""What these tests begin with: apps of their own, and the webhooks on file."""

from tests.apps import make_app
from tests.webhooks.conftest import webhooks

__all__ = ["make_app", "webhooks"]
