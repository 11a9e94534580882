"""The lines of a process without structlog, beside those of one that has it."""

from __future__ import annotations

import json
import os
import re
import sys
from contextvars import Context
from io import StringIO
from pathlib import Path

import pytest
import structlog

from checkout_service.telemetry import logs
from checkout_service.telemetry.plain_log import PlainLog

TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")
ABOUT = {
    "reason": "it ended with status 3",
    "pid": 7,
    "seconds": 0.5,
    "folder": "/srv/café",
    "size": None,
    "path": Path("/srv"),
}


@pytest.mark.parametrize("level", ["info", "warning", "error"])
@pytest.mark.parametrize("production", [True, False])
def test_a_line_looks_as_one_of_the_others(production: bool, level: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(production=production)
    try:
        for about in ({}, ABOUT):
            # In no request, as that process is.
            Context().run(getattr(structlog.get_logger("both"), level), "replacement_failed", **about)
            getattr(PlainLog(), level)("replacement_failed", **about)
    finally:
        logs.configure(production=False)

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert all(TIME.search(line) for line in lines)
    read = [json.loads(line) if production else {"text": TIME.sub("", line).rstrip()} for line in lines]
    for line in read:
        line.pop("timestamp", None)
    assert (read[1], read[3]) == (read[0], read[2])


def test_a_line_that_cannot_be_written_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)

    PlainLog().error("generation_died", pid=1)


def test_what_is_no_text_is_written_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(production=True)
    try:
        PlainLog().error("replacement_failed", reason=os.fsdecode(b"\xff"))
    finally:
        logs.configure(production=False)

    assert json.loads(capsys.readouterr().err)["reason"] == os.fsdecode(b"\xff")
