"""Between what a request reads and holds, and its session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from checkout_service.checkout import holding


def after_beginning(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Have something happen once, right after a request has read its cart and holds its pieces."""
    begin = holding.begin
    done: list[bool] = []

    def begin_and_more(*arguments: Any, **named: Any) -> Any:
        begun = begin(*arguments, **named)
        if not done:
            done.append(True)
            happens()
        return begun

    monkeypatch.setattr(holding, "begin", begin_and_more)
