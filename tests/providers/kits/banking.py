"""What the providers' stand-ins have in common: a key that came before gets the answer that it got."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest


def nobody(request: httpx.Request) -> httpx.Response:
    """The server of a provider that must not be called; nothing catches this failure."""
    pytest.fail(f"{request.method} {request.url} was called")


class Keys:
    """Answers by idempotency key, with a conflict for a key that is used for something else."""

    def __init__(self) -> None:
        self._given: dict[str, tuple[bytes, Any]] = {}

    def answer(self, key: str | None, request: bytes, make: Callable[[], Any]) -> Any:
        """The answer to a request; None where its key came with another."""
        assert key, "a call that changes something has no idempotency key"
        if key not in self._given:
            self._given[key] = (request, make())
        before, answer = self._given[key]
        return answer if before == request else None
