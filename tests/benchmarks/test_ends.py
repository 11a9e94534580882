"""However a run ends, what was measured is printed, and nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import psutil
import pytest

from benchmarks import __main__ as command
from benchmarks import beside
from benchmarks.beside import Side
from benchmarks.builds import Build, BuildError, SideError
from benchmarks.report import Report
from tests.conftest import ROOT


def measured(*_: object, **__: object) -> Report:
    report = Report(title="What was measured")
    report.add("a figure", "7 /s")
    return report


def failing(error: BaseException) -> Callable[..., Report]:
    def figure(*_: object, **__: object) -> Report:
        raise error

    return figure


@pytest.mark.parametrize(
    ("error", "status"), [(SideError("a side ended"), 1), (BuildError("no such commit"), 1), (KeyboardInterrupt(), 130)]
)
def test_what_was_measured_before_it_ended_is_printed(
    error: BaseException, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = iter([measured, failing(error)])
    monkeypatch.setattr(command, "figure", lambda *_, **__: next(figures)())
    monkeypatch.setattr(sys, "argv", ["benchmarks", "receive", "drain", "start"])
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert command.main() == status
    finally:
        signal.signal(signal.SIGTERM, before)

    printed = capsys.readouterr()
    assert "| a figure | 7 /s" in printed.out
    assert (str(error) or "stopped by hand") in printed.err


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Build]:
    """A build whose half is another script."""

    def write(text: str) -> Build:
        (tmp_path / "side.py").write_text(text)
        monkeypatch.setattr(beside, "SIDE", tmp_path / "side.py")
        return Build(name="other", tree=tmp_path, python=Path(sys.executable))

    return write


def test_a_side_that_ends_is_named_and_may_be_ended_again(script: Callable[[str], Build]) -> None:
    side = Side(script("raise SystemExit(3)"))

    for _ in range(2):
        with pytest.raises(SideError, match="ended with 3 at receive"):
            side.measure("receive")
    side.end()


def test_a_side_that_does_not_end_is_killed(script: Callable[[str], Build], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "END_WITHIN", 0.2)
    side = Side(script("import time\nprint('{}', flush=True)\ntime.sleep(600)\n"))
    assert side.measure("receive") == {}

    side.end()

    assert side._child.poll() == -signal.SIGKILL


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_leaves_no_process_and_no_folder(by: signal.Signals, tmp_path: Path) -> None:
    run = subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "processor"],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        until = monotonic() + 60
        while not list(tmp_path.glob("checkout-bench-*/postgres")) and monotonic() < until:
            assert run.poll() is None
            sleep(0.05)
        started = psutil.Process(run.pid).children(recursive=True)
        run.send_signal(by)
        run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode == 128 + by
    assert started
    psutil.wait_procs(started, timeout=60)
    assert [process for process in started if process.is_running()] == []
    assert list(tmp_path.iterdir()) == []
