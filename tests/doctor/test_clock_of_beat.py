"""The doctor names the clock of beat, which no check can read: workers see it in beat's messages."""

from __future__ import annotations

import pytest
from flask import Flask

from checkout_service.cache import cache
from checkout_service.database.clock import BEAT_CLOCK
from checkout_service.doctor import clocks
from checkout_service.doctor.findings import Level


@pytest.mark.parametrize(("ahead", "level"), [(0.1, Level.OK), (-10.0, Level.ADVICE), (120.0, Level.WRONG)])
def test_the_clock_of_beat_is_named(app: Flask, monkeypatch: pytest.MonkeyPatch, ahead: float, level: Level) -> None:
    monkeypatch.setattr(clocks, "worker_clocks", lambda *_, **__: {})
    monkeypatch.setattr(clocks, "seconds_ahead", lambda: 0.0)
    with app.app_context():
        assert not [found for found in clocks.check_workers() if "beat" in found.about], "nobody has seen it"
        cache().put(BEAT_CLOCK, str(ahead).encode(), seconds=60)
        [found] = [found for found in clocks.check_workers() if found.about == "clock of beat"]
    assert found.level is level
    assert f"{abs(ahead):.2f} s" in found.result
