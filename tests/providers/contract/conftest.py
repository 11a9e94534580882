"""Each test of the contract runs once for every kit."""

from __future__ import annotations

import pytest

from checkout_service.providers import transport
from tests.providers.kits.collection import KITS
from tests.providers.kits.kit import Kit


@pytest.fixture(params=KITS.values(), ids=KITS.keys())
def kit(request: pytest.FixtureRequest) -> Kit:
    found: Kit = request.param
    return found


@pytest.fixture
def signing(kit: Kit) -> Kit:
    """A kit whose webhooks are signed."""
    if not kit.signed:
        pytest.skip("its webhooks are thin events, which anybody may write")
    return kit


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried at once."""
    monkeypatch.setattr(transport, "sleep", lambda seconds: None)
