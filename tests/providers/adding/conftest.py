"""A worker for these tests, and providers that were added to this machine a moment ago."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator

import pytest

from checkout_service.providers.registry import provider_specs
from tests.worker.conftest import make_worker

__all__ = ["make_worker"]  # fixtures


@pytest.fixture
def registry_afresh() -> Iterator[None]:
    """What was collected before is forgotten, and what the test adds is forgotten after it."""
    modules = set(sys.modules)
    provider_specs.cache_clear()
    importlib.invalidate_caches()
    yield
    provider_specs.cache_clear()
    for name in set(sys.modules) - modules:
        if "inhouse" in name or "acme" in name:
            del sys.modules[name]
