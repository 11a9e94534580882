"""What the tests of background threads begin with."""

from __future__ import annotations

from tests.webhooks.conftest import own_valkey

__all__ = ["own_valkey"]
