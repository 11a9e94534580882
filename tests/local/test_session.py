"""``make run`` waits for its processes, and says of one that does not serve what that one logged."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from checkout_service.local.guard import Guard
from checkout_service.local.processes import ProcessError, Processes
from checkout_service.local.servers import free_port
from checkout_service.local.session import await_ready


def test_a_process_that_does_not_serve_is_named_with_what_it_logged_last(tmp_path: Path) -> None:
    guard = Guard()
    processes = Processes(folder=tmp_path, environment=os.environ, logs=tmp_path, guard=guard)
    logs_and_waits = "import time; print('I wait for PostgreSQL', flush=True); time.sleep(600)"
    url = f"http://127.0.0.1:{free_port()}/livez"
    try:
        processes.start({"idle": [sys.executable, "-c", logs_and_waits]})
        while "I wait" not in processes.named("idle").logged():
            processes.check()

        with pytest.raises(ProcessError) as raised:
            await_ready(processes, "idle", url, is_up=lambda _: True, within=0.1)
    finally:
        processes.stop()
        guard.close()

    assert "idle was not ready" in str(raised.value)
    assert url in str(raised.value)
    assert "I wait for PostgreSQL" in str(raised.value)
